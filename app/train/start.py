"""The start panel: method, groups and embedding, memory and time, and the button."""

from __future__ import annotations

import pandas as pd
import streamlit as st

from app import session, visitors
from app.background.job_status import JobStatus
from app.background.resources import Place
from app.shared import cached
from app.shared.empty import say_error
from app.shared.estimate import estimate_seconds, in_words
from app.shared.tables import show_table
from app.shared.text import NEGATIVE_RATES, box_labels, escape, with_labels
from app.train.settings_form import Form
from deepvelo.checks import Summary, most_genes
from deepvelo.config import METHOD_LABELS, Settings, replace
from deepvelo.datasets.source import DataSource
from deepvelo.errors import InputError
from deepvelo.memory import estimate_memory
from deepvelo.peers import fitted_here
from deepvelo.plan import in_words as plan_in_words
from deepvelo.plan import plan_of

GIGABYTE = 2**30


def start_panel(source: DataSource, form: Form) -> None:
    """Panel right of the form; the button is disabled while the fit is impossible."""
    summary = cached.summary(source)
    st.markdown(f"**{escape(source.label)}**, {summary.n_cells:,} cells × {summary.n_genes:,} genes")
    method = _method()
    settings = None if form.settings is None else replace(form.settings, {"method": method})
    left, right = st.columns(2)
    with left:
        cluster_key = _grouping(source, summary)
    with right:
        basis = _basis(source, settings)
    if settings is None:
        _refused(form.problem or "")
        return
    if settings.method != "deepvelo":
        st.caption(f"{METHOD_LABELS[settings.method]} uses only the settings under Preparation.")
    elif not settings.variant.nonnegative_rates:
        st.warning(NEGATIVE_RATES)
    memory = _costs(summary, settings)
    place = _place(settings, memory=memory)
    if place is not None:
        st.caption(with_labels(place.in_words()))
        if place.warning:
            st.warning(with_labels(place.warning))
    problem = cached.fit_problem(source, settings, cluster_key, basis, here=cached.jobs().here)
    if problem is None and place is not None:
        problem = place.problem or None
    if problem is not None:
        say_error(problem)
    known = cached.find_run(source, settings, cluster_key, basis)
    if known is not None:
        st.info(f"A finished run has the same data and settings: **{escape(known.name)}**.")
        if st.button("Open that run", type="primary", width="stretch"):
            session.set_run(known.run_id)
            session.go("velocity")
    same = _same(source, settings, cluster_key=cluster_key, basis=basis)
    if same is not None:
        st.info(f"A training with the same data and settings is under way: **{escape(same.name)}**.")
    name = _name()
    started = _start_button(again=known is not None, disabled=problem is not None or same is not None)
    if started and same is None:  # a second quick click
        _start(source, settings, cluster_key=cluster_key, basis=basis, name=name.strip(), memory=memory)
    st.caption("Rates are relative: time has no unit.")


def _refused(problem: str) -> None:
    """The panel for invalid settings; choices made here are kept."""
    _show_costs("–", "–")
    say_error(problem)
    _name()
    _start_button(again=False, disabled=True)


def _name() -> str:
    return st.text_input(
        "Name of the run", placeholder="From data, preset and seed", key="train.name", max_chars=100
    )


def _start_button(*, again: bool, disabled: bool) -> bool:
    return st.button(
        "Train again" if again else "Start training",
        type="secondary" if again else "primary",
        disabled=disabled,
        width="stretch",
        icon=":material/play_arrow:",
    )


def _same(
    source: DataSource, settings: Settings, *, cluster_key: str | None, basis: str | None
) -> JobStatus | None:
    try:
        return cached.jobs().same(source, settings, cluster_key=cluster_key, basis=basis)
    except InputError:  # the list of jobs on this page reports it
        return None


def _place(settings: Settings, *, memory: int) -> Place | None:
    try:
        return cached.jobs().place(settings, memory=memory)
    except InputError:  # the list of jobs on this page reports it
        return None


def _start(
    source: DataSource,
    settings: Settings,
    *,
    cluster_key: str | None,
    basis: str | None,
    name: str,
    memory: int,
) -> None:
    try:
        cached.store().require_writable()  # reported here rather than by a job that fails later
        cached.jobs().submit(
            source,
            settings,
            cluster_key=cluster_key,
            basis=basis,
            name=name,
            memory=memory,
            **visitors.visitor(),
        )
    except InputError as error:
        say_error(error)
        return
    st.rerun()


def _method() -> str:
    field = Settings.__pydantic_fields__["method"]  # type: ignore[attr-defined]
    return st.selectbox(
        "Method",
        list(fitted_here()),
        format_func=METHOD_LABELS.__getitem__,
        help=field.description,
        key="train.method",
        persist_state="session",
    )


def _grouping(source: DataSource, summary: Summary) -> str | None:
    """The chosen grouping; None lets the preparation compute Leiden clusters."""
    if not summary.groupings:
        st.caption("The file has no cell groups; Leiden clusters are computed.")
        return None
    usual = cached.cluster_key(source)
    labels: dict[str | None, str] = {} if usual in summary.groupings else {None: "Leiden clusters (computed)"}
    labels.update(box_labels(summary.groupings))
    options = list(labels)
    return st.selectbox(
        "Cell groups",
        options,
        index=options.index(usual) if usual in options else 0,
        format_func=labels.__getitem__,
        help="Cell types for scores and colours. The model does not use them.",
        key="train.groups",
    )


def _basis(source: DataSource, settings: Settings | None) -> str | None:
    """The chosen embedding; None lets the preparation compute a UMAP."""
    embeddings = cached.display_embeddings(source)
    if not embeddings or (settings is not None and settings.preparation.recompute_embedding):
        st.caption("A UMAP is computed.")
        return None
    return st.selectbox(
        "Embedding",
        embeddings,
        format_func=box_labels(embeddings).__getitem__,
        help="Embedding on which arrows are drawn. It is not changed.",
        key="train.basis",
    )


def _costs(summary: Summary, settings: Settings) -> int:
    """Show memory, time and plan, with an upper limit of genes until they are filtered, and return the bytes."""
    n_genes = most_genes(summary, settings)
    memory = estimate_memory(summary.n_cells, n_genes, settings)
    seconds = estimate_seconds(summary.n_cells, n_genes, settings, finished=cached.runs())
    _show_costs(f"{memory / GIGABYTE:.1f} GB", in_words(seconds))
    if settings.method == "deepvelo":
        with st.expander("Plan for this size"):
            plan = plan_of(summary.n_cells, n_genes, settings)
            show_table(pd.DataFrame(plan_in_words(plan), columns=["Plan", "Value"]), hide_index=True)
    return memory


def _show_costs(memory: str, time: str) -> None:
    left, right = st.columns(2)
    left.metric(
        "Memory", memory, help="Maximum memory of the fit. Lower it with fewer variable genes or cells."
    )
    right.metric(
        "Time",
        time,
        help="Estimated from finished runs on this server. A busy machine takes longer.",
    )
