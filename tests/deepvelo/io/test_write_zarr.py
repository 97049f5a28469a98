"""What is laid out by genes is what was given, however many at once are written."""

from __future__ import annotations

import anndata as ad
import numpy as np
import pytest
import zarr
from scipy import sparse

from deepvelo.io import write_zarr
from deepvelo.io.write_zarr import write_by_gene


@pytest.mark.parametrize("stored", ["csr", "csc", "coo", "empty"])
def test_sparse_layers_are_written_some_genes_at_a_time(tmp_path, monkeypatch, stored):
    monkeypatch.setattr(write_zarr, "COLUMNS_AT_ONCE", 7)
    counts = sparse.random(50, 30, density=0.3, format="csr", dtype=np.float32, random_state=0)
    if stored == "empty":
        counts = sparse.csr_matrix((50, 30), dtype=np.float32)
    given = counts.asformat("csr" if stored == "empty" else stored)
    adata = ad.AnnData(counts)
    write_zarr._write_by_columns(given, zarr.open_group(tmp_path / "matrix", mode="w", zarr_format=2))
    adata.layers["spliced"] = counts
    write_by_gene(adata, tmp_path / "run")
    found = ad.io.read_elem(zarr.open_group(tmp_path / "matrix", mode="r"))
    assert found.format == "csc"
    np.testing.assert_array_equal(found.toarray(), counts.toarray())
    stored_run = ad.read_zarr(tmp_path / "run")
    np.testing.assert_array_equal(stored_run.layers["spliced"].toarray(), counts.toarray())
    np.testing.assert_array_equal(stored_run.X.toarray(), counts.toarray())
