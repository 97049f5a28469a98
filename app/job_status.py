"""How a job stands, read from the events its worker told."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal

from deepvelo.config import Settings
from deepvelo.datasets.source import DataSource
from deepvelo.task import Job
from deepvelo.workflow import Progress

State = Literal["queued", "running", "finished", "failed", "cancelled"]
Events = list[tuple[float, dict[str, Any]]]  # when the scheduler heard it, and what


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
    """``epoch`` and the loss terms of every epoch so far."""
    started: float | None = None
    """Seconds since 1970."""
    worker: str | None = None
    """Address of the worker that does it."""
    seconds_left: float | None = None
    """Of training, from the pace of the epochs so far; None outside training."""
    message: str = ""
    """Why it failed, or what it waits for."""
    run_id: str | None = None

    @property
    def active(self) -> bool:
        """Waiting or at work."""
        return self.state in ("queued", "running")


def from_events(job: Job, events: Events) -> JobStatus:
    """Read a job's story; its first ending counts."""
    state: State = "queued"
    started, worker, run_id, message = None, None, None, ""
    records: list[dict[str, Any]] = []
    for when, event in events:
        match event["event"]:
            case "started":
                state, started, worker = "running", when, event["worker"]
            case "progress":
                records += event["records"]
            case "finished" | "failed" | "cancelled" as ending:
                state, run_id, message = ending, event.get("run_id"), event.get("message", "")
                break
    epochs = [record for record in records if record["step"] == "train"]
    progress = None
    if records:
        last = records[-1]
        progress = Progress(
            step=last["step"], epoch=last["epoch"], n_epochs=last["n_epochs"], terms=last["terms"]
        )
    training = state == "running" and progress is not None and progress.step == "train"
    return JobStatus(
        job_id=job.job_id,
        name=job.name or job.source.label,
        source=job.source,
        settings=job.settings,
        state=state,
        progress=progress,
        history=[{"epoch": record["epoch"], **record["terms"]} for record in epochs],
        started=started,
        worker=worker,
        seconds_left=_seconds_left(epochs) if training else None,
        message=message,
        run_id=run_id,
    )


def _seconds_left(epochs: list[dict[str, Any]]) -> float | None:
    first, last = epochs[0], epochs[-1]
    done = last["epoch"] - first["epoch"]
    if done < 1:
        return None
    pace = (last["time"] - first["time"]) / done
    return float(pace * (last["n_epochs"] - last["epoch"]))
