"""The page of the selected cells: which they are, which genes differ, and the way from a gene to its portrait."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from streamlit.testing.v1 import AppTest

from app.shared import cached
from deepvelo import keys
from deepvelo.io.runs import RunStore
from deepvelo.result import Result
from deepvelo.selections import store
from tests.on_page import figures, fine, gesture, headers, send, words

PAGE = Path(__file__).resolve().parents[2] / "pages" / "selection.py"
COPIES = 5  # of the 40 cells of the made-up run
CHANGED = "Cpe"  # gamma is eight times as high in one group
GROUP = "Granule"


@pytest.fixture(scope="module")
def run_id(shared_server: Path, run_template: Path) -> str:
    rng = np.random.default_rng(0)
    run = RunStore(run_template.parent).open(run_template.name)
    adata = run.to_adata()
    adata = adata[np.tile(np.arange(adata.n_obs), COPIES)].copy()
    adata.obs_names = [f"cell{i}" for i in range(adata.n_obs)]
    adata.obsm[keys.X_PCA] = rng.normal(size=(adata.n_obs, 2)).astype(np.float32)
    for layer in (*keys.RATES, keys.MS, keys.MU):
        adata.layers[layer] = rng.lognormal(sigma=0.1, size=adata.shape).astype(np.float32)
    members = np.asarray(adata.obs["clusters"] == GROUP)
    adata.layers[keys.GAMMA][members, adata.var_names.get_loc(CHANGED)] *= 8
    metrics = dict(run.info.metrics) | {"n_cells": adata.n_obs}
    result = Result(adata=adata, history=run.history, weights={}, settings=run.info.settings, metrics=metrics)
    return RunStore(shared_server / "runs").save(result, data_name="copies", data_hash="copies")


def opened(run_id: str, **query: str) -> AppTest:
    app = AppTest.from_file(str(PAGE), default_timeout=120)
    app.query_params.update(run=run_id, **query)
    return fine(app.run())


def of_group(run_id: str, **query: str) -> AppTest:
    return gesture(opened(run_id, **query), 0, {"how": "new", "group": GROUP})


def test_without_a_selection_the_page_says_what_to_do(run_id):
    app = opened(run_id)
    assert app.info[0].value.startswith("Select cells to see what is different in them")
    assert len(figures(app)) == 1


def test_the_group_of_the_cells_and_the_gene_that_differs_in_them(run_id):
    app = fine(of_group(run_id, quantity="gamma"))
    groups, genes = app.dataframe[0].value, app.dataframe[1].value
    n_members = int((cached.open_run(run_id).obs["clusters"] == GROUP).sum())
    assert groups["Group"].tolist() == [GROUP]
    assert groups["Cells"].tolist() == [n_members]
    assert groups["Of the group"].tolist() == [100]
    assert genes["Gene"][0] == CHANGED
    assert genes["log2 ratio"][0] == pytest.approx(3, abs=0.3)
    assert genes["q"][0] < 0.05
    assert (genes["q"][1:] > 0.05).all()


def test_a_click_on_the_volcano_opens_the_portrait_with_the_selection_in_it(run_id):
    app = of_group(run_id)
    send(app, 1, "picked", [CHANGED, "0.001", CHANGED])
    assert app.query_params["gene"] == CHANGED
    portrait = headers(fine(app))[-1]
    assert portrait["figure"]["layout"]["title"]["text"] == CHANGED
    assert portrait["selection"]["id"] is not None
    send(app, 1, "picked", {"no": "gene"})
    assert app.query_params["gene"] == CHANGED


def test_cells_are_compared_within_their_group_and_with_a_saved_selection(run_id):
    run = cached.open_run(run_id)
    members = run.obs.index[run.obs["clusters"] == GROUP]
    others = run.obs.index[run.obs["clusters"] != GROUP]
    store.save(run.folder, "half", members[: len(members) // 2].tolist())
    store.save(run.folder, "others", others.tolist())
    app = opened(run_id, cells="half")
    box = next(box for box in app.selectbox if box.label == "Compare with")
    assert box.options == ["All other cells", f"Within {GROUP}", "Saved: others"]
    box.select(f"Within {GROUP}").run()
    assert app.dataframe[1].value["q"].min() > 0.05  # both halves have the same rates
    next(box for box in app.selectbox if box.label == "Compare with").select("Saved: others").run()
    assert f"{len(members) // 2} selected cells and {len(others)} to compare with" in words(app)
    assert app.dataframe[1].value["Gene"][0] == CHANGED


@pytest.mark.parametrize("n_cells", [1, 29])
def test_too_few_cells_are_one_sentence(run_id, n_cells):
    run = cached.open_run(run_id)
    store.save(run.folder, f"few {n_cells}", run.obs.index[:n_cells].tolist())
    app = opened_with_error(run_id, cells=f"few {n_cells}")
    assert "at least 30" in app.error[0].value


def test_all_cells_leave_none_to_compare_with(run_id):
    run = cached.open_run(run_id)
    store.save(run.folder, "all", run.obs.index.tolist())
    assert "All cells are selected" in opened(run_id, cells="all").info[0].value


def test_marker_genes_are_offered_too(run_id):
    app = of_group(run_id)
    next(group for group in app.segmented_control if group.label == "Compare").select("Marker genes").run()
    table = fine(app).dataframe[1].value
    assert list(table.columns[:3]) == ["Gene", "Score", "log2 ratio"]
    assert len(table) == 6


def opened_with_error(run_id: str, **query: str) -> AppTest:
    app = AppTest.from_file(str(PAGE), default_timeout=120)
    app.query_params.update(run=run_id, **query)
    app.run()
    assert not app.exception
    return app
