"""Background fits on Dask distributed: submit, watch, cancel, find again after a reload or a restart.

The scheduler holds the description of a job as a published data set, and its story as events. The journal in the run
store (`deepvelo.io.journal`) holds the description, the starts and the end: what a new scheduler is told, when this server
or a lab's scheduler was restarted. A Dask scheduler runs what anyone who reaches it sends: one of a lab belongs
behind a firewall or TLS, and this machine's own admits this process and its workers alone (`app.background.cluster`).
"""

from __future__ import annotations

import atexit
import dataclasses
import logging
import math
import re
import secrets
import threading
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path

import cloudpickle
from distributed import CancelledError, Client, Event, Future, KilledWorker

from app.background import resources
from app.background.cluster import LocalWorkers
from app.background.job_status import JobStatus, State, from_events
from app.background.resources import Place, Resources
from deepvelo.config import Settings
from deepvelo.datasets.source import DataSource
from deepvelo.errors import InputError
from deepvelo.io.journal import ENDINGS, Entry, Journal
from deepvelo.io.journal import Event as Told
from deepvelo.io.run import Purpose
from deepvelo.lineages import LineageSettings
from deepvelo.task import (
    Job,
    Runner,
    from_request,
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
CONNECT_SECONDS = 5
RETRY_SECONDS = 10  # a page that asks every second must not wait for the connection every second
WATCH_SECONDS = 5  # how often jobs are looked at while nobody has a page open
KEPT_SECONDS = 24 * 3600  # how long this server tells of an ended job, unless its owner acknowledges it
MOST_ENDED = 100  # jobs that are told of, however often the server is restarted
TO_RESUME = "The worker died; the next free one resumes from the last checkpoint, or starts again."
GIVEN_UP = "Several workers died while they held this job, so the scheduler gave it up. Read their logs, and start it again."
DAMAGED = "What was asked for cannot be read: {path} in the journal of jobs is damaged or of another version. Start it again."
LOST = "The scheduler has lost this job, most likely because it was restarted. Start it again."
NO_WORKER = "No worker is connected to the scheduler yet."


class Jobs:
    """The queue of fits.

    Parameters
    ----------
    scheduler
        Address of a Dask scheduler, such as ``tcp://host:8786``, whose workers see the same files and
        have this package; None starts workers on this machine with the first job.
    store_folder
        Run store for the results.
    n_workers
        How many fits run at once on this machine.
    runner
        What fits; called like `deepvelo.workflow.run`, which is the default.
    """

    def __init__(
        self, scheduler: str | None, store_folder: Path, *, n_workers: int = 1, runner: Runner | None = None
    ) -> None:
        self._store_folder = Path(store_folder).resolve()
        self._journal = Journal(self._store_folder, scheduler)
        self._runner = runner
        self._scheduler = scheduler
        self._local = LocalWorkers(n_workers) if scheduler is None else None
        self._client: Client | None = None
        self._lock = threading.Lock()
        self._refused = -math.inf  # when the scheduler last did not answer
        self._jobs: dict[str, Job] = {}
        self._futures: dict[str, Future] = {}
        self._ended: dict[str, JobStatus] = {}
        self._ended_since: dict[str, float] = {}  # by a clock that nobody sets
        self._scheduler_id = ""  # another one of each start of a scheduler
        self._watcher: threading.Thread | None = None
        self._closed = threading.Event()
        atexit.register(self.close)
        self._journal.take_over()
        if any(status.active for status in self._in_journal()):
            self._keep_watching()  # jobs of a dead server resume without a visitor

    @property
    def here(self) -> bool:
        """Whether jobs run on this machine."""
        return self._scheduler is None

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
        """Queue a fit and return its id; ``purpose``, ``base`` and ``lineages`` as in `deepvelo.task.Job`.

        The same job, by the same name, that waits or runs already is not queued again: its id is returned, whoever
        asked for it.

        Parameters
        ----------
        memory
            Bytes the fit will take, to be asked of the worker; 0 where that is not known.
        owner, owner_name
            Who asks, as in `deepvelo.task.Job`.

        Raises
        ------
        InputError
            The scheduler cannot be reached, none of its workers has what the job needs, or the run store cannot be
            written to.
        """
        with self._journal.alone():  # the second of two clicks waits here for the first
            known = self.list()
            with self._asking() as client:
                workers = self._look(client)
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
                    (status for status in known if status.active and _work(status) == _work(job)), None
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
        """Where a fit would run that takes so many bytes; None for this machine.

        Raises
        ------
        InputError
            The scheduler cannot be reached.
        """
        if self._scheduler is None:
            return None
        with self._asking() as client:
            workers = self._look(client)
        requests = resources.requested(settings, workers, memory=memory)
        return Place(scheduler=self._scheduler, workers=workers, requests=requests)

    def list(self) -> list[JobStatus]:
        """All jobs, in the order they were submitted; old ones are let go.

        Raises
        ------
        InputError
            The scheduler cannot be reached.
        """
        if not self._started:  # asking should not start processes
            ended = self._in_journal()
            if not any(status.active for status in ended):
                return list(ended)
        with self._asking() as client:
            workers = self._look(client)
            known = set(self._jobs)  # before the scheduler's: a job that is submitted meanwhile is in neither
            ids = sorted(str(name) for name in client.list_datasets() if str(name).startswith(PREFIX))
            found = [status for job_id in ids if (status := self._status(client, job_id)) is not None]
            if old := self._old([status for status in found if not status.active]):
                self._release(client, [status.job_id for status in old])
                found = [status for status in found if status not in old]
        for job_id in known - set(ids):  # another server has let them go
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
        """Ask a job to end: at once while it waits, after the present epoch while it trains.

        Nothing of it is stored. A job that has ended stays as it is.

        Raises
        ------
        InputError
            There is no such job, or the scheduler cannot be reached.
        """
        status = self.status(job_id)
        if not status.active:
            return
        with self._asking() as client:
            Event(job_id, client=client).set()  # the worker looks at it in every epoch
            if status.state == "queued":
                self._end(client, job_id, event="cancelled")
            else:  # for who comes later, should the scheduler be lost before the worker has told the end
                self._tell(client, job_id, event="cancelling")

    def forget(self, job_id: str) -> None:
        """Let go of a job whose end was read, for every visitor; one that has not ended stays.

        Raises
        ------
        InputError
            The scheduler cannot be reached.
        """
        if any(status.job_id == job_id and not status.active for status in self.list()):
            if not self._started:
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
        """The waiting or running job that does just this, so that a page can offer it instead."""
        wanted = (source, settings, cluster_key, basis)
        for status in self.list():
            if status.active and (status.source, status.settings, status.cluster_key, status.basis) == wanted:
                return status
        return None

    def close(self) -> None:
        """Let go of the scheduler, and end it if it is this machine's own."""
        atexit.unregister(self.close)
        self._closed.set()
        with self._lock:
            if self._client is not None:
                self._client.close(timeout=CONNECT_SECONDS)
                self._client = None
            if self._local is not None:
                self._local.close()
        self._journal.close()

    @property
    def _started(self) -> bool:
        return self._local is None or self._local.started

    @contextmanager
    def _asking(self) -> Iterator[Client]:
        """A connected client; a connection that cannot be made, or breaks, is one sentence."""
        try:
            yield self._connected()
        except (OSError, ValueError, RuntimeError, ImportError, CancelledError) as error:
            if isinstance(error, InputError):
                raise
            where = self._scheduler or "of this machine"
            logger.warning("no answer from the Dask scheduler %s: %r", where, error)
            msg = f"The Dask scheduler {where} cannot be reached. Check that it runs and that its address is right."
            if self._jobs.keys() - self._ended.keys():
                msg += " Jobs under way go on when it is back."
            raise InputError(msg) from None

    def _connected(self) -> Client:
        with self._lock:
            if self._closed.is_set():
                msg = "closed"
                raise ConnectionError(msg)
            address = self._local.start() if self._local is not None else self._scheduler
            if self._client is not None and self._client.status != "running":
                broken, self._client = self._client, None
                with suppress(TimeoutError):  # nobody is there to say farewell to
                    broken.close(timeout=0)
                self._futures.clear()  # they ended with it
            if self._client is None:
                if time.monotonic() - self._refused < RETRY_SECONDS:
                    msg = "asked a moment ago"
                    raise ConnectionError(msg)
                try:
                    security = self._local.security if self._local is not None else None
                    self._client = Client(
                        address, timeout=CONNECT_SECONDS, set_as_default=False, security=security
                    )
                except TypeError as error:  # TLS without a certificate
                    raise ConnectionError(str(error)) from error
                except BaseException:
                    self._refused = time.monotonic()
                    raise
            return self._client

    def _look(self, client: Client) -> Sequence[Resources]:
        """What each worker declares; and whether the scheduler is still the one that knows our jobs."""
        # not `client.scheduler_info`, which may answer with what it has cached, without the workers
        identity = client.sync(client.scheduler.identity, n_workers=-1)
        if identity["id"] != self._scheduler_id:
            with self._journal.alone():
                if identity["id"] != self._scheduler_id:
                    self._tell_again(client)
                    self._scheduler_id = identity["id"]
        if self._local is not None:  # they need a moment to connect
            return self._local.resources
        return [worker["resources"] for worker in identity["workers"].values()]

    def _tell_again(self, client: Client) -> None:
        """Replay the journal to a new scheduler, and resubmit the jobs that have not ended."""
        self._futures.clear()  # they ended with the previous scheduler
        known = set(client.list_datasets())  # another server replayed them
        for entry in self._journal.entries():
            if entry.job_id in known:
                continue
            job, events = self._described(entry)
            for event in events:
                client.log_event(state_topic(job.job_id), event)
            names = {event["event"] for event in events}
            if not names & set(ENDINGS):
                logger.warning("job %s is sent again: the server or its scheduler was restarted", job.job_id)
                self._tell(client, job.job_id, event="restarted")
                if "cancelling" in names:
                    self._tell(client, job.job_id, event="cancelled")
                elif why := why_given_up([*events, {"event": "restarted"}]):
                    self._tell(client, job.job_id, event="failed", message=why)
                else:
                    self._send(client, job)
                    continue
            client.publish_dataset({job.job_id: job}, override=True)

    def _described(self, entry: Entry) -> tuple[Job, Sequence[Told]]:
        """A job of the journal and what happened to it; one that cannot be read has failed."""
        job = entry.request and from_request(entry.request, store_folder=self._store_folder)
        if job and job.job_id == entry.job_id:
            return job, entry.events
        job = Job(
            job_id=entry.job_id, name=entry.job_id, source=DataSource("sample"), settings=Settings(), cluster_key=None,
            basis=None, store_folder=self._store_folder,
        )  # fmt: skip
        return job, [{"event": "failed", "time": time.time(), "message": DAMAGED.format(path=entry.path)}]

    def _in_journal(self) -> Sequence[JobStatus]:
        """Jobs as the journal knows them: without progress."""
        described = [self._described(entry) for entry in self._journal.entries()]
        return [
            from_events(job, [(event["time"], dict(event)) for event in events], ())
            for job, events in described
        ]

    def _old(self, ended: Sequence[JobStatus]) -> Sequence[JobStatus]:
        """Those that were told of long enough, by a clock that neither jumps nor runs while the machine sleeps."""
        now = time.monotonic()
        return [
            status
            for place, status in enumerate(reversed(ended))
            if now - self._ended_since.setdefault(status.job_id, now) > KEPT_SECONDS or place >= MOST_ENDED
        ]

    def _send(self, client: Client, job: Job) -> None:
        # packed once more: what a worker cannot import then fails this job, not its connection
        packed = cloudpickle.dumps(partial(run_job, job, self._runner))
        future = client.submit(
            lambda work: cloudpickle.loads(work)(),
            packed,
            key=job.job_id,  # sent by two servers at once, it is one task
            pure=False,
            resources=job.requests or None,
        )
        client.publish_dataset({job.job_id: job, TASK + job.job_id: future}, override=True)
        self._jobs[job.job_id], self._futures[job.job_id] = job, future

    def _keep_watching(self) -> None:
        """Look after active jobs until they end, whether or not anyone has a page open."""
        with self._lock:
            if self._watcher is None or not self._watcher.is_alive():
                self._watcher = threading.Thread(target=self._watch, name="jobs", daemon=True)
                self._watcher.start()

    def _watch(self) -> None:
        while not self._closed.is_set():
            with suppress(InputError):  # it may come back
                if not any(status.active for status in self.list()):
                    return
            self._closed.wait(WATCH_SECONDS)

    def _status(self, client: Client, job_id: str) -> JobStatus | None:
        """How a job stands; None if another server lets go of it just now."""
        if job_id in self._ended:
            return self._ended[job_id]
        try:
            if job_id not in self._jobs:
                self._jobs[job_id] = client.get_dataset(job_id)
            return self._read(client, self._jobs[job_id])
        except KeyError:
            return None

    def _read(self, client: Client, job: Job) -> JobStatus:
        status = _story(client, job)
        if status.active and (message := self._why_dead(client, status)):
            # its worker may have told the end in the meantime: that counts
            self._end(client, job.job_id, event="failed", message=message)
            status = _story(client, job)
        if status.active and _left(client, status):
            return dataclasses.replace(status, state="queued", message=TO_RESUME)
        if not status.active:
            self._ended[job.job_id] = status
            self._futures.pop(job.job_id, None)
        return status

    def _release(self, client: Client, job_ids: Iterable[str]) -> None:
        """Free what the scheduler and this process keep of ended jobs."""
        for job_id in job_ids:
            self._journal.remove(job_id)
            client.unpublish_dataset([job_id, TASK + job_id])
            Event(job_id, client=client).clear()
            self._drop(job_id)
            # Dask has no call for this. A lambda travels by value: a lab's scheduler need not have this package
            client.run_on_scheduler(
                lambda topics, dask_scheduler: [dask_scheduler._broker.truncate(topic) for topic in topics],
                [job_id, state_topic(job_id)],
            )

    def _drop(self, job_id: str) -> None:
        for known in (self._jobs, self._futures, self._ended, self._ended_since):
            known.pop(job_id, None)

    def _future(self, client: Client, job_id: str) -> Future:
        future = self._futures.get(job_id)
        if future is None or future.cancelled():  # by a connection that broke and came back, most likely
            self._futures[job_id] = client.get_dataset(TASK + job_id)
        return self._futures[job_id]

    def _why_dead(self, client: Client, status: JobStatus) -> str:
        """The reason when nobody works on an active job any more, else nothing."""
        future = self._future(client, status.job_id)
        if status.given_up and _left(client, status):
            return status.given_up
        if future.status == "error":
            error = future.exception(timeout=CONNECT_SECONDS)
            if isinstance(error, KilledWorker):
                return GIVEN_UP
            logger.error("job %s could not start", status.job_id, exc_info=error)
            what = f"{type(error).__name__}: {error}".split("\n", maxsplit=1)[0]
            return f"The worker could not start this job ({what}). Install the same deepvelo there as on this server."
        return LOST if future.status in ("lost", "cancelled") else ""

    def _end(self, client: Client, job_id: str, **event: str) -> None:
        """Tell the end of a job on behalf of a worker that cannot, and take it off the queue."""
        self._tell(client, job_id, **event)
        client.cancel([self._future(client, job_id)], force=True)

    def _tell(self, client: Client, job_id: str, **event: str) -> None:
        client.log_event(state_topic(job_id), event)
        self._journal.tell(job_id, **event)


def _new_id(known: Sequence[JobStatus]) -> str:
    """An id that sorts behind those before it, even where the clock was set back."""
    latest = max(
        (int(status.job_id.removeprefix(PREFIX)[:13]) for status in known if _ID.match(status.job_id)),
        default=0,
    )
    return f"{PREFIX}{max(int(time.time() * 1000), latest + 1):013d}-{secrets.token_hex(3)}"


def _work(job: Job | JobStatus) -> tuple[object, ...]:
    """All that was asked for, whoever asked."""
    name = job.name or job.source.label
    data = (job.source, job.settings, job.cluster_key, job.basis, job.purpose, job.base, job.lineages)
    return name, job.requests, *data


def _left(client: Client, status: JobStatus) -> bool:
    """Whether the worker that began a job is there no more."""
    return status.worker is not None and status.worker not in client.nthreads()


def _waits_for(status: JobStatus, workers: Sequence[Resources]) -> str:
    return resources.problem(status.requests, workers) if workers else NO_WORKER


def _story(client: Client, job: Job) -> JobStatus:
    # first the state: an end that is read has all its progress before it
    told = client.get_events(state_topic(job.job_id))
    states = [(event.get("time", when), event) for when, event in told]
    return from_events(job, states, client.get_events(job.job_id) if states else ())
