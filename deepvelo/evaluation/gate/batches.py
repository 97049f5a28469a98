"""Whether cells of several batches are each other's neighbours, as they are after correction."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import scipy.sparse as sp

from deepvelo import checks, keys
from deepvelo.evaluation.gate.finding import GateFinding, graded

if TYPE_CHECKING:
    from anndata import AnnData

AMBER, RED = 0.8, 0.5


def batch_mixing(graph: sp.spmatrix, *, batches: np.ndarray, groups: np.ndarray) -> float:
    """Neighbours from other batches, as a share of those that chance would give within the cell groups.

    Only neighbours of the same group count, so that batches in which some groups are rarer are not blamed for it.

    Parameters
    ----------
    graph
        Sparse ``(n_cells, n_cells)``; its stored entries are the neighbours.
    batches, groups
        Shape ``(n_cells,)``.

    Returns
    -------
    0, every batch by itself; 1, mixed as by chance. NaN where no group has cells of two batches.
    """
    _, batch = np.unique(batches.astype(str), return_inverse=True)
    _, group = np.unique(groups.astype(str), return_inverse=True)
    cells = np.zeros((group.max() + 1, batch.max() + 1))
    np.add.at(cells, (group, batch), 1)
    size = cells.sum(axis=1)[group]
    others = np.divide(size - cells[group, batch], size - 1, out=np.zeros(len(size)), where=size > 1)
    edges = sp.coo_matrix(graph)
    inside = (group[edges.row] == group[edges.col]) & (edges.row != edges.col)
    row, col = edges.row[inside], edges.col[inside]
    expected = float(others[row].sum())
    return float((batch[row] != batch[col]).sum()) / expected if expected > 0 else float("nan")


def batches_mixed(adata: AnnData, *, batch_key: str | None, cluster_key: str) -> GateFinding:
    """Whether the neighbour graph mixes the batches of ``obs[batch_key]``.

    Raises
    ------
    InputError
        There is no such column.
    """
    finding = {
        "title": "Batches",
        "threshold": f"amber below {AMBER:g}, red below {RED:g} of the mixing that chance gives within the groups",
        "why": (
            "Uncorrected, a cell's neighbours are of its own batch, and the way to another batch is taken for movement. "
            f"At {RED:g}, half of the neighbours that should be of another batch are not."
        ),
    }
    if batch_key is None:
        return GateFinding(level="not checked", evidence="No batch column was named.", **finding)
    checks.require_column(adata, batch_key)
    batches = adata.obs[batch_key].astype(str).to_numpy()
    n_batches = len(np.unique(batches))
    if n_batches < 2:
        return GateFinding(level="not checked", evidence=f"'{batch_key}' names a single batch.", **finding)
    groups = adata.obs[cluster_key].astype(str).to_numpy()
    mixing = batch_mixing(adata.obsp[keys.DISTANCES], batches=batches, groups=groups)
    if np.isnan(mixing):
        evidence = (
            f"No group of '{cluster_key}' has cells of two batches: batch and group cannot be told apart."
        )
        return GateFinding(level="amber", evidence=evidence, **finding)
    evidence = f"Neighbours of another of the {n_batches} batches: {mixing:.2f} times as many as by chance."
    return GateFinding(level=graded(mixing, amber=AMBER, red=RED), evidence=evidence, **finding)
