"""Fit the model to a prepared data set and write rates and velocities where scVelo looks for them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from anndata import AnnData

from deepvelo import keys
from deepvelo.config import Settings
from deepvelo.errors import InputError
from deepvelo.tl.smoothing import smooth_moments, smooth_velocity

if TYPE_CHECKING:
    from deepvelo.model.training import Fit, OnEpoch


def velocity(adata: AnnData, *, settings: Settings, on_epoch: OnEpoch | None = None) -> Fit:
    """Fit cell-specific rates to a prepared object, in place.

    The moments are smoothed before the fit and the velocities after it (`deepvelo.tl.smoothing`). With any
    smoothing, ``velocity`` is not ``beta Mu - gamma Ms`` cell by cell.

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

    from deepvelo.model.kinetics import spliced_velocity, unspliced_velocity
    from deepvelo.model.training import train

    spliced, unspliced = smooth_moments(adata, settings)
    used = (spliced.max(axis=0) > 0) & (unspliced.max(axis=0) > 0)
    if used.sum() < 2:
        msg = (
            f"A fit needs at least 2 genes with both spliced and unspliced signal. Found {used.sum()} of {len(used)}. "
            "Lower `preparation.min_shared_counts`, or check that the unspliced layer is the right one."
        )
        raise InputError(msg)
    s, u = (torch.from_numpy(np.ascontiguousarray(x[:, used])) for x in (spliced, unspliced))
    fit = train(s, u, settings=settings, on_epoch=on_epoch)
    alpha, beta, gamma = fit.rates
    v = spliced_velocity(u, s, beta=beta, gamma=gamma)
    v_u = unspliced_velocity(u, alpha=alpha, beta=beta)
    if not settings.objective.unspliced_velocity:
        # Nothing in the objective decided alpha: better no number than a meaningless one.
        alpha, v_u = torch.full_like(alpha, torch.nan), torch.full_like(v_u, torch.nan)
    for key, values in zip(
        (keys.VELOCITY, keys.VELOCITY_U, *keys.RATES), (v, v_u, alpha, beta, gamma), strict=True
    ):
        adata.layers[key] = np.full(adata.shape, np.nan, dtype=np.float32)
        adata.layers[key][:, used] = values.numpy()
    for key, moments in ((keys.VELOCITY, spliced), (keys.VELOCITY_U, unspliced)):
        adata.layers[key] = smooth_velocity(adata, adata.layers[key], moments=moments, settings=settings)
    adata.var[keys.VELOCITY_GENES] = used
    return fit
