"""Results of other tools, beside a fit of scVelo in ``first.h5ad``."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
from scipy import sparse

from tests.cases.made.cells import fitted


def velocity_genes_text(out: Path) -> None:
    """velocity_genes is text: TRUE in 10, FALSE in 30."""
    adata = fitted()
    adata.write_h5ad(out / "first.h5ad")
    adata.var["velocity_genes"] = np.where(np.arange(40) < 10, "TRUE", "FALSE")
    adata.write_h5ad(out / "r.h5ad")


def velocity_nan_in_each_gene(out: Path) -> None:
    """Velocity is NaN in one cell of each gene, another cell each time. Seen in theislab/scvelo#774."""
    adata = fitted()
    adata.write_h5ad(out / "first.h5ad")
    adata.layers["velocity"][np.arange(40) * 3, np.arange(40)] = np.nan
    adata.write_h5ad(out / "merged.h5ad")


def dynamo_result(out: Path) -> None:
    """dynamo: velocity_S, M_s, M_u, use_for_dynamics. Seen in aristoteleo/dynamo-release#659."""
    adata = fitted(90, 40)
    adata.write_h5ad(out / "first.h5ad")
    for old, new in (
        ("velocity", "velocity_S"),
        ("Ms", "M_s"),
        ("Mu", "M_u"),
        ("spliced", "X_spliced"),
        ("unspliced", "X_unspliced"),
    ):
        adata.layers[new] = sparse.csr_matrix(adata.layers.pop(old))
    adata.var["use_for_dynamics"] = adata.var.pop("velocity_genes")
    adata.write_h5ad(out / "dynamo.h5ad")


def celldancer_csv(out: Path) -> None:
    """cellDancer's CSV, a line for a cell and a gene. Seen in GuangyuWangLab2021/cellDancer#12."""
    adata = fitted(40, 30)
    adata.write_h5ad(out / "first.h5ad")
    rows = []
    for gene in range(12):
        spliced, unspliced = adata.layers["Ms"][:, gene], adata.layers["Mu"][:, gene]
        rows.append(
            pd.DataFrame(
                {
                    "cellIndex": range(40),
                    "gene_name": adata.var_names[gene],
                    "unsplice": unspliced,
                    "splice": spliced,
                    "unsplice_predict": unspliced * 1.05,
                    "splice_predict": spliced * 1.05,
                    "alpha": 1.0,
                    "beta": 1.0,
                    "gamma": 0.5,
                    "loss": 0.1,
                    "cellID": adata.obs_names,
                    "clusters": adata.obs["clusters"].astype(str).to_numpy(),
                    "embedding1": adata.obsm["X_umap"][:, 0],
                    "embedding2": adata.obsm["X_umap"][:, 1],
                }
            )
        )
    pd.concat(rows).to_csv(out / "celldancer.csv", index=False)


def clusters_text_and_float(out: Path) -> None:
    """Clusters are '0', '1', '2' in one file, 0.0, 1.0, 2.0 in the other. Seen in nf-core/scdownstream#152."""
    adata = fitted()
    adata.obs["clusters"] = adata.obs["clusters"].cat.codes.astype(str).to_numpy()
    adata.write_h5ad(out / "first.h5ad")
    adata.obs["clusters"] = adata.obs["clusters"].astype(float)
    adata.write_h5ad(out / "other.h5ad")


def names_dressed_otherwise(out: Path) -> None:
    """Cells of other.h5ad end in -0."""
    adata = fitted()
    adata.write_h5ad(out / "first.h5ad")
    adata.obs_names = [f"{n}-0" for n in adata.obs_names]
    adata.write_h5ad(out / "other.h5ad")


def scvelo_fit_float_clusters(out: Path) -> None:
    """A scVelo fit with clusters 0.0, 1.0, 2.0. Seen in theislab/scvelo#117."""
    adata = fitted()
    adata.obs["clusters"] = adata.obs["clusters"].cat.codes.astype(float)
    adata.write_h5ad(out / "first.h5ad")


def scvelo_fit_upper_umap(out: Path) -> None:
    """A scVelo fit with X_UMAP, without a velocity graph."""
    adata = fitted()
    adata.obsm["X_UMAP"], adata.obsm["velocity_UMAP"] = (
        adata.obsm.pop("X_umap"),
        adata.obsm.pop("velocity_umap"),
    )
    groups = adata.obs["clusters"].astype(object)
    groups.iloc[:3] = np.nan
    adata.obs["clusters"] = pd.Categorical(groups)
    adata.write_h5ad(out / "first.h5ad")
