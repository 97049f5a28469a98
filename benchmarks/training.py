"""Time and memory of one training epoch, beside the same objective written out literally.

``python benchmarks/training.py [--cells 3000] [--genes 2000] [--candidates 30] [--epochs 8] [--json FILE]``

``default`` is the default preset, all of its epochs; the others are the paper's continuity in all genes, all cells at
once: ``blocked`` as it is computed here, ``autograd`` by `deepvelo.model.loss`, ``literal`` with all differences of all
candidates formed besides. Each version runs in a process of its own, since
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
from deepvelo.model import loss, preparation, training
from deepvelo.model.assignment.candidates import TINY
from deepvelo.model.assignment.kinetics import spliced_velocity
from deepvelo.model.assignment.targets import Displacements, Pair
from deepvelo.model.autograd import AutogradObjective
from deepvelo.model.gcn import Rates
from deepvelo.model.large_data.blocks import Sample

WARM_UP = 2
VERSIONS = ("default", "blocked", "autograd", "literal")


class LiteralObjective(AutogradObjective):
    """Eq. 4 to 7 as they are written: all differences of all candidates, all genes at once, gradients found by torch."""

    def reassign_targets(self, *_: object, **__: object) -> float:
        """The displacements are formed in every step, so there is nothing to do before."""
        return 0.0

    @torch.no_grad()
    def displacements(self, rates: Rates, sample: Sample) -> Pair:
        """Of all cells, as Eq. 4 to 6 have them."""
        s, u = sample.spliced[:, :], sample.unspliced[:, :]
        neighbors = self.targets.candidates.neighbors
        velocity = spliced_velocity(u, s, beta=rates.beta, gamma=rates.gamma)
        delta_s, delta_u = (values[neighbors] - values[:, None] for values in (s, u))
        cosine = torch.nn.functional.cosine_similarity(delta_s, velocity[:, None], dim=2)
        chosen = [side[:, :, None] for side in (cosine > 0, cosine < 0)]
        return Pair(
            *(
                Displacements(*((delta * side).sum(1) / (side.sum(1) + TINY) for side in chosen))
                for delta in (delta_s, delta_u)
            )
        )


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
    loss.AUTOGRAD = version in ("autograd", "literal")
    preparation.AutogradObjective = LiteralObjective if version == "literal" else AutogradObjective  # type: ignore[misc]
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
            spliced, unspliced, settings=settings, on_epoch=lambda *_: moments.append(time.perf_counter())
        )
    seconds = [b - a for a, b in zip(moments[WARM_UP:], moments[WARM_UP + 1 :], strict=False)]
    return {
        "seconds_fit": time.perf_counter() - started,
        "seconds_median": statistics.median(seconds),
        "seconds_min": min(seconds),
        "seconds_max": max(seconds),
        "memory_rise_mb": (memory.peak - before) / 2**20,
        "first_total": fit.history[0]["total"],
        "last_total": fit.history[-1]["total"],
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
