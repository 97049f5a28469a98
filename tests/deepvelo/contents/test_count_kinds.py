"""What the numbers of the layers are, on counts that were changed in a known way."""

from __future__ import annotations

from collections.abc import Callable

import dask.array as da
import numpy as np
import pytest
from anndata import AnnData
from scipy import sparse

from deepvelo.contents.count_kinds import count_kind, logarithm_bases, undo_logarithm

Change = Callable[[np.ndarray, np.ndarray, np.random.Generator], tuple[np.ndarray, np.ndarray]]
LENGTHS = np.linspace(0.5, 4, 60)


def layers(change: Change, *, depth: float = 3.0, keep: slice = slice(None)) -> AnnData:
    """Counts of 120 cells x 60 genes of cells of different size, changed, then some of the genes."""
    rng = np.random.default_rng(0)
    sizes = depth * rng.lognormal(0, 0.5, (120, 1)) * rng.gamma(1.0, 1.0, 60)
    spliced, unspliced = (rng.poisson(mean).astype(float) for mean in (sizes, sizes / 3))
    changed = (
        sparse.csr_matrix(values[:, keep], dtype=np.float32) for values in change(spliced, unspliced, rng)
    )
    return AnnData(layers=dict(zip(("spliced", "unspliced"), changed, strict=True)))


def total(counts: np.ndarray) -> np.ndarray:
    return np.maximum(counts.sum(axis=1, keepdims=True), 1)


def by_total(s: np.ndarray, u: np.ndarray, to: float) -> tuple[np.ndarray, np.ndarray]:
    return to * s / total(s + u), to * u / total(s + u)


def tpm(s: np.ndarray, u: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    return by_total(s / LENGTHS, u / LENGTHS, 1e6)


CHANGES: dict[str, tuple[str, Change]] = {
    "as counted": ("counts", lambda s, u, rng: (s, u)),
    "smart-seq reads": ("counts", lambda s, u, rng: (900 * s, 900 * u)),
    "halves by EM": ("estimated", lambda s, u, rng: (np.where(rng.random(s.shape) < 0.3, s / 2, s), u)),
    "thirds in deep cells": (
        "estimated",
        lambda s, u, rng: (np.where(rng.random(s.shape) < 0.3, s / 3, s) * ([[4], [1]] * 60), u),
    ),
    "ambient RNA subtracted": (
        "estimated",
        lambda s, u, rng: (np.clip(s - 0.1 * s.mean(0), 0, None), np.clip(u - 0.1 * u.mean(0), 0, None)),
    ),
    "contamination taken out": (
        "estimated",
        lambda s, u, rng: (s * rng.uniform(0.8, 1, s.shape), u * rng.uniform(0.8, 1, u.shape)),
    ),
    "10,000 a cell, each layer": ("normalized", lambda s, u, rng: (1e4 * s / total(s), 1e4 * u / total(u))),
    "10,000 a cell, both layers": ("normalized", lambda s, u, rng: by_total(s, u, 1e4)),
    "TPM": ("normalized", lambda s, u, rng: tpm(s, u)),
    "logarithms of counts": ("logged", lambda s, u, rng: (np.log1p(s), np.log1p(u))),
    "logarithms of 10,000 a cell": ("logged", lambda s, u, rng: tuple(map(np.log1p, by_total(s, u, 1e4)))),
    "log2 of TPM": ("logged", lambda s, u, rng: tuple(np.log2(1 + x) for x in tpm(s, u))),
    "logarithms to base 10": ("logged", lambda s, u, rng: (np.log10(1 + s), np.log10(1 + u))),
    "logarithms of counts by EM": (
        "logged",
        lambda s, u, rng: (np.log1p(np.where(rng.random(s.shape) < 0.3, s * rng.random(s.shape), s)), np.log1p(u)),
    ),
    "logarithms of two decimals": ("logged", lambda s, u, rng: (np.log1p(s).round(2), np.log1p(u).round(2))),
    "logarithms in half precision": (
        "logged",
        lambda s, u, rng: (np.log2(1 + s).astype(np.float16), np.log2(1 + u).astype(np.float16)),
    ),
    "0 to 1 in each gene": ("scaled", lambda s, u, rng: (s / s.max(0), u / np.maximum(u.max(0), 1))),
}  # fmt: skip


@pytest.mark.parametrize(("kind", "change"), CHANGES.values(), ids=CHANGES)
@pytest.mark.parametrize("depth", [1.0, 10.0])
def test_kind_is_known_from_the_numbers(kind, change, depth):
    assert count_kind(layers(change, depth=depth)) == kind


@pytest.mark.parametrize("depth", [1.0, 10.0])
def test_size_normalised_counts_are_known_when_genes_were_left_out(depth):
    def change(s, u, rng):
        return by_total(s, u, float(np.median(total(s + u))))

    assert count_kind(layers(change, depth=depth, keep=slice(0, 60, 2))) == "normalized"


def test_logarithms_without_a_trace_of_counts_are_known_by_their_range():
    adata = layers(lambda s, u, rng: tuple(np.log1p(x) for x in tpm(s, u)), keep=slice(0, 60, 2))
    assert count_kind(adata) == "logged"
    assert not logarithm_bases(adata)


@pytest.mark.parametrize(("base", "logarithm"), [("e", np.log), ("2", np.log2), ("10", np.log10)])
def test_logarithms_are_undone_to_the_very_counts(base, logarithm):
    counts = layers(lambda s, u, rng: (s, u)).layers["spliced"].toarray()
    logged = logarithm(1 + counts).astype(np.float32)
    for stored in (logged, sparse.csr_matrix(logged)):
        undone = undo_logarithm(stored, base)
        np.testing.assert_array_equal(undone.toarray() if sparse.issparse(undone) else undone, counts)
    lazy = undo_logarithm(da.from_array(logged, chunks=(50, 60)), base)
    np.testing.assert_array_equal(lazy.compute(), counts)
