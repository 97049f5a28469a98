"""Fits that belong to a run (controls, seeds, sweeps): their progress, and a button that queues the missing ones."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import streamlit as st

from app import visitors
from app.background.job_status import JobStatus
from app.shared import cached
from app.shared.empty import say_error
from app.shared.estimate import estimate_seconds, in_words
from deepvelo.errors import InputError
from deepvelo.io.runs import Run
from deepvelo.memory import estimate_memory
from deepvelo.wording import number

if TYPE_CHECKING:
    from deepvelo.evaluation.controls import PlannedFit


def offer(base: Run, plan: Sequence[PlannedFit], *, key: str) -> None:
    """Show the progress of a plan, and queue the fits that are neither finished nor queued when the button is pressed.

    Raises
    ------
    InputError
        The base run was deleted.
    """
    from deepvelo.evaluation.controls import finished

    if not plan:
        st.caption("Nothing to fit: choose a value that differs from the run's own.")
        return
    to_do = [planned for planned, info in finished(plan, cached.runs()) if info is None]
    active = _active()
    missing = [planned for planned in to_do if not any(_does(job, planned) for job in active)]
    n_done, n_queued = len(plan) - len(to_do), len(to_do) - len(missing)
    words = [
        f"{n_done} of {number(len(plan), 'fit')} done"
        if len(plan) > 1
        else "Done"
        if n_done
        else "Not fitted yet"
    ]
    words += [f"{n_queued} in the queue above"] * bool(n_queued)
    with st.container(horizontal=True, vertical_alignment="center"):
        if missing:
            pressed = st.button(
                f"Fit {number(len(missing), 'run')}", type="primary", icon=":material/play_arrow:", key=key
            )
            words.append(f"in the background, roughly {in_words(_seconds(base, missing))}")
            if pressed:
                _submit(base, missing)
        st.caption(f"{'; '.join(words)}.")


def _does(job: JobStatus, planned: PlannedFit) -> bool:
    wanted = (planned.source, planned.settings, planned.cluster_key, planned.basis)
    return (job.source, job.settings, job.cluster_key, job.basis) == wanted


def _active() -> list[JobStatus]:
    try:
        return [job for job in cached.jobs().list() if job.active]
    except InputError:  # the list of jobs on the page reports it
        return []


def _seconds(base: Run, missing: Sequence[PlannedFit]) -> float:
    return sum(
        estimate_seconds(*_size(base, planned), planned.settings, finished=cached.runs())
        for planned in missing
    )


def _size(base: Run, planned: PlannedFit) -> tuple[int, int]:
    """Cells and genes of a fit."""
    metrics = base.info.metrics
    return int(metrics["n_cells"]), planned.source.n_genes or int(metrics["n_genes"])


def _submit(base: Run, missing: Sequence[PlannedFit]) -> None:
    try:
        cached.store().require_writable()  # reported here rather than by a job that fails later
        queue = cached.jobs()
        for planned in missing:
            queue.submit(
                planned.source, planned.settings, cluster_key=planned.cluster_key, basis=planned.basis,
                name=planned.name, purpose=planned.purpose, base=planned.base,
                memory=estimate_memory(*_size(base, planned), planned.settings), **visitors.visitor(),
            )  # fmt: skip
    except InputError as error:
        say_error(error)
        return
    st.rerun()
