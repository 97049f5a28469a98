from __future__ import annotations

import time

import anndata as ad
import numpy as np
import pandas as pd
import pytest
from scipy import sparse

from deepvelo.errors import InputError
from deepvelo.io import dry_write
from deepvelo.io.dry_write import leave_out_unwritable


def cells(n: int = 3) -> ad.AnnData:
    adata = ad.AnnData(sparse.csr_matrix(np.eye(n, 2, dtype="f4")))
    adata.obs_names = [f"c{i}" for i in range(n)]
    adata.obs["kept"] = 1
    adata.obsm["X_umap"] = np.ones((n, 2))
    adata.layers["spliced"] = adata.X.copy()
    adata.uns["kept"] = {"graph": sparse.csr_matrix(np.eye(n)), "colors": ["#fff"]}
    return adata


def test_what_can_be_written_is_not_touched():
    adata = cells()
    layer, matrix, uns = adata.layers["spliced"], adata.obsm["X_umap"], adata.uns["kept"]
    assert leave_out_unwritable(adata) == []
    assert adata.layers["spliced"] is layer
    assert adata.obsm["X_umap"] is matrix
    assert adata.uns["kept"] is uns
    assert uns["graph"].shape == (3, 3)


@pytest.mark.parametrize(
    ("spoil", "name"),
    [
        (lambda a: a.obs.insert(0, "odd", [[1]] * 3), "column 'odd' of obs"),
        (lambda a: a.var.insert(0, "odd", [1j, [1]]), "column 'odd' of var"),
        (lambda a: a.obsm.update(odd=np.array([[print]] * 3, dtype=object)), "obsm['odd']"),
        (lambda a: a.obsm.update(odd=pd.DataFrame({"x": [{}] * 3}, index=a.obs_names)), "obsm['odd']"),
        (lambda a: a.varm.update(odd=np.array([[None, "a"]] * 2, dtype=object)), "varm['odd']"),
        (lambda a: a.uns.update(odd={"deep": {1, 2}}), "uns['odd']"),
        (lambda a: a.uns.update(odd="nul\0"), "uns['odd']"),
    ],
)  # fmt: skip
@pytest.mark.slow
def test_what_a_writer_cannot_write_is_left_out_by_name(spoil, name):
    adata = cells()
    spoil(adata)
    (note,) = leave_out_unwritable(adata)
    assert name in note
    assert leave_out_unwritable(adata) == []
    assert adata.obs["kept"].tolist() == [1, 1, 1]
    assert list(adata.uns) == ["kept"]
    assert list(adata.obsm) == ["X_umap"]


def test_raw_is_looked_at_and_its_numbers_are_not_written():
    adata = cells()
    adata.raw = adata.copy()
    assert leave_out_unwritable(adata) == []
    adata.raw.var["odd"] = [[1], [2]]
    assert "raw" in leave_out_unwritable(adata)[0]
    assert adata.raw is None


def test_data_that_cannot_be_written_at_all_are_refused(monkeypatch):
    def fails(*_, **__):
        msg = "no such type"
        raise TypeError(msg)

    monkeypatch.setattr(dry_write, "write_into_hdf5", fails)
    with pytest.raises(InputError, match="cannot be written: no such type"):
        leave_out_unwritable(cells())


def test_numbers_of_many_cells_are_not_written():
    n = 100_000
    adata = ad.AnnData(
        obs=pd.DataFrame({"clusters": pd.Categorical(np.arange(n) % 9)}, index=np.arange(n).astype(str)),
        layers={"Ms": np.broadcast_to(np.float32(1), (n, 50_000))},  # 20 GB, were it written
        obsm={"X_pca": np.broadcast_to(1.0, (n, 5000))},
    )
    started = time.process_time()
    assert leave_out_unwritable(adata) == []
    assert time.process_time() - started < 5
