"""Two batches, with a correction or a graph of the user's own."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from scipy import sparse

from tests.cases.made.cells import batches, graph, neighbors


def harmony_beside_pca(out: Path) -> None:
    """X_pca uncorrected, X_pca_harmony corrected, no graph. Seen in theislab/scvelo#1208, scverse/cellrank#1180."""
    adata = batches()
    adata.obsm["X_pca_harmony"] = adata.obsm.pop("X_corrected")
    adata.write_h5ad(out / "h.h5ad")


def fastmnn_only(out: Path) -> None:
    """The same with X_fastMNN."""
    adata = batches()
    adata.obsm["X_fastMNN"] = adata.obsm.pop("X_corrected")
    adata.write_h5ad(out / "m.h5ad")


def neighbors_keys_elsewhere(out: Path) -> None:
    """uns["neighbors"] points to wnn_distances, wnn_connectivities. Seen in theislab/scvelo#1335."""
    adata = batches()
    adata.obsm["X_scVI"] = adata.obsm.pop("X_corrected")
    adata.obsp["wnn_distances"], adata.obsp["wnn_connectivities"] = graph(adata, "X_scVI")
    adata.uns["neighbors"] = neighbors("wnn_", use_rep="X_scVI")
    adata.write_h5ad(out / "w.h5ad")


def graph_without_uns(out: Path) -> None:
    """Whole graph in obsp, nothing in uns (from Seurat)."""
    adata = batches()
    adata.obsm["X_harmony"] = adata.obsm.pop("X_corrected")
    adata.obsp["distances"], adata.obsp["connectivities"] = graph(adata, "X_harmony")
    adata.write_h5ad(out / "g.h5ad")


def bbknn_graph(out: Path) -> None:
    """BBKNN: 6 neighbours, 2 in every ninth cell. Seen in theislab/scvelo#244, theislab/scvelo#901."""
    adata = batches()
    del adata.obsm["X_corrected"]
    time, batch = adata.obs["time"].to_numpy(), adata.obs["batch"].to_numpy()
    rows, cols, vals = [], [], []
    for i in range(adata.n_obs):
        for k in ("0", "1"):
            own = np.flatnonzero((batch == k) & (np.arange(adata.n_obs) != i))
            near = own[np.argsort(abs(time[own] - time[i]))[: 3 if i % 9 else 1]]
            rows += [i] * len(near)
            cols += list(near)
            vals += list(abs(time[near] - time[i]) + 0.01)
    distances = sparse.csr_matrix((vals, (rows, cols)), shape=(adata.n_obs,) * 2)
    adata.obsp["distances"], adata.obsp["connectivities"] = (
        distances,
        sparse.csr_matrix(((distances + distances.T) > 0).astype("f4")),
    )
    adata.uns["neighbors"] = neighbors(metric="euclidean", bbknn={"batch_key": "batch"})
    adata.uns["neighbors"]["params"]["n_neighbors"] = 6
    adata.write_h5ad(out / "b.h5ad")
