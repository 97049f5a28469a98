"""Background jobs: lines for the sidebar, and panels with live loss curves for pages."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import nullcontext

import pandas as pd
import streamlit as st

from app import session, visitors
from app.background.job_status import JobStatus
from app.shared import cached, charts, comparison
from app.shared.empty import say_error
from app.shared.estimate import in_words
from app.shared.text import escape, with_labels
from deepvelo.config import method_label
from deepvelo.errors import InputError
from deepvelo.pl.training_curve import training_curve
from deepvelo.result import step_in_words

CURVE_HEIGHT = 300
MAX_POINTS = 500  # of a loss curve, which is sent to the browser every second
BRIEF_SECONDS = 2
MAX_LINES = 3
_ENDED = {"finished": ":material/check:", "failed": ":material/error:", "cancelled": ":material/cancel:"}


def jobs_in_brief() -> None:
    """Active jobs and the visitor's ended jobs, for the sidebar."""
    try:
        jobs = cached.jobs().list()
    except InputError as error:  # figures of finished runs need no scheduler
        st.caption(f":material/warning: {with_labels(str(error))}")
        return
    active = [job.job_id for job in jobs if job.active]
    for job in _endings(jobs)[-MAX_LINES:]:
        st.caption(f"{_ENDED[job.state]} {_name(job)}: {job.state}")
    if active:
        st.fragment(_lines, run_every=BRIEF_SECONDS)(active)


def _endings(jobs: list[JobStatus]) -> list[JobStatus]:
    """Ended jobs of this visitor that were not dismissed yet."""
    return [
        job
        for job in jobs
        if not job.active
        and visitors.is_mine(job.owner)
        and not any(_supersedes(other, job) for other in jobs)
    ]


def _supersedes(later: JobStatus, earlier: JobStatus) -> bool:
    """Whether a later lineage analysis of the same run succeeded, so that the failure no longer matters."""
    return (
        (later.state, earlier.state) == ("finished", "failed")
        and later.lineages is not None
        and earlier.lineages is not None
        and later.base == earlier.base
        and later.job_id > earlier.job_id
    )


def _lines(job_ids: list[str]) -> None:
    try:
        jobs = _still_active(job_ids)
    except InputError as error:
        st.caption(f":material/warning: {with_labels(str(error))}")
        return
    for job in jobs[:MAX_LINES]:
        st.caption(f":material/progress_activity: {_name(job)}: {_where(job)}")


def live_jobs(which: Callable[[JobStatus], bool] = lambda _: True) -> None:
    """Active jobs of this server, refreshed every second, and the outcome of the visitor's own jobs.

    The list comes from the server, so a reload or another browser shows the same jobs. Failed jobs of other visitors are
    listed by name only.
    """
    try:
        jobs = [job for job in cached.jobs().list() if which(job)]
    except InputError:
        st.fragment(_until_answered, run_every=BRIEF_SECONDS)()
        return
    for job in _endings(jobs):
        if job.belongs_to_run and job.state != "failed":
            for superseded in jobs:
                if _supersedes(job, superseded):
                    _acknowledge(superseded.job_id)
            _acknowledge(job.job_id)  # the view of the run shows it
        else:
            _outcome(job)
    for job in jobs:
        if job.state == "failed" and not visitors.is_mine(job.owner):
            st.caption(f"{_ENDED['failed']} {_name(job)}: failed")
    active = [job.job_id for job in jobs if job.active]
    if active:
        st.fragment(_panels, run_every=1)(active)


def _until_answered() -> None:
    """Show that the scheduler does not answer; redraw the page once it does."""
    try:
        cached.jobs().list()
    except InputError as error:
        say_error(error)
    else:
        st.rerun()


def _panels(job_ids: list[str]) -> None:
    try:
        jobs = _still_active(job_ids)
    except InputError as error:
        say_error(error)
        return
    for job in jobs:
        if not job.belongs_to_run:
            _panel(job)
    for kind in dict.fromkeys(_kind(job) for job in jobs if job.belongs_to_run):
        _group_panel([job for job in jobs if _kind(job) == kind])


def _kind(job: JobStatus) -> tuple[str, str, bool, str]:
    """Run, kind of check and owner of a job; equal ones share a panel."""
    return job.base, job.purpose, job.lineages is not None, job.owner


def _still_active(job_ids: list[str]) -> list[JobStatus]:
    """These jobs, for a fragment; redraws the page when one has ended, because there is a new run."""
    jobs = {job.job_id: job for job in cached.jobs().list()}
    if any(job_id not in jobs or not jobs[job_id].active for job_id in job_ids):
        st.rerun()
    return [jobs[job_id] for job_id in job_ids]


def _group_panel(jobs: list[JobStatus]) -> None:
    """One panel for the controls, seeds or sweep of a run, with a button that cancels all."""
    first = jobs[0]
    with st.container(border=True):
        more = f"; {len(jobs) - 1} more queued" if len(jobs) > 1 else ""
        _headline(f"**{_name(first)}** · {_where(first).rstrip('.')}{more}", jobs)
        progress = first.progress
        if progress is not None and progress.n_epochs:
            st.progress(progress.epoch / progress.n_epochs)


def _panel(job: JobStatus) -> None:
    with st.container(border=True):
        _headline(f"**{_name(job)}** · {_where(job)}", [job])
        progress = job.progress
        if progress is not None and progress.n_epochs:
            st.progress(progress.epoch / progress.n_epochs)
        history = pd.DataFrame(job.history)
        if not history.empty:
            thinned = history.iloc[:: len(history) // MAX_POINTS + 1]
            charts.show(
                training_curve(thinned, height=CURVE_HEIGHT),
                key=f"curve.{job.job_id}",
                alt="Terms of the loss by epoch",
            )


def _headline(text: str, jobs: list[JobStatus]) -> None:
    """What is computed, and the cancel button."""
    with st.container(horizontal=True, vertical_alignment="center"):
        st.markdown(text)
        _cancel_button(jobs)


def _cancel_button(jobs: list[JobStatus]) -> None:
    """A button that cancels jobs; jobs of another visitor need a confirmation."""
    ids = [job.job_id for job in jobs]
    label = "Cancel all" if len(jobs) > 1 else "Cancel"
    cancelling = all(job.cancelling for job in jobs)
    whose = visitors.whose(jobs[0].owner, jobs[0].owner_name)
    place = st.popover(label, disabled=cancelling) if whose else nullcontext()
    with place:
        if whose:
            st.markdown(f"{escape(whose)} Cancel it?")
            label = "Cancel anyway"
        st.button(label, key=f"cancel.{ids[0]}", on_click=_cancel, args=ids, disabled=cancelling)


def _outcome(job: JobStatus) -> None:
    text, action, dismiss = st.columns([5, 1.4, 0.5], vertical_alignment="center")
    match job.state:
        case "finished":
            text.success(f"**{_name(job)}** has finished.")
            if action.button("Show velocity", key=f"see.{job.job_id}", type="primary", width="stretch"):
                _acknowledge(job.job_id)
                session.set_run(job.run_id)
                session.go("velocity")
            imported = job.settings.method == "imported"
            if imported and action.button("Compare", key=f"compare.{job.job_id}", width="stretch"):
                _acknowledge(job.job_id)
                session.set_run(comparison.counterpart(str(job.run_id)))
                session.go("compare")
        case "cancelled":
            text.info(f"**{_name(job)}** was cancelled; no result was stored.")
        case _:
            text.error(f"**{_name(job)}** failed. {with_labels(job.message)}")
    dismiss.button(
        "",
        key=f"dismiss.{job.job_id}",
        icon=":material/close:",
        help="Dismiss",
        type="tertiary",
        on_click=_acknowledge,
        args=(job.job_id,),
    )


def _acknowledge(job_id: str) -> None:
    """Dismiss an ended job."""
    try:
        cached.jobs().forget(job_id)
    except InputError as error:
        say_error(error)


def _cancel(*job_ids: str) -> None:
    try:
        for job_id in reversed(job_ids):  # queued jobs first, so that none starts meanwhile
            cached.jobs().cancel(job_id)
    except InputError as error:
        say_error(error)
        return
    st.toast("Cancelling after the current step.")


def _name(job: JobStatus) -> str:
    """Name, method and owner of a job, escaped because users wrote them."""
    name, method = job.name, method_label(job.settings)
    by = visitors.by_whom(job.owner, job.owner_name)
    words = [name, *[method] * (job.settings.method != "deepvelo" and method not in name), *[by] * bool(by)]
    return escape(", ".join(words))


def _where(job: JobStatus) -> str:
    if job.state == "queued":
        return f"queued, position {job.queue_position}. {with_labels(job.message)}".rstrip()
    if job.cancelling:
        return "cancelling after the current step"
    if job.progress is None:
        return "starting"
    left = "" if job.seconds_left is None else f", about {in_words(job.seconds_left)} left"
    message = f". {with_labels(job.message)}" if job.message else ""
    return step_in_words(job.progress) + left + message
