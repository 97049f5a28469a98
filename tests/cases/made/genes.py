"""Names of genes in other columns and other spellings."""

from __future__ import annotations

from pathlib import Path

import anndata as ad
import numpy as np
import pandas as pd
from scipy import sparse

from tests.cases.made.cells import barcodes, cells, counts, ens, fitted
from tests.cases.made.files import loom


def kb_target_name_loom(out: Path) -> None:
    """kb's loom without symbols: genes in target_name. Seen in pachterlab/kb_python#182, pachterlab/kb_python#270."""
    spliced, unspliced, *_ = counts()
    loom(out / "adata.loom", spliced, unspliced, {"target_name": ens(60)}, {"barcode": barcodes(150)})


def simpleaf_h5ad(out: Path) -> None:
    """simpleaf: names 0, 1, 2, ...; barcodes in obs, gene_symbol, gene_id in var. Seen in COMBINE-lab/alevin-fry#31."""
    spliced, unspliced, *_ = counts()
    ambiguous, rng = (
        np.random.default_rng(1).poisson(0.5, spliced.shape).astype(np.float32),
        np.random.default_rng(2),
    )
    obs = pd.DataFrame(
        {"barcodes": barcodes(150), "corrected_reads": rng.integers(1000, 9000, 150)},
        index=[str(i) for i in range(150)],
    )
    var = pd.DataFrame(
        {"gene_id": ens(60, False), "gene_symbol": [f"Gene{i}" for i in range(60)]},
        index=[str(i) for i in range(60)],
    )
    adata = ad.AnnData(
        sparse.csr_matrix(spliced + unspliced + ambiguous),
        obs=obs,
        var=var,
        uns={"quant_info": '{"usa_mode": true}'},
    )
    for name, matrix, tag in (
        ("spliced", spliced, ""),
        ("unspliced", unspliced, "-U"),
        ("ambiguous", ambiguous, "-A"),
    ):
        adata.layers[name] = sparse.csr_matrix(matrix)
        adata.varm[name] = pd.DataFrame(
            {"gene_id": [gene + tag for gene in ens(60, False)]}, index=adata.var_names
        )
    adata.write_h5ad(out / "quants.h5ad")


def stereo_loom_symbol(out: Path) -> None:
    """Genes are Ensembl ids, symbols in Symbol. Seen in STOmics/Stereopy#394."""
    spliced, unspliced, *_ = counts()
    genes = {"Gene": ens(60, False), "Accession": ens(60, False), "Symbol": [f"Gene{i}" for i in range(60)]}
    loom(out / "bin.loom", spliced, unspliced, genes, {"CellID": [str(10**9 + i) for i in range(150)]})
    (out / "tfs.txt").write_text("Gene3\nGene5\nGene7\n")


def cellxgene_layout(out: Path) -> None:
    """CELLxGENE: Ensembl ids, symbols in feature_name; X_UMAP. Seen in satijalab/seurat#8430."""
    adata = cells()
    adata.obsm["X_UMAP"] = adata.obsm.pop("X_umap")
    adata.obsm["X_tSNE"] = adata.obsm["X_UMAP"][:, ::-1].copy()
    adata.var["feature_name"], adata.var_names = pd.Categorical(adata.var_names), ens(60, False)
    adata.write_h5ad(out / "cxg.h5ad")
    (out / "tfs.txt").write_text("Gene3\nGene5\nGene7\n")


def species_prefix(out: Path) -> None:
    """Genes GRCh38_GENE0, mm10___Gene1; tfs.txt has Gene3."""
    adata = cells(120, 40)
    adata.var_names = [
        f"mm10___{gene}" if i % 2 else f"GRCh38_{gene.upper()}" for i, gene in enumerate(adata.var_names)
    ]
    adata.write_h5ad(out / "s.h5ad")
    (out / "tfs.txt").write_text("Gene3\nGene5\nGene7\n")


def genes_spelled_otherwise(out: Path) -> None:
    """other.h5ad has its genes in upper case."""
    adata = fitted()
    adata.write_h5ad(out / "first.h5ad")
    adata.var_names = [gene.upper() for gene in adata.var_names]
    adata.write_h5ad(out / "other.h5ad")
