"""Missing values and tables where arrays are usual."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

from tests.cases.made.cells import cells, fitted


def moments_nan_everywhere(out: Path) -> None:
    """Ms, Mu are NaN in one cell, in every gene."""
    adata = cells()
    for layer, matrix in (("spliced", "Ms"), ("unspliced", "Mu")):
        adata.layers[matrix] = adata.layers[layer].toarray()
        adata.layers[matrix][7] = np.nan
    adata.write_h5ad(out / "n.h5ad")


def umap_table(out: Path) -> None:
    """X_umap is a table."""
    adata = cells()
    adata.obsm["X_umap"] = pd.DataFrame(
        adata.obsm["X_umap"], index=adata.obs_names, columns=["UMAP_1", "UMAP_2"]
    )
    adata.write_h5ad(out / "u.h5ad")


def velocity_genes_missing(out: Path) -> None:
    """velocity_genes of outer.h5ad is true in 10 genes, missing in 30."""
    adata = fitted()
    adata.write_h5ad(out / "first.h5ad")
    adata.var["velocity_genes"] = pd.array([True] * 10 + [pd.NA] * 30, dtype="boolean")
    adata.write_h5ad(out / "outer.h5ad")
