import numpy as np
import pytest

from deepvelo.errors import InputError
from deepvelo.tl.lineage.trends import effective_cells, trend_table, trends


@pytest.fixture
def time():
    return np.random.default_rng(0).uniform(size=400)


def test_a_line_comes_back_as_it_is_up_to_both_ends(time):
    curve = trends(3 * time + 1, time, weights=np.ones(400))
    np.testing.assert_allclose(curve["mean"], 3 * curve["time"] + 1, atol=1e-6)
    np.testing.assert_allclose(curve["low"], curve["high"], atol=1e-6)
    assert len(curve) == 100
    assert curve["time"].iloc[[0, -1]].tolist() == pytest.approx([0, 1], abs=0.02)


def test_a_wave_is_found_under_noise_and_eight_of_ten_cells_in_the_band():
    rng = np.random.default_rng(1)
    time = rng.beta(2, 1, size=3000)
    values = np.sin(4 * time) + 2 + rng.normal(scale=0.3, size=3000)
    curve = trends(values, time, weights=np.ones(3000))
    assert np.abs(curve["mean"] - np.sin(4 * curve["time"]) - 2).max() < 0.12
    low, high = (np.interp(time, curve["time"], curve[side]) for side in ("low", "high"))
    assert ((values > low) & (values < high)).mean() == pytest.approx(0.8, abs=0.03)


def test_a_steep_rise_does_not_swing_below_zero():
    time = np.linspace(0, 1, 200)
    curve = trends(np.where(time > 0.5, 10.0, 0), time, weights=np.ones(200))
    assert curve[["mean", "low", "high"]].min().min() >= 0
    assert curve[["mean", "low", "high"]].max().max() <= 10
    assert np.diff(curve["mean"]).min() > -1e-9


def test_cells_count_as_much_as_they_belong_to_the_lineage(time):
    """Two lineages in the same time: the other one's cells neither pull nor stretch the curve."""
    both = np.append(time / 2, time)
    values = np.append(np.full(400, 1.0), np.full(400, 9.0))
    weights = np.append(np.ones(400), np.zeros(400))
    curve = trends(values, both, weights=weights)
    assert curve["mean"].tolist() == [1.0] * 100
    assert curve["time"].max() <= 0.5
    mixed = trends(values, np.tile(time, 2), weights=np.append(np.full(400, 0.75), np.full(400, 0.25)))
    np.testing.assert_allclose(mixed["mean"], 3.0, atol=0.05)  # a window may end between two cells of a time
    assert mixed[["low", "high"]].iloc[50].tolist() == pytest.approx([1, 9], abs=0.01)


def test_only_the_proportions_of_weights_matter(time):
    values = np.random.default_rng(2).normal(size=400)
    weights = np.random.default_rng(3).uniform(size=400)
    once, less = (trends(values, time, weights=scale * weights) for scale in (1.0, 1e-6))
    np.testing.assert_allclose(once, less)


def test_cells_without_value_time_or_fate_are_left_out(time):
    values, weights, stamps = 2 * time, np.ones(400), time.copy()
    values[:50], stamps[50:100], weights[100:150] = np.nan, np.nan, np.nan
    curve = trends(values, stamps, weights=weights)
    np.testing.assert_allclose(curve["mean"], 2 * curve["time"], atol=1e-6)


@pytest.mark.parametrize("n_cells", [0, 1, 9])
def test_too_few_cells_make_no_curve(time, n_cells):
    few = np.arange(400) < n_cells
    by_weight = trends(time, time, weights=few * 1.0)
    by_value = trends(np.where(few, time, np.nan), time, weights=np.ones(400))
    for curve in (by_weight, by_value):
        assert list(curve.columns) == ["time", "mean", "low", "high"]
        assert curve.empty


def test_all_cells_at_one_time_make_no_curve():
    assert trends(np.arange(30.0), np.ones(30), weights=np.ones(30)).empty


def test_times_that_many_cells_share_do_not_break_the_line():
    time = np.repeat([0.0, 0.5, 1.0], 40)
    curve = trends(2 * time, time, weights=np.ones(120))
    assert curve["mean"].iloc[[0, -1]].tolist() == pytest.approx([0, 2])
    assert np.isfinite(curve).all(axis=None)


def test_many_genes_at_once_are_as_one_by_one(time):
    values = np.stack([time, time**2, np.full(400, np.nan)], axis=1)
    weights = np.random.default_rng(4).uniform(size=400)
    table = trend_table(values, time, weights=weights, genes=["a", "b", "none"], n_points=20)
    single = trends(values[:, 1], time, weights=weights, n_points=20)
    np.testing.assert_allclose(table.loc["b"], single["mean"])
    np.testing.assert_allclose(table.columns, single["time"])
    assert table.loc["none"].isna().all()
    empty = trend_table(values, time, weights=np.zeros(400), genes=["a", "b", "none"])
    assert empty.shape == (3, 0)


def test_effective_cells_are_all_if_equal_and_one_if_one_weighs_all():
    assert effective_cells(np.full(7, 0.3)) == pytest.approx(7)
    assert effective_cells(np.array([1.0, 0, 0])) == 1
    assert effective_cells(np.zeros(3)) == 0


def test_bad_input_is_named(time):
    with pytest.raises(InputError, match="400, 400 and 3 cells"):
        trends(time, time, weights=np.ones(3))
    with pytest.raises(InputError, match="least is -1"):
        trends(time, time, weights=np.full(400, -1.0))
