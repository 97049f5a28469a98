"""Cross-boundary direction correctness (CBDir): whether velocities lead from one group of cells into the next."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import scipy.sparse as sp

from deepvelo.arrays.layers import gene_blocks

if TYPE_CHECKING:
    from deepvelo.arrays.layers import Layer

_BLOCK_DISPLACEMENTS = 2**13  # times the genes of a block: 4 MB


def boundary_correctness(
    arrows: Layer,
    positions: Layer,
    *,
    graph: sp.spmatrix,
    groups: np.ndarray,
    source: str,
    target: str,
    zero_velocity_score: float = np.nan,
) -> np.ndarray:
    """Mean cosine of a source cell's arrow with the displacements to its graph neighbours in the target.

    Cross-boundary direction correctness of VeloAE (Qiao & Huang 2021, PNAS 118:e2105859118), in an embedding or in
    gene space. 1: straight into the target; 0: neither towards nor away; -1: straight away.

    Parameters
    ----------
    arrows
        Arrows on an embedding, ``(n_cells, 2)``, or velocities, ``(n_cells, n_genes)``, in memory or on disk. A gene
        that is NaN is left out, and so is a cell without arrow.
    positions
        The embedding, or spliced moments; shape of ``arrows``.
    graph
        Sparse ``(n_cells, n_cells)``; the stored entries of a row are the cell's neighbours.
    groups
        Group of every cell, shape ``(n_cells,)``.
    zero_velocity_score
        Score of a cell whose arrow has no length: NaN leaves it out, 0 counts it as neither.

    Returns
    -------
    Shape ``(n_cells,)``; NaN for cells of other groups and for those without a neighbour in the target, or with
    none at another place.
    """
    edges = [(source, target)]
    return boundary_scores(
        arrows, positions, graph=graph, groups=groups, edges=edges, zero_velocity_score=zero_velocity_score
    )[0]


def boundary_means(
    arrows: Layer,
    positions: Layer,
    *,
    graph: sp.spmatrix,
    groups: np.ndarray,
    edges: Sequence[tuple[str, str]],
) -> list[float]:
    """Mean of `boundary_correctness` over the source's cells, for each source and target; NaN where no cell has one."""
    scores = boundary_scores(arrows, positions, graph=graph, groups=groups, edges=edges)
    return [float(pd.Series(score).mean()) for score in scores]


def boundary_scores(
    arrows: Layer,
    positions: Layer,
    *,
    graph: sp.spmatrix,
    groups: np.ndarray,
    edges: Sequence[tuple[str, str]],
    zero_velocity_score: float = np.nan,
) -> list[np.ndarray]:
    """`boundary_correctness` of several sources and targets, for which all genes are read once."""
    given, names = _given(arrows), np.asarray(groups)
    stored = sp.csr_matrix(graph)
    row = np.repeat(np.arange(stored.shape[0]), np.diff(stored.indptr))
    # Pairs of a source cell with an arrow and its neighbour in the target, for each edge.
    across = [((names == a) & given)[row] & (names == b)[stored.indices] for a, b in edges]
    displacements = [(row[pairs], stored.indices[pairs]) for pairs in across]
    sums = [(np.zeros(len(start)), np.zeros(len(start))) for start, _ in displacements]
    speed = np.zeros(len(given))  # squared, until the last gene
    for genes in gene_blocks(arrows, n_layers=2):
        arrow, position = np.asarray(arrows[:, genes]), np.asarray(positions[:, genes])
        known = np.isfinite(arrow[given]).all(axis=0)
        if not known.all():
            arrow, position = arrow[:, known], position[:, known]
        speed += np.einsum("ij,ij->i", arrow, arrow, dtype=np.float64)
        for (start, end), (along, length) in zip(displacements, sums, strict=True):
            for first in range(0, len(start), _BLOCK_DISPLACEMENTS):
                some = slice(first, first + _BLOCK_DISPLACEMENTS)
                displacement = position[end[some]] - position[start[some]]
                along[some] += np.einsum("ij,ij->i", displacement, arrow[start[some]], dtype=np.float64)
                length[some] += np.einsum("ij,ij->i", displacement, displacement, dtype=np.float64)
    return [
        _mean_cosines(
            start, along, np.sqrt(length), speed=np.sqrt(speed), zero_velocity_score=zero_velocity_score
        )
        for (start, _), (along, length) in zip(displacements, sums, strict=True)
    ]


def _given(arrows: Layer) -> np.ndarray:
    """Which cells have an arrow at all, bool ``(n_cells,)``; most often the first genes tell."""
    given = np.zeros(arrows.shape[0], dtype=bool)
    for genes in gene_blocks(arrows):
        given |= np.isfinite(arrows[:, genes]).any(axis=1)
        if given.all():
            break
    return given


def _mean_cosines(
    start: np.ndarray, along: np.ndarray, length: np.ndarray, *, speed: np.ndarray, zero_velocity_score: float
) -> np.ndarray:
    """Mean over each cell's displacements that are not zero; NaN for a cell without any."""
    leads = length > 0
    start = start[leads]
    n_ways = np.bincount(start, minlength=len(speed))
    total = np.bincount(start, along[leads] / length[leads], minlength=len(speed))
    mean = np.divide(
        total, n_ways * speed, out=np.full(len(speed), zero_velocity_score), where=n_ways * speed > 0
    )
    return np.where(n_ways > 0, mean, np.nan)
