"""Pages that show a stored run of one of scVelo's modes: no traceback, and no claim the run cannot back."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
from streamlit.testing.v1 import AppTest

from app.shared import cached
from app.shared.run_picker import run_label
from app.train import start
from deepvelo import config, keys, workflow
from deepvelo.config import Settings
from deepvelo.datasets.simulation import simulate
from deepvelo.io.runs import RunStore
from deepvelo.result import Progress
from tests.on_page import figures

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module", params=["stochastic", pytest.param("dynamical", marks=pytest.mark.slow)])
def mode(request) -> str:
    return request.param


@pytest.fixture(scope="module")
def template(tmp_path_factory, mode) -> Path:
    """A run of the mode on 80 simulated cells, with settings that would allow negative rates."""
    store = RunStore(tmp_path_factory.mktemp("templates"))
    cells = simulate(kind="linear", n_cells=80, n_genes=30, depth=2000, seed=0)
    changes = {"method": mode, "preset": "published"}
    result = workflow.run(cells, config.replace(Settings(), changes), cluster_key=keys.CLUSTERS)
    return store.folder / store.save(result, data_name="cells", data_hash="0" * 32)


@pytest.fixture(scope="module")
def run(shared_server, template):
    """A stored run of the mode in the store of `shared_server`."""
    shutil.copytree(template, shared_server / "runs" / template.name)
    return cached.open_run(template.name)


@pytest.fixture
def alone(server, template):
    """That run alone in the store of `server`, under the same name."""
    shutil.copytree(template, server / "runs" / template.name)
    return cached.open_run(template.name)


@pytest.fixture
def opened(run):
    def open_page(name: str, **query: str) -> AppTest:
        page = AppTest.from_file(str(ROOT / "pages" / f"{name}.py"), default_timeout=60)
        page.query_params.update({"run": run.info.run_id} | query)
        page.run()
        assert not page.exception
        assert not page.error
        return page

    return open_page


def gene(run, *, with_velocity: bool) -> str:
    return str(run.var.index[run.var[keys.VELOCITY_GENES] == with_velocity][0])


def captions(page: AppTest) -> str:
    return " ".join(caption.value for caption in page.caption)


def options(page: AppTest, label: str) -> list[str]:
    return next(box for box in page.selectbox if box.label == label).options


@pytest.mark.slow
def test_velocity_is_drawn_without_offering_rates_or_confidence(opened, run):
    page = opened("velocity")
    assert len(figures(page)) == 1
    offered = options(page, "Colour by")
    assert {"Pseudotime", "Consistency, neighbours", "Gene: expression", "Gene: velocity"} <= set(offered)
    assert not any(word in option for option in offered for word in ("α", "β", "γ", "Confidence", "Rate"))


@pytest.mark.parametrize("color", ["gene_beta", "gene_alpha", keys.CONFIDENCE, keys.RATES_LEIDEN])
def test_a_colour_of_another_run_that_this_one_lacks_is_explained(opened, color):
    page = opened("velocity", color=color)
    assert "one rate per gene" in page.info[0].value
    assert not page.warning


def test_a_gene_without_velocity_is_called_so(opened, run):
    silent = gene(run, with_velocity=False)
    page = opened("velocity", color="gene_velocity", gene=silent)
    assert f"{silent} has no velocity in this run" in captions(page)
    moving = gene(run, with_velocity=True)
    assert "its spliced RNA" not in captions(page)
    assert "spliced RNA increases" in captions(opened("velocity", color="gene_velocity", gene=moving))


def test_consistency_is_not_said_to_be_smoothed(opened):
    words = captions(opened("velocity", color=keys.CONSISTENCY))
    assert "counts were averaged" in words
    assert "velocities are averaged" not in words


def test_kinetic_rates_say_in_a_sentence_that_there_are_none(opened, alone, server, made_up_run):
    page = opened("kinetic_rates")
    assert "one rate per gene" in page.info[0].value
    assert not page.warning
    assert [button.label for button in page.button] == ["Train DeepVelo"]
    ours, other = (made_up_run(server / "runs", name=name) for name in ("with rates", "on other data"))
    info = server / "runs" / other / "info.json"
    info.write_text(info.read_text().replace("0" * 32, "f" * 32))
    page.run()
    page.button[0].click().run()
    assert page.session_state["run"] == ours
    assert not page.exception
    assert page.get("bidi_component")


def test_portraits_of_a_gene_with_velocity(opened, run, mode):
    page = opened("phase_portraits", gene=gene(run, with_velocity=True))
    portrait, tissue = figures(page)
    arrows = [trace for trace in portrait["data"] if trace["mode"] == "lines"]
    assert len(arrows) == 2  # ink on its halo
    titles = [note["text"] for note in tissue["layout"]["annotations"]]
    assert titles == ["spliced", "unspliced", "velocity ds/dt"]
    words = captions(page)
    if mode == "stochastic":
        assert "scVelo's stochastic mode gives no du/dt" in words
        assert "up means" not in words
    else:
        assert "the curve that scVelo fits to the gene" in words
        assert "up means more unspliced" in words
    assert "averaged twice" not in words
    assert not page.warning
    assert list(page.dataframe[0].value) == ["Gene"]


def test_portraits_of_a_gene_without_velocity(opened, run):
    portrait, tissue = figures(opened("phase_portraits", gene=gene(run, with_velocity=False)))
    assert [note["text"] for note in portrait["layout"]["annotations"]] == ["no velocity for this gene"]
    assert not [trace for trace in portrait["data"] if trace["mode"] == "lines"]
    assert any(note["text"] == "no value for this gene" for note in tissue["layout"]["annotations"])


def test_du_dt_of_the_dynamical_mode_alone_points_up(run, mode):
    from app.shared.phase_charts import phase_of

    up = phase_of(run, gene(run, with_velocity=True)).velocity_u
    assert (up is None) == (mode == "stochastic")
    assert up is None or np.isfinite(up).all()


def test_several_portraits(opened, run):
    page = opened("phase_portraits")
    page.segmented_control(key="phase.mode").select("Several").run()
    assert len(figures(page)) == 1


def test_the_table_says_the_method_and_leaves_out_what_did_not_count(alone, mode, made_up_run, server):
    made_up_run(server / "runs", name="ours")
    page = AppTest.from_function(run_table_alone).run()
    assert not page.exception
    table = page.dataframe[0].value.set_index("Run")
    label = f"scVelo, {mode}"
    assert table["Method"].to_dict() == {"ours": "DeepVelo", f"cells, {label}": label}
    row = table.loc[f"cells, {label}"]
    ignored = ["Preset", "Neighbours", "Candidates", "λ u", "λ s", "Smoothing", "Epochs", "Seed"]
    assert row[[*ignored, "Silhouette", "ARI"]].isna().all()
    assert table.loc["ours", ignored].notna().all()
    assert row["Consistency"] == pytest.approx(alone.info.metrics["consistency"])


def run_table_alone():
    from app.train.run_table import run_table

    run_table()


def picker_alone():
    from app.shared.run_picker import choose_first_run, run_picker

    choose_first_run()
    run_picker()


def test_the_sidebar_says_the_method_and_the_genes_with_a_velocity(alone, mode):
    page = AppTest.from_function(picker_alone).run()
    assert page.selectbox[0].options == [f"cells, scVelo, {mode}"]
    n_velocity, n_genes = alone.info.metrics["n_velocity_genes"], alone.info.metrics["n_genes"]
    words = captions(page)
    assert f"scVelo, {mode} mode; {n_velocity} of {n_genes} genes with velocity" in words
    for ignored in ("neighbours", "λ", "epochs", "Preset", "seed"):
        assert ignored not in words


def test_runs_that_belong_to_another_are_shown_only_when_asked_for(server, saved_run, made_up_run):
    info = cached.open_run(saved_run).info
    folder = server / "runs" / saved_run
    other = shutil.copytree(folder, folder.with_name("a-seed"))
    text = (other / "info.json").read_text()
    (other / "info.json").write_text(
        text.replace('"purpose": "fit"', '"purpose": "seed"').replace('"name": "made up"', '"name": "seed 1"')
    )
    assert {run.run_id for run in cached.runs()} == {saved_run, "a-seed"}
    page = AppTest.from_function(picker_alone).run()
    assert page.selectbox[0].options == [run_label(info)]
    assert len(AppTest.from_function(run_table_alone).run().dataframe[0].value) == 1
    page.query_params["run"] = "a-seed"
    page.session_state["run"] = "a-seed"
    page.run()
    assert len(page.selectbox[0].options) == 2


def test_a_job_is_called_by_its_method_and_counts_genes(server, queue):
    queue.put(
        "j", name="cells", state="running", seconds_left=65.0,
        settings=config.replace(Settings(), {"method": "dynamical"}),
        progress=Progress(step="train", epoch=48, n_epochs=310, unit="gene"),
    )  # fmt: skip

    def both():
        from app.shared.live_jobs import jobs_in_brief, live_jobs

        jobs_in_brief()
        live_jobs()

    page = AppTest.from_function(both).run()
    assert not page.exception
    where = "Fitting genes, 48 of 310, about 65 s left"
    assert f"cells, scVelo, dynamical: {where}" in captions(page)
    assert f"**cells, scVelo, dynamical** · {where}" in " ".join(text.value for text in page.markdown)
    assert not page.get("bidi_component")


def test_training_can_start_a_mode_of_scvelo(server, queue):
    page = AppTest.from_file(str(ROOT / "pages" / "train.py"), default_timeout=60)
    page.query_params["data"] = "sample"
    page.run()
    next(box for box in page.selectbox if box.label == "Method").select("stochastic").run()
    assert not page.exception
    assert "scVelo, stochastic uses only the settings under Preparation" in captions(page)
    next(button for button in page.button if button.label == "Start training").click().run()
    assert [job.settings for job in queue.submitted] == [config.replace(Settings(), {"method": "stochastic"})]


@pytest.mark.parametrize("installed", [True, False])
def test_graphvelo_is_a_choice_only_where_it_is_installed(server, queue, monkeypatch, installed):
    methods = [method for method in config.FITTED if installed or method != "graphvelo"]
    monkeypatch.setattr(start, "fitted_here", lambda: tuple(methods))
    page = AppTest.from_file(str(ROOT / "pages" / "train.py"), default_timeout=60)
    page.query_params["data"] = "sample"
    page.run()
    assert options(page, "Method") == [config.METHOD_LABELS[method] for method in methods]
