"""How well a cell's velocity agrees with those of its neighbours of the same group."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import scipy.sparse as sp

from deepvelo.tl.metrics.consistency import neighbor_consistency

if TYPE_CHECKING:
    from deepvelo.arrays.layers import Layer


def coherence(
    velocity: Layer, graph: sp.spmatrix, groups: pd.Series, *, length: np.ndarray | None = None
) -> np.ndarray:
    """In-cluster coherence: mean cosine of each cell's velocity with those of its graph neighbours of its group.

    As in VeloAE (Qiao & Huang 2021). Like consistency it says that the field is smooth, not that it is right.

    Parameters
    ----------
    velocity
        Shape ``(n_cells, n_genes)``, in memory or on disk; a gene that is NaN is left out.
    graph
        Sparse ``(n_cells, n_cells)``; its stored entries are the neighbours, a cell itself left out.
    groups
        Group of every cell; missing for cells without one.
    length
        As for `deepvelo.tl.metrics.consistency.neighbor_consistency`.

    Returns
    -------
    Shape ``(n_cells,)``; NaN for a cell with zero velocity, without a group, or without a moving neighbour in it.
    """
    codes = pd.factorize(groups)[0]  # -1 where missing
    edges = sp.csr_matrix(graph).tocoo()
    inside = (codes[edges.row] == codes[edges.col]) & (codes[edges.row] >= 0)
    kept = (np.ones(inside.sum()), (edges.row[inside], edges.col[inside]))
    return neighbor_consistency(velocity, sp.csr_matrix(kept, shape=edges.shape), length=length)
