"""Lineages: transitions between groups, fates, driver genes and their enrichment."""

import streamlit as st

from app.lineages import queries as lineages
from app.lineages.drivers import drivers_view
from app.lineages.enrichment import enrichment_view
from app.lineages.fates import fates_view
from app.lineages.settings import choose_settings, offer
from app.lineages.trajectory import by_time_switch, trajectory_view
from app.selection.bar import selection_bar
from app.shared import cached
from app.shared.empty import stop_on_error
from app.shared.grouping import own_in_words
from app.shared.live_jobs import live_jobs
from app.shared.run_picker import require_run
from app.shared.text import box_labels, escape, with_labels
from app.shared.undecided import undecided_lineages_in_words
from app.shared.view import one_of

OF_LINEAGE = {"Fates": fates_view, "Drivers": drivers_view, "Enrichment": enrichment_view}
OTHER_GROUPS = (
    "Any groups can be root and terminal states in a run trained with them: select its cells, press Train, and choose the "
    "groups there."
)
VIEWS = ["Trajectory", *OF_LINEAGE]

st.header("Lineages")
run = require_run()
with st.spinner("Loading libraries"):
    cached.warm_up().join()
with stop_on_error():
    if words := own_in_words(run):
        st.caption(f"{words} {OTHER_GROUPS}")
    settings = choose_settings(run)
    live_jobs()
    analysis = lineages.found(run, settings)
    if analysis is None:
        offer(run, settings)
        st.stop()
    if analysis.warnings:
        st.warning("  \n".join(map(with_labels, analysis.warnings)), icon=":material/warning:")
    if undecided := undecided_lineages_in_words(run):
        st.caption(undecided)
    selection_bar(run)
    controls = st.container(horizontal=True, vertical_alignment="bottom")
    view = controls.segmented_control(
        "View", VIEWS, required=True, **one_of("view", VIEWS, key="lineages.view")
    )
    if view == "Trajectory":
        with controls:
            by_time = by_time_switch()
        trajectory_view(run, analysis, by_time=by_time)
    else:
        labels = {name: escape(label) for name, label in box_labels(analysis.lineages).items()}
        lineage = controls.segmented_control(
            "Lineage", analysis.lineages, format_func=labels.__getitem__, required=True,
            **one_of("lineage", analysis.lineages, key=f"lineages.lineage.{'.'.join(analysis.lineages)}"),
        )  # fmt: skip
        OF_LINEAGE[str(view)](run, analysis, str(lineage))
