"""State of a job, read from its events."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from deepvelo.config import Settings
from deepvelo.datasets.source import DataSource
from deepvelo.io.journal import Entry, Event
from deepvelo.io.run import Purpose
from deepvelo.lineages import LineageSettings
from deepvelo.result import Progress
from deepvelo.task import Job, from_request, why_given_up

State = Literal["queued", "running", "finished", "failed", "cancelled"]
RESUBMITTED = "The server or its scheduler was restarted; this job was submitted again."
DAMAGED = "The request of this job cannot be read: {path} in the journal of jobs is damaged or of another version. Start it again."
Events = Sequence[tuple[float, dict[str, Any]]]  # time of arrival at the scheduler, and content


@dataclass(frozen=True, kw_only=True)
class JobStatus:
    """State of a job."""

    job_id: str
    name: str
    source: DataSource
    settings: Settings
    state: State = "queued"
    queue_position: int = 0
    """1 for the next to start; 0 once started."""
    progress: Progress | None = None
    history: list[dict[str, float]] = field(default_factory=list)
    """``epoch`` and the loss terms of every epoch so far; empty for scVelo's modes."""
    started: float | None = None
    """Seconds since 1970."""
    worker: str | None = None
    """Address of the worker that runs it."""
    given_up: str = ""
    """Why the job fails if this worker dies; empty if another worker resumes it, see `deepvelo.task.why_given_up`."""
    seconds_left: float | None = None
    """Until the end of training, from the duration of the epochs so far; None outside training."""
    message: str = ""
    """Why it failed, what it waits for, or where it resumed."""
    cancelling: bool = False
    """Someone cancelled it, and it has not ended yet."""
    run_id: str | None = None
    cluster_key: str | None = None
    basis: str | None = None
    """As submitted; None lets the preparation choose."""
    purpose: Purpose = "fit"
    base: str = ""
    """Both as in `deepvelo.io.runs.RunInfo`."""
    lineages: LineageSettings | None = None
    owner: str = ""
    owner_name: str = ""
    requests: dict[str, float] = field(default_factory=dict)
    """All four as in `deepvelo.task.Job`."""
    ended: float | None = None
    """Seconds since 1970."""

    @property
    def active(self) -> bool:
        """Queued or running."""
        return self.state in ("queued", "running")

    @property
    def belongs_to_run(self) -> bool:
        """Whether it is a check or an analysis of a run, not a separate fit."""
        return self.purpose != "fit" or self.lineages is not None


def described(entry: Entry, *, store_folder: Path) -> tuple[Job, Sequence[Event]]:
    """A job of the journal and its events; an unreadable one has failed."""
    job = entry.request and from_request(entry.request, store_folder=store_folder)
    if job and job.job_id == entry.job_id:
        return job, entry.events
    job = Job(
        job_id=entry.job_id, name=entry.job_id, source=DataSource("sample"), settings=Settings(), cluster_key=None,
        basis=None, store_folder=store_folder,
    )  # fmt: skip
    return job, [{"event": "failed", "time": time.time(), "message": DAMAGED.format(path=entry.path)}]


def from_events(job: Job, states: Events, progress: Events) -> JobStatus:
    """Read the state of a job from its events; the first ending counts."""
    state: State = "queued"
    started, ended, worker, run_id, message = None, None, None, None, ""
    cancelling, again = False, False
    for when, event in states:
        match event["event"]:
            case "started":
                message = "The worker died; resuming." if state == "running" else ""
                state, started, worker = "running", started or when, event.get("worker")
            case "resumed":
                message = f"{message.rstrip('.') or 'Resumed'} after epoch {event.get('epoch')}."
            case "restarted":
                state, worker, message, again = "queued", None, "", True
            case "cancelling":
                cancelling = True
            case "finished" | "failed" | "cancelled" as ending:
                state, ended = ending, when
                run_id, message = event.get("run_id"), event.get("message", "")
                break
    records = [record for _, event in progress for record in event["records"]]
    epochs = [record for record in records if record["step"] == "train"]
    latest = None
    if records:
        last = records[-1]
        latest = Progress(
            step=last["step"],
            epoch=last["epoch"],
            n_epochs=last["n_epochs"],
            terms=last["terms"],
            unit=last["unit"],
        )
    if again and state in ("queued", "running"):
        message = f"{RESUBMITTED} {message}".strip()
    training = state == "running" and latest is not None and latest.step == "train"
    return JobStatus(
        job_id=job.job_id,
        name=job.name or job.source.label,
        source=job.source,
        settings=job.settings,
        state=state,
        progress=latest,
        history=_history(epochs),
        started=started,
        worker=worker,
        given_up=why_given_up([event for _, event in states]) if state == "running" else "",
        seconds_left=_seconds_left(epochs) if training else None,
        message=message,
        cancelling=cancelling,
        run_id=run_id,
        cluster_key=job.cluster_key,
        basis=job.basis,
        purpose=job.purpose,
        base=job.base,
        lineages=job.lineages,
        owner=job.owner,
        owner_name=job.owner_name,
        requests=job.requests,
        ended=ended,
    )


def _history(epochs: list[dict[str, Any]]) -> list[dict[str, float]]:
    """Every epoch once, as last reported: a resumed job repeats those since its checkpoint."""
    history: list[dict[str, float]] = []
    for record in epochs:
        if not record["terms"]:
            continue
        while history and history[-1]["epoch"] >= record["epoch"]:
            history.pop()
        history.append({"epoch": record["epoch"], **record["terms"]})
    return history


def _seconds_left(epochs: list[dict[str, Any]]) -> float | None:
    """Seconds for the remaining epochs or genes, at the speed since the last start."""
    starts = [i for i, record in enumerate(epochs) if record["epoch"] == 0]
    epochs = epochs[starts[-1] :] if starts else epochs
    # Excludes what precedes the first epoch.
    first, last = next((record for record in epochs if record["epoch"] > 0), epochs[0]), epochs[-1]
    done = last["epoch"] - first["epoch"]
    if done < 1:
        return None
    pace = (last["time"] - first["time"]) / done
    return float(pace * (last["n_epochs"] - last["epoch"]))
