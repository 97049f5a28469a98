"""The journal of jobs: requests and their events, kept in the run store until the outcome has been read.

A job is one file of JSON lines below ``.jobs``: the request, then one line per event. The file is created atomically and
every line is synced to disk, so a killed server or a power cut loses at most the line being written.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
import re
import secrets
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Required

from filelock import FileLock
from pydantic import TypeAdapter, ValidationError
from typing_extensions import TypedDict

from deepvelo.errors import CancelledError, InputError
from deepvelo.io.locks import WAIT_SECONDS, acquired

logger = logging.getLogger(__name__)

FOLDER = ".jobs"
ENDINGS = ("finished", "failed", "cancelled")
MOST_BYTES = 2**20  # of one entry; typical entries have a few thousand
LOOK_SECONDS = 1.0  # how often a worker checks whether another worker has finished
_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,99}")


class Event(TypedDict, total=False):
    """One event of a job."""

    event: Required[str]
    time: Required[float]
    """Seconds since 1970."""
    worker: str
    stage: str
    epoch: int
    fit: str
    """Hash of everything that determines the training; names its checkpoint."""
    run_id: str | None
    message: str
    server: str


_EVENT: TypeAdapter[Event] = TypeAdapter(Event)


@dataclass(frozen=True, kw_only=True)
class Entry:
    """One job of the journal."""

    job_id: str
    path: Path
    request: dict[str, Any] | None
    """As given to `Journal.add`; None if the file is damaged."""
    events: list[Event]
    server: str
    """Server that owns the job."""

    @property
    def ended(self) -> bool:
        """Whether the job has finished, failed or been cancelled."""
        return any(event["event"] in ENDINGS for event in self.events)


class Journal:
    """The journal of one run store, as one server or worker sees it.

    Parameters
    ----------
    store_folder
        The run store.
    scheduler
        Address of a scheduler shared by several servers, which own its jobs together. None for a server with its own
        workers: it owns its jobs while it runs, and takes over those of servers that have died.
    """

    def __init__(self, store_folder: Path, scheduler: str | None = None) -> None:
        self._store_folder, self._folder = store_folder, store_folder / FOLDER
        shared = hashlib.blake2b((scheduler or "").encode(), digest_size=8).hexdigest()
        self._server = f"shared-{shared}" if scheduler else f"own-{secrets.token_hex(8)}"
        self._alone = FileLock(self._folder / ".lock")
        self._alive: FileLock | None = None

    def add(self, job_id: str, request: dict[str, Any]) -> None:
        """Record a job before it is submitted.

        Raises
        ------
        InputError
            The run store is not writable, or its disk is full.
        """
        partial = self._folder / f".{job_id}.part"
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            self._come_alive()
            line = json.dumps({"server": self._server, "request": request})
            try:
                with partial.open("wb") as file:
                    file.write(line.encode() + b"\n")
                    file.flush()
                    os.fsync(file.fileno())
                partial.replace(self._path(job_id))
            finally:
                partial.unlink(missing_ok=True)
            _sync_folder(self._folder)
        except OSError as error:
            msg = (
                f"The job was not started: the run store {self._store_folder} is not writable "
                f"({error.strerror or error}). Free disk space or allow writing there, then start it again."
            )
            raise InputError(msg) from error

    def tell(self, job_id: str, **event: Any) -> None:
        """Record an event of a job; does nothing if the job was removed. A full disk is logged and does not stop the job."""
        line = json.dumps({"time": time.time(), **event})
        try:
            # never creates the file: a removed job must not reappear
            descriptor = os.open(self._path(job_id), os.O_WRONLY | os.O_APPEND)
            try:
                # leading newline: an incomplete line of a killed writer stays a single bad line
                os.write(descriptor, f"\n{line}\n".encode())
                os.fsync(descriptor)
            finally:
                os.close(descriptor)
        except FileNotFoundError:
            return
        except OSError as error:
            logger.warning("cannot write to the journal of jobs in %s: %s", self._folder, error)

    def entry(self, job_id: str) -> Entry | None:
        """One job, whichever server owns it; None if it does not exist."""
        path = self._path(job_id)
        return _read(path) if path.exists() else None

    def entries(self) -> list[Entry]:
        """Jobs that this server owns and jobs with damaged files, in the order of their requests."""
        return [
            entry
            for entry in _entries(self._folder)
            if entry.server == self._server or (entry.request is None and not entry.server)
        ]

    def remove(self, job_id: str) -> None:
        """Remove a job whose outcome has been read."""
        for path in (self._path(job_id), self._lock_path(job_id)):
            try:
                path.unlink(missing_ok=True)
            except OSError as error:
                logger.warning("cannot remove %s: %s", path, error)

    def take_over(self) -> None:
        """Take ownership of the jobs of servers that have died."""
        if not self._folder.is_dir():
            return
        with self.alone():
            self._come_alive()
            for lock_path in self._folder.glob(".own-*.lock"):
                mine = lock_path == self._lock_path(self._server)
                if not mine and os.access(lock_path, os.W_OK) and acquired(lock := FileLock(lock_path)):
                    with suppress(OSError):
                        lock_path.unlink(missing_ok=True)
                    lock.release()
            for entry in _entries(self._folder):
                if entry.server.startswith("own-") and not self._lock_path(entry.server).exists():
                    self.tell(entry.job_id, event="taken over", server=self._server)

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Hold the journal's lock, so that no other thread or server requests jobs meanwhile."""
        with suppress(OSError):  # `add` reports the error
            self._folder.mkdir(parents=True, exist_ok=True)
        if not acquired(self._alone, seconds=WAIT_SECONDS):
            logger.warning("another server holds the journal of jobs in %s", self._folder)
        try:
            yield
        finally:
            self._alone.release()

    @contextmanager
    def at_work(self, job_id: str, *, cancelled: Callable[[], bool]) -> Iterator[None]:
        """Hold the job's lock, so that no two workers run it: a worker presumed dead may still be running or saving.

        Raises
        ------
        CancelledError
            The job was cancelled while the other worker held it.
        """
        lock = FileLock(self._lock_path(job_id))
        while self._path(job_id).exists() and not acquired(lock, seconds=LOOK_SECONDS):
            if cancelled():
                raise CancelledError
        try:
            yield
        finally:
            lock.release()

    def close(self) -> None:
        """Release the jobs for the next server."""
        if self._alive is not None:
            self._alive.release()
            self._alive = None

    def _come_alive(self) -> None:
        """Hold the lock that shows other servers that this one is running; it is released with the process."""
        if self._alive is None and self._server.startswith("own-"):
            self._alive = FileLock(self._lock_path(self._server), thread_local=False)
            acquired(self._alive)

    def _path(self, job_id: str) -> Path:
        return self._folder / f"{job_id}.jsonl"

    def _lock_path(self, name: str) -> Path:
        return self._folder / f".{name}.lock"


def fits_under_way(store_folder: Path) -> set[str]:
    """Hashes of the fits of unfinished jobs, as `deepvelo.io.runs.RunStore.checkpoint` takes them."""
    entries = [entry for entry in _entries(store_folder / FOLDER) if not entry.ended]
    return {event["fit"] for entry in entries for event in entry.events if "fit" in event}


def _entries(folder: Path) -> list[Entry]:
    try:
        paths = sorted(
            path for path in folder.iterdir() if path.suffix == ".jsonl" and _ID.fullmatch(path.stem)
        )
    except OSError:  # not created yet
        return []
    return [entry for path in paths if (entry := _read(path)) is not None]


def _read(path: Path) -> Entry | None:
    """Read a job from its file; None if the file no longer exists."""
    request, server, events = None, "", []
    try:
        if not path.is_file():  # not a journal file, and reading a pipe would block
            return None
        with path.open("rb") as file:
            first, *lines = file.read(MOST_BYTES).split(b"\n")
        values = json.loads(first)
        request, server = dict(values["request"]), str(values["server"])
        if not server.startswith(("own-", "shared-")):
            msg = f"unknown server {server[:100]!r}"
            raise ValueError(msg)
    except FileNotFoundError:
        return None
    except (OSError, ValueError, TypeError, KeyError, RecursionError) as error:
        logger.warning("%s is damaged: %s", path, error)
        return Entry(job_id=path.stem, path=path, request=None, events=[], server="")
    for line in filter(None, lines):
        try:
            events.append(_EVENT.validate_python(json.loads(line)))
        except (ValidationError, ValueError, RecursionError):
            logger.warning("skipped a damaged line of %s", path)
    server = next((event["server"] for event in reversed(events) if "server" in event), server)
    return Entry(job_id=path.stem, path=path, request=request, events=events, server=server)


def _sync_folder(folder: Path) -> None:
    with suppress(OSError):  # Windows cannot sync folders and does not need to
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
