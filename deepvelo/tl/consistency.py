"""How well a cell's velocity agrees with its neighbours' and with its cell type's (Cui et al. 2022, section 3.1).

Both are mean cosines, -1 to 1. A high score says that the field is smooth, not that it is right.
"""

from __future__ import annotations

import numpy as np
import pandas as pd
import scipy.sparse as sp


def unit_rows(velocity: np.ndarray) -> np.ndarray:
    """Velocities scaled to length 1 over the genes that have one; a cell at rest becomes NaN.

    Parameters
    ----------
    velocity
        Shape ``(n_cells, n_genes)``; genes without velocity are NaN and left out.
    """
    velocity = velocity[:, np.isfinite(velocity).all(axis=0)]
    length = np.linalg.norm(velocity, axis=1, keepdims=True)
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where(length > 0, velocity / length, np.nan)


def consistency(velocity: np.ndarray, graph: sp.spmatrix) -> np.ndarray:
    """Overall consistency: mean cosine of each cell's velocity with those of its neighbours.

    Parameters
    ----------
    velocity
        Shape ``(n_cells, n_genes)``.
    graph
        Sparse ``(n_cells, n_cells)``; its stored entries are the neighbours, a cell itself left out.

    Returns
    -------
    Shape ``(n_cells,)``; NaN for a cell at rest, or without a moving neighbour.
    """
    unit = unit_rows(velocity)
    edges = sp.csr_matrix(graph).tocoo()
    between = edges.row != edges.col
    row, col = edges.row[between], edges.col[between]
    moving = np.isfinite(unit).all(axis=1)
    keep = moving[row] & moving[col]
    neighbors = sp.csr_matrix(
        (np.ones(keep.sum()), (row[keep], col[keep])), shape=graph.shape, dtype=unit.dtype
    )
    unit = np.nan_to_num(unit)
    n_neighbors = np.diff(neighbors.indptr)
    total = ((neighbors @ unit) * unit).sum(axis=1)
    return np.where(n_neighbors > 0, total / np.maximum(n_neighbors, 1), np.nan)


def consistency_celltype(velocity: np.ndarray, groups: pd.Series) -> np.ndarray:
    r"""Cell-type-wise consistency: mean cosine of each cell's velocity with all other cells of its group.

    With unit vectors :math:`e_i`, their sum S over a group of n cells gives :math:`(e_i \cdot S - 1) / (n - 1)`,
    so no matrix of cells by cells is needed. The cell itself is left out: counting it flatters small groups.

    Returns
    -------
    Shape ``(n_cells,)``; NaN for a cell at rest, without a group, or alone in it.
    """
    unit = unit_rows(velocity)
    moving = np.isfinite(unit).all(axis=1)
    score = np.full(len(unit), np.nan)
    values = groups.to_numpy()
    for group in pd.unique(groups.dropna()):
        members = np.flatnonzero((values == group) & moving)
        if len(members) > 1:
            together = unit[members].sum(axis=0, dtype=np.float64)
            score[members] = (unit[members] @ together - 1) / (len(members) - 1)
    return score
