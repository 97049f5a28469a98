"""One fit or lineage analysis as a task on a Dask worker: load, compute, store and report progress.

The worker reports events to the scheduler, where any server can read them. States have their own topic
(`state_topic`), because the scheduler keeps only the newest 1,000 events of a topic and a long training must not
displace them.
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
MAX_TRAINING_REPORTS = 300  # per job, each with several epochs if needed, so that the whole curve is kept
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
    """What to fit and where to store it; small enough to send to any worker."""

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
    """Settings of a lineage analysis of the run ``base``, instead of a fit."""
    owner: str = ""
    """Hash of the visitor who started the job; empty if unknown."""
    owner_name: str = ""
    """Display name of the owner; empty for a visitor without a name."""


_JOB: TypeAdapter[Job] = TypeAdapter(Job)


def to_request(job: Job) -> dict[str, Any]:
    """A job as a JSON-compatible dictionary, for the journal."""
    values: dict[str, Any] = _JOB.dump_python(job, mode="json")
    del values["store_folder"]  # the folder of the journal
    return values


def from_request(values: dict[str, Any], *, store_folder: Path) -> Job | None:
    """A job from the journal of a run store; None if it is damaged or of another version."""
    try:
        return _JOB.validate_python(values | {"store_folder": store_folder})
    except (ValidationError, InputError) as error:
        logger.warning(
            "a job in the journal of %s cannot be read: %s", store_folder, str(error).partition("\n")[0]
        )
        return None


def state_topic(job_id: str) -> str:
    """Topic of a job's states; progress is logged under the job id."""
    return f"{job_id}-state"


def why_given_up(states: Sequence[Mapping[str, Any]]) -> str:
    """Why a job whose worker died is not started again; empty if it is, from its checkpoint if any.

    A job is given up if two starts in a row died and the second got no further than an earlier one, measured by stages
    and checkpoints. Starts that ended with the server or scheduler count separately: `MAX_RESTARTS` of them may get no
    further.

    Parameters
    ----------
    states
        Events so far; each start reports only its first checkpoint.
    """
    reached: list[tuple[int, int]] = []  # per start: number of stages, epoch of the checkpoint
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
    """Run a job on this Dask worker. The outcome is an event, never an exception.

    Parameters
    ----------
    job
        The job.
    runner
        Function with the signature of `deepvelo.workflow.run`, the default.
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
        except OSError:  # an unreachable scheduler must not cost the work done so far
            return False

    try:
        with journal.at_work(job.job_id, cancelled=cancelled):
            # Dask reassigns the task of a dead worker; perhaps only the journal knows its end
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
    """Run the job and report its end; only a `CancelledError` propagates."""
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
    except Exception as error:  # unexpected errors must reach the page as a message
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

    torch.set_num_threads(CPU_COUNT)  # Dask sets one thread per worker
    store = RunStore(job.store_folder)
    store.require_writable()  # before hours of training, not after
    report.stop_if_cancelled()
    source = job.source
    source.require_suitable(job.settings)
    adata, data_hash = source.load_with_hash()
    run = runner or workflow.run

    written = False

    def on_save(epoch: int) -> None:
        nonlocal written
        if not written:  # one event is enough, and a topic keeps a thousand
            tell(event="checkpoint", epoch=epoch)
        written = True

    fit = _fit_hash(job, data_hash)
    tell(event="fit", fit=fit)  # keeps the checkpoint until the job has ended
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
    checkpoint.remove()  # kept after other errors, so that the fit can resume once they are fixed
    return run_id


def _fit_hash(job: Job, data_hash: str) -> str:
    """Hash of everything that decides the training, which names its checkpoint."""
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
    """Report the progress of a fit as events, with several epochs per event if they are short or many.

    Parameters
    ----------
    tell
        Called with an event as keyword arguments.
    cancelled
        Returns whether the job was cancelled; called at every step and epoch.
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
        self._pending.append(record | {"time": time.monotonic()})  # unaffected by changes of the system clock
        if self._epoch_told and progress.step == "train":
            enough = (progress.epoch - self._epoch_told) * MAX_TRAINING_REPORTS >= progress.n_epochs
            if not enough or time.monotonic() - self._last_told < SECONDS_BETWEEN_REPORTS:
                return
        self.flush()
        self._epoch_told = progress.epoch

    def flush(self) -> None:
        """Report all pending records."""
        if self._pending:
            self._tell(event="progress", records=self._pending)
        self._pending = []
        self._last_told = time.monotonic()

    def stop_if_cancelled(self) -> None:
        """Raise `CancelledError` if the job was cancelled."""
        if self._cancelled():
            self.flush()
            raise CancelledError
