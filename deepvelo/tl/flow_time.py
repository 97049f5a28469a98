"""Each cell's stage from the arrows between neighbours, by least squares."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import scipy.sparse as sp

_TOLERANCE = 1e-8  # of the residual, relative to the inflow


class FlowTime(NamedTuple):
    """Time of every cell, ``(n_cells,)``, and which share of the arrows it explains, 0 to 1."""

    time: np.ndarray
    explained: float


def flow_time(cosines: sp.csr_matrix) -> FlowTime:
    r"""The times whose differences between neighbours come closest to their velocities' cosines.

    .. math:: \min_t \sum_{i \to j} (t_j - t_i - c_{ij})^2

    over the entries :math:`c_{ij}` of the velocity graph: the cosine of cell i's velocity with the way to cell j. This
    is HodgeRank (Jiang et al. 2011, Math. Program. 127:203), the gradient part of the Hodge decomposition that Su et
    al. 2024 (J. Chem. Inf. Model. 64:6369) take of RNA velocity. What no time explains, arrows that run round, is left
    in the residual. It asks for no kinetics, no root and no end, so it is the same for every method and knows branches:
    scVelo's pseudotime, which averages the distances from one root and to one end, runs backwards on a branch that is
    not the end's. Arrows count by angle, not by length; a unit of time is a step along the arrow, no physical unit.

    Parameters
    ----------
    cosines
        ``velocity_graph + velocity_graph_neg``, shape ``(n_cells, n_cells)``; entries that are 0 are no neighbours.

    Returns
    -------
    In each connected part of the graph the times average 0; those of different parts cannot be compared.
    ``explained`` is the share of the squared cosines, averaged over both directions, that the times account for; NaN
    without entries.
    """
    from scipy.sparse.linalg import LinearOperator, cg

    asked = sp.csr_matrix(cosines != 0, dtype=np.float64)
    answers = sp.csr_matrix(asked + asked.T)  # 1 where one of two neighbours has the other, 2 where both
    net = sp.csr_matrix(cosines, dtype=np.float64)
    net = sp.csr_matrix(net - net.T)
    n_answers = np.asarray(answers.sum(axis=1)).ravel()
    scale = np.where(n_answers > 0, n_answers, 1.0)
    inflow = np.asarray(net.sum(axis=0)).ravel()
    # The Laplacian is singular, once a part, but inflows of a part add up to 0: there conjugate gradients are exact.
    time, _ = cg(
        sp.diags(n_answers) - answers, inflow, rtol=_TOLERANCE,
        M=LinearOperator(answers.shape, matvec=lambda x: x.ravel() / scale),
    )  # fmt: skip
    time = _centred(time, answers)
    pairs = sp.triu(answers, k=1).tocoo()
    if not pairs.nnz:
        return FlowTime(time=time, explained=np.nan)
    cosine = np.asarray(net[pairs.row, pairs.col]).ravel() / pairs.data
    left = cosine - (time[pairs.col] - time[pairs.row])
    total = (pairs.data * cosine**2).sum()
    explained = 1 - (pairs.data * left**2).sum() / total if total > 0 else 0.0
    return FlowTime(time=time, explained=float(explained))


def connected_parts(graph: sp.spmatrix) -> np.ndarray:
    """Connected part of every cell, ``(n_cells,)``: 0 for the largest, then by size."""
    _, label = sp.csgraph.connected_components(graph, directed=False)
    order = np.argsort(-np.bincount(label), kind="stable")
    return np.asarray(np.argsort(order)[label])


def _centred(time: np.ndarray, graph: sp.csr_matrix) -> np.ndarray:
    part = connected_parts(graph)
    return np.asarray(time - (np.bincount(part, weights=time) / np.bincount(part))[part])
