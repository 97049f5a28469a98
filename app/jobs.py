"""Background fits on Dask distributed: submit, watch, cancel, find again after a reload or a restart.

Everything known of a job lives on the scheduler: its description as a published data set, its story as
events. This process only asks; what it has heard it tells a scheduler that was restarted and has lost its jobs, which
then start again. A Dask scheduler runs what anyone who reaches it sends: one of a lab belongs
behind a firewall or TLS, and this machine's own listens on the loopback address, to all its users.
"""

from __future__ import annotations

import atexit
import dataclasses
import logging
import math
import secrets
import threading
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path

import cloudpickle
from distributed import CancelledError, Client, Event, Future, KilledWorker

from app import resources
from app.cluster import LocalWorkers
from app.job_status import JobStatus, State, from_events
from app.resources import Place, Resources
from deepvelo.config import Settings
from deepvelo.datasets.source import DataSource
from deepvelo.errors import InputError
from deepvelo.io.run import Purpose
from deepvelo.lineages import LineageSettings
from deepvelo.task import DIED, Job, Runner, run_job, state_topic

__all__ = ["JobStatus", "Jobs", "State"]

logger = logging.getLogger(__name__)

PREFIX = "deepvelo-fit-"
TASK = "task-of-"
CONNECT_SECONDS = 5
RETRY_SECONDS = 10  # a page that asks every second must not wait for the connection every second
WATCH_SECONDS = 5  # how often jobs on a lab's scheduler are looked at while nobody has a page open
MOST_RESTARTS = 3  # of one job: it may be what ends the scheduler
KEPT_SECONDS = 24 * 3600  # how long an ended job is told of, unless someone acknowledges it
TO_GO_ON = "The worker died; the next one that is free goes on from the last checkpoint."
LOST = "The scheduler has lost this job, most likely because it was restarted. Start it again."
TOO_OFTEN = f"The scheduler was restarted more than {MOST_RESTARTS} times during this job. Find out why, and start it again."
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
        self._runner = runner
        self._scheduler = scheduler
        self._local = LocalWorkers(n_workers) if scheduler is None else None
        self._client: Client | None = None
        self._lock = threading.Lock()
        self._refused = -math.inf  # when the scheduler last did not answer
        self._jobs: dict[str, Job] = {}
        self._futures: dict[str, Future] = {}
        self._ended: dict[str, JobStatus] = {}
        self._cancelled: set[str] = set()  # asked to end, but maybe still at it
        self._scheduler_id = ""  # another one of each start of a scheduler
        self._catching_up = threading.Lock()
        self._watcher: threading.Thread | None = None
        self._closed = threading.Event()
        atexit.register(self.close)

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
    ) -> str:
        """Queue a fit and return its id; ``purpose``, ``base`` and ``lineages`` as in `deepvelo.task.Job`.

        Parameters
        ----------
        memory
            Bytes the fit will take, to be asked of the worker; 0 where that is not known.

        Raises
        ------
        InputError
            The scheduler cannot be reached, or none of its workers has what the job needs.
        """
        submitted = time.time()
        with self._asking() as client:
            workers = self._look(client)
            asks = {} if lineages is not None else resources.asked(settings, workers, memory=memory)
            if problem := resources.problem(asks, workers):
                raise InputError(problem)
            job = Job(
                job_id=f"{PREFIX}{int(submitted * 1000):013d}-{secrets.token_hex(3)}",
                name=name,
                source=source,
                settings=settings,
                cluster_key=cluster_key,
                basis=basis,
                store_folder=self._store_folder,
                purpose=purpose,
                base=base,
                lineages=lineages,
                asks=asks,
            )
            self._send(client, job)
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
        asks = resources.asked(settings, workers, memory=memory)
        return Place(scheduler=self._scheduler, workers=workers, asks=asks)

    def list(self) -> list[JobStatus]:
        """All jobs the scheduler knows, in the order they were submitted; old ones are let go.

        Raises
        ------
        InputError
            The scheduler cannot be reached.
        """
        if self._local is not None and not self._local.started:
            return []  # nothing was submitted yet, and asking should not start processes
        with self._asking() as client:
            workers = self._look(client)
            known = set(self._jobs)  # before the scheduler's: a job that is submitted meanwhile is in neither
            ids = sorted(str(name) for name in client.list_datasets() if str(name).startswith(PREFIX))
            found = [status for job_id in ids if (status := self._status(client, job_id)) is not None]
            old = [status for status in found if status.ended and time.time() - status.ended > KEPT_SECONDS]
            if old:
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
        self._cancelled.add(job_id)
        with self._asking() as client:
            Event(job_id, client=client).set()  # the worker looks at it in every epoch
            if status.state == "queued":
                self._end(client, job_id, {"event": "cancelled"})
            else:  # for other servers to know, should the scheduler be lost before the worker has told the end
                client.log_event(state_topic(job_id), {"event": "cancelling"})

    def forget(self, job_id: str) -> None:
        """Let go of a job whose end was read, for every visitor; one that has not ended stays.

        Raises
        ------
        InputError
            The scheduler cannot be reached.
        """
        if any(status.job_id == job_id and not status.active for status in self.list()):
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
                    self._client = Client(address, timeout=CONNECT_SECONDS, set_as_default=False)
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
        with self._catching_up:
            if self._scheduler_id not in ("", identity["id"]):
                self._tell_again(client)
            self._scheduler_id = identity["id"]
        if self._local is not None:  # they need a moment to connect
            return self._local.resources
        return [worker["resources"] for worker in identity["workers"].values()]

    def _tell_again(self, client: Client) -> None:
        """Start again what a restarted scheduler has lost, and tell it how other jobs have ended."""
        logger.warning("the Dask scheduler %s was restarted", self._scheduler)
        self._futures.clear()  # they ended with it
        known = set(client.list_datasets())  # by another server that has noticed before
        for job_id in sorted(self._jobs):
            job, ending = self._jobs[job_id], self._ending(job_id)
            if job_id in known:
                if ending is not None:  # the other may not have known of it, and sent the job again
                    Event(job_id, client=client).set()
                    with suppress(KeyError):
                        self._end(client, job_id, ending)
                self._drop(job_id)  # to be read anew
                continue
            if ending is None and job.restarts >= MOST_RESTARTS:
                ending = {"event": "failed", "message": TOO_OFTEN}
            if ending is None:
                self._send(client, dataclasses.replace(job, restarts=job.restarts + 1))
            else:
                client.log_event(state_topic(job_id), ending)
                client.publish_dataset({job_id: job}, override=True)

    def _ending(self, job_id: str) -> dict[str, str | None] | None:
        """How a job has ended, or will since someone asked for its end; None of one that goes on."""
        if (ended := self._ended.get(job_id)) is not None:
            return {"event": ended.state, "run_id": ended.run_id, "message": ended.message}
        return {"event": "cancelled"} if job_id in self._cancelled else None

    def _send(self, client: Client, job: Job) -> None:
        # packed once more: what a worker cannot import then fails this job, not its connection
        packed = cloudpickle.dumps(partial(run_job, job, self._runner))
        future = client.submit(
            lambda work: cloudpickle.loads(work)(),
            packed,
            key=job.job_id,  # sent by two servers at once, it is one task
            pure=False,
            resources=job.asks or None,
        )
        client.publish_dataset({job.job_id: job, TASK + job.job_id: future}, override=True)
        self._jobs[job.job_id], self._futures[job.job_id] = job, future

    def _keep_watching(self) -> None:
        """Look after active jobs on a lab's scheduler until they end, whether or not anyone has a page open."""
        with self._lock:
            if self._local is None and (self._watcher is None or not self._watcher.is_alive()):
                self._watcher = threading.Thread(target=self._watch, name="jobs", daemon=True)
                self._watcher.start()

    def _watch(self) -> None:
        while not self._closed.wait(WATCH_SECONDS):
            try:
                if not any(status.active for status in self.list()):
                    return
            except InputError:  # it may come back
                continue

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
        job_id = job.job_id
        status = _story(client, job)
        if status.cancelling:
            self._cancelled.add(job_id)
        if status.active and (message := self._why_dead(client, status)):
            # its worker may have told the end in the meantime: that counts
            self._end(client, job_id, {"event": "failed", "message": message})
            status = _story(client, job)
        if status.goes_on and _left(client, status):
            return dataclasses.replace(status, state="queued", message=TO_GO_ON)
        if not status.active:
            self._ended[job_id] = status
            self._futures.pop(job_id, None)
        return status

    def _release(self, client: Client, job_ids: Iterable[str]) -> None:
        """Free what the scheduler and this process keep of ended jobs."""
        for job_id in job_ids:
            client.unpublish_dataset([job_id, TASK + job_id])
            Event(job_id, client=client).clear()
            self._drop(job_id)
            # Dask has no call for this. A lambda travels by value: a lab's scheduler need not have this package
            client.run_on_scheduler(
                lambda topics, dask_scheduler: [dask_scheduler._broker.truncate(topic) for topic in topics],
                [job_id, state_topic(job_id)],
            )

    def _drop(self, job_id: str) -> None:
        for known in (self._jobs, self._futures, self._ended):
            known.pop(job_id, None)
        self._cancelled.discard(job_id)

    def _future(self, client: Client, job_id: str) -> Future:
        future = self._futures.get(job_id)
        if future is None or future.cancelled():  # by a connection that broke and came back, most likely
            self._futures[job_id] = client.get_dataset(TASK + job_id)
        return self._futures[job_id]

    def _why_dead(self, client: Client, status: JobStatus) -> str:
        """The reason when nobody works on an active job any more, else nothing."""
        future = self._future(client, status.job_id)
        if _left(client, status) and not status.goes_on:
            return DIED
        if future.status == "error":
            error = future.exception(timeout=CONNECT_SECONDS)
            if isinstance(error, KilledWorker):
                return DIED
            logger.error("job %s could not start", status.job_id, exc_info=error)
            what = f"{type(error).__name__}: {error}".split("\n", maxsplit=1)[0]
            return f"The worker could not start this job ({what}). Install the same deepvelo there as on this server."
        return LOST if future.status in ("lost", "cancelled") else ""

    def _end(self, client: Client, job_id: str, event: Mapping[str, str | None]) -> None:
        """Tell the end of a job on behalf of a worker that cannot, and take it off the queue."""
        client.log_event(state_topic(job_id), dict(event))
        client.cancel([self._future(client, job_id)], force=True)


def _left(client: Client, status: JobStatus) -> bool:
    """Whether the worker that began a job is there no more."""
    return status.worker is not None and status.worker not in client.nthreads()


def _waits_for(status: JobStatus, workers: Sequence[Resources]) -> str:
    return resources.problem(status.asks, workers) if workers else NO_WORKER


def _story(client: Client, job: Job) -> JobStatus:
    # first the state: an end that is read has all its progress before it
    states = client.get_events(state_topic(job.job_id))
    return from_events(job, states, client.get_events(job.job_id) if states else ())
