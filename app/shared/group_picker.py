"""Choice of the groups that pages show, and the way to edit those made by hand."""

from __future__ import annotations

import streamlit as st

from app import session
from app.selection.edit_groups import edit_button
from app.shared import cached
from app.shared.color_picker import color_label
from app.shared.grouping import grouping_options, has_grouping, show_groups, shown_key
from app.shared.text import box_labels, with_labels
from deepvelo.errors import InputError

_KEY = "pick_groups"


def group_picker() -> None:
    """Select box of the groupings of the chosen run, for the sidebar."""
    run_id = session.run_id()
    if run_id is None:
        return
    try:
        run = cached.open_run(run_id)
        options, shown = grouping_options(run), shown_key(run)
    except InputError:  # the page shows it
        return
    session.fill({_KEY: shown})
    st.selectbox(
        "Groups", options, format_func=box_labels(options, color_label).__getitem__, key=_KEY,
        on_change=lambda: show_groups(run, session.widget_value(_KEY)),
        help="Groups whose names and colours all pages show. Scores, boundaries and lineages keep the groups that the run "
        "was computed with.",
    )  # fmt: skip
    chosen = session.groups()
    if chosen is not None and not has_grouping(run, chosen):
        st.caption(with_labels(f"This run has no groups '{chosen}', so it shows its own."))
    edit_button(run)
