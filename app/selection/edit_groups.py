"""Edit groupings made by hand: rename, recolour, order, merge, hide and remove groups, and undo."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import pandas as pd
import streamlit as st

from app import session
from app.selection.groups import taken_names
from app.shared import cached
from app.shared.empty import error_in_words, problem_in_toast
from app.shared.grouping import shown_key
from app.shared.tables import show_table
from app.shared.text import box_labels, escape, with_labels
from app.visitors import by_whom, is_mine
from deepvelo.io.runs import Run
from deepvelo.selections import Group, Grouping, SavedGrouping
from deepvelo.wording import listed, number

_KEY = "groups.edit"
_GROUPING, _CHOSEN, _MERGED, _CALLED = (
    f"{_KEY}.grouping",
    f"{_KEY}.chosen",
    f"{_KEY}.merged",
    f"{_KEY}.called",
)
_TABLE_HEIGHT = 250  # px


def edit_button(run: Run) -> None:
    """A button that opens the dialog; only where the data have a grouping made by hand, readable or not."""
    found = cached.grouping_store(run).stored()
    if (found.groupings or found.problems) and st.button(
        "Edit groups", icon=":material/edit:", width="stretch", key=f"{_KEY}.open"
    ):
        edit(run)


@st.dialog("Edit groups", width="medium", on_dismiss="rerun")
def edit(run: Run) -> None:
    """The dialog: choose a grouping and groups of it, then change them; every change is stored at once."""
    found = cached.grouping_store(run).stored()
    for problem in found.problems:
        st.warning(with_labels(problem), icon=":material/warning:")
    by_id = {saved.grouping_id: saved for saved in found.groupings}
    if not by_id:
        st.caption("These data have no readable grouping made by hand.")
        return
    if session.widget_value(_GROUPING) not in by_id:
        shown = shown_key(run)
        session.fill(
            {_GROUPING: next((key for key, saved in by_id.items() if saved.name == shown), next(iter(by_id)))}
        )
    labels = box_labels(by_id, lambda grouping_id: by_id[grouping_id].name)
    saved = by_id[st.selectbox("Grouping", list(by_id), format_func=labels.__getitem__, key=_GROUPING)]
    with error_in_words():
        _, grouping = cached.grouping_store(run).load(saved.grouping_id)
        _table(run, grouping)
        _groups(run, saved, grouping)
    _whole(run, saved)


def _table(run: Run, grouping: Grouping) -> None:
    sizes = pd.Series(grouping.column(run.obs.index)).value_counts(sort=False)
    places = [str(place) for place in range(1, len(grouping.groups) + 1)]
    table = pd.DataFrame(
        {
            "Place": [[place] for place in places],
            "Group": grouping.names,
            "Cells": [int(sizes[name]) for name in grouping.names],
            "Hidden": [group.hidden for group in grouping.groups],
        }
    )
    show_table(
        table, hide_index=True, height=min(_TABLE_HEIGHT, 36 * (len(table) + 1)), alt="Groups in their order",
        column_config={
            "Place": st.column_config.MultiselectColumn(width=60, options=places, color=list(grouping.colors.values()))
        },
    )  # fmt: skip


def _groups(run: Run, saved: SavedGrouping, grouping: Grouping) -> None:
    """Change the chosen groups."""
    names = grouping.names
    session.fill({_CHOSEN: [name for name in session.widget_value(_CHOSEN) or [] if name in names]})
    chosen = st.multiselect(
        "Groups to change", names, format_func=box_labels(names).__getitem__, key=_CHOSEN,
        placeholder="Choose one, or several to merge",
    )  # fmt: skip
    if len(chosen) == 1:
        _one_group(run, saved, grouping, next(group for group in grouping.groups if group.name == chosen[0]))
    elif chosen:
        _merge(run, saved, chosen)


def _one_group(run: Run, saved: SavedGrouping, grouping: Grouping, group: Group) -> None:
    """Name, colour, place and removal of a group; the keys of the fields change with it, so that they show its values."""
    place, names, called = grouping.names.index(group.name), grouping.names, listed([group.name])
    of_group = f"{_KEY}.{saved.grouping_id}.{group.name}"
    with st.container(horizontal=True, vertical_alignment="bottom"):
        st.text_input(
            "Name", group.name, max_chars=200, key=f"{of_group}.name", width="stretch",
            on_change=lambda: _rename(run, saved, group.name, session.widget_value(f"{of_group}.name")),
        )  # fmt: skip
        key = f"{of_group}.{group.color}"
        st.color_picker(
            "Colour", group.color, key=key,
            on_change=lambda: _change(
                run, saved, lambda it: it.recolor(group.name, session.widget_value(key)), f"Recoloured {called}"
            ),
        )  # fmt: skip
    with st.container(horizontal=True, vertical_alignment="center"):
        _button(
            "Earlier",
            run,
            saved,
            lambda it: it.move(group.name, -1),
            f"Moved {called}",
            disabled=place == 0,
        )
        _button(
            "Later",
            run,
            saved,
            lambda it: it.move(group.name, 1),
            f"Moved {called}",
            disabled=place == len(names) - 1,
        )
        _button(
            "Show" if group.hidden else "Hide",
            run,
            saved,
            lambda it: it.hide(group.name, hidden=not group.hidden),
            f"{'Showed' if group.hidden else 'Hid'} {called}",
            help="Hidden groups are grey on maps and portraits, and left out of violins.",
        )
        _button(
            "Remove",
            run,
            saved,
            lambda it: it.remove(group.name),
            f"Removed {called}",
            help="Its cells have no group then.",
        )


def _merge(run: Run, saved: SavedGrouping, chosen: Sequence[str]) -> None:
    with st.container(horizontal=True, vertical_alignment="bottom"):
        st.text_input("Name of the merged group", chosen[0], max_chars=200, key=_MERGED, width="stretch")
        st.button(
            "Merge", type="primary", on_click=_merged, args=(run, saved, tuple(chosen)), key=f"{_KEY}.merge"
        )


def _whole(run: Run, saved: SavedGrouping) -> None:
    """Undo, name and removal of the grouping."""
    with st.container(horizontal=True, vertical_alignment="center"):
        st.button(
            "Undo",
            icon=":material/undo:",
            disabled=not saved.last_change,
            on_click=_undo,
            args=(run, saved),
            key=f"{_KEY}.undo",
        )
        with st.popover("Rename grouping"):
            key = f"{_CALLED}.{saved.grouping_id}.{saved.name}"
            st.text_input(
                "Name of the grouping", saved.name, max_chars=200, key=key,
                on_change=lambda: _rename_grouping(run, saved, session.widget_value(key)),
            )  # fmt: skip
        with st.popover("Delete grouping", icon=":material/delete:", disabled=not is_mine(saved.owner)):
            st.markdown(f"Delete **{escape(saved.name)}** permanently, for all visitors?")
            st.button("Delete permanently", on_click=_delete, args=(run, saved), key=f"{_KEY}.delete")
    made = f"Made {by_whom(saved.owner, saved.owner_name)}".strip()
    words = [f"Last change: {saved.last_change}."] if saved.last_change else []
    words += [f"{made}."] if made != "Made" else []
    if words:
        st.caption(with_labels(" ".join(words)))


def _button(
    label: str, run: Run, saved: SavedGrouping, edit: Callable[[Grouping], Grouping], what: str, *,
    disabled: bool = False, help: str | None = None,
) -> None:  # fmt: skip
    st.button(
        label,
        on_click=_change,
        args=(run, saved, edit, what),
        disabled=disabled,
        help=help,
        key=f"{_KEY}.{label.lower()}",
    )


def _change(
    run: Run,
    saved: SavedGrouping,
    edit: Callable[[Grouping], Grouping],
    what: str,
    *,
    chosen: Sequence[str] | None = None,
) -> None:
    """Change the grouping as it is stored now; ``chosen`` are the groups to change after that."""
    with problem_in_toast():
        cached.grouping_store(run).change(saved.grouping_id, edit, what=what)
        if chosen is not None:
            session.fill({_CHOSEN: list(chosen)})


def _rename(run: Run, saved: SavedGrouping, group: str, name: str) -> None:
    what = f"Renamed {listed([group])} to {listed([name.strip()])}"
    _change(run, saved, lambda it: it.rename(group, name), what, chosen=[name.strip()])


def _merged(run: Run, saved: SavedGrouping, groups: Sequence[str]) -> None:
    name = session.widget_value(_MERGED)
    what = f"Merged {number(len(groups), 'group')} into {listed([name.strip()])}"
    _change(run, saved, lambda it: it.merge(groups, name), what, chosen=[name.strip()])


def _undo(run: Run, saved: SavedGrouping) -> None:
    with problem_in_toast():
        cached.grouping_store(run).undo(saved.grouping_id)


def _rename_grouping(run: Run, saved: SavedGrouping, name: str) -> None:
    with problem_in_toast():
        renamed = cached.grouping_store(run).rename(saved.grouping_id, name, taken=taken_names(run))
        _follow(run, saved, renamed.name)


def _delete(run: Run, saved: SavedGrouping) -> None:
    with problem_in_toast():
        cached.grouping_store(run).delete(saved.grouping_id)
        _follow(run, saved, None)


def _follow(run: Run, saved: SavedGrouping, name: str | None) -> None:
    """Let the choices that named the grouping name it as it is called now, or nothing."""
    if session.groups() == saved.name:
        session.set_groups(name)
    if session.color() == saved.name:
        session.set_color(name)
