"""Neighbourhoods and samples as units."""

from __future__ import annotations

import numpy as np
import pandas as pd

from deepvelo.tl.differential.sides import Sides
from deepvelo.tl.differential.units import neighborhood_units, sample_units


def sides(n_selected, n_reference):
    return Sides(np.arange(n_selected), np.arange(n_selected, n_selected + n_reference))


def test_a_line_is_cut_into_equal_stretches():
    n = 256
    along = np.tile(np.arange(n), 2)
    units = neighborhood_units(np.column_stack([along, np.zeros(2 * n)]), sides(n, n))
    assert (units.kind, units.n) == ("neighbourhoods", 16)
    for side in (units.selected, units.reference):
        assert np.bincount(side).tolist() == [16] * 16
    np.testing.assert_array_equal(
        units.selected, units.reference
    )  # the same stretch of both sides is one unit
    assert (np.diff(np.flatnonzero(np.diff(units.selected))) == 16).all()


def test_parts_of_both_sides_are_paired_though_the_sides_lie_apart():
    n = 128
    along = np.tile(np.arange(n), 2)
    apart = np.repeat([0, 1000], n)
    units = neighborhood_units(np.column_stack([along, apart]), sides(n, n))
    np.testing.assert_array_equal(units.selected, units.reference)


def test_few_cells_among_many_are_divided_as_finely():
    rng = np.random.default_rng(0)
    few, many = 60, 6000
    units = neighborhood_units(rng.normal(size=(few + many, 3)), sides(few, many))
    assert units.n == 8
    assert np.bincount(units.selected, minlength=8).max() < few / 2


def test_number_of_neighbourhoods_by_cells():
    rng = np.random.default_rng(0)
    numbers = [
        neighborhood_units(rng.normal(size=(2 * n, 2)), sides(n, n)).n for n in (30, 240, 300, 480, 5000)
    ]
    assert numbers == [8, 16, 16, 32, 32]


def test_equal_cells_are_divided_all_the_same():
    units = neighborhood_units(np.zeros((80, 2)), sides(40, 40))
    assert len(np.unique(np.concatenate([units.selected, units.reference]))) == 8


def test_samples_are_units_where_each_side_has_two():
    samples = pd.Series(["A"] * 10 + ["B"] * 10 + ["C"] * 10 + ["D"] * 10)
    units = sample_units(samples, sides(20, 20))
    assert (units.kind, units.n) == ("samples", 4)
    assert set(units.selected) == {0, 1}
    assert set(units.reference) == {2, 3}
    assert sample_units(samples, sides(10, 30)) is None


def test_samples_without_compared_cells_do_not_count():
    samples = pd.Series(["Z"] * 10 + ["A", "B"] * 10 + ["A", "B"] * 10 + ["Y"] * 10)
    units = sample_units(samples, Sides(np.arange(10, 30), np.arange(30, 50)))
    assert units.n == 2
    assert set(units.selected) == set(units.reference) == {0, 1}


def test_a_handful_of_cells_is_no_replicate_and_no_sample_is_none():
    samples = pd.Series(["A"] * 15 + ["B"] * 5 + ["C"] * 10 + ["D"] * 10)
    assert sample_units(samples, sides(20, 20)) is None
    samples = pd.Series(["A"] * 10 + [None] * 10 + ["C"] * 10 + ["D"] * 10)
    assert sample_units(samples, sides(20, 20)) is None
    samples = pd.Series(["A"] * 10 + ["B"] * 10 + [None] * 5 + ["C"] * 10 + ["D"] * 10)
    assert sample_units(samples, sides(25, 20)).n == 5  # cells without one are a unit of their own
