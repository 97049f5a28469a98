"""Choice of the run that pages show."""

from __future__ import annotations

import streamlit as st

from app import session
from app.shared import cached
from app.shared.empty import empty_state, say_error
from app.shared.text import box_labels, escape, with_labels
from deepvelo.config import preset_label
from deepvelo.datasets.source import DataSource
from deepvelo.errors import InputError
from deepvelo.io.runs import Run, RunInfo
from deepvelo.plan import n_candidates
from deepvelo.wording import number


def run_label(info: RunInfo) -> str:
    """Name of a run with the settings that distinguish it."""
    s, method = info.settings, info.method_label
    if not info.is_ours:
        return info.name if method in info.name else f"{info.name} · {method}"
    return f"{info.name} · k {s.graph.n_neighbors} · λ {s.objective.lambda_u:g}/{s.objective.lambda_s:g}"


def run_details(info: RunInfo) -> str:
    """Data, method, settings and time of a run."""
    s = info.settings
    made = f"{info.created[:16].replace('T', ' ')} UTC."
    if not info.is_ours:
        n_genes = number(int(info.metrics["n_genes"]), "gene")
        return (
            f"{escape(info.data_name)}. {escape(info.method_label)}{' mode' if info.is_scvelo else ''}; {info.metrics.get('n_velocity_genes', 0):,} of "
            f"{n_genes} with velocity. {made}"
        )
    epochs = number(int(info.metrics.get("n_epochs", s.training.n_epochs)), "epoch")
    if info.plan is not None and info.plan.in_batches:
        epochs += f" in mini-batches of {info.plan.batch_cells:,} cells"
    return (
        f"{escape(info.data_name)}. Preset {preset_label(s)}; {s.graph.n_neighbors} graph and "
        f"{n_candidates(int(info.metrics['n_cells']), s)} candidate neighbours, λ {s.objective.lambda_u:g} and "
        f"{s.objective.lambda_s:g}, {epochs}, seed {s.seed}. {made}"
    )


def fits() -> list[RunInfo]:
    """Finished fits, newest first, without controls, other seeds and sweeps."""
    return [info for info in cached.runs() if info.purpose == "fit"]


def choose_first_run() -> None:
    """Without a choice, choose the newest run of the sample, else the newest of all; DeepVelo's first."""
    runs = fits()
    if session.run_id() is None and runs:
        sample = DataSource(kind="sample").label
        first = min(runs, key=lambda info: (info.data_name != sample, not info.is_ours))
        session.set_run(first.run_id)


def run_picker() -> None:
    """Select box of all fits, and of the run that the address names, for the sidebar."""
    chosen = session.run_id()
    runs = {info.run_id: info for info in cached.runs() if info.purpose == "fit" or info.run_id == chosen}
    labels = box_labels(runs, lambda run_id: run_label(runs[run_id]))
    if not labels:
        st.caption(with_labels(cached.store().problem() or "No runs yet."))
        return
    st.selectbox(
        "Run",
        list(labels),
        format_func=labels.__getitem__,
        placeholder="Choose a run",
        **session.linked("run", chosen if chosen in labels else None),
    )
    if chosen in runs:
        st.caption(run_details(runs[chosen]))
        _say_other_data(runs[chosen])


def _say_other_data(shown: RunInfo) -> None:
    """Say if the run was fitted to another data set than the chosen one, and offer a run of that.

    A finished fit does not change the shown run, because the visitor may be looking at it.
    """
    try:
        source = session.source()
    except InputError:  # the pages that read the data show it
        return
    if source is None or source.label == shown.data_name:  # by name, because hashing takes long
        return
    newest = next((info for info in fits() if info.data_name == source.label), None)
    none_yet = "" if newest else ", which has no run yet"
    st.caption(
        f":material/info: This run was fitted to another data set than the one selected, **{escape(source.label)}**{none_yet}."
    )
    if newest:
        st.button("Show its newest run", on_click=session.set_run, args=(newest.run_id,), width="stretch")


def require_run() -> Run:
    """The chosen run; without one, show the next step and end the page."""
    run_id = session.run_id()
    if run_id is None:
        empty_state("No run yet. Choose a data set, then train on it.", button="Choose data", page="data")
    try:
        return cached.open_run(run_id)
    except InputError as error:
        say_error(error)
    if fits():
        st.button("Show the newest run", type="primary", on_click=_choose_newest)
        st.stop()
    empty_state("No runs yet. Choose a data set, then train on it.", button="Choose data", page="data")


def _choose_newest() -> None:
    if runs := fits():  # the last may be deleted by now
        session.set_run(runs[0].run_id)
