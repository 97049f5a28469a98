"""Scores of directions on cells whose cosines, types and times are written down by hand."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks import accuracy_directions as directions
from benchmarks.accuracy_directions import Stretch

TENTHS = np.array([0.8, 0.9, -0.1, -0.7, 0.9, -0.3, 0.9, 0.9, -0.9, -0.5])


def cells_of(means: np.ndarray, *, per_tenth: int, name: str) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Cosines, types and tenths of cells in order of time, all alike within a tenth."""
    cosine = np.repeat(means, per_tenth)
    return cosine, np.full(len(cosine), name), np.repeat(np.arange(10), per_tenth)


def test_cells_move_above_a_twentieth_of_the_median_speed():
    velocity = np.array([[3.0, 4.0], [0.0, 5.0], [0.0, 0.2], [0.3, 0.0], [0.0, 0.0], [6.0, 8.0], [0.0, 5.0]])
    # speeds 5, 5, 0.2, 0.3, 0, 10, 5; the median of those not 0 is 5
    assert directions.moving_cells(velocity).tolist() == [True, True, False, True, False, True, True]
    assert not directions.moving_cells(np.zeros((3, 2))).any()


def test_share_below_zero_leaves_out_cells_without_a_cosine():
    assert directions.share_below_zero(np.array([-0.1, 0.0, 0.5, -1.0, np.nan])) == pytest.approx(2 / 4)
    assert np.isnan(directions.share_below_zero(np.array([np.nan])))


def test_tenths_hold_equal_numbers_of_a_types_moving_cells_by_time():
    time = np.r_[np.arange(20)[::-1] ** 2.0, 5.0, np.nan, 7.0]
    groups = np.array(["a"] * 20 + ["b"] * 3)
    moving = np.r_[np.ones(22, bool), False]
    found = directions.tenths(time, groups, moving=moving)
    assert found[:20].tolist() == np.repeat(np.arange(10), 2)[::-1].tolist()
    assert found[20:].tolist() == [0, -1, -1]


def test_tenths_of_fewer_cells_than_ten_leave_some_empty():
    found = directions.tenths(np.arange(5.0), np.array(["a"] * 5), moving=np.ones(5, bool))
    assert found.tolist() == [0, 2, 4, 6, 8]
    means = directions.mean_by_tenth(np.linspace(0, 1, 5), np.array(["a"] * 5), found)["a"]
    assert np.isnan(means[1::2]).all()
    assert means[::2] == pytest.approx([0, 0.25, 0.5, 0.75, 1])


def test_means_by_tenth_are_those_of_each_type():
    cosine = np.array([0.2, 0.4, -1.0, 0.5])
    groups, tenth = np.array(["a", "a", "a", "b"]), np.array([0, 0, 9, 4])
    found = directions.mean_by_tenth(cosine, groups, tenth)
    assert found["a"][0] == pytest.approx(0.3)
    assert found["a"][9] == -1
    assert found["b"][4] == 0.5
    assert np.isfinite(found["b"]).sum() == 1


def test_stretches_are_runs_of_tenths_with_at_least_20_cells():
    # tenths 3 and 4 hold 20 cells, 6 alone 10, 9 and 10 hold 20
    found = directions.reversed_stretches(*cells_of(TENTHS, per_tenth=10, name="Tip"))
    assert [(x.cell_type, x.first, x.last, x.cells) for x in found] == [
        ("Tip", 3, 4, 20), ("Tip", 9, 10, 20),
    ]  # fmt: skip
    assert [x.cosine for x in found] == pytest.approx([-0.4, -0.7])
    assert directions.reversed_stretches(*cells_of(TENTHS, per_tenth=9, name="Tip")) == []


def test_a_type_backwards_as_a_whole_is_one_stretch_and_types_are_kept_apart():
    last, first = np.r_[np.ones(9), -1], np.r_[-1, np.ones(9)]
    parts = [
        cells_of(means, per_tenth=20, name=name) for means, name in ((-np.ones(10), "A"), (last, "B"), (first, "C"))
    ]  # fmt: skip
    cosine, groups, tenth = (np.concatenate(which) for which in zip(*parts, strict=True))
    assert directions.reversed_stretches(cosine, groups, tenth) == [
        Stretch("A", 1, 10, cells=200, cosine=-1.0),
        Stretch("B", 10, 10, cells=20, cosine=-1.0),
        Stretch("C", 1, 1, cells=20, cosine=-1.0),
    ]


def test_cells_left_out_end_a_stretch_that_they_carry():
    cosine, groups, tenth = cells_of(TENTHS, per_tenth=10, name="Tip")
    cosine[tenth == 8] = np.nan
    found = directions.reversed_stretches(cosine, groups, tenth)
    assert [(x.first, x.last) for x in found] == [(3, 4)]  # tenth 10 alone has 10 cells


def test_the_worst_type_has_at_least_30_cells_with_a_cosine():
    cosine = np.r_[np.full(30, 0.4), np.full(30, 0.2), np.full(29, -1.0), np.nan]
    groups = np.array(["a"] * 30 + ["b"] * 30 + ["c"] * 30)
    name, value = directions.worst_type(cosine, groups)
    assert name == "b"
    assert value == pytest.approx(0.2)
    name, value = directions.worst_type(cosine[60:], groups[60:])
    assert name == ""
    assert np.isnan(value)
