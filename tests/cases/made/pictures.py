"""Embeddings under other names, in other places, with missing cells."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from tests.cases.made.cells import barcodes, cells, counts, ens, fitted
from tests.cases.made.files import loom


def umap_cell_embeddings(out: Path) -> None:
    """The picture is umap_cell_embeddings (Seurat). Seen in theislab/scvelo#1258."""
    adata = cells()
    adata.obsm["umap_cell_embeddings"] = adata.obsm.pop("X_umap")
    adata.obsm["pca_cell_embeddings"] = np.random.default_rng(0).normal(size=(150, 20))
    adata.write_h5ad(out / "seurat_loom.h5ad")


def umap_named_after_integration(out: Path) -> None:
    """The picture is X_harmony.umap; X_harmony has 20 columns. Seen in zhanghao-njmu/SCP#182."""
    adata = cells()
    adata.obsm["X_harmony.umap"] = adata.obsm.pop("X_umap")
    adata.obsm["X_harmony"] = np.random.default_rng(0).normal(size=(150, 20))
    adata.write_h5ad(out / "u.h5ad")


def umap_in_obs(out: Path) -> None:
    """The picture is the columns UMAP_1, UMAP_2 of obs."""
    adata = cells()
    adata.obs["UMAP_1"], adata.obs["UMAP_2"] = adata.obsm.pop("X_umap").T
    adata.write_h5ad(out / "u.h5ad")


def velocyto_run10x_loom(out: Path) -> None:
    """velocyto run10x: the picture is _X, _Y; groups Clusters. Seen in theislab/scvelo#176."""
    spliced, unspliced, _, time = counts()
    genes = [f"Gene{i}" for i in range(60)]
    genes[5] = genes[6] = "5S_rRNA"
    names = [f"possorted_genome_bam_X1:{barcode}x" for barcode in barcodes(150)]
    loom(
        out / "possorted.loom",
        spliced,
        unspliced,
        {"Gene": genes, "Accession": ens(60, False), "Chromosome": ["1"] * 60},
        {"CellID": names, "Clusters": np.digitize(time, [0.9, 1.9]), "_X": 4 * time, "_Y": np.sin(2 * time)},
    )


def umap_nan_rows(out: Path) -> None:
    """Three cells are NaN in X_umap. Seen in chanzuckerberg/cellxgene#1118."""
    adata = cells()
    adata.obsm["X_umap"][[3, 77, 140]] = np.nan
    adata.write_h5ad(out / "u.h5ad")


def first_umap_nan(out: Path) -> None:
    """Two cells are NaN in X_umap of a scVelo fit."""
    adata = fitted()
    adata.obsm["X_umap"][[5, 50]] = adata.obsm["velocity_umap"][[5, 50]] = np.nan
    adata.write_h5ad(out / "first.h5ad")
    adata.write_h5ad(out / "other.h5ad")
