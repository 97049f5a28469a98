"""The process that starts this machine's workers: ``python -m app.background.workers``, with what to start in the first line of its input.

Certificate and key come that way too, so no file, command line or environment holds them. It ends, and its workers
with it, as soon as its input ends: that is when the server closes it or dies, however it dies.
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

NANNY_SECONDS = 2  # for a worker to end by itself; its fit resumes from the checkpoint
STOP_SECONDS = 6


class WithoutHTTP(ServerNode):
    """Dask would answer whoever asks by HTTP, without TLS and without a dashboard too."""

    def start_http_server(self, *_: object, **__: object) -> None:
        """Listen to nobody."""


class QuietWorker(WithoutHTTP, Worker):
    """A worker that listens to TLS alone."""


def security(certificate: str, key: str) -> Security:
    """Whoever connects or listens shows the one certificate, and takes nobody else's."""
    roles = ("client", "scheduler", "worker")
    return Security(
        require_encryption=True,
        tls_ca_file=certificate,
        **{f"tls_{role}_cert": certificate for role in roles},
        **{f"tls_{role}_key": key for role in roles},
    )


async def _serve(told: dict[str, Any]) -> None:
    ended = asyncio.Event()
    _watch(ended)
    nannies = [
        Nanny(
            told["scheduler"],
            security=security(told["certificate"], told["key"]),
            worker_class=QuietWorker,
            host="127.0.0.1",
            dashboard=False,
            **told["options"],
        )
        for _ in range(told["n_workers"])
    ]

    async def work() -> None:
        await asyncio.gather(*nannies)
        await asyncio.gather(*(nanny.finished() for nanny in nannies))

    working, ending = asyncio.create_task(work()), asyncio.create_task(ended.wait())
    await asyncio.wait([working, ending], return_when=asyncio.FIRST_COMPLETED)
    error = working.exception() if working.done() else None
    logging.disable()  # Dask logs tracebacks of connections that the end of the server cuts
    with suppress(TimeoutError):  # a worker that hangs ends with this process
        closing = (nanny.close(timeout=NANNY_SECONDS, reason="the server has ended") for nanny in nannies)
        await asyncio.wait_for(asyncio.gather(*closing, return_exceptions=True), STOP_SECONDS)
    if error is not None and not ended.is_set():
        sys.exit(f"The workers of this machine have ended: {error}")


def _watch(ended: asyncio.Event) -> None:
    """Set ``ended`` at the end of the input, or when someone asks this process to end."""
    loop = asyncio.get_running_loop()

    def read() -> None:
        while os.read(sys.stdin.fileno(), 1):  # not `sys.stdin.read`: its lock would be held at exit
            pass
        with suppress(RuntimeError):  # the loop is closed
            loop.call_soon_threadsafe(ended.set)

    threading.Thread(target=read, name="server", daemon=True).start()
    for name in ("SIGTERM", "SIGHUP"):
        with suppress(AttributeError, NotImplementedError):  # Windows
            loop.add_signal_handler(getattr(signal, name), ended.set)


def main() -> None:
    """Run until the input ends."""
    # Ctrl-C reaches every process of the terminal: the server ends, and then this
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    told = json.loads(sys.stdin.readline())
    try:
        asyncio.run(_serve(told))
    finally:
        shutil.rmtree(told["options"]["local_directory"], ignore_errors=True)


if __name__ == "__main__":
    main()
