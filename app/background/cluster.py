"""A Dask scheduler in this process and its workers in others, on this machine only.

Dask runs whatever code reaches a scheduler, nanny or worker. These listen on the loopback address, which every user of
this machine reaches, so they take only connections that show a certificate made for this start of the server (TLS in
both directions). Its key never leaves the memory of these processes.
"""

from __future__ import annotations

import json
import logging
import os
import shutil
import subprocess
import sys
import tempfile
from datetime import UTC, datetime
from functools import cache

import dask
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from dask.system import CPU_COUNT
from distributed import Scheduler, SpecCluster
from distributed.security import Security
from distributed.system import MEMORY_LIMIT

from app import ROOT
from app.background.resources import GPU, MEMORY
from app.background.workers import WithoutHTTP, security

logger = logging.getLogger(__name__)

STOP_SECONDS = 8

SCHEDULER_CONFIG = {
    # Dask blames every job that waits on a worker for that worker's death, and gives up on it after
    # this many. Whether the job that ran goes on, `deepvelo.task.run_job` decides.
    "distributed.scheduler.allowed-failures": 1000,
    # A machine that sleeps, or whose clock is set, sends no heartbeats; a dead process closes its connection.
    "distributed.scheduler.worker-ttl": None,
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


class QuietScheduler(WithoutHTTP, Scheduler):
    """A scheduler that listens to TLS alone."""


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
        self._cluster: SpecCluster | None = None
        self._process: subprocess.Popen[str] | None = None
        self._certificate, self._key = "", ""
        self._folder = ""

    @property
    def started(self) -> bool:
        """Whether there is a scheduler already."""
        return self._cluster is not None

    @property
    def security(self) -> Security:
        """What a client needs to connect; only once there is a scheduler."""
        return security(self._certificate, self._key)

    @property
    def resources(self) -> list[dict[str, float]]:
        """What each worker declares: its share of the memory in bytes, and a GPU if there is one for it alone."""
        declared = {MEMORY: float(MEMORY_LIMIT // self._n_workers)}
        # a fit takes the first GPU: several workers would crowd on it
        return [declared | ({GPU: 1.0} if self._n_workers == 1 and _has_gpu() else {})] * self._n_workers

    def start(self) -> str:
        """Start what is not running and return the scheduler's address; workers join within seconds."""
        if self._cluster is None:
            self._certificate, self._key = _certificate()
            options = {
                "host": "127.0.0.1",
                "port": 0,
                "protocol": "tls://",
                "security": self.security,
                "dashboard": False,
            }
            with dask.config.set(SCHEDULER_CONFIG):
                self._cluster = SpecCluster(
                    scheduler={"cls": QuietScheduler, "options": options},
                    security=self.security,
                    silence_logs=logging.ERROR,
                )
        address: str = self._cluster.scheduler_address
        if self._process is None or self._process.poll() is not None:
            self._process = self._start_workers(address)
        return address

    def _start_workers(self, address: str) -> subprocess.Popen[str]:
        self._remove_folder()
        self._folder = tempfile.mkdtemp(prefix="deepvelo-worker-")
        told = {
            "scheduler": address,
            "certificate": self._certificate,
            "key": self._key,
            "n_workers": self._n_workers,
            "options": {
                "nthreads": 1,
                "memory_limit": MEMORY_LIMIT // self._n_workers,
                "resources": self.resources[0],
                "local_directory": self._folder,
            },
        }
        # Dask would give numerical libraries one thread unless the environment says more
        threads = {"OMP_NUM_THREADS": str(CPU_COUNT), "MKL_NUM_THREADS": str(CPU_COUNT)}
        process = subprocess.Popen(
            [sys.executable, "-m", "app.background.workers"],
            cwd=ROOT,
            env=threads | dict(os.environ) | WORKER_ENVIRONMENT,
            stdin=subprocess.PIPE,
            text=True,
        )
        assert process.stdin is not None
        process.stdin.write(f"{json.dumps(told)}\n")
        process.stdin.flush()
        return process

    def close(self) -> None:
        """End workers and scheduler; a job that is running ends with them."""
        if self._process is not None and self._process.stdin is not None:
            self._process.stdin.close()  # the sign to end
        if self._cluster is not None:
            self._cluster.close(timeout=STOP_SECONDS)
        if self._process is not None:
            try:
                self._process.wait(STOP_SECONDS)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
        self._remove_folder()
        self._cluster, self._process = None, None

    def _remove_folder(self) -> None:
        """Remove what workers leave that were killed with the process that started them."""
        if self._folder:
            shutil.rmtree(self._folder, ignore_errors=True)


def _certificate() -> tuple[str, str]:
    """A certificate and its key, as `Security.temporary` makes them, but valid whatever the clock says.

    Dask's own is valid from now on for a year: a clock set back would cut the server off from its workers.
    """
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "deepvelo")])
    certificate = (
        x509.CertificateBuilder(issuer_name=name, subject_name=name, public_key=key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(datetime(1970, 1, 1, tzinfo=UTC))
        .not_valid_after(datetime(9999, 12, 31, tzinfo=UTC))
        .sign(key, hashes.SHA256())
    )
    secret = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    return certificate.public_bytes(serialization.Encoding.PEM).decode(), secret.decode()


@cache
def _has_gpu() -> bool:
    import torch

    return torch.cuda.is_available()
