"""Table of finished runs with settings and scores, to open or delete them."""

from __future__ import annotations

import pandas as pd
import streamlit as st

from app import session
from app.shared import cached
from app.shared.empty import say_error
from app.shared.estimate import in_words
from app.shared.run_picker import fits
from app.shared.tables import show_table
from app.shared.text import escape, with_labels
from app.visitors import whose
from deepvelo.config import preset_label
from deepvelo.errors import InputError
from deepvelo.io.runs import DamagedRun, RunInfo
from deepvelo.plan import n_candidates

SCORES = {
    "consistency": "Consistency",
    "consistency_celltype": "Within type",
    "silhouette_rates": "Silhouette",
    "ari_rates": "ARI",
}
_MOST_DAMAGED = 10  # lines
_SCORES_NOTE = (
    "Consistency: mean cosine between a cell's velocity and those of its neighbours (Within type: of all cells of its type). "
    "It measures smoothness, not correctness: the network and Smoothing average velocities over the same neighbours. "
    "Silhouette and ARI (adjusted Rand index): how well kinetic rates separate the cell groups."
)


def run_table() -> None:
    """All fits of this server, newest first, then the damaged runs."""
    runs, damaged = fits(), cached.damaged_runs()
    if runs:
        _fits(runs)
    elif not damaged:
        st.caption(with_labels(cached.store().problem() or "No finished runs yet."))
    for run in damaged[:_MOST_DAMAGED]:
        _damaged(run)
    if len(damaged) > _MOST_DAMAGED:
        st.caption(f"{len(damaged) - _MOST_DAMAGED} more runs are damaged: `deepvelo runs` lists them all.")


def _fits(runs: list[RunInfo]) -> None:
    chosen = show_table(
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
            what = f"Delete **{escape(info.name)}**, with its controls, seeds and sweeps, permanently?"
            st.markdown(f"{escape(whose(info.owner, info.owner_name))} {what}".strip())
            st.button("Delete the run", on_click=_delete, args=(info.run_id,))


def _damaged(run: DamagedRun) -> None:
    with st.container(horizontal=True, vertical_alignment="center"):
        st.caption(f":material/warning: {with_labels(run.problem)}")
        with st.popover("Delete", icon=":material/delete:", key=f"train.damaged.{run.run_id}"):
            st.markdown(f"Delete **{escape(run.run_id)}** permanently?")
            st.button(
                "Delete the run",
                on_click=_delete,
                args=(run.run_id,),
                key=f"train.damaged.delete.{run.run_id}",
            )


def _row(info: RunInfo) -> dict[str, object]:
    s, metrics = info.settings, info.metrics
    counted = {
        "Preset": preset_label(s),
        "Neighbours": s.graph.n_neighbors,
        "Candidates": n_candidates(int(metrics["n_cells"]), s),
        "λ u": s.objective.lambda_u,
        "λ s": s.objective.lambda_s,
        "Smoothing": s.graph.smooth_velocity,
        "Epochs": metrics.get("n_epochs"),  # fewer than the setting in mini-batches
        "Seed": s.seed,
    }
    return {
        "Run": info.name,
        "Method": info.method_label,
        **{title: metrics.get(key) for key, title in SCORES.items()},
        **(counted if info.is_ours else dict.fromkeys(counted)),
        "Groups": info.cluster_key,
        "Data": info.data_name,
        "Created (UTC)": info.created[:16].replace("T", " "),
        "Duration": in_words(float(metrics["seconds_total"])) if "seconds_total" in metrics else "",
    }


def _delete(run_id: str) -> None:
    try:
        cached.delete_run(run_id)
    except InputError as error:
        if cached.store().exists(run_id):
            say_error(error)
            return
        st.toast("This run was already deleted.")
    if session.run_id() == run_id:
        session.set_run(None)
