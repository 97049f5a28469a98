from __future__ import annotations

import anndata as ad
import dask.array as da
import numpy as np
import pytest
import scanpy as sc
import zarr
from scipy import sparse

from deepvelo.arrays import layers, matrices
from deepvelo.pp.counts import (
    averaged,
    logged_counts,
    logged_poisson_variance,
    most_variable,
    noise_weights,
    normalized_counts,
    whole_logged_counts,
)

N_CELLS, N_GENES = 90, 600


@pytest.fixture
def counts(monkeypatch) -> sparse.csr_matrix:
    monkeypatch.setattr(matrices, "BLOCK_CELLS", 16)
    rng = np.random.default_rng(0)
    rate = rng.gamma(1, 1, size=(N_CELLS, N_GENES)) * rng.gamma(1, 1, size=N_GENES)
    return sparse.csr_matrix(rng.poisson(rate), dtype=np.float32)


def test_normalised_counts_by_hand():
    found = normalized_counts(np.array([[1, 0], [2, 4]]), np.array([3.0, 0.5], dtype=np.float32))
    assert found.dtype == np.float32
    assert found.toarray().tolist() == [[3, 0], [1, 2]]


@pytest.mark.parametrize("stored", ["sparse", "dense", "whole numbers", "in a file"])
def test_most_variable_genes_are_scanpys(counts, stored):
    genes = np.flatnonzero(counts.sum(axis=0).A1 > 20)
    scale = np.linspace(0.5, 2, N_CELLS, dtype=np.float32)
    logged = ad.AnnData(sparse.csr_matrix(sparse.diags(scale) @ counts[:, genes], dtype=np.float32))
    sc.pp.log1p(logged)
    sc.pp.highly_variable_genes(logged, flavor="seurat", n_top_genes=100)
    given = {
        "sparse": counts,
        "dense": counts.toarray(),
        "whole numbers": counts.astype(int),
        "in a file": da.from_array(counts.toarray(), chunks=(25, -1)).map_blocks(sparse.csr_matrix),
    }[stored]
    found = most_variable(given, scale, genes=genes, n_top_genes=100)
    assert found.sum() == 100
    np.testing.assert_array_equal(found, logged.var["highly_variable"])


def test_cells_looked_at_at_once_leave_ties_as_scanpy_finds_them(counts, monkeypatch):
    """Of two genes that are alone in their range of means, one is as far above as the other below, up to rounding."""
    monkeypatch.setattr(matrices, "BLOCK_CELLS", N_CELLS)
    few, scale = counts[:, :60], np.linspace(0.5, 2, N_CELLS, dtype=np.float32)
    logged = ad.AnnData(sparse.csr_matrix(sparse.diags(scale) @ few, dtype=np.float32))
    sc.pp.log1p(logged)
    sc.pp.highly_variable_genes(logged, flavor="seurat", n_top_genes=12)
    found = most_variable(few, scale, genes=np.arange(60), n_top_genes=12)
    np.testing.assert_array_equal(found, logged.var["highly_variable"])


def test_means_are_the_product_with_the_weights(counts):
    weights = sparse.random(N_CELLS, N_CELLS, density=0.1, format="csr", dtype=np.float32, random_state=0)
    found = averaged(weights, counts)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, (weights @ counts).toarray(), rtol=1e-6)


def test_means_on_disk_are_those_in_memory(counts, tmp_path, monkeypatch):
    monkeypatch.setattr(layers, "_BLOCK_GENES", 64)
    weights = sparse.random(N_CELLS, N_CELLS, density=0.1, format="csr", dtype=np.float32, random_state=0)
    found = averaged(weights, counts, path=tmp_path / "means")
    assert isinstance(found, zarr.Array)
    np.testing.assert_array_equal(found[:], averaged(weights, counts))


@pytest.mark.parametrize("stored", ["sparse", "dense"])
def test_logarithms_of_layers_side_by_side(counts, stored):
    given = [counts, counts[:, :100]]
    given = given if stored == "sparse" else [layer.toarray() for layer in given]
    logged, whole = logged_counts(given), whole_logged_counts(given)
    expected = np.log1p(np.hstack([matrices.as_dense(layer) for layer in given]))
    assert logged.shape == (N_CELLS, N_GENES + 100)
    np.testing.assert_array_equal(logged[20:50, :], expected[20:50])
    np.testing.assert_array_equal(logged[:, 90:200], expected[:, 90:200])
    np.testing.assert_array_equal(matrices.as_dense(whole), expected)


@pytest.mark.parametrize("stored", ["sparse", "dense"])
def test_logarithms_are_multiplied_with_the_weights_of_their_columns(counts, stored):
    weights = np.linspace(0.5, 2, N_GENES, dtype=np.float32)
    given = [counts if stored == "sparse" else counts.toarray()]
    logged, whole = (make(given, weights=weights) for make in (logged_counts, whole_logged_counts))
    expected = np.log1p(counts.toarray()) * weights
    np.testing.assert_allclose(logged[20:50, 90:200], expected[20:50, 90:200], rtol=1e-6)
    np.testing.assert_allclose(matrices.as_dense(whole), expected, rtol=1e-6)


@pytest.mark.parametrize("mean", [0.01, 0.3, 4.0, 60.0, 500.0])
def test_variance_of_logarithms_is_that_of_drawn_counts(mean):
    drawn = np.log1p(np.random.default_rng(0).poisson(mean, size=400_000))
    assert logged_poisson_variance(np.array([mean]))[0] == pytest.approx(drawn.var(), rel=0.05)


def test_weights_leave_the_square_root_of_the_noise():
    means, overdispersion = np.array([0.05, 0.5, 5.0]), 0.1
    rng = np.random.default_rng(0)
    counts = rng.poisson(rng.gamma(1 / overdispersion, overdispersion * means, size=(200_000, 3)))
    weights = noise_weights([counts[:, :2], counts[:, 2:]])
    noise = logged_poisson_variance(means) + overdispersion
    np.testing.assert_allclose(weights, noise**-0.25, rtol=0.02)
    before, after = np.log1p(counts).var(axis=0), (np.log1p(counts) * weights).var(axis=0)
    assert after.max() / after.min() < before.max() / before.min()


def test_columns_without_counts_have_a_weight():
    assert np.isfinite(noise_weights([np.zeros((5, 2)), np.ones((5, 1))])).all()
