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
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import TypeAdapter, ValidationError

from deepvelo import config
from deepvelo.config import Settings
from deepvelo.datasets.source import DataSource
from deepvelo.errors import CancelledError, InputError
from deepvelo.io.journal import ENDINGS, Journal
from deepvelo.io.run import Purpose
from deepvelo.io.runs import RunStore
from deepvelo.lineages import LineageSettings
from deepvelo.result import Progress

if TYPE_CHECKING:
    from deepvelo.lineages import Stage
    from deepvelo.result import Result

logger = logging.getLogger(__name__)

Runner = Callable[..., "Result"]

SECONDS_BETWEEN_REPORTS = 0.1
MAX_TRAINING_REPORTS = 300  # of one job, several epochs in each if need be: the whole curve must be kept
MAX_RESTARTS = 3
WORKER_DIED = (
    "The worker process died twice during this job and got no further the second time, most likely because memory "
    "ran out. Choose fewer variable genes or cells, close other programs, and start it again."
)
TOO_MANY_RESTARTS = (
    f"The server or its scheduler was restarted more than {MAX_RESTARTS} times while this job got no further. "
    "Find out why, and start it again."
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
    requests: dict[str, float] = field(default_factory=dict)
    """Dask worker resources that the worker must have."""
    lineages: LineageSettings | None = None
    """Instead of fitting, find the lineages of run ``base`` and store them beside it."""
    owner: str = ""
    """Who asked for it, as a hash; empty where nobody knows."""
    owner_name: str = ""
    """What others are shown of who asked; empty for a visitor without a name."""


_JOB: TypeAdapter[Job] = TypeAdapter(Job)


def to_request(job: Job) -> dict[str, Any]:
    """A job as JSON holds it, for the journal."""
    values: dict[str, Any] = _JOB.dump_python(job, mode="json")
    del values["store_folder"]  # where the journal lies
    return values


def from_request(values: dict[str, Any], *, store_folder: Path) -> Job | None:
    """A job from the journal of a run store; None where it is damaged or of another version."""
    try:
        return _JOB.validate_python(values | {"store_folder": store_folder})
    except (ValidationError, InputError) as error:
        logger.warning(
            "a job in the journal of %s cannot be read: %s", store_folder, str(error).partition("\n")[0]
        )
        return None


def state_topic(job_id: str) -> str:
    """Topic of a job's start and end; its progress is told under the bare id."""
    return f"{job_id}-state"


def why_given_up(states: Sequence[Mapping[str, Any]]) -> str:
    """Why a job whose worker is gone does not start again, in a sentence; empty if it does, from its checkpoint if any.

    The rule: a job is given up when two starts in a row ended without a word and the second got no further than one
    before it, by stages and checkpoints. A start that ended with the server or the scheduler counts apart: only
    `MAX_RESTARTS` of these may get no further.

    Parameters
    ----------
    states
        What happened so far; of the checkpoints of a start the first is told.
    """
    reached: list[tuple[int, int]] = []  # by each start: how many stages, and the epoch of its checkpoint
    with_server: list[bool] = []
    for event in states:
        match event["event"]:
            case "started":
                reached.append((0, 0))
                with_server.append(False)
            case "stage" if reached:
                reached[-1] = (reached[-1][0] + 1, 0)
            case "checkpoint" if reached:
                reached[-1] = (reached[-1][0], event.get("epoch", 0))
            case "restarted" if reached:
                with_server[-1] = True
    furthest = reached.index(max(reached)) if reached else 0
    since = with_server[furthest:]
    if since.count(False) > 1:
        return WORKER_DIED
    return TOO_MANY_RESTARTS if since.count(True) > MAX_RESTARTS else ""


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

    worker, journal = get_worker(), Journal(job.store_folder)
    stage = ""

    def tell(**event: Any) -> None:
        nonlocal stage
        if event["event"] != "progress":
            worker.log_event(state_topic(job.job_id), event)
            journal.tell(job.job_id, **event)
            return
        for record in event["records"]:
            if record["step"] != stage:
                stage = record["step"]
                tell(event="stage", stage=stage)
        worker.log_event(job.job_id, event)

    def cancelled() -> bool:
        try:
            return bool(Event(job.job_id).is_set())
        except OSError:  # a scheduler that is asleep or away: no reason to lose what was done
            return False

    try:
        with journal.at_work(job.job_id, cancelled=cancelled):
            # Dask gives the task of a dead worker to the next one; an end may be known to the journal alone.
            entry = journal.entry(job.job_id)
            reported = [event for _, event in get_client().get_events(state_topic(job.job_id))]
            earlier = entry.events if entry is not None and entry.request is not None else reported
            if any(event["event"] in ENDINGS for event in reported):
                return
            if ending := next((event for event in earlier if event["event"] in ENDINGS), None):
                worker.log_event(state_topic(job.job_id), ending)
            elif stored := RunStore(job.store_folder).run_of_job(job.job_id):
                tell(event="finished", run_id=stored.run_id)
            elif why := why_given_up(earlier):
                tell(event="failed", message=why)
            else:
                tell(event="started", worker=worker.address)
                _do(job, runner, tell=tell, cancelled=cancelled)
    except CancelledError:
        tell(event="cancelled")


def _do(job: Job, runner: Runner | None, *, tell: Callable[..., None], cancelled: Callable[[], bool]) -> None:
    """Do the job and tell how it ended; only a `CancelledError` is passed on."""
    report = Reporter(tell, cancelled=cancelled)
    try:
        if job.lineages is None:
            run_id = _fit(job, runner, report, tell=tell)
        else:
            run_id = _find_lineages(job, job.lineages, report)
    except CancelledError:
        raise
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
    from deepvelo.model.large_data.checkpoint import Checkpoint

    torch.set_num_threads(CPU_COUNT)  # Dask gives its workers one thread
    store = RunStore(job.store_folder)
    store.require_writable()  # before hours of training, not after
    report.stop_if_cancelled()
    source = job.source
    source.require_preparation(job.settings)
    adata, data_hash = source.load_with_hash()
    run = runner or workflow.run

    written = False

    def on_save(epoch: int) -> None:
        nonlocal written
        if not written:  # a topic keeps a thousand events: the first one says enough
            tell(event="checkpoint", epoch=epoch)
        written = True

    fit = _fit_hash(job, data_hash)
    tell(event="fit", fit=fit)  # its checkpoint is kept until the job has ended
    checkpoint = Checkpoint(
        store.checkpoint(fit),
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
                job=job.job_id,
                owner=job.owner,
                owner_name=job.owner_name,
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
        self._pending: list[dict[str, Any]] = []
        self._last_told = 0.0
        self._epoch_told = 0

    def __call__(self, progress: Progress) -> None:
        """Report, or raise `CancelledError`."""
        self.stop_if_cancelled()
        record = dataclasses.asdict(progress)
        record["terms"] = {name: float(value) for name, value in progress.terms.items()}
        self._pending.append(record | {"time": time.monotonic()})  # the clock may be set meanwhile
        if self._epoch_told and progress.step == "train":
            enough = (progress.epoch - self._epoch_told) * MAX_TRAINING_REPORTS >= progress.n_epochs
            if not enough or time.monotonic() - self._last_told < SECONDS_BETWEEN_REPORTS:
                return
        self.flush()
        self._epoch_told = progress.epoch

    def flush(self) -> None:
        """Tell what has waited."""
        if self._pending:
            self._tell(event="progress", records=self._pending)
        self._pending = []
        self._last_told = time.monotonic()

    def stop_if_cancelled(self) -> None:
        """Raise `CancelledError` when someone asked for an end."""
        if self._cancelled():
            self.flush()
            raise CancelledError
