"""Whether the neighbour graph mixes cells of several batches, as it does after batch correction."""

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
    """Neighbours from other batches, relative to the number expected by chance within the groups.

    Only neighbours of the same group count, so that different group sizes between batches do not lower the score.

    Parameters
    ----------
    graph
        Sparse ``(n_cells, n_cells)``; its stored entries are the neighbours.
    batches, groups
        Shape ``(n_cells,)``.

    Returns
    -------
    0 if every batch is separate, 1 if batches mix as by chance; NaN if no group has cells of two batches.
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
        ``obs`` has no such column.
    """
    finding = {
        "title": "Batches",
        "threshold": f"amber below {AMBER:g}, red below {RED:g} of the mixing that chance gives within the groups",
        "why": (
            "Without batch correction a cell's neighbours are in its own batch, and displacements between batches look like movement. "
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
