"""Compare methods on the same cells: scores, agreement, streams, controls, quality."""

import streamlit as st

from app import session
from app.compare.agreement import agreement_view
from app.compare.controls import controls_view
from app.compare.quality import quality_view
from app.compare.runs import choose_runs, smoothing_note, smoothing_switch
from app.compare.scores import scores_view
from app.compare.streams import streams_view
from app.shared import cached
from app.shared.empty import stop_on_error
from app.shared.live_jobs import live_jobs
from app.shared.run_picker import require_run
from app.shared.signal import VIEW_KEY

# Arguments: the chosen run, the ids of all compared runs, and the smoothing. Only the selected view computes.
VIEWS = {"Scores": scores_view, "Agreement": agreement_view}
CHECKS = {"Controls": controls_view, "Quality": quality_view}  # of the chosen run alone
STREAMS = "Streams"

st.header("Compare")
base = require_run()
with st.spinner("Loading libraries"):
    cached.warm_up().join()
with stop_on_error():
    run_ids = choose_runs(base)
    live_jobs()
    controls = st.container(horizontal=True, vertical_alignment="bottom")
    session.fill_first(VIEW_KEY, "Scores")
    chosen = controls.segmented_control(
        "View", [*VIEWS, STREAMS, *CHECKS], required=True, key=VIEW_KEY, persist_state="session"
    )
    view = str(chosen)
    if view in CHECKS:
        CHECKS[view](base)
    elif view == STREAMS:
        streams_view(base, run_ids)
    else:
        with controls:
            smooth = smoothing_switch()
        st.caption(smoothing_note())
        VIEWS[view](base, run_ids, smooth)
