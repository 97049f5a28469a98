from __future__ import annotations

import numpy as np
import pytest

from deepvelo.errors import InputError
from deepvelo.selections import cells_inside, combine, within

POINTS = np.array([[0.0, 0], [1, 0], [0, 1], [1, 1], [2, 2]])
TRIANGLE = {"x": [-0.5, 1.5, -0.5], "y": [-0.5, -0.5, 1.5]}


def rows(cells):
    assert cells.dtype == bool
    return np.flatnonzero(cells).tolist()


def test_a_lasso_selects_the_cells_inside_it():
    assert rows(cells_inside(POINTS, lassos=[TRIANGLE])) == [0, 1, 2]


def test_a_box_takes_its_corners_in_any_order():
    assert rows(cells_inside(POINTS, boxes=[{"x": [2.5, 0.5], "y": [0.5, 2.5]}])) == [3, 4]


def test_several_shapes_select_what_is_in_any():
    found = cells_inside(POINTS, lassos=[TRIANGLE], boxes=[{"x": [1.5, 2.5], "y": [1.5, 2.5]}])
    assert rows(found) == [0, 1, 2, 4]


def test_a_cell_without_coordinates_is_in_no_shape():
    points = POINTS.copy()
    points[0] = np.nan
    everywhere = {"x": [-9, 9, 9, -9], "y": [-9, -9, 9, 9]}
    assert rows(cells_inside(points, lassos=[everywhere])) == [1, 2, 3, 4]


def test_a_line_or_nothing_selects_no_cell():
    assert rows(cells_inside(POINTS, lassos=[{"x": [0, 1], "y": [0, 1]}])) == []
    assert rows(cells_inside(POINTS)) == []


@pytest.mark.parametrize(
    ("low", "high", "expected"),
    [(None, None, [0, 1, 2]), (1, None, [1, 2]), (None, 1, [0, 1]), (1, 1, [1]), (3, 4, [])],
)
def test_a_range_includes_its_bounds_and_never_nan(low, high, expected):
    assert rows(within(np.array([0.0, 1, 2, np.nan]), low=low, high=high)) == expected


@pytest.mark.parametrize(("low", "high"), [(2, 1), (np.nan, 1)])
def test_a_range_that_is_none_is_refused(low, high):
    with pytest.raises(InputError, match=r"range of values starts at .*\. Give a lower bound"):
        within(np.zeros(3), low=low, high=high)


@pytest.mark.parametrize(("how", "expected"), [("and", [0]), ("or", [0, 1, 2]), ("and not", [1])])
def test_selections_are_combined(how, expected):
    first, second = np.array([True, True, False, False]), np.array([True, False, True, False])
    assert rows(combine(first, how, second)) == expected
    assert rows(first) == [0, 1]  # unchanged


def test_selections_of_different_runs_are_not_combined():
    with pytest.raises(InputError, match=r"one is of 3 cells, the other of 2\. Find the cells"):
        combine(np.ones(3, bool), "and", np.ones(2, bool))
    with pytest.raises(InputError, match=r"Got 'xor'\. Choose one of them"):
        combine(np.ones(3, bool), "xor", np.ones(3, bool))
