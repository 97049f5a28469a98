"""Tissue made by another group's simulator, as a data set of the benchmark.

A bifurcation whose genes drive each other along a network (SERGIO: Dibaeinia & Sinha 2020, Cell Systems 11:252; its
noise-free data set DS8), 900 cells x 100 genes. The folder holds ``network_driven_deep.h5ad``, ``network_driven_10x.h5ad``
and ``network_driven_truth.npz``, whose rows and columns are the same cells and genes.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

import numpy as np
from anndata import AnnData, read_h5ad

from benchmarks.accuracy_methods import Case, Depth, case_of
from deepvelo import keys
from deepvelo.datasets.tissue import Lineage, Stage, Tissue

KIND: Final = "foreign"
BETA, GAMMA = 0.8, 0.2  # of every gene
TISSUE: Final = Tissue(
    lineages=tuple(
        Lineage(name, name, (Stage(name, 1, (0.0, 1.0), color),), dynamic=1.0, parent=parent)
        for name, color, parent in (("t0", "#8c8c8c", None), ("t1", "#0072b2", "t0"), ("t2", "#d55e00", "t0"))
    )
)
"""Its cell types and which of them turns into which; the times of the stages say nothing."""


def foreign_case(folder: Path, depth: Depth, *, seed: int) -> Case:
    """Read one depth and prepare it; ``seed`` is the fit's alone.

    The true velocity of a cell is the mean over its 30 nearest noise-free cells, because that of a single cell
    fluctuates. The cells' times are unknown, so nothing is scored by tenth of time.
    """
    return case_of(with_truth(read_h5ad(folder / f"network_driven_{depth}.h5ad"), folder), seed=seed)


def with_truth(counts: AnnData, folder: Path) -> AnnData:
    """Counts with the layers and columns that a simulated data set of ours has, changed in place.

    Molecules are not scaled to counts: no score depends on it.
    """
    with np.load(folder / "network_driven_truth.npz") as truth:
        velocity, unspliced = truth["velocity"], truth["u"]
    counts.layers[keys.TRUE_VELOCITY] = velocity
    counts.layers[keys.TRUE_ALPHA] = BETA * unspliced  # what would keep a cell's unspliced RNA as it is
    counts.layers[keys.TRUE_BETA] = np.full(counts.shape, BETA, dtype=np.float32)
    counts.layers[keys.TRUE_GAMMA] = np.full(counts.shape, GAMMA, dtype=np.float32)
    counts.obs[keys.TRUE_TIME] = np.nan
    counts.obs[keys.TRUE_SIZE] = 1.0
    counts.obs[keys.LINEAGE] = counts.obs[keys.CLUSTERS]
    counts.var[keys.RATES_DIFFER] = False
    counts.uns[keys.CAPTURE] = 1.0
    counts.uns[keys.SIMULATION] = {"kind": KIND}
    return counts
