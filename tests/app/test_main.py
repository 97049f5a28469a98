"""The entry: it starts from anywhere, opens on pictures when there are any, and keeps the view in the URL."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from tests.on_page import figures, headers

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def app() -> AppTest:
    return AppTest.from_file(str(ROOT / "app" / "main.py"), default_timeout=60)


@pytest.mark.slow
def test_the_entry_runs_from_another_folder(tmp_path):
    done = subprocess.run(
        [sys.executable, str(ROOT / "app" / "main.py")],
        cwd=tmp_path,
        env=os.environ | {"DEEPVELO_RUNS": str(tmp_path), "DEEPVELO_DATA": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2000:]


def test_without_runs_the_data_page_opens(app, server):
    app.run()
    assert not app.exception
    assert app.header[0].value == "Data"


def test_with_a_run_its_velocity_opens(app, shared_run):
    app.run()
    assert not app.exception
    assert app.header[0].value == "Velocity"
    assert app.query_params["run"] == shared_run
    assert figures(app)


def test_the_samples_run_comes_first(app, server, made_up_run):
    from deepvelo.datasets import shipped

    of_sample = made_up_run(server / "runs", data_name=shipped.LABEL, name="sample")
    made_up_run(server / "runs", name="newer", seed=1)
    app.run()
    assert app.query_params["run"] == of_sample


def test_the_sidebar_chooses_what_the_camera_saves(app, shared_run):
    def saved_as() -> str:
        return headers(app)[0]["config"]["toImageButtonOptions"]["format"]

    app.run()
    assert saved_as() == "svg"
    app.sidebar.segmented_control[0].select("png").run()
    assert saved_as() == "png"


def test_the_sidebar_chooses_the_run(app, server, made_up_run):
    first = made_up_run(server / "runs", name="first")
    made_up_run(server / "runs", name="second", seed=1)
    app.run()
    app.sidebar.selectbox[0].select(first).run()
    assert not app.exception
    assert app.query_params["run"] == first
    # an eighth of the 40 cells, not the 120 of the settings
    assert "20 graph and 5 candidate neighbours" in app.sidebar.caption[-1].value


@pytest.mark.parametrize("page", ["velocity", "phase_portraits", "kinetic_rates"])
def test_a_url_reopens_the_view(app, shared_run, page):
    app.query_params.update(run=shared_run, gene="Cpe")
    app.run()
    app.switch_page(f"../pages/{page}.py").run()
    assert not app.exception
    assert not app.error
    assert app.query_params["run"] == shared_run
    assert app.query_params["gene"] == "Cpe"


def test_an_unknown_run_is_one_sentence_and_a_way_on(app, shared_run):
    app.query_params["run"] = "../../etc"
    app.run()
    assert not app.exception
    assert "There is no run '../../etc'" in app.error[0].value
    next(button for button in app.button if button.label == "Show the newest run").click().run()
    assert app.query_params["run"] == shared_run
    assert not app.error


def test_an_unknown_gene_is_one_sentence_with_a_suggestion(app, shared_run):
    app.query_params.update(run=shared_run, gene="Cpez")
    app.run()
    app.switch_page("../pages/phase_portraits.py").run()
    assert not app.exception
    assert "Gene 'Cpez'" in app.error[0].value
    assert "'Cpe'" in app.error[0].value


def test_an_unknown_colour_is_one_sentence(app, shared_run):
    app.query_params.update(run=shared_run, color="batch")
    app.run()
    assert not app.exception
    assert "'batch'" in app.error[0].value


@pytest.mark.parametrize("page", ["velocity", "phase_portraits", "kinetic_rates", "compare"])
def test_pages_without_a_run_say_what_to_do(app, server, page):
    app.run()
    app.switch_page(f"../pages/{page}.py").run()
    assert not app.exception
    assert len(app.info) == 1
    assert [button.label for button in app.main.button] == ["Choose data"]


@pytest.mark.slow
def test_a_scheduler_out_of_reach_leaves_the_pictures(app, saved_run, monkeypatch):
    monkeypatch.setenv("DEEPVELO_SCHEDULER", "tcp://127.0.0.1:9")
    app.run()
    assert not app.exception
    assert app.header[0].value == "Velocity"
    assert any("127.0.0.1:9" in caption.value for caption in app.sidebar.caption)


def test_the_library_loads_without_streamlit_and_plotly():
    code = "import sys, deepvelo; sys.exit(bool({'streamlit', 'plotly'} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=False, timeout=120).returncode == 0


def test_the_data_page_leads_to_training(app, server):
    app.query_params["data"] = "sample"
    app.run()
    next(button for button in app.button if button.label == "Train on this data set").click().run()
    assert not app.exception
    assert app.header[0].value == "Train"
    assert app.query_params["data"] == "sample"
