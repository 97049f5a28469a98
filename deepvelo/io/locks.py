"""Locks on files, which the system releases when a process dies."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from deepvelo.errors import InputError

logger = logging.getLogger(__name__)

WAIT_SECONDS = 20  # changes take milliseconds


def acquired(lock: FileLock, *, seconds: float = 0) -> bool:
    """Whether no other process holds a lock; True on file systems without locks."""
    try:
        lock.acquire(timeout=seconds)
    except Timeout:
        return False
    except (OSError, NotImplementedError) as error:
        logger.warning("cannot lock %s: %s", lock.lock_file, error)
    return True


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold a lock, so that no other thread or process that asks for it runs the block meanwhile.

    Raises
    ------
    InputError
        Another process holds the lock for too long.
    """
    lock = FileLock(path)
    if not acquired(lock, seconds=WAIT_SECONDS):
        msg = f"Another process has been changing files in {path.parent} for {WAIT_SECONDS} seconds. Try again in a minute."
        raise InputError(msg)
    try:
        yield
    finally:
        lock.release()
