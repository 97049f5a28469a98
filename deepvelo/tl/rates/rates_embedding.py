"""Embeddings and scores of the cell-specific rates."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import scanpy as sc
from anndata import AnnData
from sklearn import config_context
from sklearn.metrics import adjusted_rand_score, silhouette_score
from sklearn.neighbors import KNeighborsTransformer

from deepvelo import choices, keys
from deepvelo.arrays.layers import gene_blocks
from deepvelo.arrays.views import View, selected
from deepvelo.errors import InputError
from deepvelo.plan import MOST_IN_SILHOUETTE
from deepvelo.tl.rates.block_pca import block_pca

if TYPE_CHECKING:
    from deepvelo.arrays.layers import Layer

N_COMPONENTS = 30
UMAP_ROUNDS = 200  # as UMAP itself takes for more than 10,000 cells
_BLOCK_MB = 64  # of distances at once; scikit-learn would take a gigabyte


def rates_umap(adata: AnnData, *, n_neighbors: int = 30, seed: int = 0) -> None:
    """Embed and cluster cells by their kinetic rates, in place.

    PCA and UMAP of [alpha, beta, gamma], as far as they are there, UMAPs of each alone, and Leiden clusters of all
    (Cui et al. 2022, section 3.2). Every gene's rate is standardised over cells first: rates are relative, so no gene
    counts for more because its numbers are larger.

    Parameters
    ----------
    adata
        As `deepvelo.tl.velocity` leaves it.
    n_neighbors
        Number of neighbours of UMAP and Leiden; at most one less than there are cells.
    seed
        Seed of UMAP, Leiden and the principal components.

    Sets
    ----
    obsm ``X_rates_pca``
        float32 ``(n_cells, 30)``, or fewer columns.
    obsm ``X_rates_umap``, ``X_alpha_umap``, ``X_beta_umap``, ``X_gamma_umap``
        ``(n_cells, 2)``; no ``X_alpha_umap`` where alpha was not fitted.
    obs ``rates_leiden``
        Categorical.

    Raises
    ------
    InputError
        No rates of single cells.

    Examples
    --------
    >>> dv.tl.rates_umap(fitted)
    >>> fitted.obsm["X_rates_umap"].shape
    (80, 2)
    """
    missing = [key for key in (keys.BETA, keys.GAMMA) if key not in adata.layers]
    if missing:
        msg = f"`adata.layers` is missing {missing}. Found {list(adata.layers)}. Run `deepvelo.tl.velocity(adata)` first."
        raise InputError(msg)
    rates = {key: _standardized(adata.layers[key]) for key in keys.RATES if key in adata.layers}
    estimated = {key: rate for key, rate in rates.items() if rate.shape[1]}
    options = {"n_neighbors": n_neighbors, "seed": seed}
    together = _space(list(estimated.values()), **options)
    sc.tl.leiden(together, random_state=seed, flavor="igraph", n_iterations=2, directed=False)
    adata.obsm[keys.X_RATES_PCA] = together.obsm[keys.X_PCA]
    adata.obsm[keys.X_RATES_UMAP] = together.obsm[keys.X_UMAP]
    adata.obs[keys.RATES_LEIDEN] = pd.Categorical(together.obs[keys.LEIDEN].to_numpy())
    names = dict(zip(keys.RATES, (keys.X_ALPHA_UMAP, keys.X_BETA_UMAP, keys.X_GAMMA_UMAP), strict=True))
    for key, rate in estimated.items():
        adata.obsm[names[key]] = _space([rate], **options).obsm[keys.X_UMAP]


def rate_scores(adata: AnnData, *, cluster_key: str | None = None, seed: int = 0) -> dict[str, float]:
    """How well the rates separate the groups of cells.

    Parameters
    ----------
    adata
        As `rates_umap` leaves it.
    cluster_key
        Column of ``obs`` with the groups. By default the one that `deepvelo.pp.moments` chose.
    seed
        Draws 20,000 cells for the silhouette where there are more.

    Returns
    -------
    ``silhouette_rates``
        Mean silhouette of the groups in the PCA of the rates, -1 to 1: 1, every group on its own; 0, overlapping.
    ``ari_rates``
        Adjusted Rand index of the rate clusters and the groups: 1, the same partition; 0, as by chance.
        Both are NaN where there is one group only.

    Raises
    ------
    InputError
        There is no such grouping.

    Examples
    --------
    >>> dv.tl.rates_umap(fitted)
    >>> sorted(dv.tl.rate_scores(fitted, cluster_key="clusters"))
    ['ari_rates', 'silhouette_rates']
    """
    groups = adata.obs[choices.grouping(adata, cluster_key)].astype(str).to_numpy()
    if not 1 < len(np.unique(groups)) < len(groups):
        return {"silhouette_rates": float("nan"), "ari_rates": float("nan")}
    cells = np.arange(adata.n_obs)
    if adata.n_obs > MOST_IN_SILHOUETTE:
        cells = np.random.default_rng(seed).choice(adata.n_obs, size=MOST_IN_SILHOUETTE, replace=False)
    silhouette = float("nan")
    if len(np.unique(groups[cells])) > 1:  # a rare group may not be drawn
        with config_context(working_memory=_BLOCK_MB):
            silhouette = float(silhouette_score(adata.obsm[keys.X_RATES_PCA][cells], groups[cells]))
    return {
        "silhouette_rates": silhouette,
        "ari_rates": float(adjusted_rand_score(groups, adata.obs[keys.RATES_LEIDEN].astype(str))),
    }


def _standardized(layer: Layer) -> Layer:
    """The genes that have a rate in every cell and not the same in all, standardised over cells when they are read."""
    n_cells, n_genes = layer.shape
    means, spreads = np.empty(n_genes, dtype=np.float32), np.empty(n_genes, dtype=np.float32)
    for genes in gene_blocks(layer):
        values = layer[:, genes]
        with np.errstate(invalid="ignore"):
            means[genes], spreads[genes] = values.mean(axis=0), values.std(axis=0)
    # One value that is not finite is enough for the mean not to be.
    used = np.flatnonzero(np.isfinite(means) & (spreads > 0))
    rates = selected(layer, cells=np.arange(n_cells), genes=used)
    mean, spread = means[used], spreads[used]
    return View(
        rates.shape,
        lambda cells, genes: ((rates[:, genes] - mean[genes]) / spread[genes])[cells],
        source=rates,
    )


def _space(rates: list[Layer], *, n_neighbors: int, seed: int) -> AnnData:
    n_cells = rates[0].shape[0]
    scores = block_pca(rates, n_components=N_COMPONENTS, seed=seed)
    space = AnnData(obsm={keys.X_PCA: scores})
    n_neighbors = min(n_neighbors, n_cells - 1)
    # Rates are smooth over cells, so a tree need not look at most of them: exact, and of 20,000 cells it takes less than
    # half as long as comparing all with all. Of counts, noise in most components, it takes twice as long (100,000).
    tree = KNeighborsTransformer(n_neighbors=n_neighbors, algorithm="kd_tree", n_jobs=-1)
    sc.pp.neighbors(space, n_neighbors=n_neighbors, use_rep=keys.X_PCA, transformer=tree, random_state=seed)
    # From the first components (Kobak & Linderman 2021, Nature Biotechnology 39:156): eigenvectors of the graph, scanpy's
    # start, take as long as the map itself.
    start = scores[:, :2] if scores.shape[1] > 1 else "spectral"
    sc.tl.umap(space, init_pos=start, maxiter=UMAP_ROUNDS, random_state=seed)
    return space
