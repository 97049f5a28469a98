"""Change of a rate along a lineage, worked out by hand."""

from __future__ import annotations

import numpy as np
import pytest

from deepvelo.tl.lineage.driver_rates import rate_change

TIME = np.arange(9.0)


def change(rates, *, pseudotime=TIME, weights=None):
    weights = np.ones(len(TIME)) if weights is None else weights
    return rate_change(np.asarray(rates, dtype=float), pseudotime=pseudotime, weights=weights)


def column(*values):
    return np.repeat(np.array(values, dtype=float), 3)[:, None]


def test_thirds_of_the_lineage_are_compared():
    assert change(column(1, 7, 4)) == pytest.approx([2])
    assert change(column(4, 7, 1)) == pytest.approx([-2])
    assert change(column(3, 9, 3)) == pytest.approx([0])


def test_only_the_order_in_time_counts():
    rates = column(1, 2, 4)
    shuffled = np.random.default_rng(0).permutation(9)
    assert change(rates[shuffled], pseudotime=TIME[shuffled] ** 3) == change(rates)


def test_cells_count_with_their_weight():
    weights = np.array([1, 1, 1, 1, 1, 1, 0, 0, 0.0])  # the first six are the lineage: two, two and two
    assert change(column(1, 4, 99), weights=weights) == pytest.approx([2])
    halves = np.repeat([0.5, 1.0], [6, 3])  # 3 + 3: the first third is 4 cells of 0.5, the last 2 of 1
    rates = np.array([1, 1, 1, 1, 5, 5, 5, 8, 8.0])[:, None]
    assert change(rates, weights=halves) == pytest.approx([3])


def test_a_cell_on_the_border_counts_in_part():
    weights = np.array([1.0, 1, 1, 1])  # thirds of 4/3 cells
    rates = np.array([1.0, 4, 4, 8])[:, None]
    found = rate_change(rates, pseudotime=np.arange(4.0), weights=weights)
    assert found == pytest.approx(np.log2(((8 + 4 / 3) / (4 / 3)) / ((1 + 4 / 3) / (4 / 3))))


def test_cells_without_time_or_fate_are_left_out():
    rates, time, weights = column(1, 2, 4), TIME.copy(), np.ones(9)
    rates = np.concatenate([rates, [[1000], [1000]]])
    time, weights = np.append(time, [np.nan, 20]), np.append(weights, [1, np.nan])
    assert rate_change(rates, pseudotime=time, weights=weights) == pytest.approx([2])


def test_a_rate_that_vanishes_is_bounded():
    assert change(column(0, 0, 6)) == pytest.approx([np.log2(6 / 0.02)])


def test_what_is_unknown_is_nan():
    rates = np.column_stack([column(1, 1, 1), column(np.nan, 1, 1), column(0, 0, 0), column(-1, -1, -1)])
    np.testing.assert_array_equal(np.isnan(change(rates)), [False, True, True, True])
    assert np.isnan(change(column(1, 2, 3), weights=np.zeros(9))).all()
