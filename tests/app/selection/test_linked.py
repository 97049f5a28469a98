"""Gestures on figures: what was drawn or clicked in the browser becomes the selection on the server."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from streamlit.testing.v1 import AppTest

from app.shared import cached
from deepvelo import keys
from tests.on_page import fine, gesture, headers, selected, send, shown_gene, words

PAGES = Path(__file__).resolve().parents[3] / "pages"


@pytest.fixture
def opened(shared_run: str):
    def open_page(name: str) -> AppTest:
        app = AppTest.from_file(str(PAGES / f"{name}.py"), default_timeout=60)
        app.query_params["run"] = shared_run
        return fine(app.run())

    return open_page


def outline(points: np.ndarray, **how) -> dict:
    """A box just around points."""
    low, high = (points.min(axis=0) - 1e-4).tolist(), (points.max(axis=0) + 1e-4).tolist()
    return {"how": "new", "box": [[low[0], high[0]], [low[1], high[1]]], "axes": ["x", "y"], **how}


def groups(run_id: str) -> np.ndarray:
    run = cached.open_run(run_id)
    return run.obs[run.info.cluster_key].astype(str).to_numpy()


def test_a_box_on_the_map_is_the_selection_of_every_figure(opened, shared_run):
    points = cached.open_run(shared_run).obsm[keys.X_UMAP][:, :2]
    app = gesture(opened("velocity"), 0, outline(points[:1]))
    assert selected(app) == [0]
    assert "**1 cell** of 40" in words(app)


def test_a_box_on_a_phase_portrait_takes_its_cells_by_their_counts(opened, shared_run):
    app = opened("phase_portraits")
    gene = shown_gene(app)
    spliced, unspliced = (cached.gene_values(shared_run, layer, gene) for layer in (keys.MS, keys.MU))
    cell = int(np.argmax(spliced))
    gesture(app, 0, outline(np.array([[spliced[cell], unspliced[cell]]])))
    assert selected(app) == [cell]
    chosen = [header["selection"]["id"] for header in headers(app)]
    assert len(chosen) == 2
    assert chosen[0] == chosen[1]


def test_the_name_of_a_group_selects_it_and_undo_takes_it_back(opened, shared_run):
    members = groups(shared_run)
    app = gesture(opened("kinetic_rates"), 0, {"how": "new", "group": members[0]})
    assert selected(app) == np.flatnonzero(members == members[0]).tolist()
    app.button(key="selection.undo").click().run()
    assert selected(app) == []


def test_cells_that_are_not_drawn_are_selected_too(opened, shared_run, monkeypatch):
    rows = np.arange(0, 40, 4)
    monkeypatch.setattr(cached, "_drawn_cells", lambda *_: rows)
    cached._cell_table.clear()
    points = cached.open_run(shared_run).obsm[keys.X_UMAP][:, :2]
    app = gesture(opened("velocity"), 0, outline(points))
    assert selected(app) == list(range(40))
    (header,) = headers(app)
    names = bytes(header["cells"]["names"].astype(np.uint8)).decode().split("\n")
    assert names == [f"cell{row}" for row in rows]
    assert header["cells"]["rows"].tolist() == rows.tolist()
    members = groups(shared_run)[rows].tolist()
    assert [header["cells"]["groups"][code] for code in header["cells"]["codes"]] == members
    cached._cell_table.clear()


def test_a_gesture_is_taken_once_and_later_ones_with_it(opened, shared_run):
    points = cached.open_run(shared_run).obsm[keys.X_UMAP][:, :2]
    app = opened("velocity")
    header = headers(app)[0]
    of_figure = {"view": header["figure"]["layout"]["uirevision"], "key": header["selection"]["key"]}
    first, second = (
        {"number": number, **of_figure, **outline(points[[row]], how="add")}
        for number, row in ((5, 0), (6, 1))
    )
    send(app, 0, "gestures", [first])
    app.button(key="selection.clear").click().run()
    send(app, 0, "gestures", [first, second])  # the browser did not know that the first was taken
    assert selected(app) == [1]
    assert headers(app)[0]["selection"]["taken"] == 6


def test_a_gesture_on_an_earlier_figure_is_not_taken(opened, shared_run):
    points = cached.open_run(shared_run).obsm[keys.X_UMAP][:, :2]
    assert selected(gesture(opened("velocity"), 0, outline(points), stale=True)) == []


@pytest.mark.parametrize(
    "value",
    [
        None,
        [],
        {"how": "burn", "group": "OPC"},
        {"how": "new", "group": "no such group"},
        {"how": "new", "lasso": "abc", "axes": ["x", "y"]},
        {"how": "new", "lasso": [[0, 1], [0]], "axes": ["x", "y"]},
        {"how": "new", "lasso": [[0, 1, 2], ["a", "b", "c"]], "axes": ["x", "y"]},
        {"how": "new", "box": [[0, 1], [0, 1]], "axes": []},
        {"how": "new", "box": [[0, 10**400], [0, 1]], "axes": ["x", "y"]},
        {"how": "new", "lasso": [[0.0] * 10_000, [0.0] * 10_000], "axes": ["x", "y"]},
    ],
)
def test_what_no_figure_sends_changes_nothing(opened, value):
    assert selected(gesture(opened("velocity"), 0, value)) == []
