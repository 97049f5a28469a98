"""Time and memory of everything from a file to a stream plot, by number of cells, and how near it comes to the machine.

``python benchmarks/scale.py [--cells 3000 10000 100000] [--genes 2000] [--epochs 200] [--seed 0] [--json FILE]``
``python benchmarks/scale.py --slice 0.1 --cells 1000000`` trains on that share of the epochs and extrapolates.

Cells are drawn around cells of a simulated branching tissue, at the depth of droplet data. Every size runs in a process
of its own, as `deepvelo run` would: read, prepare, fit, graph, arrows, scores, maps of the rates, save, stream. Memory
is what the process holds above the loaded data, looked at twenty times a second. The limits of the machine are measured
in the same run: products of matrices in single precision, and copying.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import numpy as np
import scipy.sparse as sp

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

TEMPLATE_CELLS: Final = 3000
DEPTH: Final = 3000.0  # counts of a typical cell
TEMPLATE_DEPTH: Final = 100_000.0
CELLS_AT_ONCE: Final = 5000
COMPONENTS: Final = 30
HIDDEN: Final = 64
NEIGHBORS: Final = 30
UMAP_ROUNDS, MANY_FOR_UMAP = 200, 10_000


class Mixtures:
    """Cells around mixtures of two near cells of a simulated branching tissue that is known deeply.

    Parameters
    ----------
    n_genes
        Of the tissue.
    """

    def __init__(self, *, n_cells: int, n_genes: int, seed: int) -> None:
        from sklearn.neighbors import NearestNeighbors

        from deepvelo import keys
        from deepvelo.datasets.simulation import simulate

        self.tissue = simulate(
            kind="branch", n_cells=TEMPLATE_CELLS, n_genes=n_genes, depth=TEMPLATE_DEPTH, seed=seed
        )
        deep = np.log1p(self.tissue.layers[keys.SPLICED].toarray())
        near = NearestNeighbors(n_neighbors=10).fit(deep).kneighbors(return_distance=False)
        self.random = np.random.default_rng(seed)
        self.n_cells = n_cells
        self.own = self.random.integers(self.tissue.n_obs, size=n_cells)
        self._other = near[self.own, self.random.integers(near.shape[1], size=n_cells)]
        self._share = self.random.random(n_cells)[:, None]

    def expected(self, key: str) -> Iterator[np.ndarray]:
        """The counts to expect of a layer at the depth of droplet data, some cells at a time, ``(n_some, n_genes)``."""
        counts = self.tissue.layers[key].toarray() * np.float32(DEPTH / TEMPLATE_DEPTH)
        for start in range(0, self.n_cells, CELLS_AT_ONCE):
            some = slice(start, start + CELLS_AT_ONCE)
            share = self._share[some]
            yield share * counts[self.own[some]] + (1 - share) * counts[self._other[some]]


def make_data(path: Path, *, n_cells: int, n_genes: int, seed: int) -> None:
    """Write counts of so many cells and genes."""
    import anndata
    import pandas as pd

    from deepvelo import keys

    # Some genes are left out in preparation for too few counts.
    cells = Mixtures(n_cells=n_cells, n_genes=int(1.25 * n_genes), seed=seed)
    layers = {}
    for key in (keys.SPLICED, keys.UNSPLICED):
        parts = [sp.csr_matrix(cells.random.poisson(mean).astype(np.float32)) for mean in cells.expected(key)]
        layers[key] = sp.vstack(parts, format="csr")
    groups = cells.tissue.obs[keys.CLUSTERS].astype(str).to_numpy()[cells.own]
    obs = pd.DataFrame({keys.CLUSTERS: pd.Categorical(groups)}, index=[f"c{i}" for i in range(n_cells)])
    anndata.AnnData(layers=layers, obs=obs, var=cells.tissue.var[[]]).write_h5ad(path)


def measure(path: Path, *, epochs: int, share: float, seed: int) -> dict[str, Any]:
    """Seconds and peak memory of every step, in this process."""
    warnings.filterwarnings("ignore")
    import psutil
    import torch

    from deepvelo import config, keys, workflow
    from deepvelo.io import read
    from deepvelo.io.runs import RunStore
    from deepvelo.memory import MemoryMeter
    from deepvelo.plan import plan_of
    from deepvelo.tl.graph.stream_lines import stream_lines

    torch.set_num_threads(os.cpu_count() or 1)
    warm_up()
    steps: dict[str, float] = {}
    peaks: dict[str, float] = {}
    times: list[float] = []
    started = time.perf_counter()
    adata = read(path, lazy_if_large=True)
    steps["read"] = time.perf_counter() - started
    loaded = psutil.Process().memory_info().rss
    settings = config.replace(config.Settings(), {"seed": seed, "training": {"n_epochs": epochs}})
    n_epochs = plan_of(adata.n_obs, adata.n_vars, settings).n_epochs
    if share < 1:
        settings = config.replace(settings, {"training": {"n_epochs": max(2, round(share * n_epochs))}})
    meters: list[tuple[str, float, MemoryMeter]] = []

    def close() -> None:
        name, since, meter = meters.pop()
        meter.__exit__()
        steps[name] = time.perf_counter() - since
        peaks[name] = (meter.peak - loaded) / 2**20

    def step(name: str) -> None:
        if meters:
            close()
        meters.append((name, time.perf_counter(), MemoryMeter().__enter__()))

    def on_progress(progress: workflow.Progress) -> None:
        if progress.epoch:
            times.append(time.perf_counter())
            if len(times) == 1:
                step("epochs")
        elif progress.step == "train":
            step("targets")
        else:
            step("fit, outputs" if progress.step == "graph" and meters[-1][0] == "epochs" else progress.step)
        if progress.step == "graph":
            step("graph")

    step("prepare")
    with tempfile.TemporaryDirectory(dir=path.parent) as folder:
        store = RunStore(folder)
        with store.scratch() as scratch:
            result = workflow.run(
                adata, settings, cluster_key=keys.CLUSTERS, on_progress=on_progress, scratch=scratch
            )
            step("save")
            run_id = store.save(result, data_name="scale", data_hash="0")
        step("stream")
        run = store.open(run_id)
        basis = run.info.basis
        stream_lines(run.obsm[keys.embedding(basis)], run.obsm[keys.velocity_embedding(basis)])
        close()
    per_epoch = float(np.median(np.diff(times))) if len(times) > 1 else float("nan")
    fit = float(result.metrics["seconds_train"])
    if share < 1:
        fit += per_epoch * (n_epochs - len(times))
    return {
        "n_cells": result.adata.n_obs,
        "n_genes": result.adata.n_vars,
        "seconds": steps,
        "peak_mb": peaks,
        "seconds_fit": fit,
        "seconds_epoch": per_epoch,
        "n_epochs": n_epochs,
        "n_epochs_made": len(times),
        "extrapolated": share < 1,
        "peak_fit_mb": max(peaks[name] for name in ("targets", "epochs")),
        "peak_all_mb": max(peaks.values()),
        "seconds_all": sum(steps.values()) + (per_epoch * (n_epochs - len(times)) if share < 1 else 0),
        "consistency": result.metrics["consistency"],
    }


def warm_up() -> None:
    """Have libraries load and compile outside the measurement."""
    from deepvelo import config, workflow
    from deepvelo.datasets.simulation import simulate

    small = simulate(kind="branch", n_cells=200, n_genes=120, depth=2000, seed=0)
    workflow.run(small, config.replace(config.Settings(), {"training": {"n_epochs": 1}}))


def machine_limits() -> dict[str, float]:
    """GFLOP a second of a product of matrices and GB a second of copying, the best of five, and places looked up."""
    import torch

    a, b = torch.randn(2, 2048, 2048)
    values, copy = torch.randn(50_000_000), torch.empty(50_000_000)
    products, copies = [], []
    for _ in range(5):
        started = time.perf_counter()
        torch.mm(a, b)
        products.append(time.perf_counter() - started)
        started = time.perf_counter()
        copy.copy_(values)
        copies.append(time.perf_counter() - started)
    # Places of a map of 100,000 cells at random, as UMAP looks them up: one after the other, on one core.
    places = np.zeros((100_000, 2), dtype=np.float32)
    chosen = np.random.default_rng(0).integers(len(places), size=5_000_000)
    started = time.perf_counter()
    places.take(chosen, axis=0)
    looked_up = time.perf_counter() - started
    return {
        "places_per_s": len(chosen) / looked_up,
        "gflops": 2 * 2048**3 / min(products) / 1e9,
        "gb_per_s": 2 * values.numel() * 4 / min(copies) / 1e9,
    }


def main() -> None:
    """Measure all sizes and print the table."""
    from deepvelo.config import TrainingConfig

    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--cells", type=int, nargs="+", default=[3000, 10_000, 100_000])
    parser.add_argument("--genes", type=int, default=2000)
    parser.add_argument("--epochs", type=int, default=TrainingConfig().n_epochs)
    parser.add_argument("--slice", type=float, default=1.0, help="Share of the epochs to train.")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", type=Path)
    parser.add_argument("--only", type=Path, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.only:
        print(json.dumps(measure(args.only, epochs=args.epochs, share=args.slice, seed=args.seed)))
        return
    import torch

    limits = machine_limits()
    print(
        f"{platform.machine()}, {os.cpu_count()} cores, torch {torch.__version__}, seed {args.seed}, {args.epochs} epochs; "
        f"products {limits['gflops']:.0f} GFLOP/s, copying {limits['gb_per_s']:.1f} GB/s, "
        f"{limits['places_per_s'] / 1e6:.0f} million places of a map a second",
        flush=True,
    )
    found = []
    for n_cells in args.cells:
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "counts.h5ad"
            make_data(path, n_cells=n_cells, n_genes=args.genes, seed=args.seed)
            options = ["--epochs", args.epochs, "--slice", args.slice, "--seed", args.seed]
            done = subprocess.run(
                [sys.executable, __file__, "--only", path, *map(str, options)], capture_output=True, text=True
            )
        if done.returncode:
            sys.exit(done.stderr)
        found.append(json.loads(done.stdout.splitlines()[-1]))
        print(in_words(found[-1], limits), flush=True)
        if len(found) > 1:
            print(f"    {growth(*found[-2:])}", flush=True)
    if args.json:
        args.json.write_text(json.dumps({"limits": limits, "found": found}, indent=2))


def products(row: dict[str, Any]) -> dict[str, float]:
    """GFLOP of the products of matrices in each step that has many; those in double precision count twice.

    Components come from the products of all features over all cells, neighbours from those of all cells with all. A
    step of the training has the first layer there and back, the rates there and both ways back, and the targets of
    spliced and unspliced RNA in components.
    """
    from deepvelo.model.graph.cell_graph import sums_up

    def components(features: int) -> float:
        # Of few cells they come from vectors.
        return 2 * n * features**2 if sums_up((n, features)) else 0.0

    n, genes = row["n_cells"], row["n_genes"]
    neighbors = 2 * n**2 * COMPONENTS
    training = 2 * (2 * 2 * genes * HIDDEN) + 3 * (2 * HIDDEN * 3 * genes) + 2 * 2 * (2 * COMPONENTS * genes)
    return {
        step: flop / 1e9
        for step, flop in {
            "prepare": components(2 * genes) + neighbors,
            "targets": 2 * components(genes) + neighbors,
            "epochs": (row["n_epochs_made"] - 1)
            * n
            * training,  # the clock of this step starts after the first
        }.items()
    }


def moves(row: dict[str, Any]) -> dict[str, float]:
    """Places looked up in the maps, in steps that draw some: each edge of the graph pulls, and five other cells push.

    The edges are about one and a half times the neighbours, and each is followed in about a third of the rounds.
    """
    a_round = row["n_cells"] * 1.5 * NEIGHBORS * (1 + 5) / 3
    return {
        "prepare": a_round * (500 if row["n_cells"] <= MANY_FOR_UMAP else 200),
        "rates": 4 * a_round * UMAP_ROUNDS,
    }


def in_words(row: dict[str, Any], limits: dict[str, float]) -> str:
    """One size: the fit, all steps, the longest of them and how near it comes to the machine."""
    seconds = row["seconds"]
    longest = max(seconds, key=seconds.get)
    at_best = {step: gflop / limits["gflops"] for step, gflop in products(row).items()}
    looking_up = {step: places / limits["places_per_s"] for step, places in moves(row).items()}
    needs = []
    if longest in at_best:
        needs.append(f"products of matrices {at_best[longest]:.1f} s")
    if longest in looking_up:
        needs.append(f"places of its maps, looked up on one core, {looking_up[longest]:.1f} s")
    total = at_best.get(longest, 0) + looking_up.get(longest, 0)
    share = (
        f"at the machine's rates {' and '.join(needs)}, {total / seconds[longest]:.0%}"
        if needs
        else "neither products of matrices nor maps"
    )
    return (
        f"{row['n_cells']:,} x {row['n_genes']:,}: fit {row['seconds_fit']:.1f} s ({row['n_epochs']} epochs of "
        f"{row['seconds_epoch']:.2f} s{', extrapolated' if row['extrapolated'] else ''}; products "
        f"{at_best['epochs'] / max(seconds['epochs'], 1e-9):.0%} of the machine's rate), "
        f"+{row['peak_fit_mb']:,.0f} MB; file to stream {row['seconds_all']:.1f} s, +{row['peak_all_mb']:,.0f} MB\n"
        f"    seconds: {', '.join(f'{name} {value:.1f}' for name, value in seconds.items())}; longest: {longest}, {share}\n"
        f"    MB above the data: {', '.join(f'{name} {mb:,.0f}' for name, mb in row['peak_mb'].items())}"
    )


def growth(few: dict[str, Any], many: dict[str, Any]) -> str:
    """From one size to the next: 1 is as many times as there are more cells."""
    cells = many["n_cells"] / few["n_cells"]
    time_all, time_fit, memory = (
        many[key] / few[key] / cells for key in ("seconds_all", "seconds_fit", "peak_all_mb")
    )
    return (
        f"{few['n_cells']:,} to {many['n_cells']:,} cells, beside linear growth: fit x {time_fit:.2f}, "
        f"all steps x {time_all:.2f}, memory x {memory:.2f}"
    )


if __name__ == "__main__":
    main()
