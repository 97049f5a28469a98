"""A Dask scheduler in this process and its workers in others, on this machine only.

A Dask scheduler, nanny or worker runs any code that it receives. These listen on the loopback address, which every user
of this machine can reach, so they accept only connections with a certificate made at this start of the server (mutual
TLS). Its key never leaves the memory of these processes.
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
    # Dask counts a worker's death against every job that waits on it, and fails a job after this many deaths.
    # `deepvelo.task.run_job` decides instead whether a job resumes.
    "distributed.scheduler.allowed-failures": 1000,
    # A sleeping machine or a changed clock stops heartbeats; a dead process closes its connection.
    "distributed.scheduler.worker-ttl": None,
    "distributed.scheduler.work-stealing": True,
}
WORKER_ENVIRONMENT = {
    # spinning threads block cores: with a browser on the same two cores, an epoch took 2 s instead of 0.03 s
    "OMP_WAIT_POLICY": "PASSIVE",
    "DASK_LOGGING__DISTRIBUTED": "warning",
    # jobs store nothing in Dask's memory; terminate only a job that exceeds the memory of the machine
    "DASK_DISTRIBUTED__WORKER__MEMORY__TARGET": "False",
    "DASK_DISTRIBUTED__WORKER__MEMORY__SPILL": "False",
    "DASK_DISTRIBUTED__WORKER__MEMORY__PAUSE": "False",
    "DASK_DISTRIBUTED__WORKER__MEMORY__TERMINATE": "0.95",
}


class QuietScheduler(WithoutHTTP, Scheduler):
    """A scheduler that accepts only TLS connections."""


class LocalWorkers:
    """Workers that end with this process.

    A command starts them, because `multiprocessing` would import the main module, which is the app under Streamlit.

    Parameters
    ----------
    n_workers
        Processes, each with one job at a time; a nanny restarts a dead one.
    """

    def __init__(self, n_workers: int) -> None:
        self._n_workers = n_workers
        self._cluster: SpecCluster | None = None
        self._process: subprocess.Popen[str] | None = None
        self._certificate, self._key = "", ""
        self._folder = ""

    @property
    def started(self) -> bool:
        """Whether the scheduler was started."""
        return self._cluster is not None

    @property
    def security(self) -> Security:
        """TLS settings for clients; available once the scheduler was started."""
        return security(self._certificate, self._key)

    @property
    def resources(self) -> list[dict[str, float]]:
        """Resources that each worker declares: its share of the memory in bytes, and a GPU if it is the only worker."""
        declared = {MEMORY: float(MEMORY_LIMIT // self._n_workers)}
        # a fit uses the first GPU, which several workers would share
        return [declared | ({GPU: 1.0} if self._n_workers == 1 and _has_gpu() else {})] * self._n_workers

    def start(self) -> str:
        """Start scheduler and workers if they do not run, and return the address; workers connect within seconds."""
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
        start = {
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
        # Dask gives numerical libraries one thread unless the environment sets more
        threads = {"OMP_NUM_THREADS": str(CPU_COUNT), "MKL_NUM_THREADS": str(CPU_COUNT)}
        process = subprocess.Popen(
            [sys.executable, "-m", "app.background.workers"],
            cwd=ROOT,
            env=threads | dict(os.environ) | WORKER_ENVIRONMENT,
            stdin=subprocess.PIPE,
            text=True,
        )
        assert process.stdin is not None
        process.stdin.write(f"{json.dumps(start)}\n")
        process.stdin.flush()
        return process

    def close(self) -> None:
        """End workers and scheduler; a job that is running ends with them."""
        if self._process is not None and self._process.stdin is not None:
            self._process.stdin.close()  # signals the end
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
        """Remove the files of killed workers."""
        if self._folder:
            shutil.rmtree(self._folder, ignore_errors=True)


def _certificate() -> tuple[str, str]:
    """A certificate and its key, as from `Security.temporary`, but valid at any time.

    Dask's certificate is valid for a year from now: setting the clock back would disconnect the workers.
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
