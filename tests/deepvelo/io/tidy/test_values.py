"""Logarithms are undone, and moments that are no means of the counts are dropped."""

from __future__ import annotations

import numpy as np
import pytest
from anndata import AnnData
from scipy import sparse

from deepvelo.checks import summarize
from deepvelo.config import Settings
from deepvelo.io.tidy.values import drop_unusable_moments, undo_logarithms


def with_moments() -> AnnData:
    """Counts of 80 cells x 40 genes that differ in their means, and the means of three cells in a row."""
    rng = np.random.default_rng(0)
    means = 20 * rng.gamma(0.7, 1.0, 40) + 2
    adata = AnnData(rng.poisson(means, (80, 40)).astype(np.float32))
    adata.layers["spliced"] = sparse.csr_matrix(adata.X)
    adata.layers["unspliced"] = rng.poisson(means / 4, (80, 40)).astype(np.float32)
    for counts, moments in (("spliced", "Ms"), ("unspliced", "Mu")):
        values = np.asarray(adata.layers[counts].toarray() if counts == "spliced" else adata.layers[counts])
        adata.layers[moments] = (values + np.roll(values, 1, 0) + np.roll(values, -1, 0)) / 3
    return adata


def spoiled(change) -> AnnData:
    adata = with_moments()
    for key in ("Ms", "Mu"):
        adata.layers[key] = change(adata.layers[key])
    return adata


def nan_in_a_cell(moments):
    moments[7] = np.nan
    return moments


def nan_somewhere_in_each_gene(moments):
    moments[np.arange(40), np.arange(40)] = np.nan
    return moments


def test_good_moments_stay():
    adata = with_moments()
    kept = adata.layers["Ms"].copy()
    assert drop_unusable_moments(adata) == []
    np.testing.assert_array_equal(adata.layers["Ms"], kept)


def test_moments_missing_in_some_genes_stay():
    adata = with_moments()
    adata.layers["Ms"][:, 10:] = np.nan
    assert drop_unusable_moments(adata) == []
    assert "Ms" in adata.layers


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (nan_in_a_cell, "missing in 1 cell"),
        (nan_somewhere_in_each_gene, "missing in 40 cells"),
        (lambda m: np.full_like(m, np.nan), "no finite value"),
        (lambda m: (m - m.min(0)) / np.ptp(m, axis=0), "scaled to 0..1"),
        (lambda m: (m - m.mean(0)) / m.std(0), "below zero"),
        (lambda m: np.log1p(m), "do not follow the spliced counts"),
        (lambda m: m / m.std(0), "do not follow the spliced counts"),
        (lambda m: np.zeros_like(m), "zero everywhere"),
    ],
)
@pytest.mark.parametrize("as_sparse", [False, True])
def test_other_moments_are_dropped_with_the_reason(change, words, as_sparse):
    adata = spoiled(lambda m: sparse.csr_matrix(change(m)) if as_sparse else change(m))
    (note,) = drop_unusable_moments(adata)
    assert words in note
    assert "recomputed" in note
    assert not {"Ms", "Mu"} & set(adata.layers)
    assert drop_unusable_moments(adata) == []


@pytest.mark.parametrize(
    ("change", "words"),
    [(np.zeros_like, "zero everywhere"), (lambda m: m / m.max(0), "do not follow the unspliced counts")],
)
def test_each_layer_of_moments_must_be_usable(change, words):
    adata = with_moments()
    adata.layers["Mu"] = change(adata.layers["Mu"])
    (note,) = drop_unusable_moments(adata)
    assert words in note


def test_moments_stay_where_the_counts_cannot_replace_them():
    adata = spoiled(nan_in_a_cell)
    adata.layers["unspliced"][0, 0] = np.nan
    assert drop_unusable_moments(adata) == []


def test_logarithms_become_the_counts_they_were():
    adata = with_moments()
    counts = {key: adata.layers[key].copy() for key in ("spliced", "unspliced")}
    for key in counts:
        adata.layers[key] = np.log1p(adata.layers[key])
    (note,) = undo_logarithms(adata)
    assert "base e" in note
    assert "'spliced'" in note
    np.testing.assert_array_equal(adata.layers["spliced"].toarray(), counts["spliced"].toarray())
    np.testing.assert_array_equal(adata.layers["unspliced"], counts["unspliced"])
    assert undo_logarithms(adata) == []


def test_logarithms_of_logarithms_become_counts():
    adata = with_moments()
    counts = adata.layers["spliced"].toarray()
    for key in ("spliced", "unspliced"):
        adata.layers[key] = np.log1p(np.log1p(adata.layers[key]))
    assert len(undo_logarithms(adata)) == 2
    np.testing.assert_array_equal(adata.layers["spliced"].toarray(), counts)


def test_scaled_moments_stay_beside_velocities_in_the_same_units():
    adata = spoiled(lambda m: (m - m.min(0)) / np.ptp(m, axis=0))
    adata.layers["velocity"] = np.ones(adata.shape)
    assert drop_unusable_moments(adata) == []
    settings = Settings()
    assert any("scaled to 0..1" in finding.what for finding in summarize(adata, settings).findings)
    del adata.layers["velocity"]
    assert drop_unusable_moments(adata)
