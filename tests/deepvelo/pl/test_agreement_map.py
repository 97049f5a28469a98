import numpy as np
import pytest

from deepvelo.pl import theme
from deepvelo.pl.agreement_map import agreement_map

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
    assert "same direction" in words[1]
    assert marker.colorscale[0][1] == theme.DIVERGING[-1]  # opposite is warm


def test_cells_carry_their_agreement_and_row(fig):
    missing, known = fig.data
    assert list(missing.customdata) == [2]
    assert missing.marker.color == theme.GREY
    np.testing.assert_array_equal(known.marker.color, AGREEMENT[known.customdata].astype(np.float32))
