import numpy as np
import pandas as pd

from deepvelo.pl import theme
from deepvelo.pl.fate_map import fate_map, fate_maps

POINTS = np.array([[0.0, 0], [1, 0], [0, 1], [1, 1]])
PROBABILITY = np.array([0.1, 0.2, np.nan, 0.3])


def test_scale_is_whole_whatever_the_cells_reach_and_unknown_cells_are_grey():
    missing, known = fate_map(POINTS, PROBABILITY, ["a", "a", "b", "b"], lineage="tip").data
    assert missing.customdata.tolist() == [2]
    assert missing.marker.color == theme.GREY
    assert (known.marker.cmin, known.marker.cmax) == (0, 1)
    assert "tip" in known.marker.colorbar.title.text
    np.testing.assert_array_equal(known.marker.color, PROBABILITY[known.customdata].astype(np.float32))


def test_cells_far_from_the_fate_can_be_seen_on_a_dark_page():
    for fig, scale in (
        (
            fate_map(POINTS, PROBABILITY, ["a", "a", "b", "b"], lineage="tip", dark=True),
            lambda f: f.data[1].marker.colorscale,
        ),
        (
            fate_maps(POINTS, pd.DataFrame({"w": PROBABILITY}), dark=True),
            lambda f: f.layout.coloraxis.colorscale,
        ),
    ):
        assert scale(fig)[0][1] == theme.SEQUENTIAL_ON_DARK[0]


def test_a_fate_of_no_cell_says_so():
    fig = fate_map(POINTS, np.full(4, np.nan), ["a", "a", "b", "b"], lineage="tip")
    assert "no fate probabilities" in [note.text for note in fig.layout.annotations]


def test_all_fates_share_one_scale():
    table = pd.DataFrame(dict.fromkeys("wxyz", PROBABILITY))
    fig = fate_maps(POINTS, table)
    known = [trace for trace in fig.data if trace.marker.coloraxis]
    assert [note.text for note in fig.layout.annotations] == list("wxyz")
    assert {trace.marker.coloraxis for trace in known} == {"coloraxis"}
    assert len(known) == 4
    assert not any(trace.marker.showscale for trace in fig.data)
    assert (fig.layout.coloraxis.cmin, fig.layout.coloraxis.cmax) == (0, 1)
    assert fig.layout.height > fate_maps(POINTS, table[["w"]]).layout.height
