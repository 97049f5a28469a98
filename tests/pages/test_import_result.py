"""Data > Bring a result: the velocities of another tool become a run."""

from __future__ import annotations

import time
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from anndata import AnnData
from streamlit.testing.v1 import AppTest

from app.shared import cached, comparison
from deepvelo import keys
from tests.compared import copy_as

DATA = Path(__file__).resolve().parents[2] / "pages" / "data.py"
LAYER, TOOL, GROUPS, FILE = "Layer with the velocities", "Tool", "Cell groups", "File with the result"


@pytest.fixture
def page(server) -> AppTest:
    return AppTest.from_file(str(DATA), default_timeout=60)


def write_result(folder: Path, *, cells: list[str], layer: str = "velocity_S") -> Path:
    """Cells of three groups in a plane, as dynamo leaves them, without a graph."""
    rng = np.random.default_rng(0)
    groups = np.repeat(["A", "B", "C"], len(cells) // 3 + 1)[: len(cells)]
    values = rng.random((len(cells), 6)).astype(np.float32)
    adata = AnnData(
        obs=pd.DataFrame({"clusters": pd.Categorical(groups)}, index=cells),
        var=pd.DataFrame({"use_for_dynamics": [True] * 5 + [False]}, index=[f"g{i}" for i in range(6)]),
        layers={"M_s": values + 1, "M_u": values, layer: values - 0.5},
        obsm={keys.X_UMAP: rng.normal(size=(len(cells), 2))},
    )
    path = folder / "dynamo.h5ad"
    adata.write_h5ad(path)
    return path


def box(page: AppTest, label: str):
    return next(found for found in [*page.selectbox, *page.text_input] if found.label == label)


def import_button(page: AppTest):
    return next(button for button in page.button if button.label == "Import the result")


def test_nothing_is_read_before_a_file_is_chosen(page, server):
    (server / "data" / "broken.h5ad").write_bytes(b"no HDF5")
    page.run()
    assert not page.exception
    assert not page.error
    assert box(page, FILE).value is None


def test_layer_and_tool_are_found_and_the_import_is_a_job(page, server, queue):
    write_result(server / "data", cells=[f"cell{i}" for i in range(40)])
    page.run()
    box(page, FILE).select("dynamo.h5ad").run()
    assert not page.exception
    assert (box(page, LAYER).value, box(page, TOOL).value) == ("velocity", "dynamo")
    import_button(page).click().run()
    assert not page.exception
    (job,) = queue.submitted
    settings = job.settings
    assert (settings.method, settings.layer, settings.tool) == ("imported", "velocity", "dynamo")
    assert job.cluster_key == "clusters"
    assert any("dynamo, imported" in text.value for text in page.markdown)


def test_a_file_without_velocities_cannot_be_brought(page, server, queue):
    path = write_result(server / "data", cells=[f"cell{i}" for i in range(40)], layer="other")
    page.run()
    box(page, FILE).select(path.name).run()
    assert not page.exception
    assert box(page, LAYER).value is None
    assert import_button(page).disabled


def test_a_broken_file_is_one_sentence_and_the_page_goes_on(page, server, queue):
    (server / "data" / "broken.h5ad").write_bytes(b"no HDF5")
    page.query_params["data"] = "sample"
    page.run()
    box(page, FILE).select("broken.h5ad").run()
    assert not page.exception
    (error,) = page.error
    assert "broken.h5ad" in error.value
    assert any("genes" in metric.label.lower() for metric in page.metric)


def test_an_import_that_ended_leads_to_compare_and_velocity(page, saved_run, queue):
    from deepvelo import config

    settings = config.replace(config.Settings(), {"method": "imported", "tool": "dynamo"})
    queue.put("a", state="running", settings=settings)
    page.run()
    queue.put("a", state="finished", settings=settings, run_id=saved_run)
    page.run()
    assert {"Show velocity", "Compare"} <= {button.label for button in page.button}


def test_imported_results_stand_beside_the_fits_of_their_cells(server, ring_run):
    base = ring_run.info
    same = copy_as(ring_run, "imported", settings={"tool": "dynamo"}, data_hash="1" * 32)
    older = copy_as(ring_run, "deepvelo", data_hash="2" * 32)
    assert comparison.default_runs(base) == [same]
    info = cached.open_run(same).info
    assert comparison.names((base.run_id, same)) == ["DeepVelo", "dynamo imported"]
    assert comparison.shares_cells(base, info) == 1
    assert comparison.shares_cells(base, cached.open_run(older).info) == 0
    assert comparison.counterpart(same) in {base.run_id, older}


@pytest.mark.slow
def test_from_the_file_to_the_run(page, server):
    write_result(server / "data", cells=[f"cell{i}" for i in range(60)])
    page.run()
    box(page, FILE).select("dynamo.h5ad").run()
    import_button(page).click().run()
    assert not page.exception
    deadline = time.monotonic() + 240
    while (job := cached.jobs().list()[0]).active and time.monotonic() < deadline:
        time.sleep(0.5)
    assert job.state == "finished", job.message
    run = cached.open_run(job.run_id)
    assert run.info.settings.tool == "dynamo"
    assert run.var[keys.VELOCITY_GENES].sum() == 5
    assert keys.velocity_embedding("umap") in run.obsm
