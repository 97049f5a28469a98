"""Saved selections on a page: under a name, in a link, and on another run of the data."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from streamlit.testing.v1 import AppTest

from app.shared import cached
from deepvelo.selections import store
from tests.on_page import fine, gesture, labels, selected, words

PAGE = Path(__file__).resolve().parents[3] / "pages" / "velocity.py"


@pytest.fixture
def run_id(server: Path, made_up_run) -> str:
    return made_up_run(server / "runs")


@pytest.fixture
def group(run_id: str) -> tuple[str, list[int]]:
    """Name and rows of a group."""
    run = cached.open_run(run_id)
    members = run.obs[run.info.cluster_key].astype(str).to_numpy()
    return members[0], np.flatnonzero(members == members[0]).tolist()


def opened(run_id: str, **query: str) -> AppTest:
    app = AppTest.from_file(str(PAGE), default_timeout=60)
    app.query_params.update(run=run_id, **query)
    return fine(app.run())


def save(app: AppTest, name: str) -> AppTest:
    app.session_state["selection.save"] = True  # the box is open
    app.run()
    app.text_input(key="selection.name").set_value(name).run()
    return app.button(key="selection.save_now").click().run()


@pytest.mark.parametrize("name", ["tip of the branch", "<b>$x$</b> [a](b) 🧬", "../../etc/passwd"])
def test_a_saved_selection_is_named_in_the_bar_and_in_the_link(run_id, group, name):
    app = gesture(opened(run_id), 0, {"how": "new", "group": group[0]})
    fine(save(app, name))
    assert f"**{name}**" in words(app)
    assert app.query_params["cells"] == name
    other = opened(run_id, cells=name)
    assert selected(other) == group[1]
    assert f"**{name}**" in words(other)
    gesture(other, 0, {"how": "clear"})
    assert "cells" not in other.query_params


def test_a_link_to_a_selection_that_is_gone_says_so_and_shows_the_rest(run_id):
    app = opened(run_id, cells="tip")
    assert selected(app) == []
    assert [toast.value for toast in app.toast] == [
        "The link names a selection that this run does not have: 'tip'. It shows all cells."
    ]


def test_a_selection_whose_cells_are_partly_in_the_run_says_how_many(run_id, group):
    run = cached.open_run(run_id)
    names = run.obs.index[group[1]].tolist()
    store.save(run.folder, "tip", [*names, "no such cell"])
    app = opened(run_id, cells="tip")
    assert selected(app) == group[1]
    assert app.toast[0].value == f"{len(names)} of {len(names) + 1} cells of 'tip' are in this run."
    store.save(run.folder, "elsewhere", ["no such cell"])
    app = opened(run_id, cells="elsewhere")
    assert selected(app) == []
    assert "No cell of 'elsewhere' (1 cell) is in this run" in app.toast[0].value


def test_two_visitors_cannot_save_under_one_name(run_id, group):
    run = cached.open_run(run_id)
    store.save(run.folder, "tip", run.obs.index[:3].tolist(), owner="someone else", owner_name="Anna")
    app = save(gesture(opened(run_id), 0, {"how": "new", "group": group[0]}), "tip")
    assert "Anna" in app.toast[0].value
    assert store.find(run.folder, "tip").n_cells == 3


def test_a_saved_selection_is_taken_and_deleted_in_the_box(run_id, group):
    run = cached.open_run(run_id)
    store.save(run.folder, "tip", run.obs.index[group[1]].tolist())
    app = opened(run_id)
    app.session_state["selection.by"] = True
    app.run()
    app.segmented_control(key="selection.way").select("Saved").run()
    app.button(key="selection.take").click().run()
    assert selected(app) == group[1]
    assert app.query_params["cells"] == "tip"
    app.button(key="selection.delete").click().run()
    assert store.stored(run.folder).selections == []
    assert selected(app) == group[1]
    assert "cells" not in app.query_params
    assert "**tip**" not in words(app)
    assert "Delete" not in labels(app)
