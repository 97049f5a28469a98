from __future__ import annotations

import itertools

import numpy as np
import pytest

from deepvelo.pl.agreement_map import agreement_map
from deepvelo.pl.embedding import scatter
from deepvelo.pl.selection import mark_selected

POINTS = np.array([[0.0, 0], [1, 0], [0, 1], [1, 1], [2, 2]])
AGREEMENT = np.array([0.9, 0.8, np.nan, 0.7, 0.85])
GROUPS = ["a", "a", "b", "b", "b"]


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
