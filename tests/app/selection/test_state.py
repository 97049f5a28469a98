"""The selection of a run: how it is combined, undone, and carried to other runs of the same data."""

from __future__ import annotations

from base64 import b64encode
from pathlib import Path

import numpy as np
import pytest

from app import session
from app.selection import state
from app.shared import cached
from deepvelo.io.runs import Run
from deepvelo.selections import store

N_CELLS = 40
KEY = "of these cells"


@pytest.fixture
def run(server: Path, made_up_run, monkeypatch: pytest.MonkeyPatch) -> Run:
    kept: dict[str, session.KeptSelection] = {}
    monkeypatch.setattr(session, "selection", kept.get)
    monkeypatch.setattr(session, "keep_selection", kept.__setitem__)
    return cached.open_run(made_up_run(server / "runs"))


def mask(*rows: int) -> np.ndarray:
    cells = np.zeros(N_CELLS, dtype=bool)
    cells[list(rows)] = True
    return cells


@pytest.mark.parametrize(
    ("how", "expected"), [("new", [3, 4]), ("add", [1, 2, 3, 4]), ("keep", [3]), ("remove", [1, 2])]
)
def test_an_outline_changes_the_selection(run, how, expected):
    state.change(run, mask(1, 2, 3))
    state.change(run, mask(3, 4), how)
    assert state.selected_rows(run).tolist() == expected


def test_without_a_selection_cells_are_removed_from_all(run):
    state.change(run, mask(0), "remove")
    assert state.selected_rows(run).tolist() == list(range(1, N_CELLS))


def test_steps_are_undone_one_by_one(run):
    assert state.is_fresh(run)
    state.change(run, mask(1))
    state.change(run, mask(2), "add")
    state.clear(run)
    assert state.selected(run) is None
    assert not state.is_fresh(run)
    for expected in ([1, 2], [1], []):
        assert state.can_undo(run)
        state.undo(run)
        assert state.selected_rows(run).tolist() == expected
    assert not state.can_undo(run)


def test_an_outline_around_nothing_selects_nothing(run):
    state.change(run, mask())
    assert state.selected(run) is None


def test_another_run_of_the_data_selects_the_same_cells_by_name(run, server, made_up_run, monkeypatch):
    other = cached.open_run(made_up_run(server / "runs", name="other"))
    # the other run lacks the first cell, and has the others in reverse order
    monkeypatch.setitem(other.__dict__, "obs", other.obs.iloc[:0:-1])
    monkeypatch.setattr(
        cached, "_open_run", lambda _, run_id: {run.info.run_id: run, other.info.run_id: other}[run_id]
    )
    state.change(run, mask(0, 1, 5))
    names = run.obs.index[[1, 5]]
    assert sorted(other.obs.index[state.selected(other)]) == sorted(names)
    state.change(other, np.asarray(other.obs.index == names[0]))
    assert state.selected_rows(run).tolist() == [1]
    state.undo(other)
    assert sorted(other.obs.index[state.selected(other)]) == sorted(names)


def test_a_saved_name_belongs_to_its_run(run, server, made_up_run):
    other = cached.open_run(made_up_run(server / "runs", name="other"))
    saved = store.save(run.folder, "tip", [run.obs.index[1]])
    state.change(run, mask(1), saved=saved)
    assert (state.name(run), state.name(other)) == ("tip", "")


def test_a_selection_that_was_replaced_is_not_named(run):
    state.change(run, mask(1), saved=store.save(run.folder, "tip", [run.obs.index[1]]))
    store.save(run.folder, "tip", [run.obs.index[2]])
    assert state.name(run) == ""
    assert state.selected_rows(run).tolist() == [1]


def test_a_selection_made_on_a_run_that_was_deleted_is_none(run, server, made_up_run):
    other = cached.open_run(made_up_run(server / "runs", name="other"))
    state.change(run, mask(1))
    cached.delete_run(run.info.run_id)
    assert state.selected(other) is None
    state.change(other, mask(2))
    assert state.selected_rows(other).tolist() == [2]


def test_a_browser_brings_its_selection_back_after_a_reload(run):
    packed = b64encode(state.bits(mask(0, 39)).tobytes()).decode()
    state.restore(run, {"key": "other cells", "bits": packed}, key=KEY)
    assert state.is_fresh(run)
    state.restore(run, {"key": KEY, "bits": packed}, key=KEY)
    assert state.selected_rows(run).tolist() == [0, 39]


@pytest.mark.parametrize("text", [None, 7, "", "AA==", "?" * 8, "A" * 1_000_000])
def test_what_is_no_selection_of_this_run_is_not_taken(run, text):
    state.restore(run, {"key": KEY, "bits": text}, key=KEY)
    state.restore(run, text, key=KEY)
    assert state.is_fresh(run)
