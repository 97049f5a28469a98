"""Latent time of each cell from the velocity graph, by least squares (HodgeRank)."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import scipy.sparse as sp

_TOLERANCE = 1e-8  # of the residual, relative to the inflow
_BLOCK_CELLS = 4096


class FlowTime(NamedTuple):
    """Time of every cell, ``(n_cells,)``, and which share of the arrows it explains, 0 to 1."""

    time: np.ndarray
    explained: float


def flow_time(cosines: sp.csr_matrix) -> FlowTime:
    r"""The times whose differences between neighbours come closest to their velocities' cosines.

    .. math:: \min_t \sum_{i \to j} (t_j - t_i - c_{ij})^2

    over the entries :math:`c_{ij}` of the velocity graph: the cosine of cell i's velocity with the displacement to cell j. This
    is HodgeRank (Jiang et al. 2011, Math. Program. 127:203), the gradient part of the Hodge decomposition that Su et
    al. 2024 (J. Chem. Inf. Model. 64:6369) take of RNA velocity. What no time explains, cyclic flow, is left
    in the residual. It needs no kinetics, no root and no terminal state, so it is the same for every method and handles
    branches: scVelo's pseudotime, which averages the distances from one root and to one end, runs backwards on a branch that is
    not the end's. Arrows count by angle, not by length; a unit of time is a step along the arrow, no physical unit.

    Parameters
    ----------
    cosines
        ``velocity_graph + velocity_graph_neg``, shape ``(n_cells, n_cells)``; entries that are 0 are no neighbours.

    Returns
    -------
    In each connected component the times have mean 0; those of different components cannot be compared.
    ``explained`` is the share of the squared cosines, averaged over both directions, that the times account for; NaN
    without entries.
    """
    from scipy.sparse.linalg import LinearOperator, cg

    arrows = _without_zeros(cosines)
    # 1 for every arrow. Sums of both directions are not formed: with many cells they take gigabytes.
    present = sp.csr_matrix((np.ones(arrows.nnz), arrows.indices, arrows.indptr), shape=arrows.shape)
    n_arrows = np.diff(arrows.indptr) + np.bincount(arrows.indices, minlength=arrows.shape[0])
    scale = np.where(n_arrows > 0, n_arrows, 1.0)
    inflow = np.asarray(arrows.sum(axis=0)).ravel() - np.asarray(arrows.sum(axis=1)).ravel()

    def laplacian(x: np.ndarray) -> np.ndarray:
        x = x.ravel()
        return np.asarray(n_arrows * x - present @ x - present.T @ x)

    # The Laplacian is singular once per component, but inflows of a component sum to 0: there conjugate gradients converge.
    time, _ = cg(
        LinearOperator(arrows.shape, matvec=laplacian), inflow, rtol=_TOLERANCE,
        M=LinearOperator(arrows.shape, matvec=lambda x: x.ravel() / scale),
    )  # fmt: skip
    time = _centred(time, arrows)
    return FlowTime(time=time, explained=_explained(arrows, present, time))


def connected_parts(graph: sp.spmatrix) -> np.ndarray:
    """Connected component of every cell, ``(n_cells,)``: 0 for the largest, then by size."""
    _, label = sp.csgraph.connected_components(graph, directed=False)
    order = np.argsort(-np.bincount(label), kind="stable")
    return np.asarray(np.argsort(order)[label])


def _without_zeros(cosines: sp.csr_matrix) -> sp.csr_matrix:
    """In double precision; the same matrix where nothing changes."""
    arrows = sp.csr_matrix(cosines, dtype=np.float64)
    if (arrows.data == 0).any():
        arrows = arrows.copy()
        arrows.eliminate_zeros()
    return arrows


def _explained(arrows: sp.csr_matrix, present: sp.csr_matrix, time: np.ndarray) -> float:
    """The share of the squared cosines, averaged over both directions, that the times account for; NaN without any."""
    back = sp.csr_matrix(arrows.T)
    present_back = sp.csr_matrix((present.data, back.indices, back.indptr), shape=back.shape)
    left, total = 0.0, 0.0
    for start in range(0, len(time), _BLOCK_CELLS):
        some = slice(start, start + _BLOCK_CELLS)
        pairs = sp.coo_matrix(present[some] + present_back[some])
        upper = pairs.col > pairs.row + start  # each pair once
        row, column, n_arrows = pairs.row[upper], pairs.col[upper], pairs.data[upper]
        net = sp.csr_matrix(arrows[some] - back[some])
        cosine = np.asarray(net[row, column]).ravel() / n_arrows
        total += float((n_arrows * cosine**2).sum())
        left += float((n_arrows * (cosine - (time[column] - time[row + start])) ** 2).sum())
    if not arrows.nnz:
        return np.nan
    return 1 - left / total if total > 0 else 0.0


def _centred(time: np.ndarray, graph: sp.csr_matrix) -> np.ndarray:
    part = connected_parts(graph)
    return np.asarray(time - (np.bincount(part, weights=time) / np.bincount(part))[part])
