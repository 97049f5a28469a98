"""Whether velocities lead from one group of cells into the next: the only score here that knows any biology."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
import scipy.sparse as sp


def boundary_correctness(
    arrows: np.ndarray,
    positions: np.ndarray,
    *,
    graph: sp.spmatrix,
    groups: np.ndarray,
    source: str,
    target: str,
    at_rest: float = np.nan,
) -> np.ndarray:
    """Mean cosine of a source cell's arrow with the ways to its graph neighbours in the target.

    Cross-boundary direction correctness of VeloAE (Qiao & Huang 2021, PNAS 118:e2105859118), in an embedding or in
    gene space. 1: straight into the target; 0: neither towards nor away; -1: straight away.

    Parameters
    ----------
    arrows
        Arrows on an embedding, ``(n_cells, 2)``, or velocities, ``(n_cells, n_genes)``. A gene that is NaN is left
        out, and so is a cell without arrow.
    positions
        The embedding, or spliced moments; shape of ``arrows``.
    graph
        Sparse ``(n_cells, n_cells)``; the stored entries of a row are the cell's neighbours.
    groups
        Group of every cell, shape ``(n_cells,)``.
    at_rest
        Score of a cell whose arrow has no length: NaN leaves it out, 0 counts it as neither.

    Returns
    -------
    Shape ``(n_cells,)``; NaN for cells of other groups and for those without a neighbour in the target, or with
    none at another place.
    """
    given = np.isfinite(arrows).any(axis=1)
    known = np.isfinite(arrows[given]).all(axis=0)
    arrows, positions = arrows[:, known], positions[:, known]
    neighbors = sp.csr_matrix(graph)
    in_target = np.asarray(groups) == target
    score = np.full(len(arrows), np.nan)
    for cell in np.flatnonzero((np.asarray(groups) == source) & given):
        around = neighbors.indices[neighbors.indptr[cell] : neighbors.indptr[cell + 1]]
        ways = positions[around[in_target[around]]] - positions[cell]
        lengths = np.linalg.norm(ways, axis=1)
        ways, lengths = ways[lengths > 0], lengths[lengths > 0]
        if len(ways):
            speed = np.linalg.norm(arrows[cell])
            score[cell] = (ways @ arrows[cell] / lengths).mean() / speed if speed > 0 else at_rest
    return score


def boundary_means(
    arrows: np.ndarray,
    positions: np.ndarray,
    *,
    graph: sp.spmatrix,
    groups: np.ndarray,
    edges: Sequence[tuple[str, str]],
) -> list[float]:
    """Mean of `boundary_correctness` over the source's cells, for each source and target; NaN where no cell has one."""
    return [
        float(
            pd.Series(
                boundary_correctness(
                    arrows, positions, graph=graph, groups=groups, source=source, target=target
                )
            ).mean()
        )
        for source, target in edges
    ]
