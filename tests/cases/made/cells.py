"""Small made-up cells: an induction of three groups, so that the right direction is known (A > B > C).

Everything is seeded.
"""

from __future__ import annotations

from typing import Any

import anndata as ad
import numpy as np
import pandas as pd
from anndata import AnnData
from scipy import sparse

GROUPS = np.array(["A progenitor", "B immature", "C mature"])


def barcodes(n: int, seed: int = 0) -> list[str]:
    """Distinct 16-letter barcodes."""
    rng = np.random.default_rng(1000 + seed)
    found: dict[str, None] = {}
    while len(found) < n:
        found["".join(rng.choice(list("ACGT"), 16))] = None
    return list(found)


def ens(n: int, version: bool = True) -> list[str]:
    """Ensembl ids of mouse genes, with or without their version."""
    return [f"ENSMUSG{i + 11:011d}" + (f".{i % 9 + 1}" if version else "") for i in range(n)]


def counts(
    n_cells: int = 150, n_genes: int = 60, *, seed: int = 0, depth: float = 6.0, unspliced: float = 1.0
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Spliced and unspliced counts, group and time of cells on an induction."""
    rng = np.random.default_rng(seed)
    time = np.sort(rng.uniform(0.1, 3.0, n_cells))[:, None]
    alpha = rng.uniform(1, 5, n_genes) * np.where(np.arange(n_genes) % 3, 1, 0.6)
    gamma = rng.uniform(0.3, 0.8, n_genes)
    start = rng.uniform(0, 1.5, n_genes) * (np.arange(n_genes) % 4 == 0)
    since = np.clip(time - start, 0, None)
    mean_u = alpha * (1 - np.exp(-since))
    mean_s = alpha / gamma * (1 - np.exp(-gamma * since))
    mean_s = mean_s + alpha / (gamma - 1) * (np.exp(-gamma * since) - np.exp(-since))
    size = rng.lognormal(0, 0.35, (n_cells, 1))
    counts_s = rng.poisson(depth * size * np.clip(mean_s, 0, None) / 3 + 0.02)
    counts_u = rng.poisson(depth * unspliced * size * np.clip(mean_u, 0, None) / 9 + 0.01)
    group = GROUPS[np.digitize(time.ravel(), [0.9, 1.9])]
    return counts_s.astype(np.float32), counts_u.astype(np.float32), group, time.ravel()


def cells(n_cells: int = 150, n_genes: int = 60, *, seed: int = 0, umap: bool = True, **how: Any) -> AnnData:
    """An ordinary file: counts, ``obs["clusters"]``, ``obsm["X_umap"]``; cells ``BARCODE-1``, genes ``Gene0``, ..."""
    spliced, unspliced, group, time = counts(n_cells, n_genes, seed=seed, **how)
    adata = AnnData(
        X=sparse.csr_matrix(spliced),
        obs=pd.DataFrame(
            {"clusters": pd.Categorical(group)}, index=[f"{b}-1" for b in barcodes(n_cells, seed)]
        ),
        var=pd.DataFrame(index=[f"Gene{i}" for i in range(n_genes)]),
        layers={"spliced": sparse.csr_matrix(spliced), "unspliced": sparse.csr_matrix(unspliced)},
    )
    if umap:
        rng = np.random.default_rng(seed + 7)
        adata.obsm["X_umap"] = np.c_[4 * time, np.sin(2 * time)] + rng.normal(0, 0.15, (n_cells, 2))
    return adata


def numbered(adata: AnnData, first: int = 1) -> AnnData:
    """Each cell's own number in ``obs["truth"]`` and as its counts of the first gene, so that a join can be checked."""
    adata.obs["truth"] = np.arange(adata.n_obs) + first
    for layer in ("spliced", "unspliced"):
        matrix = adata.layers[layer].toarray()
        matrix[:, 0] = adata.obs["truth"]
        adata.layers[layer] = sparse.csr_matrix(matrix)
    return adata


def samples(n: int = 120, shared: int = 10, genes: int = 40) -> list[AnnData]:
    """Two numbered samples, ctrl and treat; ``shared`` barcodes occur in both."""
    both, codes = [], barcodes(2 * n, 5)
    for k, sample in enumerate(("ctrl", "treat")):
        adata = cells(n, genes, seed=k)
        names = codes[k * n : (k + 1) * n]
        if k == 1:
            names[:shared] = codes[:shared]
        adata.obs_names, adata.obs["sample"] = names, sample
        both.append(numbered(adata, first=1000 * k + 1))
    return both


def processed_only(adata: AnnData) -> AnnData:
    """Groups and embedding without counts."""
    return AnnData(
        obs=adata.obs.copy(),
        var=pd.DataFrame(index=adata.var_names),
        obsm={"X_umap": np.asarray(adata.obsm["X_umap"])},
    )


def counts_only(adata: AnnData) -> AnnData:
    """Counts and the names of the samples alone."""
    return AnnData(
        obs=adata.obs[[c for c in ("sample",) if c in adata.obs]], var=adata.var, layers=dict(adata.layers)
    )


def batches(n: int = 80, genes: int = 60) -> AnnData:
    """Two samples of one tissue, ``obs["batch"]``, with a strong batch effect in half of the genes.

    ``X_pca`` has the effect, ``X_corrected`` has not: of a cell's neighbours there half are of the other batch.
    """
    both = []
    for k in (0, 1):
        spliced, unspliced, group, time = counts(n, genes, seed=11)
        rng = np.random.default_rng(k)
        shift = np.where(np.arange(genes) % 2 == k, 4.0, 0.5)
        spliced, unspliced = (
            rng.poisson(spliced * shift).astype("f4"),
            rng.poisson(unspliced * shift).astype("f4"),
        )
        both.append(
            AnnData(
                sparse.csr_matrix(spliced),
                obs=pd.DataFrame(
                    {"clusters": group, "batch": str(k), "time": time},
                    index=[f"{b}-{k}" for b in barcodes(n, k)],
                ),
                var=pd.DataFrame(index=[f"Gene{i}" for i in range(genes)]),
                layers={"spliced": sparse.csr_matrix(spliced), "unspliced": sparse.csr_matrix(unspliced)},
            )
        )
    adata = ad.concat(both)
    adata.obs["clusters"] = pd.Categorical(adata.obs["clusters"])
    adata.obs["batch"] = pd.Categorical(adata.obs["batch"])
    rng, time = np.random.default_rng(5), adata.obs["time"].to_numpy()
    adata.obsm["X_corrected"] = np.c_[
        6 * time, 2 * np.sin(2 * time), rng.normal(0, 0.3, (len(time), 18))
    ].astype("f4")
    adata.obsm["X_umap"] = np.c_[4 * time, np.sin(2 * time)] + rng.normal(0, 0.1, (len(time), 2))
    logged = np.log1p(adata.X.toarray())
    u, s, _ = np.linalg.svd(logged - logged.mean(0), full_matrices=False)
    adata.obsm["X_pca"] = (u * s)[:, :20].astype("f4")
    return adata


def graph(adata: AnnData, rep: str, k: int = 15) -> tuple[sparse.csr_matrix, sparse.csr_matrix]:
    """Distances and connectivities of ``k`` nearest neighbours, the cell itself counted."""
    from sklearn.neighbors import kneighbors_graph

    distances = kneighbors_graph(adata.obsm[rep], k - 1, mode="distance")
    return sparse.csr_matrix(distances), sparse.csr_matrix(((distances + distances.T) > 0).astype("f4"))


def neighbors(prefix: str = "", **params: Any) -> dict[str, Any]:
    """What scanpy leaves in ``uns`` beside a graph."""
    keys = {f"{name}_key": prefix + name for name in ("connectivities", "distances")}
    return {**keys, "params": {"n_neighbors": 15, "method": "umap", **params}}


def fitted(n: int = 120, genes: int = 40) -> AnnData:
    """As scVelo leaves it: ``Ms``, ``Mu``, velocity in the right direction, neighbours, UMAP with arrows; no velocity graph."""
    adata = cells(n, genes)
    adata.obsm["X_pca"] = np.c_[adata.obsm["X_umap"], np.random.default_rng(0).normal(0, 0.1, (n, 5))].astype(
        "f4"
    )
    distances, adata.obsp["connectivities"] = graph(adata, "X_umap")
    adata.obsp["distances"], adata.uns["neighbors"] = distances, neighbors()
    weights = sparse.csr_matrix(distances > 0) + sparse.eye(n)
    weights = sparse.diags(1 / np.asarray(weights.sum(1)).ravel()) @ weights
    moments_s, moments_u = (
        np.asarray((weights @ adata.layers[k]).todense(), dtype="f4") for k in ("spliced", "unspliced")
    )
    adata.layers["Ms"], adata.layers["Mu"] = moments_s, moments_u
    gamma = (moments_u * moments_s).sum(0) / (moments_s**2).sum(0)
    adata.layers["velocity"] = (moments_u - gamma * moments_s).astype("f4")
    adata.var["velocity_genes"] = True
    adata.obsm["velocity_umap"] = np.c_[np.ones(n), np.zeros(n)] * 0.1
    return adata
