import itertools

import numpy as np
import pytest

from deepvelo.pl import theme
from deepvelo.pl.agreement_map import agreement_map, mark_selected
from deepvelo.pl.embedding import scatter

POINTS = np.array([[0.0, 0], [1, 0], [0, 1], [1, 1], [2, 2]])
AGREEMENT = np.array([0.9, 0.8, np.nan, 0.7, 0.85])
GROUPS = ["a", "a", "b", "b", "b"]


@pytest.fixture
def fig():
    return agreement_map(POINTS, AGREEMENT, GROUPS)


def test_scale_is_the_whole_one_in_words(fig):
    (marker,) = [trace.marker for trace in fig.data if trace.marker.showscale]
    assert (marker.cmin, marker.cmax) == (-1, 1)
    words = dict(zip(marker.colorbar.tickvals, marker.colorbar.ticktext, strict=True))
    assert "opposite" in words[-1]
    assert "same way" in words[1]
    assert marker.colorscale[0][1] == theme.DIVERGING[-1]  # opposite is warm


def test_cells_carry_their_agreement_and_row(fig):
    missing, known = fig.data
    assert list(missing.customdata) == [2]
    assert missing.marker.color == theme.GREY
    np.testing.assert_array_equal(known.marker.color, AGREEMENT[known.customdata].astype(np.float32))


@pytest.mark.parametrize("picture", ["agreement", "groups"])
def test_selected_cells_are_marked_in_every_trace(picture):
    fig = agreement_map(POINTS, AGREEMENT, GROUPS) if picture == "agreement" else scatter(POINTS, GROUPS)
    marked = mark_selected(fig, [1, 4])
    chosen = [trace.customdata[list(trace.selectedpoints)].tolist() for trace in marked.data]
    assert sorted(itertools.chain(*chosen)) == [1, 4]
    assert all(trace.unselected.marker.opacity < 0.2 for trace in marked.data)


def test_without_a_region_nothing_fades(fig):
    assert all(trace.selectedpoints is None for trace in mark_selected(fig, []).data)
