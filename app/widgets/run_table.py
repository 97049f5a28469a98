"""Table of finished runs with their settings and scores; choose one or delete it."""

from __future__ import annotations

import pandas as pd
import streamlit as st

from app import cached, session
from app.estimate import in_words
from app.widgets.empty import say_error
from app.widgets.methods import is_ours, method_label
from app.widgets.run_picker import fits
from app.widgets.text import escape
from deepvelo.config import preset_label
from deepvelo.errors import InputError
from deepvelo.io.runs import RunInfo

SCORES = {
    "consistency": "Consistency",
    "consistency_celltype": "Within type",
    "silhouette_rates": "Silhouette",
    "ari_rates": "ARI",
}
_SCORES_NOTE = (
    "Consistency is the mean cosine of a cell's velocity with its neighbours', or with all cells of its type. "
    "DeepVelo's velocities are averaged over these same neighbours, as often as Smoothing says, and the graph "
    "network averages them too, so much of it is built in: smooth is not correct. "
    "Silhouette and adjusted Rand index say how well the kinetic rates match the cell groups."
)


def run_table() -> None:
    """All fits of this server, newest first."""
    runs = fits()
    if not runs:
        st.caption("No finished runs yet.")
        return
    chosen = st.dataframe(
        pd.DataFrame([_row(info) for info in runs]),
        hide_index=True,
        key="train.runs",
        on_select="rerun",
        selection_mode="single-row",
        column_config={title: st.column_config.NumberColumn(format="%.3f") for title in SCORES.values()},
        alt="Finished runs with settings and scores",
    )
    st.caption(_SCORES_NOTE)
    rows = [row for row in chosen.selection.rows if row < len(runs)]
    if not rows:
        st.caption("Select a row to open or delete the run.")
        return
    info = runs[rows[0]]
    with st.container(horizontal=True):
        if st.button("Open this run", icon=":material/visibility:"):
            session.set_run(info.run_id)
            session.go("velocity")
        with st.popover("Delete", icon=":material/delete:"):
            st.markdown(f"Delete **{escape(info.name)}**, with its controls, seeds and sweeps, for good?")
            st.button("Delete the run", on_click=_delete, args=(info.run_id,))


def _row(info: RunInfo) -> dict[str, object]:
    s, metrics = info.settings, info.metrics
    counted = {
        "Preset": preset_label(s),
        "Neighbours": s.graph.n_neighbors,
        "Candidates": s.graph.candidates_of(int(metrics["n_cells"])),
        "λ u": s.objective.lambda_u,
        "λ s": s.objective.lambda_s,
        "Smoothing": s.graph.smooth_velocity,
        "Epochs": metrics.get("n_epochs"),  # passes made; fewer than asked for in batches
        "Seed": s.seed,
    }
    return {
        "Run": info.name,
        "Method": method_label(info),
        **{title: metrics.get(key) for key, title in SCORES.items()},
        **(counted if is_ours(info) else dict.fromkeys(counted)),
        "Groups": info.cluster_key,
        "Data": info.data_name,
        "Made (UTC)": info.created[:16].replace("T", " "),
        "Took": in_words(float(metrics["seconds_total"])) if "seconds_total" in metrics else "",
    }


def _delete(run_id: str) -> None:
    try:
        cached.delete_run(run_id)
    except InputError as error:
        say_error(error)
        return
    if session.run_id() == run_id:
        session.set_run(None)
