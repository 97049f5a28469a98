"""The queue of background jobs on Dask distributed: submit, follow, cancel, restore after a restart.

The scheduler holds the description of a job as a published data set, and its history as events. The journal in the run
store (`deepvelo.io.journal`) holds the description, the starts and the end; after a restart of this server or of a lab's
scheduler they are replayed. A Dask scheduler runs code of anyone who can reach it: protect that of a lab by TLS or a
firewall; the one in this process admits only this process and its workers (`app.background.cluster`).
"""

from __future__ import annotations

import atexit
import dataclasses
import logging
import re
import secrets
import threading
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path

import cloudpickle
from distributed import Client, Event, Future, KilledWorker

from app.background import resources
from app.background.connection import CONNECT_SECONDS, Connection, Unreachable
from app.background.job_status import JobStatus, State, described, from_events
from app.background.resources import Place, Resources
from deepvelo.config import Settings
from deepvelo.datasets.source import DataSource
from deepvelo.errors import InputError
from deepvelo.io.journal import ENDINGS, Journal
from deepvelo.io.run import Purpose
from deepvelo.lineages import LineageSettings
from deepvelo.task import (
    Job,
    Runner,
    run_job,
    state_topic,
    to_request,
    why_given_up,
)

__all__ = ["JobStatus", "Jobs", "State"]

logger = logging.getLogger(__name__)

PREFIX = "deepvelo-fit-"
_ID = re.compile(rf"{PREFIX}\d{{13}}-")
TASK = "task-of-"
WATCH_SECONDS = 5  # between looks at active jobs while no page is open
KEPT_SECONDS = 24 * 3600  # how long ended jobs are listed, unless their owner dismisses them
MOST_ENDED = 100  # ended jobs that are listed
TO_RESUME = "The worker died; the next free worker resumes from the last checkpoint."
GIVEN_UP = "Several workers died while they held this job, so the scheduler failed it. Read their logs, and start it again."
LOST = "The scheduler lost this job, most likely because it was restarted. Start it again."
NO_WORKER = "No worker is connected to the scheduler yet."


class Jobs:
    """The queue of jobs of a run store.

    Parameters
    ----------
    scheduler
        Address of a Dask scheduler, such as ``tcp://host:8786``, whose workers see the same files and
        have this package; None starts workers on this machine at the first job.
    store_folder
        Run store for the results.
    n_workers
        Number of parallel fits on this machine.
    runner
        Function that fits; by default `deepvelo.workflow.run`.
    """

    def __init__(
        self, scheduler: str | None, store_folder: Path, *, n_workers: int = 1, runner: Runner | None = None
    ) -> None:
        self._store_folder = Path(store_folder).resolve()
        self._journal = Journal(self._store_folder, scheduler)
        self._runner = runner
        self._jobs: dict[str, Job] = {}
        self._futures: dict[str, Future] = {}  # end with the connection
        self._connection = Connection(scheduler, n_workers=n_workers, on_lost=self._futures.clear)
        self._lock = threading.Lock()
        self._ended: dict[str, JobStatus] = {}
        self._ended_since: dict[str, float] = {}  # monotonic
        self._scheduler_id = ""  # changes with each start of a scheduler
        self._watcher: threading.Thread | None = None
        self._closed = threading.Event()
        atexit.register(self.close)
        self._journal.take_over()
        if any(status.active for status in self._in_journal()):
            self._keep_watching()  # jobs of a dead server resume without a visit

    @property
    def here(self) -> bool:
        """Whether jobs run on this machine."""
        return self._connection.address is None

    def submit(
        self,
        source: DataSource,
        settings: Settings,
        *,
        cluster_key: str | None = None,
        basis: str | None = None,
        name: str = "",
        purpose: Purpose = "fit",
        base: str = "",
        lineages: LineageSettings | None = None,
        memory: int = 0,
        owner: str = "",
        owner_name: str = "",
    ) -> str:
        """Queue a job and return its id; ``purpose``, ``base`` and ``lineages`` as in `deepvelo.task.Job`.

        An equal job that is queued or running is not queued again: its id is returned, whoever owns it.

        Parameters
        ----------
        memory
            Bytes of the fit, requested of the worker; 0 if unknown.
        owner, owner_name
            As in `deepvelo.task.Job`.

        Raises
        ------
        InputError
            The scheduler cannot be reached, none of its workers has the resources, or the run store is not writable.
        """
        with self._journal.alone():  # a second click waits here for the first
            known = self.list()
            with self._asking() as client:
                workers = self._workers(client)
                requests = (
                    {} if lineages is not None else resources.requested(settings, workers, memory=memory)
                )
                if problem := resources.problem(requests, workers):
                    raise InputError(problem)
                job = Job(
                    job_id=_new_id(known),
                    name=name,
                    source=source,
                    settings=settings,
                    cluster_key=cluster_key,
                    basis=basis,
                    store_folder=self._store_folder,
                    purpose=purpose,
                    base=base,
                    lineages=lineages,
                    requests=requests,
                    owner=owner,
                    owner_name=owner_name,
                )
                same = next(
                    (status for status in known if status.active and _request(status) == _request(job)), None
                )
                if same is not None:
                    return same.job_id
                self._journal.add(job.job_id, to_request(job))
                try:
                    self._send(client, job)
                except BaseException:
                    self._journal.remove(job.job_id)
                    raise
        self._keep_watching()
        return job.job_id

    def place(self, settings: Settings, *, memory: int) -> Place | None:
        """Scheduler and workers for a fit of this size; None for this machine.

        Raises
        ------
        InputError
            The scheduler cannot be reached.
        """
        if self._connection.address is None:
            return None
        with self._asking() as client:
            workers = self._workers(client)
        requests = resources.requested(settings, workers, memory=memory)
        return Place(scheduler=self._connection.address, workers=workers, requests=requests)

    def list(self) -> list[JobStatus]:
        """All jobs, in the order of submission; old ones are dropped.

        Raises
        ------
        InputError
            The scheduler cannot be reached.
        """
        if not self._connection.started:  # listing must not start processes
            ended = self._in_journal()
            if not any(status.active for status in ended):
                return list(ended)
        with self._asking() as client:
            workers = self._workers(client)
            known = set(
                self._jobs
            )  # read before the scheduler's list, so that a job submitted meanwhile is in neither
            ids = sorted(str(name) for name in client.list_datasets() if str(name).startswith(PREFIX))
            found = [status for job_id in ids if (status := self._status(client, job_id)) is not None]
            if old := self._old([status for status in found if not status.active]):
                self._release(client, [status.job_id for status in old])
                found = [status for status in found if status not in old]
        for job_id in known - set(ids):  # another server dropped them
            self._drop(job_id)
        if any(status.active for status in found):
            self._keep_watching()
        queue = [status.job_id for status in found if status.state == "queued"]
        return [
            dataclasses.replace(
                status,
                queue_position=queue.index(status.job_id) + 1,
                message=f"{status.message} {_waits_for(status, workers)}".strip(),
            )
            if status.state == "queued"
            else status
            for status in found
        ]

    def status(self, job_id: str) -> JobStatus:
        """One job.

        Raises
        ------
        InputError
            There is no such job, or the scheduler cannot be reached.
        """
        for status in self.list():
            if status.job_id == job_id:
                return status
        msg = f"There is no job {job_id[:100]!r}; the server may have been restarted. Train again."
        raise InputError(msg)

    def cancel(self, job_id: str) -> None:
        """Cancel a job: at once while it is queued, after the current epoch while it trains.

        No result is stored. Ended jobs stay as they are.

        Raises
        ------
        InputError
            There is no such job, or the scheduler cannot be reached.
        """
        status = self.status(job_id)
        if not status.active:
            return
        with self._asking() as client:
            Event(job_id, client=client).set()  # the worker checks it in every epoch
            if status.state == "queued":
                self._end(client, job_id, event="cancelled")
            else:  # in case the scheduler is lost before the worker reports the end
                self._log(client, job_id, event="cancelling")

    def forget(self, job_id: str) -> None:
        """Drop an ended job for all visitors; active jobs stay.

        Raises
        ------
        InputError
            The scheduler cannot be reached.
        """
        if any(status.job_id == job_id and not status.active for status in self.list()):
            if not self._connection.started:
                self._journal.remove(job_id)
                return
            with self._asking() as client:
                self._release(client, [job_id])

    def same(
        self,
        source: DataSource,
        settings: Settings,
        *,
        cluster_key: str | None = None,
        basis: str | None = None,
    ) -> JobStatus | None:
        """The queued or running job with the same request; None if there is none."""
        wanted = (source, settings, cluster_key, basis)
        for status in self.list():
            if status.active and (status.source, status.settings, status.cluster_key, status.basis) == wanted:
                return status
        return None

    def close(self) -> None:
        """Disconnect, and end a scheduler of this process."""
        atexit.unregister(self.close)
        self._closed.set()
        self._connection.close()
        self._journal.close()

    @contextmanager
    def _asking(self) -> Iterator[Client]:
        """A connected client; without a connection the error says that running jobs continue."""
        try:
            with self._connection.asking() as client:
                yield client
        except Unreachable as error:
            if self._jobs.keys() - self._ended.keys():
                msg = f"{error} Running jobs continue when it is back."
                raise InputError(msg) from None
            raise

    def _workers(self, client: Client) -> Sequence[Resources]:
        """Resources of each worker; replays the journal to a scheduler that is new."""
        # `client.scheduler_info` may return a cached answer without workers
        identity = client.sync(client.scheduler.identity, n_workers=-1)
        if identity["id"] != self._scheduler_id:
            with self._journal.alone():
                if identity["id"] != self._scheduler_id:
                    self._replay(client)
                    self._scheduler_id = identity["id"]
        return self._connection.resources(identity)

    def _replay(self, client: Client) -> None:
        """Replay the journal to a new scheduler, and resubmit the jobs that have not ended."""
        self._futures.clear()  # they belong to the previous scheduler
        known = set(client.list_datasets())  # replayed by another server
        for entry in self._journal.entries():
            if entry.job_id in known:
                continue
            job, events = described(entry, store_folder=self._store_folder)
            for event in events:
                client.log_event(state_topic(job.job_id), event)
            names = {event["event"] for event in events}
            if not names & set(ENDINGS):
                logger.warning(
                    "job %s is submitted again: the server or its scheduler was restarted", job.job_id
                )
                self._log(client, job.job_id, event="restarted")
                if "cancelling" in names:
                    self._log(client, job.job_id, event="cancelled")
                elif why := why_given_up([*events, {"event": "restarted"}]):
                    self._log(client, job.job_id, event="failed", message=why)
                else:
                    self._send(client, job)
                    continue
            client.publish_dataset({job.job_id: job}, override=True)

    def _in_journal(self) -> Sequence[JobStatus]:
        """Jobs in the journal, without progress."""
        found = [described(entry, store_folder=self._store_folder) for entry in self._journal.entries()]
        return [
            from_events(job, [(event["time"], dict(event)) for event in events], ()) for job, events in found
        ]

    def _old(self, ended: Sequence[JobStatus]) -> Sequence[JobStatus]:
        """Jobs that ended long enough ago, by a clock that ignores sleep and changes of the time."""
        now = time.monotonic()
        return [
            status
            for position, status in enumerate(reversed(ended))
            if now - self._ended_since.setdefault(status.job_id, now) > KEPT_SECONDS or position >= MOST_ENDED
        ]

    def _send(self, client: Client, job: Job) -> None:
        # pickled here, so that a failed import on the worker fails the job and not its connection
        pickled = cloudpickle.dumps(partial(run_job, job, self._runner))
        future = client.submit(
            lambda pickled: cloudpickle.loads(pickled)(),
            pickled,
            key=job.job_id,  # one task, even if two servers submit it
            pure=False,
            resources=job.requests or None,
        )
        client.publish_dataset({job.job_id: job, TASK + job.job_id: future}, override=True)
        self._jobs[job.job_id], self._futures[job.job_id] = job, future

    def _keep_watching(self) -> None:
        """Follow active jobs until they end, even if no page is open."""
        with self._lock:
            if self._watcher is None or not self._watcher.is_alive():
                self._watcher = threading.Thread(target=self._watch, name="jobs", daemon=True)
                self._watcher.start()

    def _watch(self) -> None:
        while not self._closed.is_set():
            with suppress(InputError):  # the scheduler may come back
                if not any(status.active for status in self.list()):
                    return
            self._closed.wait(WATCH_SECONDS)

    def _status(self, client: Client, job_id: str) -> JobStatus | None:
        """State of a job; None if another server has just dropped it."""
        if job_id in self._ended:
            return self._ended[job_id]
        try:
            if job_id not in self._jobs:
                self._jobs[job_id] = client.get_dataset(job_id)
            return self._read(client, self._jobs[job_id])
        except KeyError:
            return None

    def _read(self, client: Client, job: Job) -> JobStatus:
        status = _read_events(client, job)
        if status.active and (message := self._why_dead(client, status)):
            # an end that its worker reported meanwhile takes precedence
            self._end(client, job.job_id, event="failed", message=message)
            status = _read_events(client, job)
        if status.active and _worker_is_gone(client, status):
            return dataclasses.replace(status, state="queued", message=TO_RESUME)
        if not status.active:
            self._ended[job.job_id] = status
            self._futures.pop(job.job_id, None)
        return status

    def _release(self, client: Client, job_ids: Iterable[str]) -> None:
        """Free what the scheduler, the journal and this process hold of ended jobs."""
        for job_id in job_ids:
            self._journal.remove(job_id)
            client.unpublish_dataset([job_id, TASK + job_id])
            Event(job_id, client=client).clear()
            self._drop(job_id)
            # Dask has no call for this. Lambdas are pickled by value, so a lab's scheduler does not need this package
            client.run_on_scheduler(
                lambda topics, dask_scheduler: [dask_scheduler._broker.truncate(topic) for topic in topics],
                [job_id, state_topic(job_id)],
            )

    def _drop(self, job_id: str) -> None:
        for known in (self._jobs, self._futures, self._ended, self._ended_since):
            known.pop(job_id, None)

    def _future(self, client: Client, job_id: str) -> Future:
        future = self._futures.get(job_id)
        if future is None or future.cancelled():  # most likely by a reconnection
            self._futures[job_id] = client.get_dataset(TASK + job_id)
        return self._futures[job_id]

    def _why_dead(self, client: Client, status: JobStatus) -> str:
        """The reason why no worker can finish an active job; empty if one can."""
        future = self._future(client, status.job_id)
        if status.given_up and _worker_is_gone(client, status):
            return status.given_up
        if future.status == "error":
            error = future.exception(timeout=CONNECT_SECONDS)
            if isinstance(error, KilledWorker):
                return GIVEN_UP
            logger.error("job %s could not start", status.job_id, exc_info=error)
            what = f"{type(error).__name__}: {error}".split("\n", maxsplit=1)[0]
            return f"The worker could not start this job ({what}). Install the same version of deepvelo there as on this server."
        return LOST if future.status in ("lost", "cancelled") else ""

    def _end(self, client: Client, job_id: str, **event: str) -> None:
        """Report the end of a job for its worker, and remove it from the queue."""
        self._log(client, job_id, **event)
        client.cancel([self._future(client, job_id)], force=True)

    def _log(self, client: Client, job_id: str, **event: str) -> None:
        client.log_event(state_topic(job_id), event)
        self._journal.tell(job_id, **event)


def _new_id(known: Sequence[JobStatus]) -> str:
    """An id that sorts after all known ones, even if the clock was set back."""
    latest = max(
        (int(status.job_id.removeprefix(PREFIX)[:13]) for status in known if _ID.match(status.job_id)),
        default=0,
    )
    return f"{PREFIX}{max(int(time.time() * 1000), latest + 1):013d}-{secrets.token_hex(3)}"


def _request(job: Job | JobStatus) -> tuple[object, ...]:
    """All that was requested, without the owner."""
    name = job.name or job.source.label
    data = (job.source, job.settings, job.cluster_key, job.basis, job.purpose, job.base, job.lineages)
    return name, job.requests, *data


def _worker_is_gone(client: Client, status: JobStatus) -> bool:
    """Whether the worker that started the job is gone."""
    return status.worker is not None and status.worker not in client.nthreads()


def _waits_for(status: JobStatus, workers: Sequence[Resources]) -> str:
    return resources.problem(status.requests, workers) if workers else NO_WORKER


def _read_events(client: Client, job: Job) -> JobStatus:
    # states before progress, so that an end is read with all its progress
    found = client.get_events(state_topic(job.job_id))
    states = [(event.get("time", when), event) for when, event in found]
    return from_events(job, states, client.get_events(job.job_id) if states else ())
