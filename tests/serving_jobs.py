"""A server of jobs alone, in a process that a test can stop and kill: ``python -m tests.serving_jobs FOLDER EPOCHS...``.

It queues a fit of tiny data for each number of epochs, or, without one, goes on with what the journal holds, and prints how
all jobs stand, a line of JSON each time that changes.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import cloudpickle
import dask
import psutil

ROOT = Path(__file__).resolve().parents[1]
Standing = list[dict[str, Any]]


class Server:
    """The process of a server, and how its jobs stand."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process
        self.jobs: Standing = []

    def wait(self, until: Callable[[Standing], bool], *, seconds: float = 120) -> Standing:
        """Read on until the jobs stand so; a server in which they never do is killed."""
        limit = threading.Timer(seconds, self._process.kill)
        limit.start()
        try:
            for line in self._process.stdout:
                self.jobs = json.loads(line)
                if until(self.jobs):
                    return self.jobs
        finally:
            limit.cancel()
        msg = f"the server has ended, and its jobs stand so: {self.jobs}"
        raise TimeoutError(msg)

    def processes(self) -> dict[str, psutil.Process]:
        """The server, the process that starts workers, and the worker."""
        server = psutil.Process(self._process.pid)
        nanny = next(child for child in server.children() if "app.background.workers" in child.cmdline())
        worker = next(child for child in nanny.children() if "spawn_main" in " ".join(child.cmdline()))
        return {"server": server, "nanny": nanny, "worker": worker}

    def kill(self) -> None:
        """Without a farewell."""
        self._process.send_signal(signal.SIGKILL)
        self._process.wait()


@contextmanager
def serving(folder: Path, *epochs: int, worker_ttl: str | None = None) -> Iterator[Server]:
    """A server in a process; it ends with the ``with`` block."""
    config = {"DASK_DISTRIBUTED__SCHEDULER__WORKER_TTL": worker_ttl} if worker_ttl else {}
    process = subprocess.Popen(
        [sys.executable, __file__, str(folder), *map(str, epochs)],
        stdout=subprocess.PIPE,
        stdin=subprocess.DEVNULL,
        text=True,
        env=os.environ | {"PYTHONPATH": str(ROOT)} | config,
    )
    try:
        yield Server(process)
    finally:
        process.kill()
        process.wait()
        process.stdout.close()


def main() -> None:
    """Serve until killed."""
    import importlib.util

    spec = importlib.util.spec_from_file_location("lab", ROOT / "tests" / "lab.py")
    lab = sys.modules["lab"] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(lab)
    cloudpickle.register_pickle_by_value(lab)  # workers need no tests

    from app.background.jobs import Jobs
    from deepvelo import config
    from deepvelo.config import Settings

    folder, epochs = Path(sys.argv[1]), [int(word) for word in sys.argv[2:]]
    jobs = Jobs(None, folder / "runs", runner=lab.quick)
    source = lab.tiny(folder) if epochs else None
    for seed, n_epochs in enumerate(epochs):
        settings = config.replace(Settings(), {"seed": seed, "training": {"n_epochs": n_epochs}})
        jobs.submit(source, settings, name=str(seed))
    told = None
    while True:
        standing = [
            {
                "name": job.name,
                "state": job.state,
                "epochs": len(job.history),
                "message": job.message,
                "run_id": job.run_id,
            }
            for job in jobs.list()
        ]
        if standing != told:
            sys.stdout.write(f"{json.dumps(standing)}\n")
            sys.stdout.flush()
        told = standing
        time.sleep(0.2)


if __name__ == "__main__":
    dask.config.refresh()
    main()
