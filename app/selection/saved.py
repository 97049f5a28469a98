"""Saved selections: save the selected cells under a name, take and delete saved ones, and name one in a link."""

from __future__ import annotations

import streamlit as st

from app import session
from app.selection import state
from app.shared.empty import problem_in_toast, say_in_toast
from app.shared.text import box_labels, with_labels
from app.visitors import by_whom, is_mine, visitor
from deepvelo.errors import InputError
from deepvelo.io.runs import Run
from deepvelo.selections import same_cells, store
from deepvelo.selections.store import SavedSelection
from deepvelo.wording import in_one_line, number

_NAME, _CHOSEN, _LINKED = "selection.name", "selection.saved", "selection.linked"
_IN_URL = "cells"


def save_box(run: Run) -> None:
    """A box that saves the selected cells."""
    box = st.popover(
        "Save",
        icon=":material/bookmark:",
        disabled=state.selected(run) is None,
        key="selection.save",
        on_change="rerun",
    )
    if not box.open:
        return
    with box:
        st.text_input("Name", key=_NAME, max_chars=200, placeholder="Tip of the branch")
        st.button(
            "Save selection", type="primary", disabled=not (session.widget_value(_NAME) or "").strip(),
            on_click=_save, args=(run,), key="selection.save_now",
        )  # fmt: skip


def saved_box(run: Run) -> None:
    """Saved selections of the run, for the box that selects cells."""
    found = store.stored(run.folder)
    for problem in found.problems:
        st.warning(with_labels(problem), icon=":material/warning:")
    if not found.selections:
        st.caption("No selection of this run is saved yet.")
        return
    by_name = {saved.name: saved for saved in found.selections}
    labels = box_labels(list(by_name))
    name = st.selectbox("Saved selection", list(by_name), format_func=labels.__getitem__, key=_CHOSEN)
    saved = by_name[name]
    words = [
        number(saved.n_cells, "cell"),
        f"{saved.created:%Y-%m-%d %H:%M} UTC",
        by_whom(saved.owner, saved.owner_name),
    ]
    st.caption(" · ".join(filter(None, words)))
    with st.container(horizontal=True):
        st.button("Select", type="primary", on_click=_take, args=(run, saved), key="selection.take")
        st.button(
            "Delete",
            disabled=not is_mine(saved.owner),
            on_click=_delete,
            args=(run, saved),
            key="selection.delete",
        )


def follow_link(run: Run) -> None:
    """Select the cells that a link names when a page opens; then keep the name in the URL."""
    given = session.from_url(_IN_URL, key=_LINKED)
    session.fill({_LINKED: True})
    if given is not None and state.is_fresh(run):
        saved = store.find(run.folder, given[-1])
        if saved is None:
            wanted = in_one_line(given[-1], most=200)
            say_in_toast(
                f"The link names a selection that this run does not have: '{wanted}'. It shows all cells."
            )
        else:
            _take(run, saved)
    name = state.name(run)
    session.put_in_url(_IN_URL, [name] if name else None)


def _save(run: Run) -> None:
    cells = state.selected(run)
    if cells is None:
        return
    with problem_in_toast():
        saved = store.save(run.folder, session.widget_value(_NAME), list(run.obs.index[cells]), **visitor())
        state.change(run, cells, saved=saved)
        session.fill({_NAME: ""})


def _take(run: Run, saved: SavedSelection) -> None:
    with problem_in_toast():
        _, names = store.load(run.folder, saved.selection_id)
        found = same_cells(names, run.obs.index)
        if not found.cells.any():
            msg = f"No cell of '{saved.label}' ({number(saved.n_cells, 'cell')}) is in this run. Choose another selection."
            raise InputError(msg)
        state.change(run, found.cells, saved=None if found.unknown else saved)
        if found.unknown:
            say_in_toast(
                f"{found.n_found:,} of {number(saved.n_cells, 'cell')} of '{saved.label}' are in this run."
            )


def _delete(run: Run, saved: SavedSelection) -> None:
    with problem_in_toast():
        store.delete(run.folder, saved.selection_id)
