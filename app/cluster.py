"""A Dask scheduler in this process and its workers in others, on this machine only.

Dask runs whatever code reaches the scheduler. It listens on the loopback address, so no other machine gets
there, but every user of this one does: on a machine shared with people you do not trust, do not run the app.
"""

from __future__ import annotations

import logging
import os
import shutil
import subprocess
import sys
import tempfile
from functools import cache
from pathlib import Path

import dask
from dask.system import CPU_COUNT
from distributed import LocalCluster
from distributed.system import MEMORY_LIMIT

from app.resources import GPU, MEMORY

logger = logging.getLogger(__name__)

ROOT = Path(__file__).resolve().parents[1]
STOP_SECONDS = 10

SCHEDULER_CONFIG = {
    # Dask blames every job that waits on a worker for that worker's death, and gives up on it after
    # this many. Whether the job that ran goes on, `deepvelo.task.run_job` decides.
    "distributed.scheduler.allowed-failures": 1000,
    "distributed.scheduler.work-stealing": True,
}
WORKER_ENVIRONMENT = {
    # threads that wait must let go of their core: spinning, a fit beside a browser that draws on the same
    # two cores took 2 s an epoch instead of 0.03 s
    "OMP_WAIT_POLICY": "PASSIVE",
    "DASK_LOGGING__DISTRIBUTED": "warning",
    # jobs keep nothing in Dask's own memory; one that outgrows the machine is ended, not the server
    "DASK_DISTRIBUTED__WORKER__MEMORY__TARGET": "False",
    "DASK_DISTRIBUTED__WORKER__MEMORY__SPILL": "False",
    "DASK_DISTRIBUTED__WORKER__MEMORY__PAUSE": "False",
    "DASK_DISTRIBUTED__WORKER__MEMORY__TERMINATE": "0.95",
}


class LocalWorkers:
    """Workers that live as long as this process.

    They are started by command, not by `multiprocessing`: that would import the main module again,
    which under Streamlit is the app itself.

    Parameters
    ----------
    n_workers
        Processes, each doing one job at a time; a nanny starts a dead one again.
    """

    def __init__(self, n_workers: int) -> None:
        self._n_workers = n_workers
        self._cluster: LocalCluster | None = None
        self._process: subprocess.Popen[bytes] | None = None
        self._folder = ""

    @property
    def started(self) -> bool:
        """Whether there is a scheduler already."""
        return self._cluster is not None

    @property
    def resources(self) -> list[dict[str, float]]:
        """What each worker declares: its share of the memory in bytes, and a GPU if there is one for it alone."""
        declared = {MEMORY: float(MEMORY_LIMIT // self._n_workers)}
        # a fit takes the first GPU: several workers would crowd on it
        return [declared | ({GPU: 1.0} if self._n_workers == 1 and _has_gpu() else {})] * self._n_workers

    def start(self) -> str:
        """Start what is not running and return the scheduler's address; workers join within seconds."""
        if self._cluster is None:
            with dask.config.set(SCHEDULER_CONFIG):
                self._cluster = LocalCluster(
                    n_workers=0, host="127.0.0.1", dashboard_address=None, silence_logs=logging.ERROR
                )
        address: str = self._cluster.scheduler_address
        if self._process is None or self._process.poll() is not None:
            self._process = self._start_workers(address)
        return address

    def _start_workers(self, address: str) -> subprocess.Popen[bytes]:
        self._folder = self._folder or tempfile.mkdtemp(prefix="deepvelo-worker-")
        options = {
            "--nworkers": self._n_workers,
            "--nthreads": 1,
            "--host": "127.0.0.1",
            "--dashboard-address": "127.0.0.1:0",  # there is none, but what answers for its health is then at this address
            "--memory-limit": MEMORY_LIMIT // self._n_workers,
            "--resources": " ".join(f"{name}={amount:.0f}" for name, amount in self.resources[0].items()),
            "--local-directory": self._folder,
            "--death-timeout": 30,  # seconds without a scheduler, should this process be killed
        }
        words = [str(word) for option in options.items() for word in option]
        # Dask would give numerical libraries one thread unless the environment says more
        threads = {"OMP_NUM_THREADS": str(CPU_COUNT), "MKL_NUM_THREADS": str(CPU_COUNT)}
        return subprocess.Popen(
            [sys.executable, "-m", "distributed.cli.dask_worker", address, "--no-dashboard", *words],
            cwd=ROOT,
            env=threads | dict(os.environ) | WORKER_ENVIRONMENT,
            stdin=subprocess.DEVNULL,
        )

    def close(self) -> None:
        """End workers and scheduler; a job that is running ends with them."""
        if self._process is not None:
            self._process.terminate()
        if self._cluster is not None:
            self._cluster.close(timeout=STOP_SECONDS)
        if self._process is not None:
            try:
                self._process.wait(STOP_SECONDS)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
        if self._folder:
            shutil.rmtree(self._folder, ignore_errors=True)
        self._cluster, self._process, self._folder = None, None, ""


@cache
def _has_gpu() -> bool:
    import torch

    return torch.cuda.is_available()
