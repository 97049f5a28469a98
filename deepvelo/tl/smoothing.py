"""The smoothing around a fit: of the moments before it and of the velocities after it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import scipy.sparse as sp
from anndata import AnnData

from deepvelo import keys

if TYPE_CHECKING:
    import torch

    from deepvelo.config import Settings


def smooth_moments(adata: AnnData, settings: Settings) -> tuple[np.ndarray, np.ndarray]:
    """``Ms`` and ``Mu``, averaged ``settings.graph.smooth_inputs`` more times over the neighbour graph.

    Returns
    -------
    Two arrays of shape ``(n_cells, n_genes)``, float32.
    """
    spliced, unspliced = (
        average_over_graph(adata, np.asarray(adata.layers[key]), times=settings.graph.smooth_inputs)
        for key in (keys.MS, keys.MU)
    )
    return spliced, unspliced


def smooth_velocity(
    adata: AnnData, velocity: np.ndarray, *, moments: np.ndarray, settings: Settings
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
    from deepvelo.model.graph import principal_components

    smoothed = average_over_graph(adata, velocity, times=settings.graph.smooth_velocity)
    finite = np.isfinite(smoothed).all(axis=0)
    if not settings.graph.denoise_velocity or not finite.any():
        return smoothed
    components = principal_components(
        _tensor(moments[:, finite]), n_components=settings.graph.n_components, seed=settings.seed
    )
    smoothed[:, finite] = components.keep(_tensor(smoothed[:, finite])).numpy()
    return smoothed


def average_over_graph(adata: AnnData, values: np.ndarray, *, times: int) -> np.ndarray:
    """Values of every cell, ``(n_cells, n_columns)``, averaged over the neighbour graph; a copy, float32."""
    import torch

    from deepvelo.model.candidates import average
    from deepvelo.model.graph import averaging_matrix

    graph = sp.coo_matrix(adata.obsp[keys.CONNECTIVITIES])
    index = torch.from_numpy(np.stack([graph.row, graph.col]).astype(np.int64))
    weights = torch.from_numpy(graph.data.astype(np.float32))
    over_graph = averaging_matrix(torch.sparse_coo_tensor(index, weights, graph.shape)).to_sparse_csr()
    averaged = _tensor(values.copy())
    for _ in range(times):
        averaged = average(over_graph, averaged)
    return averaged.numpy()


def _tensor(values: np.ndarray) -> torch.Tensor:
    import torch

    return torch.from_numpy(np.ascontiguousarray(values, dtype=np.float32))
