"""Put the selected cells into a group of a grouping made by hand."""

from __future__ import annotations

from itertools import count

import pandas as pd
import streamlit as st

from app import session
from app.selection import state
from app.shared import cached
from app.shared.color_picker import LABELS, color_label
from app.shared.empty import problem_in_toast
from app.shared.grouping import by_hand, grouping_by_hand, grouping_options, groups_of, show_groups, shown_key
from app.shared.text import box_labels, one_line
from app.visitors import visitor
from deepvelo.contents.groups import UNASSIGNED
from deepvelo.io.runs import Run
from deepvelo.selections import Grouping, SavedGrouping
from deepvelo.wording import listed, number

_BOX = "selection.group"
_GROUPING, _NAME, _START, _GROUP = "groups.grouping", "groups.name", "groups.start", "groups.group"
_DONE = "groups.done"
_NEW, _NOTHING = "", ""  # no grouping has an empty name


def group_box(run: Run) -> None:
    """A box that puts the selected cells into a group; drawn when it is opened."""
    box = st.popover(
        "Group", icon=":material/group_work:", disabled=state.selected(run) is None, key=_BOX, on_change="rerun"
    )  # fmt: skip
    if session.widget_value(_DONE):
        session.fill({_DONE: False})
        st.rerun()  # all of the page: the sidebar shows the grouping
    if box.open:
        with box:
            _form(run)


def taken_names(run: Run) -> list[str]:
    """Names that no grouping of these data may have, because they name something else there."""
    return [*map(str, run.obs.columns), *LABELS]


def _form(run: Run) -> None:
    saved = by_hand(run)
    options = [*saved, _NEW]
    if session.widget_value(_GROUPING) not in options:
        shown = shown_key(run)
        session.fill({_GROUPING: shown if shown in saved else options[0]})
    name = st.selectbox(
        "Grouping", options, format_func=box_labels(options, lambda name: name or "New grouping").__getitem__, key=_GROUPING
    )  # fmt: skip
    start = _NOTHING
    if name == _NEW:
        start = _new_grouping(run)
    known = [group.name for group in saved[name].groups] if name else _names(run, start)
    group = st.selectbox(
        "Group", known, index=None, key=_GROUP, accept_new_options=True, format_func=one_line,
        placeholder="Type a name, or choose a group",
        help="A new group, or one that gains the cells. They leave their earlier group of this grouping.",
    )  # fmt: skip
    n_cells = number(len(state.selected_rows(run)), "cell")
    st.button(
        f"Put {n_cells} into the group", type="primary", on_click=_put, args=(run,), key="groups.put",
        disabled=not (group or "").strip(), width="stretch",
    )  # fmt: skip


def _new_grouping(run: Run) -> str:
    """Name and start of a new grouping; returns the grouping it starts from."""
    taken = {*taken_names(run), *(saved.name for saved in cached.groupings(run))}
    session.fill_first(_NAME, next(name for i in count(1) if (name := f"My groups {i}") not in taken))
    st.text_input("Name of the grouping", key=_NAME, max_chars=200)
    starts = [_NOTHING, *grouping_options(run)]
    if session.widget_value(_START) not in starts:
        session.fill({_START: shown_key(run)})
    labels = box_labels(starts, lambda key: color_label(key) if key else "No groups")
    return str(
        st.selectbox(
            "Start from", starts, format_func=labels.__getitem__, key=_START,
            help="The new grouping begins as a copy of these groups, which stay as they are.",
        )
    )  # fmt: skip


def _names(run: Run, key: str) -> list[str]:
    return [name for name in groups_of(run, key).colors if name != UNASSIGNED] if key else []


def _put(run: Run) -> None:
    cells = state.selected(run)
    if cells is None:
        return
    chosen, group = session.widget_value(_GROUPING), str(session.widget_value(_GROUP))
    names = run.obs.index[cells]
    with problem_in_toast():
        saved = _created(run, with_group=(names, group)) if chosen == _NEW else grouping_by_hand(run, chosen)
        what = f"Put {number(len(names), 'cell')} into {listed([group])}"
        cached.grouping_store(run).change(
            saved.grouping_id, lambda grouping: grouping.assign(names, group), what=what
        )
        show_groups(run, saved.name)
        session.fill({_GROUPING: saved.name, _NAME: None, _GROUP: None, _BOX: False, _DONE: True})


def _created(run: Run, *, with_group: tuple[pd.Index, str]) -> SavedGrouping:
    """Store the new grouping as it starts, unless the group cannot be made in it."""
    grouping = _started(run, session.widget_value(_START))
    grouping.assign(*with_group)
    return cached.grouping_store(run).create(
        session.widget_value(_NAME) or "", grouping, taken=taken_names(run), **visitor()
    )


def _started(run: Run, key: str) -> Grouping:
    if key == _NOTHING:
        return Grouping.empty(run.obs.index)
    if key in run.obs:
        return Grouping.from_column(run.obs[key], groups_of(run, key).colors)
    return cached.grouping_store(run).load(grouping_by_hand(run, key).grouping_id)[1]
