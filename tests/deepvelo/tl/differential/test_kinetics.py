"""Genes that differ between two sides: known effects, planted genes among smooth fields, and what cannot be compared."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from anndata import AnnData
from scipy import stats

from deepvelo import keys
from deepvelo.errors import InputError
from deepvelo.tl.differential.kinetics import COLUMNS, QUANTITIES, differential_kinetics

N_GENES, N_PLANTED = 300, 50


def smooth_fields(n_cells, n_genes, *, seed, spread=0.4):
    """Coordinates of cells in a plane, and positive values that vary smoothly over it, as rates do: log2 by ``spread``."""
    rng = np.random.default_rng(seed)
    points = rng.uniform(0, 1, (n_cells, 2))
    waves = rng.normal(0, 6, (40, 2))
    field = np.sin(points @ waves.T + rng.uniform(0, 2 * np.pi, 40)) @ rng.normal(
        0, spread / np.sqrt(20), (40, n_genes)
    )
    return points, np.exp2(field + rng.normal(0, 0.1, field.shape) + rng.normal(0, 1, n_genes))


def cells(points, **layers):
    n, n_genes = next(iter(layers.values())).shape
    obs = pd.DataFrame(index=[f"c{i}" for i in range(n)])
    adata = AnnData(np.zeros((n, n_genes), dtype=np.float32), obs=obs)
    adata.var_names = [f"Gene{i}" for i in range(n_genes)]
    adata.obsm[keys.X_PCA] = points
    for name, values in layers.items():
        adata.layers[name] = values.astype(np.float32)
    return adata


@pytest.fixture(scope="module")
def whole():
    """80 cells with every layer; gamma of the first 40 is four times that of the others."""
    points, rates = smooth_fields(80, 40, seed=3)
    first = np.arange(80) < 40
    layers = {keys.ALPHA: rates, keys.BETA: rates, keys.GAMMA: rates * np.where(first, 4, 1)[:, None]}
    layers |= {keys.VELOCITY: rates - rates.mean(), keys.MS: rates, keys.MU: rates}
    return cells(points, **layers), first


def test_effects_are_those_of_medians(whole):
    adata, first = whole
    table = differential_kinetics(adata, first)
    assert list(table.columns) == list(COLUMNS)
    assert list(table["quantity"].unique()) == list(QUANTITIES)
    assert table.groupby("quantity").size().eq(40).all()
    gene = table[(table["quantity"] == "gamma") & (table["gene"] == "Gene5")].iloc[0]
    values = adata.layers[keys.GAMMA][:, 5]
    assert gene["median"] == pytest.approx(np.median(values[first]))
    assert gene["median_reference"] == pytest.approx(np.median(values[~first]))
    assert gene["effect"] == pytest.approx(np.log2(gene["median"] / gene["median_reference"]))
    ratios = table[table["quantity"] == "gamma/beta"]
    np.testing.assert_allclose(ratios["effect"], 2, atol=1e-5)  # the same in every cell, so without error
    assert set(ratios["note"]) == {"no variation"}
    assert ratios["p"].isna().all()


def test_velocity_is_compared_in_standard_deviations(whole):
    adata, first = whole
    table = differential_kinetics(adata, first).query("quantity == 'velocity'").set_index("gene")
    values = adata.layers[keys.VELOCITY][:, 7]
    quartiles = [np.subtract(*np.quantile(values[side], [0.75, 0.25])) for side in (first, ~first)]
    expected = (np.median(values[first]) - np.median(values[~first])) / (np.mean(quartiles) / 1.349)
    assert table.loc["Gene7", "effect"] == pytest.approx(expected, rel=0.1)


def test_p_q_and_interval_agree_with_each_other(whole):
    adata, first = whole
    table = differential_kinetics(adata, first, empirical_null=False)
    df, gamma = table.attrs["degrees_of_freedom"], table[table["quantity"] == "gamma"]
    error = (gamma["ci_high"] - gamma["ci_low"]) / 2 / stats.t.ppf(0.975, df)
    np.testing.assert_allclose(gamma["p"], 2 * stats.t.sf((gamma["effect"] / error).abs(), df))
    np.testing.assert_allclose(gamma["q"], stats.false_discovery_control(gamma["p"]))
    assert (gamma["p"].diff().dropna() >= 0).all()
    wide = differential_kinetics(adata, first, empirical_null=False, confidence_level=0.99)
    assert (wide.query("quantity == 'gamma'")["ci_high"] > gamma["ci_high"]).all()


def test_either_side_first_gives_opposite_effects(whole):
    adata, first = whole
    one, other = (differential_kinetics(adata, side).query("quantity == 'gamma'") for side in (first, ~first))
    one, other = one.set_index("gene"), other.set_index("gene").loc[one["gene"]]
    np.testing.assert_allclose(one["effect"], -other["effect"], rtol=1e-6)
    np.testing.assert_allclose(one["p"], other["p"], rtol=1e-6)


def test_random_halves_of_smooth_fields_do_not_differ():
    points, values = smooth_fields(600, N_GENES, seed=0)
    adata = cells(points, **{keys.GAMMA: values})
    rng = np.random.default_rng(0)
    for empirical_null in (True, False):
        shares, p = [], []
        for _ in range(20):
            table = differential_kinetics(adata, rng.permutation(600) < 300, empirical_null=empirical_null)
            shares.append((table["q"] < 0.05).mean())
            p.append((table["p"] < 0.05).mean())
        assert np.mean(shares) <= 0.05
        assert np.mean(p) <= 0.06


def test_halves_that_lie_apart_in_smooth_fields_are_no_discovery():
    """A rank test of cells finds most genes in them: each half is one draw of the field."""
    shares, of_cells = [], []
    for seed in range(10):
        points, values = smooth_fields(600, N_GENES, seed=seed)
        adata = cells(points, **{keys.GAMMA: values})
        left = points[:, 0] < np.median(points[:, 0])
        shares.append((differential_kinetics(adata, left)["q"] < 0.05).mean())
        p = stats.mannwhitneyu(values[left], values[~left]).pvalue
        of_cells.append((stats.false_discovery_control(p) < 0.05).mean())
    assert np.mean(of_cells) > 0.5
    assert np.mean(shares) <= 0.05


@pytest.mark.parametrize("apart", [False, True])
def test_planted_genes_whose_gamma_doubles_are_found(apart):
    """300 cells a side, mixed and apart; at most a tenth of what is found is wrong."""
    power, wrong = [], []
    for seed in range(5):
        points, values = smooth_fields(600, N_GENES, seed=seed, spread=0.2)
        side = points[:, 0] < np.median(points[:, 0]) if apart else np.arange(600) % 2 == 0
        planted = np.arange(N_GENES) < N_PLANTED
        values[np.ix_(side, planted)] *= 2
        table = differential_kinetics(cells(points, **{keys.GAMMA: values}), side)
        found = set(table.loc[table["q"] < 0.05, "gene"])
        true = {f"Gene{i}" for i in range(N_PLANTED)}
        power.append(len(found & true) / N_PLANTED)
        wrong.append(len(found - true) / max(1, len(found)))
    assert np.mean(power) >= 0.8
    assert np.mean(wrong) <= 0.1


def test_an_error_that_all_genes_share_is_the_background():
    """As a fit shifts rates between regions: without it most genes would be found."""
    rng = np.random.default_rng(0)
    points, values = smooth_fields(600, N_GENES, seed=1)
    side = np.arange(600) % 2 == 0
    values[side] *= np.exp2(rng.normal(0, 0.5, N_GENES))
    adata = cells(points, **{keys.GAMMA: values})
    table = differential_kinetics(adata, side)
    assert table.attrs["background"]["gamma"] == pytest.approx(0.5, rel=0.15)
    assert (table["q"] < 0.05).mean() <= 0.02
    assert (differential_kinetics(adata, side, empirical_null=False)["q"] < 0.05).mean() > 0.5
    measured = differential_kinetics(
        cells(points, **{keys.MS: values}), side
    )  # moments have no errors of a fit
    assert measured.attrs["background"] == {"spliced": 0}
    assert (measured["q"] < 0.05).mean() > 0.5


def test_samples_are_units_where_each_side_has_two():
    rng = np.random.default_rng(0)
    sample = np.repeat(np.arange(6), 50)
    values = np.exp2(rng.normal(0, 0.5, (6, N_GENES))[sample] + rng.normal(0, 0.1, (300, N_GENES)))
    adata = cells(rng.normal(size=(300, 2)), **{keys.GAMMA: values})
    adata.obs["donor"] = [f"donor {i}" for i in sample]
    by_sample = differential_kinetics(adata, sample < 3, sample_key="donor", empirical_null=False)
    assert by_sample.attrs["units"] == "samples"
    assert by_sample.attrs["degrees_of_freedom"] == pytest.approx(4)
    assert 0.02 < (by_sample["p"] < 0.05).mean() < 0.09
    alone = differential_kinetics(adata, sample < 1, sample_key="donor")
    assert alone.attrs["units"] == "neighbourhoods"


def test_genes_and_methods_without_values_have_no_rows(whole):
    adata, first = whole
    some = AnnData(adata.X, obs=adata.obs, var=adata.var, obsm=dict(adata.obsm))
    some.layers[keys.MS] = adata.layers[keys.MS]
    some.layers[keys.VELOCITY] = adata.layers[keys.VELOCITY].copy()
    some.layers[keys.VELOCITY][:, 3] = np.nan
    table = differential_kinetics(some, first)
    assert list(table["quantity"].unique()) == ["velocity", "spliced"]
    assert "Gene3" not in set(table.loc[table["quantity"] == "velocity", "gene"])
    assert "Gene3" in set(table.loc[table["quantity"] == "spliced", "gene"])


@pytest.mark.parametrize("value", [0.0, -1.0])
def test_a_median_that_is_not_positive_has_no_ratio(whole, value):
    adata, first = whole
    odd = adata.copy()
    odd.layers[keys.GAMMA][first, 2] = value
    row = differential_kinetics(odd, first).query("quantity == 'gamma' and gene == 'Gene2'").iloc[0]
    assert row["median"] == value
    assert row["note"] == "median not positive"
    assert row[["effect", "ci_low", "ci_high", "p", "q"]].isna().all()


def test_layers_on_disk_give_the_same(whole, tmp_path):
    import zarr

    adata, first = whole
    stored = adata.copy()
    for name in list(stored.layers):
        path = str(tmp_path / name)
        stored.layers[name] = zarr.create_array(path, data=adata.layers[name], chunks=(80, 16))
    pd.testing.assert_frame_equal(differential_kinetics(stored, first), differential_kinetics(adata, first))


@pytest.mark.parametrize(
    ("cells_", "choice", "message"),
    [
        (np.zeros(80, dtype=bool), {}, "There are 0 selected cells, and a comparison of rates"),
        (np.arange(80) < 1, {}, r"There are 1 selected cells, .* at least 30 on each side"),
        (np.ones(80, dtype=bool), {}, "There are 0 reference cells"),
        (np.arange(80) < 60, {}, "There are 20 reference cells"),
        (np.arange(80) < 40, {"sample_key": "donor"}, "`obs` has no column 'donor'"),
        (np.arange(80) < 40, {"confidence_level": 1}, "must be between 0 and 1"),
    ],
)
def test_what_cannot_be_compared(whole, cells_, choice, message):
    with pytest.raises(InputError, match=message):
        differential_kinetics(whole[0], cells_, **choice)


def test_an_object_without_velocities_or_components(whole):
    adata, first = whole
    bare = AnnData(adata.X, obs=adata.obs, obsm=dict(adata.obsm))
    with pytest.raises(InputError, match="There is nothing to compare"):
        differential_kinetics(bare, first)
    without = AnnData(adata.X, obs=adata.obs, layers={keys.MS: adata.layers[keys.MS]})
    with pytest.raises(InputError, match="There are no principal components"):
        differential_kinetics(without, first)
