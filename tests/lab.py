"""A lab's own Dask scheduler and workers: processes that a test ends and starts again on the same port."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import anndata
import dask
import numpy as np
import pandas as pd
import torch
from distributed.security import Security

from app.background.jobs import Jobs
from deepvelo.config import Settings
from deepvelo.datasets.source import DataSource
from deepvelo.result import Progress, Result

DASK = Path(sys.executable).with_name("dask")
ROOT = Path(__file__).resolve().parents[1]


class Lab:
    """Starts and ends processes; whatever is left ends with the ``with`` block.

    Parameters
    ----------
    folder
        For logs and files of workers.
    tls
        Options of Dask's commands that name certificate and key; without them nothing is encrypted.
    """

    def __init__(self, folder: Path, *, tls: Sequence[str] = ()) -> None:
        with socket.socket() as found:
            found.bind(("127.0.0.1", 0))
            self.address = f"{'tls' if tls else 'tcp'}://127.0.0.1:{found.getsockname()[1]}"
        self._folder = folder
        self._tls = tls
        self._scheduler: subprocess.Popen[bytes] | None = None
        self._workers: list[subprocess.Popen[bytes]] = []

    def __enter__(self) -> Lab:
        self.start_scheduler()
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()

    def start_scheduler(self, words: list[str] | None = None) -> None:
        """With the words of a command, or without a dashboard; returns once it listens."""
        protocol, host, port = self.address.replace("://", ":").split(":")
        usual = ["scheduler", "--protocol", protocol, "--host", host, "--port", port, "--no-dashboard"]
        self._scheduler = self._start(words or [*usual, *self._tls], "scheduler.log")
        end = time.monotonic() + 120
        while time.monotonic() < end:
            try:
                socket.create_connection((host, int(port)), timeout=1).close()
            except OSError:
                time.sleep(0.1)
            else:
                return
        raise TimeoutError

    def start_worker(self, *options: str) -> None:
        """Returns at once: it joins when it can."""
        words = ["worker", self.address, "--no-dashboard", "--host", "127.0.0.1", *self._tls, *options]
        folder = self._folder / f"worker-{len(self._workers)}"
        self._workers.append(self._start([*words, "--local-directory", str(folder)], f"{folder.name}.log"))

    def kill(self) -> None:
        """End all of it without a farewell."""
        self.end_workers()
        if self._scheduler is not None:
            self._end(self._scheduler)
        self._scheduler = None

    def end_workers(self) -> None:
        """End all workers without a farewell."""
        for process in self._workers:
            self._end(process)
        self._workers = []

    def _end(self, process: subprocess.Popen[bytes]) -> None:
        os.killpg(process.pid, signal.SIGKILL)  # a nanny with its worker
        process.wait()

    def _start(self, words: list[str], log: str) -> subprocess.Popen[bytes]:
        with (self._folder / log).open("ab") as told:
            return subprocess.Popen(
                [str(DASK), *words],
                cwd=ROOT,
                env=os.environ | {"PYTHONPATH": str(ROOT)},
                stderr=told,
                stdout=told,
                start_new_session=True,
            )


def keys_of(jobs: Jobs) -> dask.config.set:
    """Let other clients of this process connect to a server's own scheduler, within a ``with`` block."""
    assert jobs._connection.local is not None
    return dask.config.set(tls_settings(jobs._connection.local.security))


def tls_settings(security: Security) -> dict[str, str | bool | None]:
    """Dask's settings that make every client, scheduler and worker use this certificate."""
    settings: dict[str, str | bool | None] = {
        "distributed.comm.require-encryption": True,
        "distributed.comm.tls.ca-file": security.tls_ca_file,
    }
    for role in ("client", "scheduler", "worker"):
        settings[f"distributed.comm.tls.{role}.cert"] = getattr(security, f"tls_{role}_cert")
        settings[f"distributed.comm.tls.{role}.key"] = getattr(security, f"tls_{role}_key")
    return settings


def tiny(folder: Path) -> DataSource:
    """Six cells of four genes."""
    adata = anndata.AnnData(np.ones((6, 4), dtype=np.float32))
    adata.layers["spliced"] = adata.layers["unspliced"] = adata.X
    adata.write_h5ad(folder / "tiny.h5ad")
    return DataSource(kind="file", path=str(folder / "tiny.h5ad"))


def quick(adata: Any, settings: Settings, *, on_progress: Callable[[Progress], None], **_: object) -> Result:
    """Stands in for `workflow.run`: its epochs take 20 ms and learn nothing."""
    n_epochs = settings.training.n_epochs
    for epoch in range(1, n_epochs + 1):
        time.sleep(0.02)
        on_progress(Progress(step="train", epoch=epoch, n_epochs=n_epochs, terms={"total": 1 / epoch}))
    adata.layers["velocity"] = np.asarray(adata.X, dtype=np.float32)
    adata.uns["deepvelo"] = {"cluster_key": "clusters", "basis": "umap", "versions": "{}"}
    return Result(
        adata=adata,
        history=pd.DataFrame({"epoch": range(1, n_epochs + 1), "total": 0.0}),
        weights={"w": torch.ones(2)},
        settings=settings,
        metrics={},
    )
