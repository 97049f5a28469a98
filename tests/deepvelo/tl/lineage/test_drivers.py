"""Drivers of a tissue that forks, and their correlations against CellRank's."""

from __future__ import annotations

import dataclasses
import tracemalloc

import numpy as np
import pandas as pd
import pytest
from anndata import AnnData
from scipy import sparse
from scipy.stats import rankdata

from deepvelo import keys
from deepvelo.arrays import layers
from deepvelo.errors import InputError
from deepvelo.tl import Fates, drivers, fates
from deepvelo.tl.graph.transitions import quiet_cellrank, transition_matrix
from tests.forked import fork


@pytest.fixture(scope="module")
def tissue():
    return fork(300)


@pytest.fixture(scope="module")
def found(tissue):
    return fates(tissue, cluster_key=keys.CLUSTERS)


def of(table: pd.DataFrame, lineage: str) -> pd.DataFrame:
    return table[table["lineage"] == lineage].set_index("gene")


def test_the_gene_of_each_branch_drives_it(tissue, found):
    table = drivers(tissue, found)
    assert list(table.columns) == [
        "lineage", "gene", "rank", "correlation", "ci_low", "ci_high", "p", "q", "measure", "alpha_change",
        "beta_change", "gamma_change",
    ]  # fmt: skip
    assert list(dict.fromkeys(table["lineage"])) == ["Left", "Right"]
    for lineage, gene, other in (("Left", "left", "right"), ("Right", "right", "left")):
        own = of(table, lineage)
        assert own.index[0] == gene
        assert own.loc[gene, "correlation"] > 0.5
        assert own.loc[other, "correlation"] < -0.5
        assert own.loc[gene, "q"] < 1e-9
        assert list(own["rank"]) == [1, 2, 3, 4, 5]
        assert (own["measure"] == "fate").all()


def test_a_gene_that_does_not_vary_has_no_correlation_and_comes_last(tissue, found):
    own = of(drivers(tissue, found), "Left")
    assert own.index[-1] == "still"
    assert own.loc["still", ["correlation", "ci_low", "ci_high", "p", "q"]].isna().all()


@pytest.mark.slow
def test_correlations_are_cellranks_and_intervals_scipys(tissue, found):
    from cellrank.estimators import GPCCA
    from cellrank.kernels import PrecomputedKernel
    from scipy.sparse import identity
    from scipy.stats import norm, pearsonr

    adata = tissue[:, :4].copy()
    adata.X = adata.X.astype(np.float64)
    ours = drivers(adata, found, confidence_level=0.9)
    with quiet_cellrank():
        estimator = GPCCA(PrecomputedKernel(identity(adata.n_obs, format="csr"), adata=adata))
        estimator.set_terminal_states(found.macrostates.astype("category"))
        from cellrank._utils._lineage import Lineage

        estimator._fate_probabilities = Lineage(found.probabilities.to_numpy(), names=found.terminal)
        theirs = estimator.compute_lineage_drivers(confidence_level=0.9)
    unbiased = (adata.n_obs - 1) / adata.n_obs  # CellRank divides a sum by n - 1 and a variance by n
    for lineage in found.terminal:
        own = of(ours, lineage).loc[theirs.index]
        np.testing.assert_allclose(own["correlation"], theirs[f"{lineage}_corr"] * unbiased, rtol=1e-5)
        np.testing.assert_allclose(norm.isf(own["p"] / 2), norm.isf(theirs[f"{lineage}_pval"] / 2), rtol=0.02)
        assert (own["q"] >= own["p"]).all()
        for place, gene in enumerate(adata.var_names):
            exact = pearsonr(adata.X[:, place].astype(float), found.probabilities[lineage])
            low, high = exact.confidence_interval(0.9)
            assert own.loc[gene, "correlation"] == pytest.approx(exact.statistic)
            assert (own.loc[gene, "ci_low"], own.loc[gene, "ci_high"]) == pytest.approx((low, high))


def test_a_wider_interval_is_surer(tissue, found):
    narrow, wide = (of(drivers(tissue, found, confidence_level=level), "Left") for level in (0.5, 0.99))
    varying = ["root", "left", "right", "noise"]
    assert (wide.loc[varying, "ci_low"] < narrow.loc[varying, "ci_low"]).all()
    assert (wide.loc[varying, "ci_high"] > narrow.loc[varying, "ci_high"]).all()


@pytest.mark.slow
def test_with_one_end_how_near_it_is_takes_the_place_of_the_fate(tissue):
    only = fates(tissue, cluster_key=keys.CLUSTERS, terminal=["Left"])
    table = of(drivers(tissue, only), "Left")
    assert (table["measure"] == "nearness").all()
    assert table.loc["left", "correlation"] > 0.5


def test_a_lineage_is_looked_for_where_it_can_be_reached():
    apart = fork(300, apart=True)
    both = fates(apart, cluster_key=keys.CLUSTERS)
    table = drivers(apart, both)
    assert (table["measure"] == "nearness").all()
    inside = (apart.obs[keys.CLUSTERS] == "Right").to_numpy()
    expected = np.corrcoef(apart.X[inside, 2].astype(float), rankdata(-both.steps[inside]))[0, 1]
    assert of(table, "Right").loc["right", "correlation"] == pytest.approx(expected)


def test_rates_change_along_the_lineage_they_change_on(tissue, found):
    adata = tissue.copy()
    place, left = adata.obs["place"].to_numpy(), (adata.obs[keys.CLUSTERS] == "Left").to_numpy()
    for key in keys.RATES:
        adata.layers[key] = np.ones(adata.shape, np.float32)
    adata.layers[keys.ALPHA][left & (place > 0.2), 1] = 8
    adata.layers[keys.GAMMA][:, 2] = np.nan
    table = drivers(adata, found)
    assert of(table, "Left").loc["left", "alpha_change"] > 2.5
    assert of(table, "Right").loc["left", "alpha_change"] == pytest.approx(0, abs=0.3)
    assert of(table, "Left").loc["left", "beta_change"] == pytest.approx(0)
    assert np.isnan(of(table, "Left").loc["right", "gamma_change"])


def test_a_time_of_ones_own_orders_the_cells(tissue, found):
    adata = tissue.copy()
    adata.layers[keys.ALPHA] = np.ones(adata.shape, np.float32)
    adata.layers[keys.ALPHA][(adata.obs[keys.CLUSTERS] == "Left").to_numpy(), 1] = 8
    forward = of(drivers(adata, found), "Left").loc["left", "alpha_change"]
    backward = of(drivers(adata, found, pseudotime=found.steps.to_numpy()), "Left").loc[
        "left", "alpha_change"
    ]
    assert forward > 1
    assert backward == pytest.approx(-forward)


def test_runs_without_rates_have_no_kinetic_view(tissue, found):
    table = drivers(tissue, found)
    assert table[["alpha_change", "beta_change", "gamma_change"]].isna().all(axis=None)


def test_another_layer_can_be_correlated(tissue, found):
    adata = tissue.copy()
    adata.layers["turned"] = -adata.X
    first, second = of(drivers(adata, found), "Left"), of(drivers(adata, found, layer="turned"), "Left")
    assert second.loc["left", "correlation"] == pytest.approx(-first.loc["left", "correlation"])


def test_what_does_not_fit_is_refused(tissue, found):
    with pytest.raises(InputError, match=r"no layer 'counts'. Found 'Ms', 'velocity'"):
        drivers(tissue, found, layer="counts")
    with pytest.raises(InputError, match=r"`confidence_level` must be between 0 and 1. Got 1"):
        drivers(tissue, found, confidence_level=1)
    with pytest.raises(InputError, match="`pseudotime` must have a value for each of 300 cells"):
        drivers(tissue, found, pseudotime=np.zeros(5))
    with pytest.raises(InputError, match="fates are those of 10 other cells"):
        drivers(tissue, dataclasses.replace(found, probabilities=found.probabilities[:10]))


@pytest.mark.slow
def test_memory_stays_far_below_one_layer(tmp_path, monkeypatch):
    n_cells, n_genes = 4000, 1000
    monkeypatch.setattr(layers, "_BLOCK_GENES", 16)
    monkeypatch.setattr(layers, "CHUNK_BYTES", 2**18)  # one of a layer of usual size is a small part of it
    rng = np.random.default_rng(0)
    names = [f"cell{i}" for i in range(n_cells)]
    adata = AnnData(
        sparse.random(n_cells, n_genes, 0.02, format="csr", dtype=np.float32, random_state=0),
        obs=pd.DataFrame(index=names),
        obsp=dict.fromkeys([keys.CONNECTIVITIES, keys.DISTANCES], sparse.csr_matrix(neighbors(n_cells))),
        uns={keys.NEIGHBORS: {"params": {}}},
    )
    for key in (keys.MS, keys.VELOCITY, *keys.RATES):
        adata.layers[key] = layers.new_layer(adata.shape, path=tmp_path / key)
        adata.layers[key][:, :] = rng.random(adata.shape, dtype=np.float32)
    fate = rng.random(n_cells)
    made_up = Fates(
        macrostates=pd.Series(index=names), states=pd.DataFrame(), terminal=["A", "B"],
        probabilities=pd.DataFrame({"A": fate, "B": 1 - fate}, index=names),
        steps=pd.Series(rng.random(n_cells), index=names), parts=pd.Series(0, index=names),
    )  # fmt: skip
    tracemalloc.start()
    try:
        transition_matrix(adata, weight_connectivities=0)
        drivers(adata, made_up)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 4 * n_cells * n_genes / 2


def neighbors(n_cells):
    """Ten before and ten after each cell, in a ring."""
    steps = [
        sign * (around + shift) for sign in (1, -1) for around in range(1, 11) for shift in (0, -n_cells)
    ]
    return sparse.diags([1.0] * 40, steps, shape=(n_cells, n_cells))
