from __future__ import annotations

import numpy as np
import pytest

from deepvelo.pl.agreement_map import agreement_map
from deepvelo.pl.embedding import scatter
from deepvelo.pl.fading import fade_others

POINTS = np.array([[0.0, 0], [1, 0], [0, 1], [1, 1], [2, 2]])
AGREEMENT = np.array([0.9, 0.8, np.nan, 0.7, 0.85])
GROUPS = ["a", "a", "b", "b", "b"]


def opaque(figure) -> list[int]:
    return sorted(
        row
        for trace in figure.data
        for row in trace.customdata[np.asarray(trace.marker.opacity) > 0.2].tolist()
    )


@pytest.mark.parametrize("picture", ["agreement", "groups"])
def test_cells_are_found_in_every_trace(picture):
    fig = agreement_map(POINTS, AGREEMENT, GROUPS) if picture == "agreement" else scatter(POINTS, GROUPS)
    assert opaque(fade_others(fig, [1, 4])) == [1, 4]


def test_all_cells_fade_where_none_is_meant():
    assert opaque(fade_others(scatter(POINTS, GROUPS), [])) == []


def test_of_a_thinned_picture_the_drawn_ones_stay():
    fig = scatter(POINTS, GROUPS, drawn=np.array([0, 1, 3]))
    assert opaque(fade_others(fig, [1, 2, 4])) == [1]
