"""Compare methods on the same cells: scores, agreement, streams, controls, quality."""

import streamlit as st

from app.compare.agreement import agreement_view
from app.compare.controls import controls_view
from app.compare.quality import quality_view
from app.compare.runs import choose_runs, smoothing_note, smoothing_switch
from app.compare.scores import scores_view
from app.compare.streams import streams_view
from app.shared import cached
from app.shared.empty import stop_on_error
from app.shared.grouping import own_in_words
from app.shared.live_jobs import live_jobs
from app.shared.run_picker import require_run
from app.shared.signal import VIEW_KEY
from app.shared.view import one_of

# Arguments: the chosen run, the ids of all compared runs, and the smoothing. Only the selected view computes.
VIEWS = {"Scores": scores_view, "Agreement": agreement_view}
CHECKS = {"Controls": controls_view, "Quality": quality_view}  # of the chosen run alone
STREAMS = "Streams"
OF_OWN_GROUPS = ["Scores", *CHECKS]
NAMES = [*VIEWS, STREAMS, *CHECKS]

st.header("Compare")
base = require_run()
with st.spinner("Loading libraries"):
    cached.warm_up().join()
with stop_on_error():
    run_ids = choose_runs(base)
    live_jobs()
    controls = st.container(horizontal=True, vertical_alignment="bottom")
    chosen = controls.segmented_control("View", NAMES, required=True, **one_of("view", NAMES, key=VIEW_KEY))
    view = str(chosen)
    if view in OF_OWN_GROUPS and (words := own_in_words(base)):
        st.caption(words)
    if view in CHECKS:
        CHECKS[view](base)
    elif view == STREAMS:
        streams_view(base, run_ids)
    else:
        with controls:
            smooth = smoothing_switch()
        st.caption(smoothing_note())
        VIEWS[view](base, run_ids, smooth)
