"""Simulated cells with velocities, and what scVelo makes of them."""

from __future__ import annotations

import numpy as np
from anndata import AnnData
from scipy import sparse
from sklearn.decomposition import PCA
from sklearn.neighbors import kneighbors_graph

from deepvelo import keys
from deepvelo.datasets.simulation import simulate
from deepvelo.tl.graph.velocity_graph import quiet


def moving_cells(*, n_cells: int = 600, n_genes: int = 300) -> AnnData:
    """A branching tissue with moments, 15 neighbours, steady-state velocities of all genes, and two embeddings."""
    raw = simulate(kind="branch", n_cells=n_cells, n_genes=n_genes, seed=0)
    spliced, unspliced = (raw.layers[key].toarray().astype(float) for key in (keys.SPLICED, keys.UNSPLICED))
    scores = PCA(10, random_state=0).fit_transform(np.log1p(spliced))
    distances = sparse.csr_matrix(kneighbors_graph(scores, 15, mode="distance"), dtype=np.float32)
    average = (distances > 0) + sparse.eye(n_cells)
    average = sparse.csr_matrix(average.multiply(1 / average.sum(axis=1)))
    ms, mu = average @ spliced, average @ unspliced
    velocity = mu - ms * (mu * ms).sum(axis=0) / np.maximum((ms * ms).sum(axis=0), 1e-9)
    return AnnData(
        obs=raw.obs[[]].copy(),
        var=raw.var[[]].copy(),
        layers={keys.MS: ms.astype(np.float32), keys.VELOCITY: velocity.astype(np.float32)},
        obsm={keys.X_PCA: scores, keys.X_UMAP: scores[:, :2].astype(np.float32)},
        obsp={keys.DISTANCES: distances, keys.CONNECTIVITIES: (distances > 0).astype(np.float32)},
        uns={keys.NEIGHBORS: {"params": {"n_neighbors": 16}}},
    )


def by_scvelo(adata: AnnData) -> AnnData:
    """A copy with scVelo's own velocity graph, as it is without a name for the velocities' method."""
    import scvelo as scv

    reference = adata.copy()
    reference.uns.pop(keys.VELOCITY_PARAMS, None)
    with quiet():
        scv.tl.velocity_graph(reference, n_jobs=1, show_progress_bar=False)
    return reference
