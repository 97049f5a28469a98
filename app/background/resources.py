"""Dask worker resources that a job requests, and whether any worker has them.

A worker declares resources at its start, ``dask worker --resources "MEMORY=64e9 GPU=1"``, and Dask reserves what jobs
request. A job requests only resources that some worker declares.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from deepvelo.config import Settings

Resources = dict[str, float]

MEMORY: Final = "MEMORY"
"""In bytes."""
GPU: Final = "GPU"


@dataclass(frozen=True, kw_only=True)
class Place:
    """Scheduler and workers for a job, and its requests."""

    scheduler: str
    """Address; empty for this machine."""
    workers: Sequence[Resources]
    """Resources of each connected worker."""
    requests: Resources

    @property
    def problem(self) -> str:
        """As from `problem`."""
        return problem(self.requests, self.workers)

    @property
    def warning(self) -> str:
        """The risk of an unprotected scheduler; empty for TLS."""
        if self.scheduler.startswith("tls://"):
            return ""
        return (
            f"Anyone who can reach {self.scheduler} can run programs as you, because its connections are not encrypted. "
            "Use a scheduler with TLS (tls://), or a firewall that admits only your machines."
        )

    def in_words(self) -> str:
        """A sentence or two for the page."""
        if not self.workers:
            return f"No worker is connected to the scheduler {self.scheduler} yet; the job waits for one."
        n_workers = "its one worker" if len(self.workers) == 1 else f"one of its {len(self.workers)} workers"
        requests = in_words(self.requests) or "nothing, because no worker declares resources"
        return f"The scheduler {self.scheduler} runs the job on {n_workers}. It requests {requests}."


def requested(settings: Settings, workers: Sequence[Resources], *, memory: int) -> Resources:
    """Resources that a fit requests: memory, and a GPU if the settings require one, if any worker declares them.

    Parameters
    ----------
    workers
        Resources of each connected worker.
    memory
        Bytes of the fit, from `deepvelo.memory.estimate_memory`; 0 if unknown.
    """
    needed: Resources = {MEMORY: float(memory)} if memory else {}
    if settings.method == "deepvelo" and settings.training.device == "cuda":
        needed[GPU] = 1.0
    declared = {name for worker in workers for name in worker}
    return {name: amount for name, amount in needed.items() if name in declared}


def problem(requests: Resources, workers: Sequence[Resources]) -> str:
    """The reason why no connected worker can run the job; empty if one can, or if there are no workers yet."""
    if not workers or any(_has(worker, requests) for worker in workers):
        return ""
    needs = f"This job requests {in_words(requests)}."
    if GPU in requests:
        workers = [worker for worker in workers if worker.get(GPU, 0) >= requests[GPU]]
        if not workers:
            return f"{needs} No connected worker declares a GPU. Set `training.device` to auto, or start a worker with one."
    most = max(worker.get(MEMORY, 0) for worker in workers)
    such = " with a GPU" if GPU in requests else ""
    return (
        f"{needs} The largest connected worker{such} declares {most / 2**30:.1f} GB. "
        "Lower `preparation.n_top_genes`, use fewer cells, or start a worker with more memory."
    )


def in_words(requests: Resources) -> str:
    """``about 2.5 GB of memory and a GPU``; empty for nothing."""
    words = [f"about {requests[MEMORY] / 2**30:.1f} GB of memory"] if MEMORY in requests else []
    return " and ".join(words + ["a GPU"] * (GPU in requests))


def _has(worker: Resources, requests: Resources) -> bool:
    return all(worker.get(name, 0) >= amount for name, amount in requests.items())
