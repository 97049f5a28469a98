"""Maps and scores of the cell-specific rates."""

from __future__ import annotations

import numpy as np
import pandas as pd
import scanpy as sc
from anndata import AnnData
from sklearn.metrics import adjusted_rand_score, silhouette_score

from deepvelo import keys

N_COMPONENTS = 30


def rates_embedding(adata: AnnData, *, n_neighbors: int, seed: int) -> None:
    """PCA and UMAP of [alpha, beta, gamma], UMAPs of each alone, and clusters in rate space, in place.

    Every gene's rate is standardised over cells first: rates are relative, so no gene should count for more
    because its numbers are larger.

    Sets
    ----
    obsm ``X_rates_pca``, ``X_rates_umap``, ``X_alpha_umap``, ``X_beta_umap``, ``X_gamma_umap``;
    obs ``rates_leiden`` (Leiden clusters of all three).
    """
    rates = {key: _standardized(adata.layers[key]) for key in keys.RATES}
    rates = {key: values for key, values in rates.items() if values.shape[1]}
    together = _space(np.concatenate(list(rates.values()), axis=1), n_neighbors=n_neighbors, seed=seed)
    sc.tl.leiden(together, random_state=seed, flavor="igraph", n_iterations=2, directed=False)
    adata.obsm[keys.X_RATES_PCA] = together.obsm[keys.X_PCA]
    adata.obsm[keys.X_RATES_UMAP] = together.obsm[keys.X_UMAP]
    adata.obs[keys.RATES_LEIDEN] = pd.Categorical(together.obs[keys.LEIDEN].to_numpy())
    names = dict(zip(keys.RATES, (keys.X_ALPHA_UMAP, keys.X_BETA_UMAP, keys.X_GAMMA_UMAP), strict=True))
    for key, values in rates.items():
        adata.obsm[names[key]] = _space(values, n_neighbors=n_neighbors, seed=seed).obsm[keys.X_UMAP]


def rate_scores(adata: AnnData, *, cluster_key: str) -> dict[str, float]:
    """How well rate space separates the cell groups.

    Returns
    -------
    ``silhouette_rates``
        Mean silhouette of the groups in the PCA of the rates, -1 to 1: 1, every group on its own; 0, overlapping.
    ``ari_rates``
        Adjusted Rand index of the rate clusters and the groups: 1, the same partition; 0, as by chance.
        NaN where there is one group only.
    """
    groups = adata.obs[cluster_key].astype(str)
    if not 1 < groups.nunique() < len(groups):
        return {"silhouette_rates": float("nan"), "ari_rates": float("nan")}
    return {
        "silhouette_rates": float(silhouette_score(adata.obsm[keys.X_RATES_PCA], groups)),
        "ari_rates": float(adjusted_rand_score(groups, adata.obs[keys.RATES_LEIDEN].astype(str))),
    }


def _standardized(layer: np.ndarray) -> np.ndarray:
    values = layer[:, np.isfinite(layer).all(axis=0)]
    spread = values.std(axis=0)
    return (values - values.mean(axis=0))[:, spread > 0] / spread[spread > 0]


def _space(values: np.ndarray, *, n_neighbors: int, seed: int) -> AnnData:
    space = AnnData(values)
    n_components = min(N_COMPONENTS, min(values.shape) - 1)
    sc.pp.pca(space, n_comps=n_components, random_state=seed)
    sc.pp.neighbors(space, n_neighbors=min(n_neighbors, space.n_obs - 1), random_state=seed)
    sc.tl.umap(space, random_state=seed)
    return space
