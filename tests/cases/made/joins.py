"""Pairs of a processed object, ``processed.h5ad``, and its counts, ``counts.h5ad``."""

from __future__ import annotations

from pathlib import Path

import anndata as ad
import numpy as np
import pandas as pd
from scipy import sparse

from tests.cases.made.cells import cells, counts_only, ens, numbered, processed_only, samples


def join_obsm_table(out: Path) -> None:
    """To be joined; X_umap is a table, chromvar sparse. Seen in theislab/scvelo#146."""
    adata = numbered(cells(120, 40))
    processed = processed_only(adata)
    processed.obsm["X_umap"] = pd.DataFrame(
        adata.obsm["X_umap"], index=processed.obs_names, columns=["UMAP_1", "UMAP_2"]
    )
    processed.obsm["chromvar"] = sparse.csr_matrix(
        np.random.default_rng(0).poisson(0.2, (120, 15)).astype(float)
    )
    processed.write_h5ad(out / "processed.h5ad")
    adata.obs_names = [f"s1:{n.removesuffix('-1')}x" for n in adata.obs_names]
    counts_only(adata).write_h5ad(out / "counts.h5ad")


def join_obsm_sparse(out: Path) -> None:
    """To be joined; bins in obsm is sparse."""
    adata = numbered(cells(120, 40))
    processed = processed_only(adata)
    processed.obsm["bins"] = sparse.csr_matrix(np.random.default_rng(0).poisson(0.2, (120, 9)).astype("f4"))
    processed.write_h5ad(out / "processed.h5ad")
    adata.obs_names = [f"s1:{n.removesuffix('-1')}x" for n in adata.obs_names]
    counts_only(adata).write_h5ad(out / "counts.h5ad")


def join_suffix_order(out: Path) -> None:
    """Processed: ctrl, treat as -0, -1; counts: treat, ctrl as -0, -1; 10 barcodes in both samples. Seen in theislab/scvelo#523, theislab/scvelo#989."""
    ctrl, treat = samples()
    processed_only(ad.concat([ctrl, treat], index_unique="-")).write_h5ad(out / "processed.h5ad")
    counts_only(ad.concat([treat, ctrl], index_unique="-")).write_h5ad(out / "counts.h5ad")


def join_made_unique_order(out: Path) -> None:
    """The same, but names were made unique by anndata (X-1, X-1-1); sample is in both files. Seen in theislab/scvelo#457."""
    ctrl, treat = samples()
    for adata in (ctrl, treat):
        adata.obs_names = [f"{n}-1" for n in adata.obs_names]
    processed, counted = ad.concat([ctrl, treat]), ad.concat([treat, ctrl])
    processed.obs_names_make_unique()
    counted.obs_names_make_unique()
    processed_only(processed).write_h5ad(out / "processed.h5ad")
    counts_only(counted).write_h5ad(out / "counts.h5ad")


def join_row_numbers(out: Path) -> None:
    """Cells are called 0, 1, 2, ... in both files, in another order; barcode, barcodes in obs. Seen in COMBINE-lab/af-anndata."""
    adata = numbered(cells(120, 40))
    code, order = [n.removesuffix("-1") for n in adata.obs_names], np.random.default_rng(1).permutation(120)
    processed = processed_only(adata)
    processed.obs["barcode"], processed.obs_names = code, [str(i) for i in range(120)]
    processed.write_h5ad(out / "processed.h5ad")
    counted = counts_only(adata)[order].copy()
    counted.obs = pd.DataFrame({"barcodes": [code[i] for i in order]}, index=[str(i) for i in range(120)])
    counted.write_h5ad(out / "counts.h5ad")


def join_ids_against_symbols(out: Path) -> None:
    """Processed by symbol with gene_ids; counts by Ensembl id with version, gene_name beside. Seen in velocyto-team/velocyto.py#357."""
    adata = numbered(cells(120, 40))
    processed = processed_only(adata)
    processed.var["gene_ids"] = ens(40, False)
    processed.write_h5ad(out / "processed.h5ad")
    counted = counts_only(adata)
    counted.var, counted.obs_names = (
        pd.DataFrame({"gene_name": list(adata.var_names)}, index=ens(40)),
        [n.removesuffix("-1") for n in adata.obs_names],
    )
    counted.write_h5ad(out / "counts.h5ad")


def join_kb_nac(out: Path) -> None:
    """The same as counts of a join. Seen in pachterlab/kallistobustools#61."""
    adata = numbered(cells(120, 40))
    processed_only(adata).write_h5ad(out / "processed.h5ad")
    layers = {
        "mature": adata.layers["spliced"],
        "nascent": adata.layers["unspliced"],
        "ambiguous": adata.layers["unspliced"],
    }
    ad.AnnData(
        obs=pd.DataFrame(index=[n.removesuffix("-1") for n in adata.obs_names]), var=adata.var, layers=layers
    ).write_h5ad(out / "counts.h5ad")


def join_simpleaf(out: Path) -> None:
    """Processed by barcode; counts from simpleaf: names 0, 1, 2, ..., barcodes in obs. Seen in COMBINE-lab/af-anndata."""
    adata = numbered(cells(120, 40))
    processed_only(adata).write_h5ad(out / "processed.h5ad")
    counted = counts_only(adata)
    counted.obs = pd.DataFrame(
        {"barcodes": [n.removesuffix("-1") for n in adata.obs_names]}, index=[str(i) for i in range(120)]
    )
    counted.var = pd.DataFrame(
        {"gene_id": ens(40, False), "gene_symbol": list(adata.var_names)}, index=[str(i) for i in range(40)]
    )
    counted.write_h5ad(out / "counts.h5ad")


def join_barcode_column(out: Path) -> None:
    """Processed: names 0, 1, 2, ..., barcode in obs; counts from velocyto. Seen in theislab/scvelo#989."""
    adata = numbered(cells(120, 40))
    processed = processed_only(adata)
    processed.obs["barcode"], processed.obs_names = list(adata.obs_names), [str(i) for i in range(120)]
    processed.write_h5ad(out / "processed.h5ad")
    adata.obs_names = [f"s1:{n.removesuffix('-1')}x" for n in adata.obs_names]
    counts_only(adata).write_h5ad(out / "counts.h5ad")


def join_short_barcodes(out: Path) -> None:
    """Barcodes of 8 letters: plate1_AAAGTTGT, plate1:AAAGTTGTx."""
    rng = np.random.default_rng(0)
    code = sorted({"".join(rng.choice(list("ACGT"), 8)) for _ in range(130)})[:120]
    adata = numbered(cells(120, 40))
    processed = processed_only(adata)
    processed.obs_names = [f"plate1_{barcode}" for barcode in code]
    processed.write_h5ad(out / "processed.h5ad")
    adata.obs_names = [f"plate1:{barcode}x" for barcode in code]
    counts_only(adata).write_h5ad(out / "counts.h5ad")
