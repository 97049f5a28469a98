"""Time and memory of one training epoch, beside the same objective written out literally.

``python benchmarks/training.py [--cells 3000] [--genes 2000] [--candidates 30] [--epochs 8] [--json FILE]``

``default`` is the default preset, all of its epochs; ``blocked`` and ``literal`` are the paper's continuity in all
genes, as it is computed here and as it is written, all cells at once. Each version runs in a process of its own, since
a process's peak memory never falls again. An epoch is forward, backward and optimizer step, alpha and unspliced velocity
included; of the default above 2,000 cells it is a pass in batches.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import platform
import statistics
import subprocess
import sys
import time
import warnings
from pathlib import Path
from typing import Any

import psutil
import torch
from torch import Tensor

from deepvelo import config
from deepvelo.memory import MemoryMeter
from deepvelo.model import training
from deepvelo.model.assignment.candidates import TINY
from deepvelo.model.assignment.kinetics import spliced_velocity
from deepvelo.model.assignment.targets import Displacements, GeneTargets, Pair
from deepvelo.model.large_data.blocks import BlockedObjective
from deepvelo.model.large_data.parallel import SINGLE_PROCESS
from deepvelo.model.loss import Terms, objective

WARM_UP = 2
VERSIONS = ("default", "blocked", "literal")


class LiteralObjective:
    """Eq. 4 to 7 as they are written: all differences of all candidates, all genes at once, gradients found by torch."""

    def __init__(
        self,
        spliced: Tensor,
        unspliced: Tensor,
        targets: GeneTargets,
        *,
        correlation_weights: tuple[float, float],
        variant: config.Variant,
        by_cell: None = None,  # moments are in memory
    ) -> None:
        self.spliced, self.unspliced, self.targets = spliced, unspliced, targets
        self._weights = correlation_weights
        self.neighbors = targets.candidates.neighbors
        self.n_cells, self.n_genes = spliced.shape
        self.n_columns = 2 * self.n_genes

    def reassign_targets(self, network, hidden, *, cells=None, group=SINGLE_PROCESS) -> float:
        """The displacements are formed in every step, so there is nothing to do before."""
        return 0.0

    def backward(
        self,
        network,
        hidden,
        *,
        weight: float,
        cells=None,
        moments=None,
        with_pearson: bool = True,
        group=SINGLE_PROCESS,
    ) -> Terms:
        """As `BlockedObjective.backward`, of all cells, in one process."""
        s, u = self.spliced, self.unspliced
        rates = network.rates(hidden)
        with torch.no_grad():
            velocity = spliced_velocity(u, s, beta=rates.beta, gamma=rates.gamma)
            delta_s, delta_u = (values[self.neighbors] - values[:, None] for values in (s, u))
            cosine = torch.nn.functional.cosine_similarity(delta_s, velocity[:, None], dim=2)
            chosen = [side[:, :, None] for side in (cosine > 0, cosine < 0)]
            targets = Pair(
                *(
                    Displacements(*((delta * side).sum(1) / (side.sum(1) + TINY) for side in chosen))
                    for delta in (delta_s, delta_u)
                )
            )
        total, terms = objective(rates, u, s, targets, weights=self._weights, weight=weight)
        total.backward()
        return terms


def cells(n_cells: int, n_genes: int) -> tuple[Tensor, Tensor]:
    """Cells along a cycle in ten dimensions, as a tissue has them: a cloud has far more ways to be cut into stretches."""
    generator = torch.Generator().manual_seed(0)
    time = 2 * math.pi * torch.rand(n_cells, 1, generator=generator)
    turns = time * torch.arange(1, 6)
    states = torch.cat([turns.sin(), turns.cos()], dim=1)
    spliced = torch.relu(states @ torch.randn(10, n_genes, generator=generator)) + 0.01
    return spliced, torch.relu(0.2 * spliced + 0.1 * torch.randn(n_cells, n_genes, generator=generator))


def measure(
    version: str, *, n_cells: int, n_genes: int, n_candidates: int, n_epochs: int
) -> dict[str, float]:
    """Seconds of the fit, of each epoch after the warm-up, and the rise of the peak memory, in this process."""
    warnings.filterwarnings("ignore")
    training.BlockedObjective = LiteralObjective if version == "literal" else BlockedObjective  # type: ignore[misc, assignment]
    changes: dict[str, Any] = {"training": {"device": "cpu"}}
    if version != "default":
        changes["training"] |= {"n_epochs": n_epochs + WARM_UP, "batch_cells": n_cells}
        changes["graph"] = {"n_candidates": n_candidates}
    settings = config.replace(config.Settings(), changes)
    fixed = {} if version == "default" else {"continuity": "genes", "reassign_every": 1}
    with config.ablation(**fixed):
        return _measured(settings, n_cells=n_cells, n_genes=n_genes)


def _measured(settings: config.Settings, *, n_cells: int, n_genes: int) -> dict[str, float]:
    # Libraries load and threads start outside the measurement.
    training.train(*cells(200, 40), settings=config.replace(settings, {"training": {"n_epochs": 1}}))
    spliced, unspliced = cells(n_cells, n_genes)
    # The system's own peak of a process begins with that of the one that started it.
    before, started = psutil.Process().memory_info().rss, time.perf_counter()
    moments = [started]
    with MemoryMeter() as memory:
        fit = training.train(
            spliced, unspliced, settings=settings, on_epoch=lambda _: moments.append(time.perf_counter())
        )
    seconds = [b - a for a, b in zip(moments[WARM_UP:], moments[WARM_UP + 1 :], strict=False)]
    return {
        "seconds_fit": time.perf_counter() - started,
        "seconds_median": statistics.median(seconds),
        "seconds_min": min(seconds),
        "seconds_max": max(seconds),
        "memory_rise_mb": (memory.peak - before) / 2**20,
        "first_total": fit.history[0].total,
        "last_total": fit.history[-1].total,
    }


def main() -> None:
    """Measure all versions and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--cells", type=int, default=3000)
    parser.add_argument("--genes", type=int, default=2000)
    parser.add_argument("--candidates", type=int, default=30)
    parser.add_argument("--epochs", type=int, default=8)
    parser.add_argument("--json", type=Path)
    parser.add_argument(
        "--only", nargs="+", choices=VERSIONS, help="These alone, one after the other in one process."
    )
    args = parser.parse_args()
    if args.only:
        sizes = {"n_cells": args.cells, "n_genes": args.genes, "n_candidates": args.candidates}
        for version in args.only:
            print(json.dumps(measure(version, n_epochs=args.epochs, **sizes)))
        return
    found = {}
    for version in VERSIONS:
        done = subprocess.run(
            [sys.executable, *sys.argv, "--only", version], check=True, capture_output=True, text=True
        )
        found[version] = json.loads(done.stdout.splitlines()[-1])
    machine = f"{platform.machine()}, {os.cpu_count()} cores, torch {torch.__version__}, {torch.get_num_threads()} threads"
    print(f"{args.cells} cells x {args.genes} genes x {args.candidates} candidates, seed 0; {machine}")
    print(
        f"{'version':<10}{'fit, s':>9}{'epoch, median s':>17}{'min':>8}{'max':>8}{'memory rise, MB':>18}{'last total':>12}"
    )
    for version, figures in found.items():
        print(
            f"{version:<10}{figures['seconds_fit']:>9.1f}{figures['seconds_median']:>17.2f}{figures['seconds_min']:>8.2f}"
            f"{figures['seconds_max']:>8.2f}{figures['memory_rise_mb']:>18.0f}{figures['last_total']:>12.3f}"
        )
    if args.json:
        args.json.write_text(
            json.dumps(
                {"machine": machine, **vars(args) | {"json": str(args.json)}, "found": found}, indent=2
            )
        )


if __name__ == "__main__":
    main()
