"""How well a cell's velocity agrees with its neighbours' and with its cell type's (Cui et al. 2022, section 3.1).

Both are mean cosines, -1 to 1. A high score says that the field is smooth, not that it is right.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import scipy.sparse as sp

from deepvelo.arrays.layers import gene_blocks

if TYPE_CHECKING:
    from deepvelo.arrays.layers import Layer


def lengths(velocity: Layer) -> np.ndarray:
    """Length of every cell's velocity over the genes that have one.

    Parameters
    ----------
    velocity
        Shape ``(n_cells, n_genes)``, in memory or on disk; genes without velocity are NaN and left out.

    Returns
    -------
    Shape ``(n_cells,)``, float64; 0 for a cell with zero velocity.
    """
    squares = np.zeros(velocity.shape[0])
    for block in _known_blocks(velocity):
        squares += np.einsum("ij,ij->i", block, block, dtype=np.float64)
    return np.sqrt(squares)


def scaled(block: np.ndarray, length: np.ndarray) -> np.ndarray:
    """Some genes of velocities scaled to length 1; 0 in cells with zero velocity.

    Parameters
    ----------
    block
        Shape ``(n_cells, n_genes_in_block)``.
    length
        Of the whole velocities, shape ``(n_cells,)``.
    """
    scale = np.divide(1, length, out=np.zeros_like(length), where=length > 0)
    return np.asarray(block * scale[:, None].astype(block.dtype))


def neighbor_consistency(
    velocity: Layer, graph: sp.spmatrix, *, length: np.ndarray | None = None
) -> np.ndarray:
    """Overall consistency: mean cosine of each cell's velocity with those of its neighbours (Cui et al. 2022, section 3.1).

    Parameters
    ----------
    velocity
        Shape ``(n_cells, n_genes)``, in memory or on disk; genes without velocity are NaN and left out.
    graph
        Sparse ``(n_cells, n_cells)``; its stored entries are the neighbours, a cell itself left out.
    length
        What `lengths` gives, where it is known: the velocities are then read once less.

    Returns
    -------
    Shape ``(n_cells,)``; NaN for a cell with zero velocity, or without a moving neighbour.
    """
    length = lengths(velocity) if length is None else length
    edges = sp.csr_matrix(graph).tocoo()
    between = edges.row != edges.col
    row, col = edges.row[between], edges.col[between]
    moving = length > 0
    keep = moving[row] & moving[col]
    neighbors = sp.csr_matrix(
        (np.ones(keep.sum()), (row[keep], col[keep])), shape=graph.shape, dtype=velocity.dtype
    )
    n_neighbors = np.diff(neighbors.indptr)
    total = np.zeros(len(length))
    for block in _known_blocks(velocity):
        unit = scaled(block, length)
        total += np.einsum("ij,ij->i", neighbors @ unit, unit)
    return np.where(n_neighbors > 0, total / np.maximum(n_neighbors, 1), np.nan)


def celltype_consistency(
    velocity: Layer, groups: pd.Series, *, length: np.ndarray | None = None
) -> np.ndarray:
    r"""Cell-type-wise consistency: mean cosine of each cell's velocity with all other cells of its group.

    With unit vectors :math:`e_i`, their sum S over a group of n cells gives :math:`(e_i \cdot S - 1) / (n - 1)`,
    so no matrix of cells by cells is needed. The cell itself is left out: counting it flatters small groups.

    Parameters
    ----------
    velocity
        Shape ``(n_cells, n_genes)``, in memory or on disk; genes without velocity are NaN and left out.
    groups
        Group of every cell, missing for cells without one.
    length
        What `lengths` gives, where it is known: the velocities are then read once less.

    Returns
    -------
    Shape ``(n_cells,)``; NaN for a cell with zero velocity, without a group, or alone in it.
    """
    length = lengths(velocity) if length is None else length
    codes, names = pd.factorize(groups)  # -1 without a group
    compared = np.flatnonzero((codes >= 0) & (length > 0))
    code = codes[compared]
    # Double precision: a group may have a hundred thousand members.
    members = sp.csr_matrix((np.ones(len(code)), (code, np.arange(len(code)))), shape=(len(names), len(code)))
    along = np.zeros(len(code))
    for block in _known_blocks(velocity):
        own = scaled(block, length)[compared]
        along += np.einsum("ij,ij->i", own, (members @ own).astype(own.dtype)[code])
    n_others = np.bincount(code, minlength=len(names))[code] - 1
    score = np.full(len(length), np.nan)
    score[compared] = np.where(n_others > 0, (along - 1) / np.maximum(n_others, 1), np.nan)
    return score


def _known_blocks(velocity: Layer) -> Iterator[np.ndarray]:
    for genes in gene_blocks(velocity):
        block = velocity[:, genes]
        yield block[:, np.isfinite(block).all(axis=0)]
