"""Growth of total RNA along a lineage, which size normalisation hides, added to fitted velocities."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from anndata import AnnData

from deepvelo import keys
from deepvelo.arrays.layers import blocks_of, fill, projected
from deepvelo.plan import averages

if TYPE_CHECKING:
    from torch import Tensor

    from deepvelo.arrays.layers import Layer, WritableLayer
    from deepvelo.arrays.on_disk import Columns
    from deepvelo.config import Settings
    from deepvelo.model.graph.cell_graph import Components
    from deepvelo.tl.velocity.smoothing import GraphAverage

# Averages over the graph, for up to 3,000 cells: totals of single cells differ by capture far more than by growth.
_AVERAGES = 16
_BLOCK_CELLS = 1024


def growth_rates(
    adata: AnnData,
    velocity: Layer,
    components: Components,
    neighbors: Tensor,
    average: GraphAverage,
    *,
    chosen: np.ndarray,
    settings: Settings,
) -> np.ndarray | None:
    r"""Relative growth of each cell's total RNA in the fit's unit of time; None where total counts are not known.

    Over the candidates j of a cell and of its candidates, the local log total :math:`y` is regressed on the position
    :math:`a_{ij} = \hat v_i \cdot (z_j - z_i)` along the velocity:

    .. math:: g_i = |v_i| \frac{\sum a \Delta y}{\sum a^2} R_i^4, \qquad
              R_i^2 = \frac{(\sum a \Delta y)^2}{\sum a^2 \sum \Delta y^2}

    with velocities v and positions z in components. :math:`R^4` suppresses totals
    that differ across the velocity rather than along it, as between batches of different depth. A capture efficiency that
    changes steadily along a lineage cannot be told from growth.

    Parameters
    ----------
    velocity
        ds/dt of normalized counts, shape ``(n_cells, n_genes)``, finite in the ``chosen`` genes, bool ``(n_genes,)``.
    components, neighbors
        Of the fit: components of the chosen genes' spliced moments, candidates ``(n_cells, n_candidates)``.

    Returns
    -------
    float32, ``(n_cells,)``, per unit of time.
    """
    totals = total_counts(adata)
    if totals is None:
        return None
    logs = np.log(np.maximum(totals, 1.0))[:, None]
    local = average(logs - logs.mean(), times=_AVERAGES * averages(adata.n_obs))[:, 0]
    direction = projected(velocity, components.loadings.numpy(), chosen=chosen)
    lengths = np.linalg.norm(direction, axis=1, keepdims=True)
    direction = np.divide(direction, lengths, out=np.zeros_like(direction), where=lengths > 0)
    sums = _products(local, direction, components.scores.numpy(), neighbors.numpy())
    # Summed over candidates: one cell has few neighbours ahead and behind.
    across, along, apart = _with_candidates(sums, neighbors.numpy()).T
    explained = _ratio(across**2, along * apart)
    return np.asarray(_ratio(across, along) * lengths[:, 0] * explained**2, dtype=np.float32)


def total_counts(adata: AnnData) -> np.ndarray | None:
    """Spliced and unspliced counts of each cell over all genes, ``(n_cells,)``, as scVelo and `deepvelo.pp` keep them."""
    if not all(key in adata.obs for key in keys.INITIAL_SIZES):
        return None
    totals = sum(adata.obs[key].to_numpy(dtype=np.float64) for key in keys.INITIAL_SIZES)
    return totals if np.isfinite(totals).all() else None


def add_growth(
    layer: WritableLayer,
    growth: np.ndarray,
    moments: Columns,
    average: GraphAverage,
    *,
    chosen: np.ndarray,
    times: int,
) -> None:
    r"""Add growth times moments to velocities, in place: :math:`v + g s`, or :math:`v_u + g u`.

    Normalized counts :math:`s / N` of a cell whose total N grows at rate g change by :math:`(\dot s - g s) / N`.

    Parameters
    ----------
    layer
        Velocities of normalized counts, shape ``(n_cells, n_genes)``.
    growth
        Shape ``(n_cells,)``, as `growth_rates` gives it.
    moments
        Of the chosen genes, averaged ``times`` over the graph first, as the velocities were.
    """
    for genes, places in blocks_of(layer, chosen):
        added = growth[:, None] * average(moments[:, places].numpy(), times=times)
        fill(layer, genes, layer[:, genes][:, chosen[genes]] + added, chosen=chosen)


def _products(
    local: np.ndarray, direction: np.ndarray, scores: np.ndarray, neighbors: np.ndarray
) -> np.ndarray:
    """Sums over each cell's candidates, ``(n_cells, 3)``: a dy, a a and dy dy."""
    out = np.empty((len(scores), 3))
    for start in range(0, len(scores), _BLOCK_CELLS):
        cells = slice(start, start + _BLOCK_CELLS)
        there = scores[neighbors[cells]] - scores[cells, None]
        along = np.einsum("nkc,nc->nk", there, direction[cells]).astype(np.float64)
        change = (local[neighbors[cells]] - local[cells, None]).astype(np.float64)
        out[cells] = np.stack([(along * change).sum(1), (along**2).sum(1), (change**2).sum(1)], axis=1)
    return out


def _with_candidates(values: np.ndarray, neighbors: np.ndarray) -> np.ndarray:
    """Sums over a cell and its candidates, ``(n_cells, n_columns)``."""
    out = values.copy()
    for column in neighbors.T:
        out += values[column]
    return out


def _ratio(above: np.ndarray, below: np.ndarray) -> np.ndarray:
    """0 where there is nothing to compare."""
    return np.divide(above, below, out=np.zeros_like(above), where=below > 0)
