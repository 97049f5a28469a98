"""The agreement view on three made-up methods: who agrees where is known, and a lasso is given to it."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from anndata import AnnData
from scipy import sparse
from streamlit.proto.WidgetStates_pb2 import WidgetStates
from streamlit.testing.v1 import AppTest

from app.compare.portraits import preset_groups, target_in_words
from app.shared import cached
from deepvelo import config, keys
from deepvelo.io.runs import RunStore
from deepvelo.pl.side_by_side import INDUCTION, LINE, REPRESSION
from deepvelo.result import Result
from tests.on_page import figures, gesture, selected, shown_gene

N_CELLS = 40
OTHERWISE = "OPC"  # the group in which one method moves the other way
STILL = "Gad1"  # the gene that one method has no velocity for


def page(run_ids: list[str], smooth: int) -> None:
    from app import session
    from app.compare.agreement import agreement_view
    from app.shared import cached
    from app.shared.empty import stop_on_error

    session.sync_url()
    with stop_on_error():
        agreement_view(cached.open_run(run_ids[0]), tuple(run_ids), smooth)


def store_as(
    template: Path, folder: Path, method: str, change: Callable[[AnnData], None] = lambda adata: None
) -> str:
    """Store the made-up run in a folder under another method, with its object changed."""
    run = RunStore(template.parent).open(template.name)
    adata = run.to_adata()
    ends = N_CELLS - 1
    ring = sparse.diags([1.0] * 4, [-ends, -1, 1, ends], shape=(N_CELLS, N_CELLS), format="csr")
    adata.obsp[keys.CONNECTIVITIES] = adata.obsp[keys.DISTANCES] = ring
    adata.uns[keys.NEIGHBORS] = {
        "params": {"n_neighbors": 3}, "connectivities_key": keys.CONNECTIVITIES, "distances_key": keys.DISTANCES,
    }  # fmt: skip
    change(adata)
    info = run.info
    settings = config.replace(info.settings, {"method": method})
    result = Result(
        adata=adata, history=pd.DataFrame(), weights={}, metrics=dict(info.metrics), settings=settings
    )
    return RunStore(folder).save(result, data_name=info.data_name, data_hash=info.data_hash)


def steady_state(adata: AnnData) -> None:
    """Moves one group the other way."""
    adata.layers[keys.VELOCITY][adata.obs["clusters"] == OTHERWISE] *= -1
    del adata.layers[keys.VELOCITY_U]
    adata.var["velocity_gamma"] = 0.5


def dynamical(adata: AnnData) -> None:
    """Agrees with DeepVelo, and leaves one gene out."""
    still = adata.var_names == STILL
    adata.layers[keys.VELOCITY][:, still] = np.nan
    adata.layers[keys.VELOCITY_U][:, still] = np.nan
    adata.var[keys.VELOCITY_GENES] = ~still
    adata.var[["fit_alpha", "fit_beta", "fit_gamma", "fit_scaling", "fit_t_"]] = [2.0, 1.5, 0.5, 1.0, 3.0]
    adata.var.loc[still, "fit_alpha"] = np.nan
    adata.layers["fit_t"] = np.tile(np.linspace(0, 8, N_CELLS)[:, None], (1, adata.n_vars))


@pytest.fixture(scope="module")
def store(shared_server, run_template) -> Callable[..., str]:
    """Store the made-up run under a method: ``store("stochastic", change)``."""
    return lambda method, *change: store_as(run_template, shared_server / "runs", method, *change)


@pytest.fixture(scope="module")
def methods(store) -> list[str]:
    """DeepVelo, the steady state and the dynamical mode."""
    return [store("deepvelo"), store("steady_state", steady_state), store("dynamical", dynamical)]


@pytest.fixture
def opened() -> Callable[..., AppTest]:
    def open_view(run_ids: list[str], smooth: int = 0, gene: str = "Tmsb10") -> AppTest:
        app = AppTest.from_function(page, kwargs={"run_ids": run_ids, "smooth": smooth}, default_timeout=60)
        app.query_params.update(run=run_ids[0], gene=gene)
        return app.run()

    return open_view


def words(app: AppTest) -> str:
    return " ".join(text.value for text in [*app.markdown, *app.caption, *app.info])


def groups(run_id: str) -> np.ndarray:
    return cached.open_run(run_id).obs["clusters"].astype(str).to_numpy()


def send(app: AppTest, widget: Any, value: dict) -> AppTest:
    """What the browser sends for widgets that AppTest cannot handle itself."""
    states: WidgetStates = app._tree.get_widget_states()
    states.widgets.add(id=widget.proto.id, string_value=json.dumps({"selection": value}))
    app._run(states)
    return app


def draw(app: AppTest, cells: list[int]) -> AppTest:
    """Draw around each of these cells alone."""
    points = cached.open_run(app.kwargs["run_ids"][0]).obsm[keys.X_UMAP]
    corners = 1e-4 * np.array([[-1, -1], [1, -1], [1, 1], [-1, 1]])
    for how, cell in zip(["new", *["add"] * len(cells)], cells, strict=False):
        outline = (points[cell] + corners).T.tolist()
        gesture(app, 0, {"how": how, "lasso": outline, "axes": ["x", "y"]})
    return app


def agreement_in(figure: dict) -> np.ndarray:
    (trace,) = [trace for trace in figure["data"] if trace["mode"] == "markers"]
    values = np.empty(N_CELLS)
    values[trace["customdata"]] = trace["marker"]["color"]
    return values


@pytest.mark.parametrize(("sign", "expected"), [(1, 1), (-1, -1)])
@pytest.mark.slow
def test_a_run_and_its_copy_agree_everywhere_and_its_opposite_nowhere(methods, store, opened, sign, expected):
    def flip(adata: AnnData) -> None:
        adata.layers[keys.VELOCITY] *= sign

    app = opened([methods[0], store("stochastic", flip)])
    assert agreement_in(figures(app)[0]) == pytest.approx(expected, abs=1e-4)
    assert f"mean agreement **{expected:.2f}**".replace("-", "−") in words(app)


def test_map_shows_where_one_method_moves_otherwise(methods, opened):
    app = opened(methods)
    values = agreement_in(figures(app)[0])
    otherwise = groups(methods[0]) == OTHERWISE
    assert values[~otherwise] == pytest.approx(1, abs=1e-4)
    assert values[otherwise] == pytest.approx(-1 / 3, abs=1e-4)  # one pair of three agrees
    assert "over the 5 genes" in words(app)


def test_a_lasso_is_the_region_and_outlives_another_colour(methods, opened):
    cells = np.flatnonzero(groups(methods[0]) == OTHERWISE)[:4].tolist()
    app = draw(opened(methods), cells)
    assert selected(app) == cells
    assert "4 cells (OPC 4): mean agreement **−0.33**" in words(app)
    app.segmented_control(key="compare.color").select("Cell type").run()
    assert selected(app) == cells
    assert len([trace for trace in figures(app)[0]["data"] if trace["mode"] == "markers"]) == 3
    next(button for button in app.button if button.label == "Clear").click().run()
    assert selected(app) == []
    assert "All cells: mean agreement" in words(app)


def test_a_lasso_takes_cells_that_are_not_drawn(methods, opened, monkeypatch):
    monkeypatch.setattr(cached, "drawn_cells", lambda run_id: np.arange(0, N_CELLS, 4))
    cells = np.flatnonzero(groups(methods[0]) == OTHERWISE)[:8].tolist()
    app = draw(opened(methods), cells)
    assert "8 cells (OPC 8)" in words(app)
    assert "10 of 40 cells drawn" in words(app)
    assert selected(app) == cells


def test_a_click_on_a_name_selects_the_group(methods, opened):
    app = gesture(opened(methods), 0, {"how": "new", "group": "Granule"})
    assert selected(app) == np.flatnonzero(groups(methods[0]) == "Granule").tolist()
    assert "mean agreement **1.00**" in words(app)


def test_region_says_who_disagrees_and_smoothing_keeps_it(methods, opened):
    app = draw(opened(methods), np.flatnonzero(groups(methods[0]) == OTHERWISE).tolist())
    assert "Least similar: DeepVelo and scVelo steady state, −1.00." in words(app)
    region = selected(app)
    app.kwargs["smooth"] = 1
    app.run()
    assert selected(app) == region
    assert "scVelo steady state, −1.00" not in words(app)  # averaged with neighbours of other groups
    assert "mean agreement" in words(app)


def test_genes_of_the_region_with_share_and_each_methods_part(methods, opened):
    app = draw(opened(methods), np.flatnonzero(groups(methods[0]) == OTHERWISE).tolist())
    table = app.dataframe[0].value
    assert table.columns.tolist() == ["Gene", "share", "DeepVelo", "scVelo steady state", "scVelo dynamical"]
    assert table["share"].is_monotonic_decreasing
    assert table["share"].sum() == pytest.approx(100)
    assert STILL not in set(table["Gene"])
    np.testing.assert_allclose(table["DeepVelo"], -table["scVelo steady state"], atol=1e-6)


def test_a_click_on_a_gene_shows_its_portraits(methods, opened):
    app = opened(methods)
    gene = app.dataframe[0].value["Gene"][2]
    send(app, app.dataframe[0], {"rows": [2], "columns": [], "cells": []})
    assert app.query_params["gene"] == gene
    assert shown_gene(app) == gene
    _, portraits = figures(app)
    titles = [note["text"] for note in portraits["layout"]["annotations"]]
    assert titles == ["DeepVelo", "scVelo steady state", "scVelo dynamical"]


def test_scvelos_fits_lie_over_its_own_panels(methods, opened):
    app = opened(methods)
    _, portraits = figures(app)
    found = {
        (trace["name"], trace["xaxis"])
        for trace in portraits["data"]
        if trace.get("name") in (LINE, INDUCTION, REPRESSION)
    }
    assert found == {(LINE, "x2"), (LINE, "x3"), (INDUCTION, "x3"), (REPRESSION, "x3")}
    assert "arrows are horizontal: scVelo steady state." in words(app)


def test_a_gene_without_velocity_in_a_method_says_so(methods, opened):
    app = opened(methods, gene=STILL)
    _, portraits = figures(app)
    notes = [(note["text"], note["xref"]) for note in portraits["layout"]["annotations"]]
    assert ("no velocity for this gene", "x3") in notes
    assert f"{STILL} has no velocity in scVelo dynamical." in words(app)
    assert INDUCTION not in {trace.get("name") for trace in portraits["data"]}


def test_a_zoom_window_is_a_second_row(methods, opened):
    app = opened(methods)
    next(box for box in app.multiselect if box.label == "Zoom on").select(OTHERWISE).run()
    assert len(figures(app)) == 3
    assert "Zoom on OPC" in words(app)
    next(box for box in app.multiselect if box.label == "Cell types").select("Granule").run()
    assert len(figures(app)) == 2  # the window's cells are no longer shown


def test_where_arrows_lead_is_a_row_a_group_and_a_column_a_method(methods, opened):
    app = opened(methods)
    next(box for box in app.multiselect if box.label == "Cell types").select("Granule").run()
    table = app.dataframe[1].value
    assert table.index.tolist() == ["Granule"]
    assert table.columns.tolist() == ["DeepVelo", "scVelo steady state", "scVelo dynamical"]
    assert table["DeepVelo"].str.match("few cells|not known").all()  # the whole run has 40 cells
    assert "Below 30 cells a group is forced to have neighbours outside it" in words(app)


@pytest.mark.parametrize(
    ("row", "expected"),
    [
        (("Granule mature", 0.604, 48, False), "→ Granule mature (0.60, 48 cells)"),
        (("Neuroblast", 0.96, 8, True), "few cells: → Neuroblast (0.96, 8)"),
        ((None, -0.214, 48, False), "none (best −0.21)"),
        ((None, -0.214, 5, True), "few cells: none (best −0.21)"),
        ((None, np.nan, 0, False), "not known"),
    ],
)
def test_headings_in_words(row, expected):
    *found, few = row
    assert target_in_words(*found, few=few) == expected


def test_the_papers_groups_are_preset_where_they_are():
    paper = ["Neuroblast", "Granule immature", "Granule mature", "Endothelial"]
    assert preset_groups(["OPC", *reversed(paper)]) == paper
    assert preset_groups(paper[:3]) == []


def test_one_method_alone_is_one_sentence(methods, opened):
    app = opened(methods[:1])
    assert not figures(app)
    assert app.info[0].value.endswith("choose other runs to compare.")


def test_a_region_of_cells_that_no_two_methods_move(methods, store, opened):
    def zero_velocity(adata: AnnData) -> None:
        adata.layers[keys.VELOCITY][adata.obs["clusters"] == OTHERWISE] = 0

    run_ids = [methods[0], store("stochastic", zero_velocity)]
    app = draw(opened(run_ids), np.flatnonzero(groups(methods[0]) == OTHERWISE).tolist())
    assert "No cell of this region has a velocity in two methods." in words(app)
    assert len(figures(app)) == 2


def test_runs_that_share_too_few_genes_are_one_sentence(methods, shared_server, made_up_run, opened):
    other = made_up_run(shared_server / "runs", genes=("Sox2", "Gfap", "Mbp", "Plp1", "Olig1", "Olig2"))
    app = opened([methods[0], other])
    assert not app.exception
    (error,) = app.error
    assert "share 1 of the 6 genes" in error.value
