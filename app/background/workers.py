"""The process that starts the workers of this machine: ``python -m app.background.workers``.

The first line of its input holds all options, with certificate and key, so that no file, command line or environment
does. The process and its workers end when its input ends: when the server closes it or dies.
"""

from __future__ import annotations

import asyncio
import json
import logging
import os
import shutil
import signal
import sys
import threading
from contextlib import suppress
from typing import Any

from distributed import Nanny, Worker
from distributed.node import ServerNode
from distributed.security import Security

NANNY_SECONDS = 2  # for a worker to end; its fit resumes from the checkpoint
STOP_SECONDS = 6


class WithoutHTTP(ServerNode):
    """Disables Dask's HTTP server, which accepts connections without TLS even without a dashboard."""

    def start_http_server(self, *_: object, **__: object) -> None:
        """Start no server."""


class QuietWorker(WithoutHTTP, Worker):
    """A worker that accepts only TLS connections."""


def security(certificate: str, key: str) -> Security:
    """TLS settings with one certificate for client, scheduler and worker."""
    roles = ("client", "scheduler", "worker")
    return Security(
        require_encryption=True,
        tls_ca_file=certificate,
        **{f"tls_{role}_cert": certificate for role in roles},
        **{f"tls_{role}_key": key for role in roles},
    )


async def _serve(start: dict[str, Any]) -> None:
    ended = asyncio.Event()
    _watch(ended)
    nannies = [
        Nanny(
            start["scheduler"],
            security=security(start["certificate"], start["key"]),
            worker_class=QuietWorker,
            host="127.0.0.1",
            dashboard=False,
            **start["options"],
        )
        for _ in range(start["n_workers"])
    ]

    async def work() -> None:
        await asyncio.gather(*nannies)
        await asyncio.gather(*(nanny.finished() for nanny in nannies))

    working, ending = asyncio.create_task(work()), asyncio.create_task(ended.wait())
    await asyncio.wait([working, ending], return_when=asyncio.FIRST_COMPLETED)
    error = working.exception() if working.done() else None
    logging.disable()  # Dask logs tracebacks of connections that the server closes
    with suppress(TimeoutError):  # a hanging worker ends with this process
        closing = (nanny.close(timeout=NANNY_SECONDS, reason="the server has ended") for nanny in nannies)
        await asyncio.wait_for(asyncio.gather(*closing, return_exceptions=True), STOP_SECONDS)
    if error is not None and not ended.is_set():
        sys.exit(f"The workers of this machine have ended: {error}")


def _watch(ended: asyncio.Event) -> None:
    """Set ``ended`` at the end of the input, or on a signal."""
    loop = asyncio.get_running_loop()

    def read() -> None:
        while os.read(sys.stdin.fileno(), 1):  # `sys.stdin.read` would hold its lock at exit
            pass
        with suppress(RuntimeError):  # closed loop
            loop.call_soon_threadsafe(ended.set)

    threading.Thread(target=read, name="server", daemon=True).start()
    for name in ("SIGTERM", "SIGHUP"):
        with suppress(AttributeError, NotImplementedError):  # Windows
            loop.add_signal_handler(getattr(signal, name), ended.set)


def main() -> None:
    """Run until the input ends."""
    # Ctrl-C reaches every process of the terminal; this one ends after the server
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    start = json.loads(sys.stdin.readline())
    try:
        asyncio.run(_serve(start))
    finally:
        shutil.rmtree(start["options"]["local_directory"], ignore_errors=True)


if __name__ == "__main__":
    main()
