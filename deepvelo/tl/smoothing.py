"""The smoothing around a fit: of the moments before it and of the velocities after it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import scipy.sparse as sp
from anndata import AnnData

from deepvelo import keys
from deepvelo.layers import blocks_of, fill, known_genes
from deepvelo.views import View, columns

if TYPE_CHECKING:
    import torch

    from deepvelo.config import Settings
    from deepvelo.layers import Layer, WritableLayer
    from deepvelo.model.graph import Components
    from deepvelo.model.group_averaging import GroupAveraging


# Of more cells so many averages are made over groups of near cells: those are found sooner.
_MANY_CELLS, _MANY_TIMES = 100_000, 8


class GraphAverage:
    """Averages over the neighbour graph of some cells: made once, used on block after block.

    Eight averages and more over more than 100,000 cells are made over groups of near cells.

    Parameters
    ----------
    adata
        With ``obsp["connectivities"]``.
    """

    def __init__(self, adata: AnnData) -> None:
        import torch

        from deepvelo.model.averaging import Averaging
        from deepvelo.model.graph import averaging_matrix

        graph = sp.coo_matrix(adata.obsp[keys.CONNECTIVITIES])
        index = torch.from_numpy(np.stack([graph.row, graph.col]).astype(np.int64))
        weights = torch.from_numpy(graph.data.astype(np.float32))
        matrix = averaging_matrix(torch.sparse_coo_tensor(index, weights, graph.shape))
        self._matrix = sp.csr_matrix((matrix.values().numpy(), matrix.indices().numpy()), shape=graph.shape)
        self._average = Averaging(self._matrix)
        self._over_groups: dict[int, GroupAveraging] = {}

    def __call__(self, values: np.ndarray, *, times: int) -> np.ndarray:
        """Values of every cell, ``(n_cells, n_columns)``, averaged that often; a copy, float32."""
        if times < _MANY_TIMES or len(values) <= _MANY_CELLS:
            return self._average(_tensor(values), times=times).numpy()
        if times not in self._over_groups:
            from deepvelo.model.group_averaging import GroupAveraging

            self._over_groups[times] = GroupAveraging(self._matrix, times=times)
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
            times=settings.graph.smoothings_of(adata.n_obs),
            chosen=every_gene,
        )
        for key in (keys.MS, keys.MU)
    )
    return spliced, unspliced


def smoothed(layer: Layer, average: GraphAverage, *, times: int, chosen: np.ndarray) -> np.ndarray:
    """The ``chosen`` genes of a layer, bool ``(n_genes,)``, averaged over the graph; float32 ``(n_cells, n_chosen)``."""
    out = np.empty((layer.shape[0], int(chosen.sum())), dtype=np.float32)
    for genes, places in blocks_of(layer, chosen):
        out[:, places] = average(layer[:, genes][:, chosen[genes]], times=times)
    return out


def averaged(layer: Layer, average: GraphAverage, *, times: int) -> View:
    """A layer averaged over the graph, block by block of genes when it is read."""
    return View(layer.shape, lambda genes: average(columns(layer, genes), times=times), source=layer)


def smooth_velocity(
    adata: AnnData, velocity: Layer, *, moments: np.ndarray, settings: Settings
) -> np.ndarray:
    """Velocities averaged over the neighbour graph, then reduced to the principal components of the moments.

    As often as ``settings.graph.smooth_velocity`` says, and with ``settings.graph.denoise_velocity`` only. Any
    method's velocities can be given, to compare methods at equal smoothing.

    Parameters
    ----------
    velocity
        ds/dt or du/dt, shape ``(n_cells, n_genes)``; a gene that is NaN stays NaN.
    moments
        The spliced or unspliced moments they were fitted to, as `smooth_moments` gives them, same shape.
    """
    every_gene = np.ones(velocity.shape[1], dtype=bool)
    out = smoothed(velocity, GraphAverage(adata), times=settings.graph.smooth_velocity, chosen=every_gene)
    finite = known_genes(out)
    if settings.graph.denoise_velocity and finite.any():
        from deepvelo.model.graph import principal_components

        components = principal_components(
            _tensor(moments[:, finite]), n_components=settings.graph.n_components, seed=settings.seed
        )
        keep_components(out, components, chosen=finite)
    return out


def keep_components(layer: WritableLayer, components: Components, *, chosen: np.ndarray) -> None:
    """Reduce velocities to the principal components of moments, in place: first to scores, then back to genes.

    Parameters
    ----------
    layer
        Shape ``(n_cells, n_genes)``, finite in the chosen genes.
    components
        Of the chosen genes' moments.
    chosen
        bool, ``(n_genes,)``; the others become NaN.
    """
    loadings = components.loadings.numpy()
    scores = np.zeros((layer.shape[0], loadings.shape[1]), dtype=np.float32)
    for genes, places in blocks_of(layer, chosen):
        scores += layer[:, genes][:, chosen[genes]] @ loadings[places]
    for genes, places in blocks_of(layer, chosen):
        fill(layer, genes, scores @ loadings[places].T, chosen=chosen)


def average_over_graph(adata: AnnData, values: np.ndarray, *, times: int) -> np.ndarray:
    """Values of every cell, ``(n_cells, n_columns)``, averaged over the neighbour graph; a copy, float32."""
    return GraphAverage(adata)(values, times=times)


def _tensor(values: np.ndarray) -> torch.Tensor:
    import torch

    return torch.from_numpy(np.ascontiguousarray(values, dtype=np.float32))
