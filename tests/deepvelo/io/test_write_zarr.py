"""What is laid out by genes is what was given, however many at once are written."""

from __future__ import annotations

import os

import anndata as ad
import numpy as np
import pandas as pd
import pytest
import zarr
from scipy import sparse

from deepvelo.io import write_zarr
from deepvelo.io.tidy import tidied
from deepvelo.io.write_zarr import write_by_gene


@pytest.mark.parametrize("stored", ["csr", "csc", "coo", "empty"])
def test_sparse_layers_are_written_some_genes_at_a_time(tmp_path, monkeypatch, stored):
    monkeypatch.setattr(write_zarr, "_BLOCK_COLUMNS", 7)
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


def test_names_that_differ_in_case_are_apart_on_every_disk(tmp_path):
    adata = ad.AnnData(obs=pd.DataFrame(index=["x", "y"]))
    adata.obs["clusters"], adata.obs["Clusters"] = pd.Categorical(["a", "b"]), pd.Categorical(["A", "B"])
    adata.obsm["X_UMAP"], adata.obsm["X_umap"] = np.zeros((2, 2)), np.ones((2, 2))
    adata.uns = {"a": {"k": 1, "K": 2}}
    write_by_gene(adata, tmp_path / "run")
    for folder, inside, files in os.walk(tmp_path / "run"):
        names = [*inside, *files]
        assert len({name.casefold() for name in names}) == len(names), folder
    found = tidied(ad.read_zarr(tmp_path / "run"))
    assert list(found.obs["clusters"]) == ["a", "b"]
    assert list(found.obs["Clusters"]) == ["A", "B"]
    np.testing.assert_array_equal(found.obsm["X_umap"], np.ones((2, 2)))
    np.testing.assert_array_equal(found.obsm["X_UMAP"], np.zeros((2, 2)))
    assert found.uns["a"] == {"k": 1, "K": 2}


def test_what_turns_out_to_be_unwritable_is_left_out_and_logged(tmp_path, caplog):
    adata = ad.AnnData(obs=pd.DataFrame({"lists": [[1], [2]], "kept": [1, 2]}, index=["x", "y"]))
    adata.uns = {"tool": {"function": print, "kept": 1}}
    write_by_gene(adata, tmp_path / "run")
    found = ad.read_zarr(tmp_path / "run")
    assert list(found.obs) == ["kept"]
    assert found.uns["tool"] == {"kept": 1}
    assert "'lists'" in caplog.text
    assert "function" in caplog.text
