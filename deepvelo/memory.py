"""How much memory a run will take, and whether the machine has it: asked before the start, not at the crash."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

import psutil

from deepvelo import plan
from deepvelo.config import replace
from deepvelo.errors import InputError

if TYPE_CHECKING:
    from deepvelo.config import Settings
    from deepvelo.plan import Machine

# Dense cells x genes float32 matrices alive at the peak, while the network is trained: both smoothed moments, a copy while
# they are made, and as much as the counts take before. Moments, rates and velocities are written out as they are made.
_DENSE_MATRICES = 4
# Read from disk, nothing of the training is cells x genes: what counts take before and after is left.
_OF_COUNTS = 3
# What the network sees, spliced and unspliced, in as many such matrices: half precision where it is standardised and
# cells are taken in batches.
_SINGLE, _HALF = 2, 1
# Of the released network, per cell of a step and gene: which of the three rates are kept by its dropout.
_BYTES_KEPT = 3
# Of each anchor's neighbourhood: three sums of squares in double precision, two rates in single precision.
_BYTES_PER_ANCHOR_AND_GENE = 32
# Per cell and candidate: its index; where displacements are taken in genes also the order of the indices, products with
# all of them and the weights of both sides.
_BYTES_PER_CANDIDATE = {"components": 8, "genes": 96}
# Per cell: some 250 arrows of the velocity graph, with the neighbours of neighbours they come from.
_BYTES_PER_CELL = 12_000
# Adam with amsgrad keeps a parameter, its gradient, two moments and the largest second moment.
_COPIES_PER_WEIGHT = 5
_BASE = 200 * 2**20
_FEWEST_GENES = 200  # that are recommended: fits of fewer say little
# Control groups of Linux, by which containers and batch systems limit memory.
_GROUPS, _OWN_GROUPS = Path("/sys/fs/cgroup"), Path("/proc/self/cgroup")


def estimate_memory(n_cells: int, n_genes: int, settings: Settings, machine: Machine | None = None) -> int:
    """Memory a run needs on top of the loaded data, in bytes; ``n_genes`` is the number of genes that are fitted.

    ``machine`` is by default one process with a folder on disk. Measured at 2,000 to 100,000 cells (`benchmarks/scale.py`) and rounded up. scVelo's modes take less.
    """
    variant = settings.variant
    sizes = plan.plan_of(n_cells, n_genes, settings, machine)
    widths = [2 * n_genes, *variant.hidden_sizes, 3 * n_genes]
    n_weights = sum(a * b for a, b in itertools.pairwise(widths))
    dense = _DENSE_MATRICES + (_HALF if sizes.input_precision == "half" else _SINGLE)
    in_memory = 4 * n_cells * n_genes * (dense - _OF_COUNTS)
    if sizes.from_disk:
        # As much as just before, so that fewer genes never count more.
        in_memory = plan.MOST_IN_MEMORY // 2 * (dense - _OF_COUNTS)
    anchors = sizes.anchor_cells if variant.reassign_every == 0 else 0
    kept = sizes.batch_cells if variant.rate_layer == "graph" else 0
    return (
        4 * n_cells * n_genes * _OF_COUNTS
        + in_memory
        + _BYTES_PER_ANCHOR_AND_GENE * anchors * n_genes
        + _BYTES_KEPT * kept * n_genes
        + (_BYTES_PER_CANDIDATE[variant.continuity] * sizes.n_candidates + _BYTES_PER_CELL) * n_cells
        + 4 * _COPIES_PER_WEIGHT * n_weights
        + _BASE
    )


def available_memory() -> int:
    """Bytes this process may still take: of the machine, or of its container, batch job or own limit where that is less."""
    return min([int(psutil.virtual_memory().available), *_left_in_groups(), *_left_of_limit()])


def _left_of_limit() -> Iterator[int]:
    """Of the address space that this process may take, where it is limited."""
    try:
        import resource
    except ImportError:
        return  # Windows
    limit, _ = resource.getrlimit(resource.RLIMIT_AS)
    if limit != resource.RLIM_INFINITY:
        yield max(0, limit - int(psutil.Process().memory_info().vms))


def _left_in_groups() -> Iterator[int]:
    """Of every control group that this process is in and that has a limit, of either version."""
    try:
        groups = _OWN_GROUPS.read_text(encoding="utf-8").splitlines()
    except OSError:
        return  # not Linux
    for group in groups:
        _, controllers, path = group.split(":", 2)
        if not controllers:
            root, limit, used, of_all = _GROUPS, "memory.max", "memory.current", ""
        elif "memory" in controllers.split(","):
            root, limit, used, of_all = (
                _GROUPS / "memory", "memory.limit_in_bytes", "memory.usage_in_bytes", "total_",
            )  # fmt: skip
        else:
            continue
        own = root / path.lstrip("/")
        for folder in (own, *own.parents):
            # Outside a container its groups may have other paths than inside, and "max" is no limit.
            with suppress(OSError, ValueError):
                left = int(_read(folder / limit)) - int(_read(folder / used))
                stat = dict(line.split() for line in _read(folder / "memory.stat").splitlines())
                # Files the kernel keeps only because there is room are given up when memory is asked for.
                kept = sum(int(stat.get(f"{of_all}{kind}_file", 0)) for kind in ("active", "inactive"))
                yield max(0, left + kept)


def _read(path: Path) -> str:
    return path.read_text(encoding="ascii").strip()


def require_memory(n_cells: int, n_genes: int, settings: Settings, machine: Machine | None = None) -> None:
    """Raise an `InputError` with the estimate and what lowers it when a run would need more memory than there is."""
    needed, available = estimate_memory(n_cells, n_genes, settings, machine), available_memory()
    if needed > available:
        remedies = [
            *_smaller_batches(n_cells, n_genes, settings, machine),
            _fewer_genes(n_cells, n_genes, settings, machine, available=available),
            "take fewer cells",
            "or use a larger machine",
        ]
        said = ", ".join(remedies)
        msg = (
            f"A fit of {n_cells:,} cells and {n_genes:,} genes needs about {needed / 2**30:.1f} GB of memory. "
            f"Found {available / 2**30:.1f} GB free. {said[0].upper()}{said[1:]}."
        )
        raise InputError(msg)


def _smaller_batches(n_cells: int, n_genes: int, settings: Settings, machine: Machine | None) -> list[str]:
    """As a remedy, where it is one: below some batch size nothing more is saved."""
    in_batches = replace(
        settings, {"training": {"batch_cells": min(plan.SMALLEST_BATCH, max(1, n_cells // 2))}}
    )
    needed, lower = (estimate_memory(n_cells, n_genes, tried, machine) for tried in (settings, in_batches))
    if lower > 0.95 * needed:
        return []
    return [
        f"lower `training.batch_cells` to {plan.batch_cells(n_cells, in_batches)} (about {lower / 2**30:.1f} GB)"
    ]


def _fewer_genes(
    n_cells: int, n_genes: int, settings: Settings, machine: Machine | None, *, available: int
) -> str:
    """With how many of them it would fit, where that is worth a fit."""
    for most in range(n_genes - 1, _FEWEST_GENES - 1, -1):
        if estimate_memory(n_cells, most, settings, machine) <= available:
            return f"lower `preparation.n_top_genes` to {most:,}"
    return "lower `preparation.n_top_genes`"


class MemoryMeter:
    """The most memory this process held while the block ran: ``with MemoryMeter() as memory: ...; memory.peak``.

    The system's own peak covers the whole life of a process, and a worker does one job after another. So the
    memory in use is looked at twenty times a second; shorter peaks are missed.
    """

    def __init__(self) -> None:
        self.peak = 0
        self._done = threading.Event()
        self._watcher = threading.Thread(target=self._watch, daemon=True)

    def __enter__(self) -> MemoryMeter:
        """Start to watch."""
        self._watcher.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Stop to watch."""
        self._done.set()
        self._watcher.join()

    def _watch(self) -> None:
        process = psutil.Process()
        while True:
            self.peak = max(self.peak, int(process.memory_info().rss))
            if self._done.wait(0.05):
                return
