"""Groups and their colours."""

from __future__ import annotations

from pathlib import Path

import h5py
import numpy as np
import pandas as pd

from tests.cases.made.cells import cells, fitted


def float_clusters(out: Path) -> None:
    """leiden is 0.0, 1.0, 2.0, and NaN in 3 cells. Seen in theislab/scvelo#117."""
    adata = cells()
    adata.obs["leiden"] = adata.obs.pop("clusters").cat.codes.astype(float).to_numpy()
    adata.obs.iloc[[2, 5, 70], adata.obs.columns.get_loc("leiden")] = np.nan
    adata.write_h5ad(out / "f.h5ad")


def many_groups(out: Path) -> None:
    """130 cell types in clusters."""
    adata = cells(400, 30)
    adata.obs["clusters"] = pd.Categorical([f"type {i % 130:03d}" for i in range(400)])
    adata.write_h5ad(out / "m.h5ad")


def group_names(out: Path) -> None:
    """Groups L2/3 IT, deep, CD34+ > CD38, <b>NK</b> & [T] 🧬, mature  (trailing blank). Seen in lhqing/ALLCools#11, scverse/cellrank#1083."""
    adata = cells(180, 50)
    names = np.array(["L2/3 IT, deep", "CD34+ > CD38", "<b>NK</b> & [T] \U0001f9ec", "mature "])
    adata.obs["clusters"] = pd.Categorical(names[np.minimum(np.arange(180) // 45, 3)])
    adata.write_h5ad(out / "g.h5ad")


def group_trailing_blank(out: Path) -> None:
    """Group Mature  (trailing blank)."""
    adata = cells(150, 40)
    adata.obs["clusters"] = pd.Categorical(
        np.array(["Progenitor", "Immature", "Mature "])[adata.obs["clusters"].cat.codes]
    )
    adata.write_h5ad(out / "g.h5ad")


def colors_of_lost_group(out: Path) -> None:
    """Groups A, C, D; colours of A, B, C, D; moments in the file. Seen in scverse/cellrank#327."""
    adata = fitted()
    adata.obs["clusters"] = pd.Categorical(np.array(["A", "C", "D"])[adata.obs["clusters"].cat.codes])
    adata.uns["clusters_colors"] = np.array(
        ["#ff0000", "#00ff00", "#0000ff", "#ffff00"], dtype=object
    )  # of A, B, C, D
    adata.write_h5ad(out / "c.h5ad")


def colors_per_cell(out: Path) -> None:
    """One colour a cell in clusters_colors; moments in the file. Seen in basilkhuder/Seurat-to-RNA-Velocity#3."""
    adata = fitted()
    adata.uns["clusters_colors"] = np.array(["#F8766D", "#00BA38", "#619CFF"], dtype=object)[
        adata.obs["clusters"].cat.codes
    ]
    adata.write_h5ad(out / "c.h5ad")


def seuratdisk_factor_ints(out: Path) -> None:
    """celltype holds 0, 1, 2: SeuratDisk wrote codes for names. Seen in mojaveazure/seurat-disk#138."""
    adata = cells(100, 40)
    adata.obs["seurat_clusters"] = adata.obs["celltype"] = (
        adata.obs.pop("clusters").cat.codes.astype("int32").to_numpy()
    )
    adata.obs["orig.ident"] = 0
    adata.write_h5ad(out / "sd.h5ad")
    with h5py.File(out / "sd.h5ad", "r+") as file:
        for k in ("spliced", "unspliced"):
            group = file["layers"][k]
            for part, dtype in (("indices", "i8"), ("indptr", "i8"), ("data", "f8")):
                stored = group[part][:].astype(dtype)
                del group[part]
                group[part] = stored
