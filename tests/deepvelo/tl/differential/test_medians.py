"""Standard errors of medians, against their formula for independent cells and against repetition for dependent ones."""

from __future__ import annotations

import numpy as np
import pytest

from deepvelo.tl.differential.medians import Layout, degrees_of_freedom
from deepvelo.tl.differential.units import Units


def error(side):
    return np.sqrt((side.shifts**2).sum(axis=0))


def test_median_and_quartiles_are_those_of_numpy():
    rng = np.random.default_rng(0)
    for n in (40, 41):
        values = rng.normal(size=(3, n)).astype(np.float32)
        layout = Layout(rng.integers(0, 8, n), 8)
        side = layout.side(values[:, layout.order].copy())
        np.testing.assert_allclose(side.median, np.median(values, axis=1), rtol=1e-6)
        first, last = np.quantile(values, [0.25, 0.75], axis=1)
        np.testing.assert_allclose(side.quartiles, last - first, rtol=0.1)


def test_of_independent_cells_it_is_the_known_error_of_a_median():
    rng = np.random.default_rng(1)
    n, n_genes, n_units = 800, 400, 16
    layout = Layout(np.arange(n) % n_units, n_units)
    side = layout.side(rng.normal(size=(n_genes, n)))
    expected = np.sqrt(np.pi / 2 / n)  # 1.2533 sigma / sqrt(n)
    assert np.sqrt(np.mean(error(side) ** 2)) == pytest.approx(
        expected, rel=0.15
    )  # the window takes a tenth of it


def test_of_units_whose_cells_are_alike_it_is_the_spread_of_medians_over_repetitions():
    rng = np.random.default_rng(2)
    n_units, of_unit, n_genes = 16, 20, 2000
    shared = np.repeat(rng.normal(size=(n_genes, n_units)), of_unit, axis=1)
    values = shared + 0.3 * rng.normal(size=shared.shape)
    side = Layout(np.repeat(np.arange(n_units), of_unit), n_units).side(values.copy())
    assert np.sqrt(np.mean(error(side) ** 2)) == pytest.approx(side.median.std(), rel=0.15)
    alone = Layout(np.arange(n_units * of_unit) % n_units, n_units)
    of_cells = error(alone.side(values[:, alone.order]))
    assert np.mean(of_cells) < 0.4 * side.median.std()  # as if cells were independent


def test_a_unit_without_cells_moves_nothing():
    layout = Layout(np.repeat([0, 2, 3], 20), 4)
    side = layout.side(np.random.default_rng(0).normal(size=(5, 60)))
    assert np.all(side.shifts[1] == 0)
    assert layout.n_effective == pytest.approx(3)


def test_degrees_of_freedom_of_sides_apart_and_of_pairs():
    apart = Layout(np.repeat(np.arange(4), 10), 8), Layout(np.repeat(np.arange(4, 8), 10), 8)
    paired = Layout(np.repeat(np.arange(8), 10), 8), Layout(np.repeat(np.arange(8), 5), 8)
    units = Units("neighbourhoods", np.empty(0), np.empty(0), 8)
    assert degrees_of_freedom(*apart, units) == pytest.approx(6)
    assert degrees_of_freedom(*paired, units) == pytest.approx(7)
