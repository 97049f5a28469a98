"""Choice of the groups that pages show."""

from __future__ import annotations

import streamlit as st

from app import session
from app.shared import cached
from app.shared.color_picker import color_label
from app.shared.grouping import grouping_options, has_grouping, shown_key
from app.shared.text import box_labels, with_labels
from deepvelo.errors import InputError
from deepvelo.io.runs import Run

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


def show_groups(run: Run, key: str) -> None:
    """Show another grouping; maps coloured by the groups that were shown before follow."""
    if session.color() == shown_key(run):
        session.set_color(None)
    session.set_groups(None if key == run.info.cluster_key else key)
