"""One fit, or the analysis of one, as a task on a Dask worker: load, compute, store, and say how it goes.

What happens is told as events on the scheduler, so whoever asks, the server that started the job or one
started later, reads the same story. Start and end have a topic of their own (`state_topic`): a scheduler
keeps only the newest 1,000 events of a topic, and no length of training may push the start out.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from deepvelo import config
from deepvelo.errors import CancelledError, InputError
from deepvelo.io.runs import RunStore
from deepvelo.result import Progress

if TYPE_CHECKING:
    from deepvelo.config import Settings
    from deepvelo.datasets.source import DataSource
    from deepvelo.io.run import Purpose
    from deepvelo.lineages import LineageSettings, Stage
    from deepvelo.result import Result

logger = logging.getLogger(__name__)

Runner = Callable[..., "Result"]

SECONDS_BETWEEN_REPORTS = 0.1
MAX_TRAINING_REPORTS = 300  # of one job, several epochs in each if need be: the whole curve must be kept
TERMINAL = ("finished", "failed", "cancelled")
DIED = (
    "The worker process died in the middle of this job, most likely because memory ran out or because "
    "someone ended it. Choose fewer variable genes or cells, close other programs, and start it again."
)


@dataclass(frozen=True, kw_only=True)
class Job:
    """What to fit and where to store it; small, so that it travels to any worker."""

    job_id: str
    name: str
    source: DataSource
    settings: Settings
    cluster_key: str | None
    basis: str | None
    store_folder: Path
    purpose: Purpose = "fit"
    base: str = ""
    """Both as in `deepvelo.io.runs.RunInfo`."""
    asks: dict[str, float] = field(default_factory=dict)
    """Dask worker resources that the worker must have."""
    restarts: int = 0
    """How often it was sent again because the scheduler was restarted and had lost it."""
    lineages: LineageSettings | None = None
    """Instead of fitting, find the lineages of run ``base`` and store them beside it."""


def state_topic(job_id: str) -> str:
    """Topic of a job's start and end; its progress is told under the bare id."""
    return f"{job_id}-state"


def goes_on(states: Sequence[dict[str, Any]]) -> bool:
    """Whether another worker does a job whose worker died, by its starts so far and the first checkpoint of each.

    It does if the last start got further than all before: a job that kills every worker at the same place, as one
    that outgrows the memory may, is given up.
    """
    names = [event["event"] for event in states]
    latest_start = len(names) - names[::-1].index("started") if "started" in names else 0
    written = [event["epoch"] for event in states if event["event"] == "checkpoint"]
    return "checkpoint" in names[latest_start:] and written[-1] > max(written[:-1], default=0)


def run_job(job: Job, runner: Runner | None = None) -> None:
    """Do a job on this Dask worker; the outcome is an event, never an exception.

    Parameters
    ----------
    job
        What to do.
    runner
        Called like `deepvelo.workflow.run`, which is the default.
    """
    from distributed import Event, get_client, get_worker

    worker = get_worker()

    def tell(**event: Any) -> None:
        topic = job.job_id if event["event"] == "progress" else state_topic(job.job_id)
        worker.log_event(topic, event)

    # Dask gives the task of a dead worker to the next one.
    past = [event for _, event in get_client().get_events(state_topic(job.job_id))]
    if any(event["event"] in TERMINAL for event in past):
        return
    if any(event["event"] == "started" for event in past) and not goes_on(past):
        tell(event="failed", message=DIED)
        return
    tell(event="started", worker=worker.address)
    report = Reporter(tell, cancelled=Event(job.job_id).is_set)
    try:
        if job.lineages is None:
            run_id = _fit(job, runner, report, tell=tell)
        else:
            run_id = _find_lineages(job, job.lineages, report)
    except CancelledError:
        tell(event="cancelled")
    except InputError as error:
        tell(event="failed", message=str(error))
    except MemoryError:
        logger.exception("job %s", job.job_id)
        tell(
            event="failed", message="Memory ran out. Choose fewer variable genes or cells and start it again."
        )
    except Exception as error:  # the worker's border: what is not foreseen must reach the page as a sentence
        logger.exception("job %s", job.job_id)
        what = f"{type(error).__name__}: {error}".split("\n", maxsplit=1)[0]
        tell(
            event="failed",
            message=f"The job stopped with an unexpected error ({what}). The server's log has the details.",
        )
    else:
        tell(event="finished", run_id=run_id)


def _fit(job: Job, runner: Runner | None, report: Reporter, *, tell: Callable[..., None]) -> str:
    import torch
    from dask.system import CPU_COUNT

    from deepvelo import workflow
    from deepvelo.model.checkpoint import Checkpoint

    torch.set_num_threads(CPU_COUNT)  # Dask gives its workers one thread
    store = RunStore(job.store_folder)
    store.require_writable()  # before hours of training, not after
    report.stop_if_cancelled()
    source = job.source
    source.require_preparation(job.settings)
    adata, data_hash = source.load(), source.hash()
    run = runner or workflow.run

    written = False

    def on_save(epoch: int) -> None:
        nonlocal written
        if not written:  # a topic keeps a thousand events: the first one says enough
            tell(event="checkpoint", epoch=epoch)
        written = True

    checkpoint = Checkpoint(
        store.checkpoint(_fit_hash(job, data_hash)),
        on_resume=lambda epoch, _: tell(event="resumed", epoch=epoch),
        on_save=on_save,
    )
    try:
        with store.scratch() as scratch:
            result = run(
                adata,
                job.settings,
                cluster_key=job.cluster_key,
                basis=job.basis,
                prepared=source.is_prepared,
                on_progress=report,
                scratch=scratch,
                checkpoint=checkpoint,
            )
            report.flush()
            report.stop_if_cancelled()
            run_id = store.save(
                result,
                data_name=source.label,
                data_hash=data_hash,
                name=job.name or None,
                purpose=job.purpose,
                base=job.base,
            )
    except CancelledError:
        checkpoint.remove()
        raise
    checkpoint.remove()  # not after other errors: mended, the same fit goes on from there
    return run_id


def _fit_hash(job: Job, data_hash: str) -> str:
    """The same for jobs that do the same training: a fit that is started anew finds what an earlier start has left."""
    decisive = [data_hash, job.source.is_prepared, config.to_dict(job.settings), job.cluster_key, job.basis]
    return hashlib.blake2b(json.dumps(decisive).encode(), digest_size=16).hexdigest()


def _find_lineages(job: Job, settings: LineageSettings, report: Reporter) -> str:
    from deepvelo import lineages

    run = RunStore(job.store_folder).open(job.base)

    def on_stage(stage: Stage) -> None:
        report(Progress(step=stage))

    part = run.part(lineages.LAYERS, with_x=True, on_disk=True)
    found = lineages.analyse(part, settings, on_stage=on_stage)
    report.stop_if_cancelled()
    lineages.save(found, run.folder)
    return job.base


class Reporter:
    """Progress of a fit as events, several epochs in one when epochs are short or many.

    Parameters
    ----------
    tell
        Takes an event as keyword arguments.
    cancelled
        Whether someone asked for an end; asked at every step and epoch.
    """

    def __init__(self, tell: Callable[..., None], *, cancelled: Callable[[], bool]) -> None:
        self._tell = tell
        self._cancelled = cancelled
        self._waiting: list[dict[str, Any]] = []
        self._last_told = 0.0
        self._epoch_told = 0

    def __call__(self, progress: Progress) -> None:
        """Report, or raise `CancelledError`."""
        self.stop_if_cancelled()
        record = dataclasses.asdict(progress)
        record["terms"] = {name: float(value) for name, value in progress.terms.items()}
        self._waiting.append(record | {"time": time.time()})
        if self._epoch_told and progress.step == "train":
            enough = (progress.epoch - self._epoch_told) * MAX_TRAINING_REPORTS >= progress.n_epochs
            if not enough or time.monotonic() - self._last_told < SECONDS_BETWEEN_REPORTS:
                return
        self.flush()
        self._epoch_told = progress.epoch

    def flush(self) -> None:
        """Tell what has waited."""
        if self._waiting:
            self._tell(event="progress", records=self._waiting)
        self._waiting = []
        self._last_told = time.monotonic()

    def stop_if_cancelled(self) -> None:
        """Raise `CancelledError` when someone asked for an end."""
        if self._cancelled():
            self.flush()
            raise CancelledError
