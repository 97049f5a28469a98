"""The connection of this server to a Dask scheduler: its own, started on demand, or that of a lab."""

from __future__ import annotations

import logging
import math
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Any

from distributed import CancelledError, Client

from app.background.cluster import LocalWorkers
from app.background.resources import Resources
from deepvelo.errors import InputError

logger = logging.getLogger(__name__)

CONNECT_SECONDS = 5
RETRY_SECONDS = 10  # pages that refresh every second do not wait for a connection every second


class Unreachable(InputError):
    """The scheduler does not answer."""


class Connection:
    """A client that reconnects.

    Parameters
    ----------
    scheduler
        Address of a Dask scheduler; None for one in this process, started when first needed.
    n_workers
        Worker processes of this process's own scheduler.
    on_lost
        Called when a connection broke, with all that belonged to it.
    """

    def __init__(self, scheduler: str | None, *, n_workers: int, on_lost: Callable[[], None]) -> None:
        self.address = scheduler
        self.local = LocalWorkers(n_workers) if scheduler is None else None
        self._on_lost = on_lost
        self._client: Client | None = None
        self._lock = threading.Lock()
        self._refused = -math.inf  # when the scheduler last did not answer
        self._closed = False

    @property
    def started(self) -> bool:
        """Whether there is a scheduler to ask."""
        return self.local is None or self.local.started

    @contextmanager
    def asking(self) -> Iterator[Client]:
        """A connected client.

        Raises
        ------
        Unreachable
            The connection failed or broke.
        """
        try:
            yield self.client()
        except (OSError, ValueError, RuntimeError, ImportError, CancelledError) as error:
            if isinstance(error, InputError):
                raise
            where = self.address or "of this machine"
            logger.warning("no answer from the Dask scheduler %s: %r", where, error)
            msg = f"The Dask scheduler {where} cannot be reached. Check that it runs and that its address is right."
            raise Unreachable(msg) from None

    def client(self) -> Client:
        """The client, connected again if the connection broke."""
        with self._lock:
            if self._closed:
                msg = "closed"
                raise ConnectionError(msg)
            address = self.local.start() if self.local is not None else self.address
            if self._client is not None and self._client.status != "running":
                broken, self._client = self._client, None
                with suppress(TimeoutError):  # the scheduler does not answer
                    broken.close(timeout=0)
                self._on_lost()
            if self._client is None:
                if time.monotonic() - self._refused < RETRY_SECONDS:
                    msg = "refused a moment ago"
                    raise ConnectionError(msg)
                self._client = self._connect(address)
            return self._client

    def _connect(self, address: str | None) -> Client:
        security = self.local.security if self.local is not None else None
        try:
            return Client(address, timeout=CONNECT_SECONDS, set_as_default=False, security=security)
        except TypeError as error:  # TLS without a certificate
            raise ConnectionError(str(error)) from error
        except BaseException:
            self._refused = time.monotonic()
            raise

    def resources(self, identity: dict[str, Any]) -> Sequence[Resources]:
        """Resources that each worker declares, from the scheduler's ``identity``."""
        if self.local is not None:  # its workers need a moment to connect
            return self.local.resources
        return [worker["resources"] for worker in identity["workers"].values()]

    def close(self) -> None:
        """Disconnect, and end a scheduler of this process."""
        self._closed = True
        with self._lock:
            if self._client is not None:
                self._client.close(timeout=CONNECT_SECONDS)
                self._client = None
            if self.local is not None:
                self.local.close()
