"""How a job stands, read from the events its worker told."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from deepvelo.config import Settings
from deepvelo.datasets.source import DataSource
from deepvelo.io.run import Purpose
from deepvelo.lineages import LineageSettings
from deepvelo.result import Progress
from deepvelo.task import Job, why_given_up

State = Literal["queued", "running", "finished", "failed", "cancelled"]
AGAIN = "The server or its scheduler was restarted; this job was sent again."
Events = Sequence[tuple[float, dict[str, Any]]]  # when the scheduler heard it, and what


@dataclass(frozen=True, kw_only=True)
class JobStatus:
    """How a job stands."""

    job_id: str
    name: str
    source: DataSource
    settings: Settings
    state: State = "queued"
    queue_position: int = 0
    """1 for the next to start; 0 once started."""
    progress: Progress | None = None
    history: list[dict[str, float]] = field(default_factory=list)
    """``epoch`` and the loss terms of every epoch so far; scVelo's modes have none."""
    started: float | None = None
    """Seconds since 1970."""
    worker: str | None = None
    """Address of the worker that does it."""
    given_up: str = ""
    """Why no other worker does it should that one die; empty if one does, see `deepvelo.task.why_given_up`."""
    seconds_left: float | None = None
    """Of training, from the pace of the epochs so far; None outside training."""
    message: str = ""
    """Why it failed, what it waits for, or that it goes on where an earlier start ended."""
    cancelling: bool = False
    """Someone asked for its end."""
    run_id: str | None = None
    cluster_key: str | None = None
    basis: str | None = None
    """As asked for; None leaves the choice to the preparation."""
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
        """Waiting or at work."""
        return self.state in ("queued", "running")

    @property
    def belongs_to_run(self) -> bool:
        """A check or an analysis of a run, which is told of with that run; not a fit of its own."""
        return self.purpose != "fit" or self.lineages is not None


def from_events(job: Job, states: Events, progress: Events) -> JobStatus:
    """Read a job's story, its starts and ends and its progress; the first ending counts."""
    state: State = "queued"
    started, ended, worker, run_id, message = None, None, None, None, ""
    cancelling, again = False, False
    for when, event in states:
        match event["event"]:
            case "started":
                message = "The worker died; going on." if state == "running" else ""
                state, started, worker = "running", started or when, event.get("worker")
            case "resumed":
                message = f"{message.rstrip('.') or 'Going on'} after epoch {event.get('epoch')}."
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
        message = f"{AGAIN} {message}".strip()
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
    """Every epoch once, as it was last told: a job that goes on repeats those since the last checkpoint."""
    history: list[dict[str, float]] = []
    for record in epochs:
        if not record["terms"]:
            continue
        while history and history[-1]["epoch"] >= record["epoch"]:
            history.pop()
        history.append({"epoch": record["epoch"], **record["terms"]})
    return history


def _seconds_left(epochs: list[dict[str, Any]]) -> float | None:
    """Of epochs or genes still to come, at the pace since the last start."""
    starts = [i for i, told in enumerate(epochs) if told["epoch"] == 0]
    epochs = epochs[starts[-1] :] if starts else epochs
    # What comes before the first of them takes a time of its own.
    first, last = next((told for told in epochs if told["epoch"] > 0), epochs[0]), epochs[-1]
    done = last["epoch"] - first["epoch"]
    if done < 1:
        return None
    pace = (last["time"] - first["time"]) / done
    return float(pace * (last["n_epochs"] - last["epoch"]))
