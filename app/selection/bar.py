"""The bar over the figures of every page: how many cells are selected, which they are, and what to do with them."""

from __future__ import annotations

from typing import Final

import numpy as np
import streamlit as st

from app.selection import state
from app.selection.choices import select_by
from app.selection.groups import group_box
from app.selection.saved import follow_link, save_box
from app.selection.train import train_button
from app.shared.cached import Groups
from app.shared.grouping import groups_of, shown_groups, shown_key
from app.shared.text import escape
from deepvelo.io.runs import Run
from deepvelo.io.samples import SAMPLE
from deepvelo.wording import number

_HOW: Final[dict[state.How, tuple[str, str]]] = {
    "new": (":material/lasso_select:", "replace the selection"),
    "add": (":material/add:", "add cells"),
    "keep": (":material/filter_alt:", "keep only the cells inside"),
    "remove": (":material/remove:", "remove cells"),
}
_MOST_GROUPS: Final = 4
_HINT: Final = "No cells selected. Draw around cells on any figure, or click a group in a legend."


def selection_bar(run: Run) -> None:
    """Draw the bar; call it first in the fragment of a page, so that it follows every outline."""
    follow_link(run)
    cells = state.selected(run)
    st.markdown(_HINT if cells is None else in_words(run, cells))
    with st.container(horizontal=True, vertical_alignment="center", gap="xsmall", key="selection.bar"):
        st.segmented_control(
            "The next outline", state.HOWS, format_func=lambda how: _HOW[how][0], default="new", required=True,
            key=state.HOW_KEY, persist_state="session", label_visibility="collapsed",
            help="What the next outline does: " + "; ".join(f"{icon} {words}" for icon, words in _HOW.values()) + ". Hold Shift to add.",
        )  # fmt: skip
        select_by(run)
        st.toggle(
            "Hide others", key=state.ONLY_KEY, persist_state="session", disabled=cells is None,
            help="Draw the selected cells alone; statistics of a figure then cover them alone too.",
        )  # fmt: skip
        save_box(run)
        group_box(run)
        train_button(run)
        st.button(
            "", icon=":material/undo:", on_click=state.undo, args=(run,), disabled=not state.can_undo(run),
            key="selection.undo", help="Undo the last change of the selection.",
        )  # fmt: skip
        st.button("Clear", on_click=state.clear, args=(run,), disabled=cells is None, key="selection.clear")


def in_words(run: Run, cells: np.ndarray) -> str:
    """Number of selected cells, and their groups and samples."""
    parts = [f"**{number(int(cells.sum()), 'cell')}** of {len(cells):,}"]
    if name := state.name(run):
        parts.insert(0, f"**{escape(name)}**")
    parts.append(_shares(shown_groups(run), cells))
    if SAMPLE in run.obs and shown_key(run) != SAMPLE:
        parts.append(_shares(groups_of(run, SAMPLE), cells))
    return " · ".join(parts)


def _shares(groups: Groups, cells: np.ndarray) -> str:
    names = list(groups.colors)
    counts = np.bincount(groups.codes[cells], minlength=len(names))
    present = [i for i in np.argsort(-counts, kind="stable") if counts[i]]
    shown = [f"{escape(names[i])} {counts[i] / counts.sum():.0%}" for i in present[:_MOST_GROUPS]]
    return ", ".join(shown) + (f", {len(present) - _MOST_GROUPS} more" if len(present) > _MOST_GROUPS else "")
