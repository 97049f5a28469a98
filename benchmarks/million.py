"""What a million cells cost: a fit's averages and its training, on a slice of genes and of epochs.

``python benchmarks/million.py [--cells 100000 1000000] [--genes 200] [--epochs 3] [--seed 0] [--json FILE]``

The neighbour graph that moments are averaged over is that of the principal components of the spliced moments, with
UMAP's weights, as a preparation would have left it; of the averages one block of genes is made. How the time of a cell
depends on how many there are is seen with few genes as well: the search for neighbours, the groups that batches are drawn
from and the neighbours that their cells share do not ask for genes. With ``--genes 2000`` a
million cells are trained from disk, in the folder for temporary files, where they take some 40 GB: memory is then that of
a whole fit. Passes after the first are measured, the others are left out. The rest is what else a training does before its
first epoch, such as the network's start and, in memory, its inputs. The last hidden layer is that before the epochs, and
counts twice: another one comes after them. Moments in files are written once more, to time it. Each size runs in a
process of its own and is compared with the first.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
import time
import warnings
from contextlib import AbstractContextManager, ExitStack, suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final
from unittest.mock import patch

import numpy as np
import psutil
import torch
from anndata import AnnData

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks.scale import Mixtures
from deepvelo import config, keys
from deepvelo.arrays.layers import gene_blocks
from deepvelo.arrays.on_disk import Columns, ColumnsOnDisk, ColumnWriter, blocks_of_columns
from deepvelo.memory import MemoryMeter
from deepvelo.model import preparation, training
from deepvelo.model.graph.cell_graph import nearest_neighbors, principal_components
from deepvelo.plan import moment_averages, plan_of
from deepvelo.tl.velocity.smoothing import GraphAverage

NEIGHBORS_AVERAGED: Final = 30  # moments are means over so many cells
CELLS_AT_ONCE: Final = 20_000  # whose distances to their neighbours are measured
BEFORE: Final = {
    "principal_components": "components",
    "nearest_neighbors": "neighbours",
    "neighbors_within_reach": "candidates",
    "assign_targets": "target assignment",
    "fit_neighborhood_rates": "neighbourhood rates",
    "in_files": "writing by cell",
    "last_hidden": "the last hidden layer",
}
REST: Final = "the rest before the epochs"


class Enough(Exception):
    """Ends a training after some epochs."""


def moments(*, n_cells: int, n_genes: int, seed: int, folder: Path | None = None) -> tuple[Columns, Columns]:
    """Spliced and unspliced, ``(n_cells, n_genes)`` each: what is expected of a cell, as noisy as means over neighbours.

    With a folder they lie there.
    """
    cells = Mixtures(n_cells=n_cells, n_genes=n_genes, seed=seed)
    shape, layers = (n_cells, n_genes), list[Columns]()
    for key in (keys.SPLICED, keys.UNSPLICED):
        path = folder / key if folder else None
        if path:
            file = np.memmap(path, dtype=np.float32, mode="w+", shape=n_cells * n_genes)
            parts = [
                (genes, file[n_cells * genes.start : n_cells * genes.stop].reshape(n_cells, -1))
                for genes in blocks_of_columns(n_genes)
            ]
        else:
            values = np.empty(shape, dtype=np.float32)
            parts = [(slice(None), values)]
        start = 0
        for mean in cells.expected(key):
            counts = cells.random.poisson(NEIGHBORS_AVERAGED * mean)
            found = np.log1p(counts / NEIGHBORS_AVERAGED)
            for genes, part in parts:
                part[start : start + len(mean)] = found[:, genes]
            start += len(mean)
        layers.append(ColumnsOnDisk(path, shape, torch.float32) if path else torch.from_numpy(values))
    spliced, unspliced = layers
    return spliced, unspliced


def graph_of(spliced: Columns, *, settings: config.Settings) -> AnnData:
    """Cells with the components and the neighbour graph that a preparation leaves, and nothing else."""
    scores = principal_components(
        spliced, n_components=settings.preparation.n_components, seed=settings.seed
    ).scores.numpy()
    neighbors = nearest_neighbors(torch.from_numpy(scores), n_neighbors=NEIGHBORS_AVERAGED).numpy()
    distances = np.empty(neighbors.shape, dtype=np.float32)
    for start in range(0, len(scores), CELLS_AT_ONCE):
        some = slice(start, start + CELLS_AT_ONCE)
        distances[some] = np.linalg.norm(scores[neighbors[some]] - scores[some, None], axis=2)
    from umap.umap_ import fuzzy_simplicial_set  # compiles for seconds

    itself = np.arange(len(scores))[:, None]
    graph, *_ = fuzzy_simplicial_set(
        scores, NEIGHBORS_AVERAGED, np.random.RandomState(settings.seed), "euclidean",
        knn_indices=np.hstack([itself, neighbors]), knn_dists=np.pad(distances, ((0, 0), (1, 0))),
    )  # fmt: skip
    return AnnData(obsm={keys.X_PCA: scores}, obsp={keys.CONNECTIVITIES: graph})


def measure(*, n_cells: int, n_genes: int, n_epochs: int, seed: int) -> dict[str, Any]:
    """Seconds of each part of a training up to so many epochs, and its peak memory, in this process."""
    warnings.filterwarnings("ignore")
    settings = config.replace(config.Settings(), {"seed": seed, "training": {"device": "cpu"}})
    torch.set_num_threads(os.cpu_count() or 1)
    # Libraries load and compile, and threads start, outside the measurement.
    small = moments(n_cells=3000, n_genes=100, seed=seed)
    training.train(*small, settings=config.replace(settings, {"training": {"n_epochs": 1}}))
    with TemporaryDirectory() as folder:
        on_disk = plan_of(n_cells, n_genes, settings).from_disk
        cells = moments(n_cells=n_cells, n_genes=n_genes, seed=seed, folder=Path(folder) if on_disk else None)
        return {"n_cells": n_cells, "n_genes": n_genes, "on_disk": on_disk} | _measure(
            *cells, settings=settings, n_epochs=n_epochs
        )


def _measure(
    spliced: Columns, unspliced: Columns, *, settings: config.Settings, n_epochs: int
) -> dict[str, Any]:
    n_cells = len(spliced)
    cells = graph_of(spliced, settings=settings)
    n_averages = moment_averages(n_cells, settings)
    before = psutil.Process().memory_info().rss
    seconds = dict.fromkeys(BEFORE.values(), 0.0)
    began: list[float] = []
    ends: list[float] = []

    def timed(name: str) -> AbstractContextManager[Any]:
        step = getattr(preparation, name)

        def call(*args: Any, **options: Any) -> Any:
            started = time.perf_counter()
            done = step(*args, **options)
            seconds[BEFORE[name]] += time.perf_counter() - started
            return done

        return patch.object(preparation, name, call)

    learn = training.learn

    def learning(*args: Any, **options: Any) -> Any:
        began.append(time.perf_counter())
        return learn(*args, **options)

    def on_epoch(*_: object) -> None:
        ends.append(time.perf_counter())
        if len(ends) == n_epochs:
            raise Enough

    with MemoryMeter() as memory:
        block = spliced[:, next(iter(gene_blocks(spliced)))].numpy()
        started = time.perf_counter()
        average = GraphAverage(cells)
        average(block[:, :1], times=n_averages)  # the first finds its groups
        seconds["setting averages up"] = time.perf_counter() - started
        started = time.perf_counter()
        average(block, times=n_averages)
        seconds["the averages of a gene"] = (time.perf_counter() - started) / block.shape[1]
        with ExitStack() as stack:
            for name in BEFORE:
                stack.enter_context(timed(name))
            stack.enter_context(patch.object(training, "learn", learning))
            stack.enter_context(suppress(Enough))
            before_it = time.perf_counter()
            training.train(spliced, unspliced, settings=settings, on_epoch=on_epoch)
        seconds[REST] = began[0] - before_it - sum(seconds[name] for name in BEFORE.values())
        seconds["an epoch"] = float(np.median(np.diff(ends)))
        if isinstance(spliced, ColumnsOnDisk):
            started = time.perf_counter()
            with ColumnWriter(spliced.path.with_name("again")) as file:
                for genes in blocks_of_columns(spliced.shape[1]):
                    file.add(spliced[:, genes])
            seconds["writing a layer of moments"] = time.perf_counter() - started
    return {
        "seconds": {name: value for name, value in seconds.items() if value},  # in memory nothing is written
        "n_epochs": plan_of(n_cells, spliced.shape[1], settings).n_epochs,
        "n_averages": n_averages,
        "peak_mb": (memory.peak - before) / 2**20,
        "moments_mb": 2 * 4 * n_cells * spliced.shape[1] / 2**20,
    }


def whole(row: dict[str, Any]) -> float:
    """Seconds of all parts, of two layers and every epoch; the velocities that follow are not among them."""
    times = {
        "an epoch": row["n_epochs"],
        "the averages of a gene": 2 * row["n_genes"],
        "the last hidden layer": 2,
        "writing a layer of moments": 2,
    }
    return float(sum(times.get(name, 1) * value for name, value in row["seconds"].items()))


def in_words(row: dict[str, Any], first: dict[str, Any]) -> str:
    """One size, and how much longer than with the first size each part takes a cell."""
    more = row["n_cells"] / first["n_cells"]
    parts = []
    seconds, of_first = (of["seconds"] | {"all of it": whole(of)} for of in (row, first))
    for name, value in seconds.items():
        before = of_first.get(name)
        beside = f", x {value / before / more:.2f}" if before else ""
        parts.append(f"{name} {value:.3g} s ({1e6 * value / row['n_cells']:.3g} us a cell{beside})")
    return (
        f"{row['n_cells']:,} x {row['n_genes']:,}: {', '.join(parts)}; {row['n_epochs']} epochs and {row['n_averages']} averages are made; "
        f"+{row['peak_mb']:,.0f} MB beside moments of {row['moments_mb']:,.0f} MB"
        f"{' on disk' if row['on_disk'] else ''}"
    )


def main() -> None:
    """Measure all sizes and print them."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--cells", type=int, nargs="+", default=[100_000, 1_000_000])
    parser.add_argument("--genes", type=int, default=200)
    parser.add_argument("--epochs", type=int, default=3, help="At least 2.")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", type=Path)
    parser.add_argument("--only", type=int, help=argparse.SUPPRESS)
    args = parser.parse_args()
    options = {"n_genes": args.genes, "n_epochs": args.epochs, "seed": args.seed}
    if args.only:
        print(json.dumps(measure(n_cells=args.only, **options)))
        return
    print(
        f"{platform.machine()}, {os.cpu_count()} cores, torch {torch.__version__}, seed {args.seed}",
        flush=True,
    )
    found: list[dict[str, Any]] = []
    for n_cells in args.cells:
        done = subprocess.run(
            [
                *(sys.executable, __file__, "--only", str(n_cells), "--genes", str(args.genes)),
                *("--epochs", str(args.epochs), "--seed", str(args.seed)),
            ],
            capture_output=True,
            text=True,
        )
        if done.returncode:
            sys.exit(done.stderr)
        found.append(json.loads(done.stdout.splitlines()[-1]))
        print(in_words(found[-1], found[0]), flush=True)
    if args.json:
        args.json.write_text(json.dumps(found, indent=2))


if __name__ == "__main__":
    main()
