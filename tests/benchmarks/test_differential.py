"""The comparison of rates on fitted tissue: random halves, and genes whose gamma doubles, 300 cells a side."""

from __future__ import annotations

import numpy as np
import pytest

import deepvelo as dv
from benchmarks.differential import QUANTITIES, doubled_in_fit, halves, planted, power, shares_found
from deepvelo import keys


@pytest.fixture(scope="module")
def fitted():
    """600 cells of one lineage."""
    adata = dv.datasets.simulate(kind="linear", n_cells=600, n_genes=200, depth=6 * 200, seed=2)
    dv.pp.moments(adata, n_top_genes=200, min_shared_counts=5, cluster_key="clusters")
    dv.tl.velocity(adata, n_epochs=30, device="cpu")
    return adata


@pytest.mark.slow
def test_random_halves_of_one_type_do_not_differ(fitted):
    shares = shares_found(fitted, np.ones(600, dtype=bool), apart=False, n=20, seed=0)
    assert list(shares.columns) == list(QUANTITIES)
    assert (shares.mean() <= 0.05).all()


@pytest.mark.slow
def test_genes_whose_gamma_doubles_are_found(fitted):
    """Doubled in the fitted rates of 300 cells, so that the test is measured and not the fit."""
    found = []
    known = np.flatnonzero(fitted.var["velocity_genes"])
    for number, half in enumerate(halves(fitted, np.ones(600, dtype=bool), apart=False, n=5, seed=0)):
        genes = np.random.default_rng(number).choice(known, 50, replace=False)
        table = dv.tl.differential_kinetics(doubled_in_fit(fitted, side=half, genes=genes), half)
        found.append(power(table, fitted.var_names[genes]).loc["gamma"])
    assert np.mean([row["power"] for row in found]) >= 0.8
    assert np.mean([row["wrong"] for row in found]) <= 0.1


@pytest.mark.slow
def test_halves_that_lie_apart_are_cut_by_a_plane(fitted):
    along, *_ = halves(fitted, np.ones(600, dtype=bool), apart=True, n=1, seed=0)
    assert along.sum() == 300
    first = fitted.obsm[keys.X_PCA][:, 0]
    assert (
        max(np.mean(along == (first < np.median(first))), np.mean(along == (first > np.median(first)))) > 0.98
    )


def test_planted_counts_have_the_rates_they_say():
    adata, side, genes = planted(seed=0, per_gene=30, n_cells=400)
    assert genes.sum() == 50
    assert side.sum() == 200
    spliced = adata.layers[keys.SPLICED]
    ratio = spliced[side].mean(axis=0) / spliced[~side].mean(axis=0)
    assert np.median(ratio[genes]) == pytest.approx(0.5, abs=0.05)
    assert np.median(ratio[~genes]) == pytest.approx(1, abs=0.1)
