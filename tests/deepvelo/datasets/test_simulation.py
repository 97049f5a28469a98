from __future__ import annotations

import numpy as np
import pytest
from scipy import sparse

from deepvelo import keys
from deepvelo.datasets.simulation import KINDS, draw, simulate
from deepvelo.errors import InputError

SMALL = {"n_cells": 60, "n_genes": 30, "depth": 300.0}


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_brings_counts_and_truth(kind):
    adata = simulate(kind=kind, **SMALL)
    assert adata.shape == (60, 30)
    for layer in (keys.SPLICED, keys.UNSPLICED):
        assert sparse.isspmatrix_csr(adata.layers[layer])
        assert adata.layers[layer].dtype == np.int32
        assert adata.layers[layer].data.min() > 0
    for layer in (keys.TRUE_ALPHA, keys.TRUE_BETA, keys.TRUE_GAMMA):
        assert (adata.layers[layer] > 0).all()
    groups = adata.obs[keys.CLUSTERS].cat.categories
    assert (adata.obs[keys.CLUSTERS].value_counts() > 0).all()
    assert len(set(adata.uns[keys.colors(keys.CLUSTERS)])) == len(groups)
    assert adata.obs_names.is_unique
    assert adata.var_names.is_unique
    assert adata.var_names.str.startswith("Sim").all()


@pytest.mark.parametrize("kind", KINDS)
def test_same_seed_same_data_and_another_seed_other_data(kind):
    first, again, other = (simulate(kind=kind, **SMALL, seed=seed) for seed in (5, 5, 6))
    for layer in first.layers:
        one, two = (sparse.csr_matrix(data.layers[layer]) for data in (first, again))
        assert one.data.tobytes() == two.data.tobytes()
        assert one.indices.tobytes() == two.indices.tobytes()
    assert first.obs.equals(again.obs)
    assert (first.layers[keys.SPLICED] != other.layers[keys.SPLICED]).nnz > 100


@pytest.mark.parametrize("kind", KINDS)
def test_depth_changes_the_counts_and_not_the_tissue(kind):
    shallow, deep = (simulate(kind=kind, n_cells=200, n_genes=50, depth=depth) for depth in (200, 5000))
    np.testing.assert_array_equal(shallow.layers[keys.TRUE_VELOCITY], deep.layers[keys.TRUE_VELOCITY])
    for adata, depth in ((shallow, 200), (deep, 5000)):
        assert np.median(np.asarray(adata.layers[keys.SPLICED].sum(axis=1))) == pytest.approx(depth, rel=0.1)


@pytest.mark.parametrize(
    "kind", [pytest.param(kind, marks=[pytest.mark.slow] * (kind == "regulated")) for kind in KINDS]
)
def test_counts_have_the_mean_and_spread_stated(kind):
    adata, truth = draw(kind=kind, n_cells=4000, n_genes=20, depth=400, seed=0)
    for layer, mean in zip((keys.SPLICED, keys.UNSPLICED), truth.expected_counts(), strict=True):
        counts = adata.layers[layer].toarray()
        error = np.sqrt((mean + 0.05 * mean**2).sum(axis=0))
        assert (np.abs((counts - mean).sum(axis=0)) < 4 * error).all(), "mean of the counts"
        spread = ((counts - mean) ** 2).sum() / (mean + 0.05 * mean**2).sum()
        assert spread == pytest.approx(1.0, abs=0.05), "variance: mean + 0.05 mean^2"


@pytest.mark.parametrize("kind", KINDS)
def test_stored_velocity_follows_from_the_stored_rates(kind):
    adata, truth = draw(kind=kind, **SMALL, seed=2)
    states = truth.states()
    truth.attach(adata)
    layers = adata.layers
    ds = layers[keys.TRUE_BETA] * states.u - layers[keys.TRUE_GAMMA] * states.s
    du = layers[keys.TRUE_ALPHA] - layers[keys.TRUE_BETA] * states.u
    np.testing.assert_allclose(layers[keys.TRUE_VELOCITY], ds, rtol=1e-3, atol=1e-3)
    np.testing.assert_allclose(layers[keys.TRUE_VELOCITY_U], du, rtol=1e-3, atol=1e-3)
    assert kind == "static" or np.abs(ds).max() > 10


def test_nothing_moves_in_static_tissue():
    adata = simulate(kind="static", **SMALL)
    turnover = adata.layers[keys.TRUE_ALPHA]
    assert np.abs(adata.layers[keys.TRUE_VELOCITY]).max() < 1e-9 * turnover.max()
    assert np.abs(adata.layers[keys.TRUE_VELOCITY_U]).max() < 1e-9 * turnover.max()


@pytest.mark.parametrize(
    ("kind", "share"),
    [
        *((kind, 0) for kind in ("linear", "branch", "boost", "cycle", "batches", "regulated", "static")),
        *((kind, 0.5) for kind in ("branch_rates", "unrelated")),
        ("origins", 0.3),
    ],
)
def test_rates_differ_in_the_kinds_that_say_so_and_in_no_other(kind, share):
    adata = simulate(kind=kind, **SMALL)
    assert adata.var[keys.RATES_DIFFER].sum() == share * 30
    for layer in (keys.TRUE_BETA, keys.TRUE_GAMMA):
        varies = np.ptp(adata.layers[layer], axis=0) > 0
        np.testing.assert_array_equal(varies, adata.var[keys.RATES_DIFFER])


def test_the_rates_of_about_half_the_genes_follow_latent_factors():
    adata = simulate(kind="factors", n_cells=60, n_genes=100)
    assert 0.3 < adata.var[keys.RATES_DIFFER].mean() < 0.7
    for layer in (keys.TRUE_BETA, keys.TRUE_GAMMA):
        assert (np.ptp(adata.layers[layer], axis=0) > 0)[~adata.var[keys.RATES_DIFFER]].sum() == 0


def test_a_droplet_profile_has_a_heavy_tail_and_mostly_few_unspliced_counts():
    adata = simulate(kind="linear", n_cells=150, profile="droplet", seed=3)
    assert adata.n_vars == 2000
    assert adata.uns[keys.SIMULATION]["profile"] == "droplet"
    spliced, unspliced = (
        np.asarray(adata.layers[layer].mean(axis=0)).ravel() for layer in (keys.SPLICED, keys.UNSPLICED)
    )
    assert np.median(np.asarray(adata.layers[keys.SPLICED].sum(axis=1))) == pytest.approx(2000, rel=0.1)
    assert 0.65 < (unspliced < 0.2).mean() < 0.85
    assert 0.12 < np.sort(spliced)[-20:].sum() / spliced.sum() < 0.4, "the first hundredth of the genes"
    assert spliced.mean() > 2.5 * np.median(spliced)
    assert 0.15 < unspliced.sum() / (spliced + unspliced).sum() < 0.3


def test_a_droplet_profile_keeps_cells_and_kinetics():
    settings = {"kind": "branch_rates", "n_cells": 80, "n_genes": 40, "seed": 2}
    even, droplet = (simulate(**settings, profile=profile) for profile in ("even", "droplet"))
    assert even.obs.drop(columns=keys.TRUE_SIZE).equals(droplet.obs.drop(columns=keys.TRUE_SIZE))
    np.testing.assert_array_equal(droplet.layers[keys.TRUE_BETA], even.layers[keys.TRUE_BETA])
    factor = droplet.layers[keys.TRUE_ALPHA] / even.layers[keys.TRUE_ALPHA]
    np.testing.assert_allclose(factor, np.broadcast_to(factor[0], factor.shape), rtol=1e-5)
    np.testing.assert_allclose(
        droplet.layers[keys.TRUE_VELOCITY], factor * even.layers[keys.TRUE_VELOCITY], rtol=1e-4, atol=1e-2
    )
    assert 0.8 < np.log(factor[0]).std() < 1.5


def test_a_simulation_has_800_genes_by_default():
    assert simulate(kind="linear", n_cells=10).n_vars == 800


def test_stages_follow_each_other_and_overlap():
    adata = simulate(kind="linear", n_cells=400, n_genes=20)
    time = adata.obs.groupby(keys.CLUSTERS, observed=True)[keys.TRUE_TIME].agg(["min", "mean", "max"])
    assert time["mean"].is_monotonic_increasing
    assert (time["max"].to_numpy()[:-1] > time["min"].to_numpy()[1:]).all()


def test_cells_lie_evenly_over_one_period_of_a_cycle():
    time = simulate(kind="cycle", n_cells=2000, n_genes=10).obs[keys.TRUE_TIME]
    assert 0 <= time.min() < time.max() <= 10
    assert np.histogram(time, bins=5, range=(0, 10))[0] == pytest.approx(np.full(5, 400), rel=0.2)


def test_the_smallest_of_the_unrelated_types_has_few_cells_and_they_move():
    adata = simulate(kind="unrelated", n_cells=1500, n_genes=300, seed=1)
    numbers = adata.obs[keys.CLUSTERS].value_counts()
    assert numbers.min() == 30
    assert len(set(numbers)) == 5
    velocity, turnover = adata.layers[keys.TRUE_VELOCITY], adata.layers[keys.TRUE_ALPHA]
    moves = (np.abs(velocity) > 0.1 * turnover).mean(axis=1)[adata.obs[keys.CLUSTERS] == numbers.idxmin()]
    assert np.median(moves) > 0.2


def test_groups_have_the_proportions_of_the_tissue():
    numbers = simulate(n_cells=3396, n_genes=10).obs[keys.CLUSTERS].value_counts()
    assert numbers.sum() == 3396
    assert numbers["Granule mature"] / numbers["Neuroblast"] == pytest.approx(1086 / 560, rel=0.02)
    assert numbers.idxmin() == "nIPC"


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"kind": "spiral"}, "kind of simulation 'spiral'. Choose one of dentate, linear"),
        ({"profile": "flat"}, "profile 'flat'. Choose one of even, droplet"),
        ({"n_cells": 13}, "14 groups.*n_cells = 13"),
        ({"n_genes": 9}, "at least 10 genes.*9"),
        ({"depth": 0.0}, "depth.*above 0 .*got 0.0"),
        ({"depth": float("nan")}, "depth.*got nan"),
        ({"depth": 1e300}, r"depth.*at most 10,000,000, got 1e\+300"),
        ({"seed": -1}, "seed must be from 0.*got -1"),
        ({"seed": 10**30}, "seed must be from 0.*got 10+"),
        ({"n_cells": 10**12}, "10+ cells.*needs more memory"),
        ({"n_genes": 10**12}, "10+ genes needs more memory"),
    ],
)
def test_impossible_wishes_are_told_in_a_sentence(wrong, message):
    with pytest.raises(InputError, match=message):
        simulate(**SMALL | wrong)
