"""Fit the model to a prepared data set and write rates and velocities where scVelo looks for them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import scipy.sparse as sp
from anndata import AnnData

from deepvelo import keys
from deepvelo.config import Settings
from deepvelo.errors import InputError

if TYPE_CHECKING:
    import torch

    from deepvelo.model.training import Fit, OnEpoch


def velocity(adata: AnnData, *, settings: Settings, on_epoch: OnEpoch | None = None) -> Fit:
    """Fit cell-specific rates to a prepared object, in place.

    The moments are averaged ``settings.graph.smooth_inputs`` more times over the neighbour graph before the
    fit, and the velocities ``settings.graph.smooth_velocity`` times after it. With any smoothing,
    ``velocity`` is that average, not ``beta Mu - gamma Ms`` cell by cell.

    Parameters
    ----------
    adata
        With layers ``Ms`` and ``Mu`` and ``obsp["connectivities"]``, as `deepvelo.pp.prepare` leaves it.
    on_epoch
        See `deepvelo.model.training.train`.

    Sets
    ----
    layers ``velocity``, ``velocity_u``, ``cell_specific_alpha``, ``cell_specific_beta``, ``cell_specific_gamma``
        float32; NaN in genes that have no spliced or no unspliced signal.
    var ``velocity_genes``
        bool: the genes that have a velocity.
    """
    # Seconds to import; a page that only draws velocities needs none of it.
    import torch

    from deepvelo.model.candidates import average
    from deepvelo.model.kinetics import spliced_velocity, unspliced_velocity
    from deepvelo.model.training import train

    spliced, unspliced = np.asarray(adata.layers[keys.MS]), np.asarray(adata.layers[keys.MU])
    used = (spliced.max(axis=0) > 0) & (unspliced.max(axis=0) > 0)
    if used.sum() < 2:
        msg = (
            f"A fit needs at least 2 genes with both spliced and unspliced signal. Found {used.sum()} of {len(used)}. "
            "Lower `preparation.min_shared_counts`, or check that the unspliced layer is the right one."
        )
        raise InputError(msg)
    over_graph = _averaging(adata)
    s, u = (
        torch.from_numpy(np.ascontiguousarray(x[:, used], dtype=np.float32)) for x in (spliced, unspliced)
    )
    for _ in range(settings.graph.smooth_inputs):
        s, u = average(over_graph, s), average(over_graph, u)
    fit = train(s, u, settings=settings, on_epoch=on_epoch)
    alpha, beta, gamma = fit.rates
    v = spliced_velocity(u, s, beta=beta, gamma=gamma)
    v_u = unspliced_velocity(u, alpha=alpha, beta=beta)
    for _ in range(settings.graph.smooth_velocity):
        v, v_u = average(over_graph, v), average(over_graph, v_u)
    if not settings.objective.unspliced_velocity:
        # Nothing in the objective decided alpha: better no number than a meaningless one.
        alpha, v_u = torch.full_like(alpha, torch.nan), torch.full_like(v_u, torch.nan)
    for key, values in zip(
        (keys.VELOCITY, keys.VELOCITY_U, *keys.RATES), (v, v_u, alpha, beta, gamma), strict=True
    ):
        layer = np.full(adata.shape, np.nan, dtype=np.float32)
        layer[:, used] = values.numpy()
        adata.layers[key] = layer
    adata.var[keys.VELOCITY_GENES] = used
    return fit


def _averaging(adata: AnnData) -> torch.Tensor:
    import torch

    from deepvelo.model.graph import averaging_matrix

    graph = sp.coo_matrix(adata.obsp[keys.CONNECTIVITIES])
    index = torch.from_numpy(np.stack([graph.row, graph.col]).astype(np.int64))
    weights = torch.from_numpy(graph.data.astype(np.float32))
    return averaging_matrix(torch.sparse_coo_tensor(index, weights, graph.shape)).to_sparse_csr()
