"""Every change does what its name says and leaves the tissue's cells as they were."""

from __future__ import annotations

import numpy as np
import pytest
from anndata import AnnData

from benchmarks.accuracy_methods import case_of, simulated
from benchmarks.robustness import CHANGES, changed, cosine, measure
from deepvelo import keys

LAYERS = (keys.SPLICED, keys.UNSPLICED)


@pytest.fixture(scope="module")
def counts() -> AnnData:
    return simulated("linear", "deep", seed=0, n_cells=150, n_genes=60)


def dense(data: AnnData, key: str) -> np.ndarray:
    return data.layers[key].toarray()


def of_the_tissue(out: AnnData, counts: AnnData, key: str) -> np.ndarray:
    return dense(out[counts.obs_names, counts.var_names], key)


@pytest.mark.parametrize(
    "change",
    ["as it is", "cells in another order", "another seed", "a fifth unrelated cells", "as many noise genes"],
)
def test_the_cells_of_the_tissue_keep_their_counts(counts, change):
    out = changed(counts, change, seed=0)
    for key in LAYERS:
        assert (of_the_tissue(out, counts, key) == dense(counts, key)).all()


def test_another_order_is_another_order(counts):
    out = changed(counts, "cells in another order", seed=0)
    assert list(out.obs_names) != list(counts.obs_names)
    assert set(out.obs_names) == set(counts.obs_names)


def test_half_the_counts_are_left_in_every_layer(counts):
    out = changed(counts, "half the counts", seed=0)
    for key in LAYERS:
        left, before = dense(out, key), dense(counts, key)
        assert (left <= before).all()
        assert left.sum() == pytest.approx(before.sum() / 2, rel=0.02)


def test_a_fifth_more_cells_as_deep_as_the_tissue(counts):
    out = changed(counts, "a fifth unrelated cells", seed=0)
    others = out[~out.obs_names.isin(counts.obs_names)]
    assert others.n_obs == 30
    depth, expected = (np.median(dense(data, keys.SPLICED).sum(1)) for data in (others, counts))
    assert depth == pytest.approx(expected, rel=0.15)


def test_noise_genes_are_as_abundant_and_differ_by_counting_alone(counts):
    out = changed(counts, "as many noise genes", seed=0)
    noise = out[:, ~out.var_names.isin(counts.var_names)]
    assert noise.n_vars == counts.n_vars
    spliced, before = dense(noise, keys.SPLICED), dense(counts, keys.SPLICED)
    assert spliced.mean(0) == pytest.approx(before.mean(0), rel=0.25, abs=0.3)
    # Poisson counts vary as much as they are high; a size that differs between cells adds to it.
    size = sum(dense(counts, key).sum(1) for key in LAYERS)
    expected = spliced.mean(0) + spliced.mean(0) ** 2 * np.var(size / size.mean())
    assert spliced.var(0).sum() == pytest.approx(expected.sum(), rel=0.2)


@pytest.mark.slow
def test_cosine_is_one_for_the_truth_and_minus_one_for_its_opposite(counts):
    case = case_of(counts, seed=0)
    for sign in (1, -1):
        found = case.prepared[::-1].copy()
        found.layers[keys.VELOCITY] = sign * case.velocity[::-1]
        found.var[keys.VELOCITY_GENES] = True
        assert cosine(found, case) == pytest.approx(sign)


@pytest.mark.slow
def test_every_change_is_measured_and_the_order_of_the_cells_changes_nothing():
    rows = {row["change"]: row["cosine"] for row in measure("linear", "deep", 0, 150, 60)}
    assert list(rows) == list(CHANGES)
    assert rows["as it is"] > 0.7
    assert rows["cells in another order"] == pytest.approx(rows["as it is"], abs=0.005)
