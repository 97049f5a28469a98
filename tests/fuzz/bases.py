"""Valid inputs of every kind, small, from which the fuzz test makes others."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import anndata as ad
import numpy as np
import pandas as pd
from anndata import AnnData
from scipy import sparse

from deepvelo import config
from tests.cases.made import working
from tests.cases.made.cells import cells
from tests.cases.made.files import gzipped, two_modalities, zipped
from tests.stored import save_made_up

N_CELLS, N_GENES = 60, 50


def full() -> AnnData:
    """Cells with something in every part of an object."""
    adata = cells(N_CELLS, N_GENES)
    rng = np.random.default_rng(0)
    adata.raw = adata.copy()
    adata.obs["n_counts"] = adata.X.sum(axis=1).A1
    adata.obs["batch"] = np.resize(["a", "b", "c"], N_CELLS)
    adata.obs["kept"] = rng.random(N_CELLS) > 0.5
    adata.obs["age"] = pd.array([3, None] * (N_CELLS // 2), dtype="Int64")
    adata.var["symbol"] = [f"Symbol{i}" for i in range(N_GENES)]
    adata.var["highly_variable"] = rng.random(N_GENES) > 0.5
    adata.obsm["X_pca"] = rng.normal(size=(N_CELLS, 5)).astype("f4")
    adata.obsm["table"] = pd.DataFrame({"one": rng.random(N_CELLS)}, index=adata.obs_names)
    adata.varm["PCs"] = rng.normal(size=(N_GENES, 5)).astype("f4")
    near = sparse.random(N_CELLS, N_CELLS, 0.2, format="csr", random_state=0, dtype="f4")
    adata.obsp["distances"], adata.obsp["connectivities"] = near, (near + near.T).tocsr()
    adata.uns["neighbors"] = {
        "connectivities_key": "connectivities", "distances_key": "distances",
        "params": {"n_neighbors": 12, "method": "umap", "use_rep": "X_pca"},
    }  # fmt: skip
    adata.uns["clusters_colors"] = ["#3ba458", "#404040", "#d94801"]
    adata.uns["pca"] = {"variance": np.arange(5.0), "params": {"zero_center": True}}
    adata.uns["title"], adata.uns["scores"] = "made up", pd.DataFrame({"p": [0.1, 0.2]})
    return adata


def dense() -> AnnData:
    """The same with dense layers and a matrix by columns."""
    adata = full()
    for name in ("spliced", "unspliced"):
        adata.layers[name] = adata.layers[name].toarray()
    adata.X = adata.X.tocsc()
    return adata


def _h5ad(folder: Path) -> Path:
    full().write_h5ad(folder / "cells.h5ad")
    return folder / "cells.h5ad"


def _h5ad_packed(folder: Path) -> Path:
    dense().write_h5ad(folder / "cells.h5ad", compression="gzip")
    return folder / "cells.h5ad"


def _made(make: Callable[[Path], None], name: str) -> Callable[[Path], Path]:
    def write(folder: Path) -> Path:
        make(folder)
        return folder / name

    return write


def _zarr(version: int, *, in_zip: bool = False) -> Callable[[Path], Path]:
    def write(folder: Path) -> Path:
        with ad.settings.override(zarr_write_format=version):
            (full() if version == 2 else dense()).write_zarr(folder / "cells.zarr")
        if in_zip:
            zipped(folder / "cells.zarr", folder / "cells.zarr.zip")
            return folder / "cells.zarr.zip"
        return folder / "cells.zarr"

    return write


def _h5ad_gz(folder: Path) -> Path:
    gzipped(full(), folder / "cells.h5ad.gz")
    return folder / "cells.h5ad.gz"


def _h5mu(folder: Path) -> Path:
    two_modalities(folder / "cells.h5mu", full())
    return folder / "cells.h5mu"


def _gmt(folder: Path) -> Path:
    rng = np.random.default_rng(0)
    names = [[f"Gene{i}" for i in rng.choice(N_GENES, 8, replace=False)] for _ in range(5)]
    lines = ["\t".join((f"SET_{n}", "http://example.org", *genes)) for n, genes in enumerate(names)]
    lines.append("WEIGHTED\t\tGene1,0.83\tGene2,1.5e-3\tENSMUSG00000000001.4")
    (folder / "sets.gmt").write_text("\n".join(lines) + "\n", encoding="utf-8")
    return folder / "sets.gmt"


def _toml(folder: Path) -> Path:
    (folder / "settings.toml").write_text(config.to_toml(config.Settings()), encoding="utf-8")
    return folder / "settings.toml"


def _run(folder: Path) -> Path:
    return folder / save_made_up(folder)


BASES: dict[str, Callable[[Path], Path]] = {
    "h5ad": _h5ad,
    "h5ad_packed": _h5ad_packed,
    "h5ad_06": _made(working.anndata06_legacy, "old.h5ad"),
    "h5ad_07": _made(working.anndata07_neighbors, "old7.h5ad"),
    "loom": _made(working.kb_lamanno_loom, "adata.loom"),
    "loom_old": _made(working.loom_bytes, "old.loom"),
    "h5mu": _h5mu,
    "zarr_2": _zarr(2),
    "zarr_3": _zarr(3),
    "zarr_2_zip": _zarr(2, in_zip=True),
    "zarr_3_zip": _zarr(3, in_zip=True),
    "h5ad_gz": _h5ad_gz,
    "gmt": _gmt,
    "toml": _toml,
    "run": _run,
}
