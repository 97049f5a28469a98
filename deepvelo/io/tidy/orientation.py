"""Recognise and transpose objects with genes in rows, as in Bioconductor and Seurat."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pandas as pd

from deepvelo.arrays.matrices import is_in_file, is_lazy
from deepvelo.errors import InputError

if TYPE_CHECKING:
    from anndata import AnnData

_BARCODE = re.compile(r"(?:^|[^A-Za-z])[ACGT]{8,}x?(?:[^A-Za-z]|$)")
_GENE_ID = re.compile(r"ENS[A-Z]*G\d{6,}|FBgn\d{7}|WBGene\d{8}|AT[1-5MC]G\d{5}", re.IGNORECASE)
# Genes of every sequenced vertebrate.
_EVERYWHERE = frozenset(
    "actb actg1 gapdh malat1 eef1a1 tmsb4x tmsb10 tuba1b tubb5 hmgb1 ppia b2m ubb ubc fth1 ftl vim hsp90ab1 ptma "
    "rpl3 rpl4 rpl5 rpl7 rpl13 rplp0 rplp1 rps2 rps3 rps4x rps6 rps8 rps19 mt-co1 mt-co2 mt-nd1 mt-nd4 mt-cytb".split()
)
_EMBEDDING = re.compile(r"(X_)?(umap|tsne)", re.IGNORECASE)  # an embedding of cells
_MOST, _FEW = 0.8, 0.2  # share of the names
_ENOUGH = 3  # names of such genes


def oriented(adata: AnnData) -> tuple[AnnData, list[str]]:
    """The object with cells in rows, and a note if it was transposed.

    An object is transposed if only its columns are named by barcodes, only its rows by genes, or its only embedding is
    one of the columns.

    Raises
    ------
    InputError
        The object must be transposed and its matrices are on disk.
    """
    if not _is_transposed(adata):
        return adata, []
    found = f"{adata.n_obs:,} rows ('{adata.obs_names[0]}', ...) and {adata.n_vars:,} columns ('{adata.var_names[0]}', ...)"
    if any(is_lazy(matrix) or is_in_file(matrix) for matrix in (adata.X, *adata.layers.values())):
        msg = f"Rows and columns are swapped: the {found} are genes and cells. Save `adata.T`."
        raise InputError(msg)
    note = f"Rows and columns were swapped, since the {found} are genes and cells."
    return adata.T.copy(), [note]


def _is_transposed(adata: AnnData) -> bool:
    if not (adata.n_obs and adata.n_vars):
        return False
    rows, columns = adata.obs_names, adata.var_names
    for looks in (_share_of_barcodes, _share_without_ids):
        if looks(columns) >= _MOST and looks(rows) <= _FEW:
            return True
    if _n_common_genes(rows) >= _ENOUGH and not _n_common_genes(columns):
        return True
    return not adata.obsm and any(_EMBEDDING.fullmatch(name) for name in adata.varm)


def _share_of_barcodes(names: pd.Index) -> float:
    return float(pd.Series(names).astype(str).str.contains(_BARCODE).mean())


def _share_without_ids(names: pd.Index) -> float:
    return 1 - float(pd.Series(names).astype(str).str.match(_GENE_ID).mean())


def _n_common_genes(names: pd.Index) -> int:
    return len(_EVERYWHERE.intersection(str(name).lower() for name in names))
