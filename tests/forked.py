"""A tissue that forks, its velocities and what comes of it known without a fit."""

from __future__ import annotations

import numpy as np
import pandas as pd
import scanpy as sc
from anndata import AnnData

from deepvelo import keys

GENES = ("root", "left", "right", "noise", "still")


def fork(n_cells: int = 150, *, seed: int = 0, apart: bool = False) -> AnnData:
    """Cells of groups Root, Left and Right, which move along the gene of their name, at their own place in it.

    The first third runs along gene ``root``; there the tissue forks. Gene ``noise`` moves nowhere, ``still`` is the
    same in all cells, and neither has a velocity. With ``apart`` the right branch lies far from everything else.
    """
    rng = np.random.default_rng(seed)
    third = n_cells // 3
    place = np.tile(np.linspace(0, 1, third), 3)
    group = np.repeat(["Root", "Left", "Right"], third)
    moments = rng.normal(0, 0.02, (len(group), len(GENES))) + 5
    velocity = np.zeros_like(moments)
    for column, name in enumerate(("Root", "Left", "Right")):
        inside = group == name
        moments[inside, column] += place[inside]
        velocity[inside, column] = 1
        if name != "Root":
            moments[inside, 0] += 1 + (10 if apart and name == "Right" else 0)
    moments[:, 4] = 5
    velocity[:, 3:] = np.nan
    adata = AnnData(
        moments.astype(np.float32),
        obs=pd.DataFrame(
            {keys.CLUSTERS: pd.Categorical(group, categories=["Root", "Left", "Right"]), "place": place},
            index=[f"cell{number}" for number in range(len(group))],
        ),
        var=pd.DataFrame({keys.VELOCITY_GENES: ~np.isnan(velocity[0])}, index=list(GENES)),
        layers={keys.MS: moments.astype(np.float32), keys.VELOCITY: velocity.astype(np.float32)},
    )
    adata.obsm[keys.X_PCA] = moments[:, :3]
    sc.pp.neighbors(adata, n_neighbors=10, use_rep=keys.X_PCA, random_state=0)
    return adata
