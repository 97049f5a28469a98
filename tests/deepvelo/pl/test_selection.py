from __future__ import annotations

import itertools

import numpy as np
import pytest

from deepvelo.pl.agreement_map import agreement_map
from deepvelo.pl.embedding import scatter
from deepvelo.pl.selection import cells_inside, mark_selected

POINTS = np.array([[0.0, 0], [1, 0], [0, 1], [1, 1], [2, 2]])
AGREEMENT = np.array([0.9, 0.8, np.nan, 0.7, 0.85])
GROUPS = ["a", "a", "b", "b", "b"]
TRIANGLE = {"x": [-0.5, 1.5, -0.5], "y": [-0.5, -0.5, 1.5]}


@pytest.mark.parametrize("picture", ["agreement", "groups"])
def test_selected_cells_are_marked_in_every_trace(picture):
    fig = agreement_map(POINTS, AGREEMENT, GROUPS) if picture == "agreement" else scatter(POINTS, GROUPS)
    marked = mark_selected(fig, [1, 4])
    chosen = [trace.customdata[list(trace.selectedpoints)].tolist() for trace in marked.data]
    assert sorted(itertools.chain(*chosen)) == [1, 4]
    assert all(trace.unselected.marker.opacity < 0.2 for trace in marked.data)


def test_without_a_region_nothing_fades():
    fig = agreement_map(POINTS, AGREEMENT, GROUPS)
    assert all(trace.selectedpoints is None for trace in mark_selected(fig, []).data)


def test_of_a_thinned_picture_the_drawn_ones_are_marked():
    fig = scatter(POINTS, GROUPS, drawn=np.array([0, 1, 3]))
    marked = mark_selected(fig, [1, 2, 4])
    chosen = [trace.customdata[list(trace.selectedpoints)].tolist() for trace in marked.data]
    assert chosen == [[1], []]


def test_a_lasso_takes_the_cells_inside_it():
    assert cells_inside(POINTS, lassos=[TRIANGLE]).tolist() == [0, 1, 2]


def test_a_box_takes_its_corners_in_any_order():
    assert cells_inside(POINTS, boxes=[{"x": [2.5, 0.5], "y": [0.5, 2.5]}]).tolist() == [3, 4]


def test_several_shapes_take_what_is_in_any():
    found = cells_inside(POINTS, lassos=[TRIANGLE], boxes=[{"x": [1.5, 2.5], "y": [1.5, 2.5]}])
    assert found.tolist() == [0, 1, 2, 4]


def test_a_cell_without_a_place_is_in_no_shape():
    points = POINTS.copy()
    points[0] = np.nan
    everywhere = {"x": [-9, 9, 9, -9], "y": [-9, -9, 9, 9]}
    assert cells_inside(points, lassos=[everywhere]).tolist() == [1, 2, 3, 4]


def test_a_line_or_nothing_takes_no_cell():
    assert not len(cells_inside(POINTS, lassos=[{"x": [0, 1], "y": [0, 1]}]))
    assert not len(cells_inside(POINTS))
