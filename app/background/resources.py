"""What a job asks of the workers, as Dask worker resources, and whether any of them could ever give it.

A worker says what it has when it starts, ``dask worker --resources "MEMORY=64e9 GPU=1"``, and Dask takes from that
what its jobs ask for. Of a cluster whose workers declare nothing, nothing is asked.
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
    """Where a job would run, and what it asks for there."""

    scheduler: str
    """Address; empty for this machine."""
    workers: Sequence[Resources]
    """What each connected worker declares."""
    requests: Resources

    @property
    def problem(self) -> str:
        """As `problem` tells it."""
        return problem(self.requests, self.workers)

    @property
    def warning(self) -> str:
        """What others can do through this scheduler; empty where connections are encrypted and show a certificate."""
        if self.scheduler.startswith("tls://"):
            return ""
        return (
            f"Whoever reaches {self.scheduler} can run programs as you: its connections are not encrypted. "
            "Use a scheduler with TLS (tls://), or a firewall that lets in your machines alone."
        )

    def in_words(self) -> str:
        """One sentence or two for the page."""
        if not self.workers:
            return f"No worker is connected to the scheduler {self.scheduler} yet; the job will wait for one."
        n_workers = "its one worker" if len(self.workers) == 1 else f"one of its {len(self.workers)} workers"
        requests = in_words(self.requests) or "nothing: they declare no such resources"
        return f"The scheduler {self.scheduler} gives the job to {n_workers}. It asks for {requests}."


def requested(settings: Settings, workers: Sequence[Resources], *, memory: int) -> Resources:
    """What a fit asks for: memory, and a GPU where the settings insist on one, as far as any worker declares them.

    Parameters
    ----------
    workers
        What each connected worker declares.
    memory
        Bytes the fit will take, see `deepvelo.memory.estimate_memory`; 0 where that is not known.
    """
    needed: Resources = {MEMORY: float(memory)} if memory else {}
    if settings.method == "deepvelo" and settings.training.device == "cuda":
        needed[GPU] = 1.0
    declared = {name for worker in workers for name in worker}
    return {name: amount for name, amount in needed.items() if name in declared}


def problem(requests: Resources, workers: Sequence[Resources]) -> str:
    """Why none of these workers could ever do such a job, in words; empty if one could, or there is none yet."""
    if not workers or any(_gives(worker, requests) for worker in workers):
        return ""
    needs = f"This job asks for {in_words(requests)}."
    if GPU in requests:
        workers = [worker for worker in workers if worker.get(GPU, 0) >= requests[GPU]]
        if not workers:
            return f"{needs} No connected worker declares a GPU. Set `training.device` to auto, or start a worker with one."
    most = max(worker.get(MEMORY, 0) for worker in workers)
    such = " with a GPU" if GPU in requests else ""
    return (
        f"{needs} The largest connected worker{such} declares {most / 2**30:.1f} GB. "
        "Lower `preparation.n_top_genes`, take fewer cells, or start a worker with more memory."
    )


def in_words(requests: Resources) -> str:
    """``about 2.5 GB of memory and a GPU``; empty for nothing."""
    words = [f"about {requests[MEMORY] / 2**30:.1f} GB of memory"] if MEMORY in requests else []
    return " and ".join(words + ["a GPU"] * (GPU in requests))


def _gives(worker: Resources, requests: Resources) -> bool:
    return all(worker.get(name, 0) >= amount for name, amount in requests.items())
