"""Files whose fit was lost when it was written."""

from __future__ import annotations

from pathlib import Path

import anndata as ad
import h5py
import numpy as np
import pandas as pd

from tests.cases.made.cells import barcodes, cells
from tests.cases.made.files import add_column, as_nullable


def anndata013_nullable_names(out: Path) -> None:
    """A file of anndata 0.13: names and a text column are nullable strings. Seen in scverse/anndataR#514."""
    adata = cells()
    adata.obs["barcode"] = barcodes(150)
    adata.write_h5ad(out / "a13.h5ad", convert_strings_to_categoricals=False)
    with h5py.File(out / "a13.h5ad", "r+") as file:
        as_nullable(file["obs"], "_index", "barcode")
        as_nullable(file["var"], "_index")


def nullable_text_column(out: Path) -> None:
    """A nullable text column note, missing in 22 cells. Seen in scverse/anndata#1571."""
    adata = cells()
    adata.obs["note"] = pd.array([f"cell {i}" if i % 7 else pd.NA for i in range(150)], dtype="string")
    with ad.settings.override(allow_write_nullable_strings=True):
        adata.write_h5ad(out / "n.h5ad", convert_strings_to_categoricals=False)


def seuratdisk_var_index(out: Path) -> None:
    """var has a column _index beside its index (SeuratDisk). Seen in mojaveazure/seurat-disk#123."""
    cells().write_h5ad(out / "sd.h5ad")
    with h5py.File(out / "sd.h5ad", "r+") as file:
        var = file["var"]
        var.move("_index", "features")
        var.attrs["_index"] = "features"
        add_column(var, "_index", np.array([f"Gene{i}" for i in range(60)]))


def index_is_a_column_too(out: Path) -> None:
    """Index barcode and a column barcode; 5 names occur twice. Seen in scverse/anndata#761."""
    adata = cells(150, 50)
    adata.obs["barcode"] = list(adata.obs_names)
    adata.obs.index.name = "barcode"
    adata.write_h5ad(out / "i.h5ad")
    with h5py.File(out / "i.h5ad", "r+") as file:  # two lanes were concatenated
        names = file["obs/barcode"][:]
        names[75:80] = names[:5]
        file["obs/barcode"][...] = names


def columns_differ_in_case(out: Path) -> None:
    """obs has clusters and Clusters. Seen in scverse/anndata#2576."""
    adata = cells()
    adata.obs["Clusters"] = adata.obs["clusters"].cat.codes.astype(str).to_numpy()
    adata.write_h5ad(out / "case.h5ad")
