import numpy as np
import plotly.graph_objects as go
import pytest
from plotly.subplots import make_subplots

from deepvelo.pl.assembly import Grid, assembled

TRACE = {"type": "scattergl", "x": np.arange(3), "y": np.arange(3), "mode": "markers"}


def test_a_grid_is_laid_as_plotly_lays_it():
    grid = Grid(2, 2, horizontal_spacing=0.1, vertical_spacing=0.2)
    ours = grid.assembled(
        [grid.inside(panel, TRACE) for panel in range(4)],
        annotations=[grid.title(panel, text) for panel, text in enumerate("abcd")],
    )
    theirs = make_subplots(
        rows=2, cols=2, horizontal_spacing=0.1, vertical_spacing=0.2, subplot_titles=list("abcd")
    )
    for panel in range(4):
        theirs.add_trace(go.Scattergl(TRACE), row=panel // 2 + 1, col=panel % 2 + 1)
    assert ours == theirs


def test_what_is_added_later_finds_its_row_and_column():
    figure = Grid(1, 2).assembled([])
    figure.add_trace(go.Scatter(x=[1], y=[1]), row=1, col=2)
    assert figure.data[0].xaxis == "x2"


def test_a_note_lies_in_its_panel():
    note = Grid(1, 3).noted(2, {"text": "nothing here", "x": 1, "y": 1})
    assert (note["xref"], note["yref"]) == ("x3", "y3")


def test_grids_do_not_share_their_axes():
    one, other = Grid(1, 2), Grid(1, 2)
    one.axes[1][0]["title"] = {"text": "spliced"}
    assert "title" not in other.axes[1][0]


def test_what_plotly_does_not_know_is_refused():
    with pytest.raises(ValueError, match="colour"):
        assembled([TRACE | {"colour": "red"}])
