"""Pages that show a stored run of GraphVelo, here of its stand-in: no traceback, and nothing said of scVelo's modes."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from app.shared import cached
from app.shared.run_picker import run_details
from deepvelo import choices, config, keys, workflow
from deepvelo.config import Settings
from deepvelo.datasets.simulation import simulate
from deepvelo.io.runs import RunStore
from tests.graphvelo_stand_in import install
from tests.on_page import fine, words

ROOT = Path(__file__).resolve().parents[2]
pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def template(tmp_path_factory) -> Path:
    store = RunStore(tmp_path_factory.mktemp("templates"))
    cells = simulate(kind="linear", n_cells=80, n_genes=30, depth=2000, seed=0)
    with pytest.MonkeyPatch.context() as patch:
        install(patch)
        patch.setattr(choices, "version", lambda name: "1")  # the stand-in has no metadata
        settings = config.replace(Settings(), {"method": "graphvelo"})
        result = workflow.run(cells, settings, cluster_key=keys.CLUSTERS)
    return store.folder / store.save(result, data_name="cells", data_hash="0" * 32)


@pytest.fixture(scope="module")
def run(shared_server, template):
    shutil.copytree(template, shared_server / "runs" / template.name)
    return cached.open_run(template.name)


@pytest.mark.parametrize("name", ["velocity", "phase_portraits", "kinetic_rates", "compare"])
def test_a_page_opens_and_names_the_method(run, name):
    page = AppTest.from_file(str(ROOT / "pages" / f"{name}.py"), default_timeout=120)
    page.query_params.update(run=run.info.run_id, gene=str(run.var.index[0]))
    fine(page.run())
    assert not page.error
    assert "scVelo's graphvelo" not in words(page)
    if name == "kinetic_rates":
        assert "GraphVelo projects velocities and fits no rates" in page.info[0].value


def test_the_sidebar_says_the_method_and_the_genes_with_a_velocity(run):
    n_genes = run.info.metrics["n_genes"]
    assert f"GraphVelo; {n_genes} of {n_genes} genes with velocity" in run_details(run.info)
