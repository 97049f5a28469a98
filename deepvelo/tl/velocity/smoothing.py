"""Smoothing around a fit: of the moments before it and of the velocities after it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import scipy.sparse as sp
from anndata import AnnData

from deepvelo import keys
from deepvelo.arrays.layers import blocks_of
from deepvelo.arrays.views import View, columns
from deepvelo.plan import averages_over_groups, moment_averages

if TYPE_CHECKING:
    import torch

    from deepvelo.arrays.layers import Layer
    from deepvelo.config import Settings
    from deepvelo.model.graph.coarsening import CoarseAveraging


class GraphAverage:
    """Average over the neighbour graph, built once and applied to block after block of genes.

    Many averages of very many cells are made over groups of near cells: `deepvelo.plan.averages_over_groups`.

    Parameters
    ----------
    adata
        With ``obsp["connectivities"]``.
    """

    def __init__(self, adata: AnnData) -> None:
        import torch

        from deepvelo.model.graph.averaging import Averaging
        from deepvelo.model.graph.cell_graph import averaging_matrix

        graph = sp.coo_matrix(adata.obsp[keys.CONNECTIVITIES])
        index = torch.from_numpy(np.stack([graph.row, graph.col]).astype(np.int64))
        weights = torch.from_numpy(graph.data.astype(np.float32))
        matrix = averaging_matrix(torch.sparse_coo_tensor(index, weights, graph.shape))
        self._matrix = sp.csr_matrix((matrix.values().numpy(), matrix.indices().numpy()), shape=graph.shape)
        self._average = Averaging(self._matrix)
        self._over_groups: dict[int, CoarseAveraging] = {}

    def __call__(self, values: np.ndarray, *, times: int) -> np.ndarray:
        """Values of every cell, ``(n_cells, n_columns)``, averaged ``times`` times; a copy, float32."""
        if not averages_over_groups(len(values), times=times):
            return self._average(_tensor(values), times=times).numpy()
        if times not in self._over_groups:
            from deepvelo.model.graph.coarsening import CoarseAveraging

            self._over_groups[times] = CoarseAveraging(self._matrix, times=times)
        return self._over_groups[times](_tensor(values)).numpy()


def smooth_moments(adata: AnnData, settings: Settings) -> tuple[np.ndarray, np.ndarray]:
    """``Ms`` and ``Mu``, averaged over the neighbour graph as often as a fit with these settings does.

    Returns
    -------
    Two arrays of shape ``(n_cells, n_genes)``, float32.
    """
    every_gene = np.ones(adata.n_vars, dtype=bool)
    spliced, unspliced = (
        smoothed(
            adata.layers[key],
            GraphAverage(adata),
            times=moment_averages(adata.n_obs, settings),
            chosen=every_gene,
        )
        for key in (keys.MS, keys.MU)
    )
    return spliced, unspliced


def smoothed(
    layer: Layer,
    average: GraphAverage,
    *,
    times: int,
    chosen: np.ndarray,
    cells: np.ndarray | slice = slice(None),
) -> np.ndarray:
    """The ``chosen`` genes of a layer, bool ``(n_genes,)``, averaged over the graph.

    Parameters
    ----------
    cells
        Indices of those that are given; by default all.

    Returns
    -------
    float32 ``(n_cells, n_chosen)``.
    """
    n_cells = len(np.arange(layer.shape[0])[cells])
    out = np.empty((n_cells, int(chosen.sum())), dtype=np.float32)
    for genes, places in blocks_of(layer, chosen):
        out[:, places] = average(layer[:, genes][:, chosen[genes]], times=times)[cells]
    return out


def averaged(layer: Layer, average: GraphAverage, *, times: int) -> View:
    """A layer averaged over the graph, block by block of genes when it is read."""
    return View(
        layer.shape, lambda cells, genes: average(columns(layer, genes), times=times)[cells], source=layer
    )


def smooth_velocity(adata: AnnData, velocity: Layer, *, settings: Settings) -> np.ndarray:
    """Velocities averaged over the neighbour graph as often as ``settings.graph.smooth_velocity`` says.

    Any method's velocities can be given, to compare methods at equal smoothing.

    Parameters
    ----------
    velocity
        ds/dt or du/dt, shape ``(n_cells, n_genes)``; a gene that is NaN stays NaN.

    Returns
    -------
    float32, ``(n_cells, n_genes)``.
    """
    every_gene = np.ones(velocity.shape[1], dtype=bool)
    return smoothed(velocity, GraphAverage(adata), times=settings.graph.smooth_velocity, chosen=every_gene)


def average_over_graph(adata: AnnData, values: np.ndarray, *, times: int) -> np.ndarray:
    """Values of every cell, ``(n_cells, n_columns)``, averaged over the neighbour graph; a copy, float32."""
    return GraphAverage(adata)(values, times=times)


def _tensor(values: np.ndarray) -> torch.Tensor:
    import torch

    return torch.from_numpy(np.ascontiguousarray(values, dtype=np.float32))
