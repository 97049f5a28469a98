import re

import numpy as np
import pandas as pd
import plotly.graph_objects as go
import pytest

from deepvelo.pl import nodes, theme

MIDDLE = np.array([2.0, 1.0])
COLORS = {"early": "#111111", "late": "#222222"}


def outline(shape):
    return np.array(re.findall(r"(-?[\d.e+-]+),(-?[\d.e+-]+)", shape["path"]), dtype=float)


def area(points):
    x, y = points.T
    return abs(np.dot(x, np.roll(y, 1)) - np.dot(y, np.roll(x, 1))) / 2


def test_wedges_have_the_area_of_their_shares():
    shares = pd.Series({"early": 0.25, "late": 0.75})
    early, late, rim = nodes.pie(MIDDLE, shares, radius=3, colors=COLORS, rim="#333333")
    assert area(outline(early)) == pytest.approx(0.25 * np.pi * 9, rel=0.01)
    assert area(outline(late)) == pytest.approx(0.75 * np.pi * 9, rel=0.01)
    assert (early["fillcolor"], late["fillcolor"]) == ("#111111", "#222222")
    assert rim["line"]["color"] == "#333333"
    # clockwise from the top: the first quarter is up and to the right
    assert (outline(early) >= MIDDLE - 1e-6).all()


def test_a_whole_is_a_circle_and_nothing_known_is_grey():
    whole, _ = nodes.pie(
        MIDDLE, pd.Series({"early": 0.0, "late": 1.0}), radius=1, colors=COLORS, rim="#333333"
    )
    assert np.linalg.norm(outline(whole) - MIDDLE, axis=1) == pytest.approx(1, rel=1e-3)
    unknown, _ = nodes.pie(
        MIDDLE, pd.Series({"early": np.nan, "late": np.nan}), radius=1, colors=COLORS, rim="#333333"
    )
    assert unknown["fillcolor"] == theme.GREY


def test_arrow_points_at_its_end_and_stops_before_the_node():
    line = np.array([[0.0, 0], [10, 0]])
    points = outline(nodes.arrow(line, width=0.4, radius=1, end_radius=2, dark=False))
    tip = points[np.argmax(points[:, 0])]
    assert tip == pytest.approx([10 - 1.3 * 2, 0])
    shaft = points[points[:, 0] < 5]
    assert np.ptp(shaft[:, 1]) == pytest.approx(0.4)
    assert np.ptp(points[:, 1]) > 0.5  # the head is wider


def test_a_bent_arrow_follows_its_line():
    line = np.array([[0.0, 0], [5, 0], [5, 8]])
    points = outline(nodes.arrow(line, width=0.2, radius=0.5, end_radius=1, dark=False))
    assert points[np.argmax(points[:, 1])] == pytest.approx([5, 8 - 1.3])
    assert points[:, 0].min() == pytest.approx(0, abs=0.1)
    assert np.abs(points - [5, 0]).max(axis=1).min() < 0.2  # by its corner


def test_a_weak_arrow_has_gaps_and_keeps_tip_and_width():
    line = np.array([[0.0, 0], [10, 0]])
    whole, weak = (
        nodes.arrow(line, width=0.4, radius=1, end_radius=2, dark=False, weak=weak) for weak in (False, True)
    )
    points = outline(weak)
    assert points[np.argmax(points[:, 0])] == pytest.approx([10 - 1.3 * 2, 0])
    assert np.ptp(points[points[:, 0] < 5, 1]) == pytest.approx(0.4)
    pieces = [outline({"path": piece}) for piece in weak["path"].split("M")[1:]]
    covered = sum(np.ptp(piece[:, 0]) for piece in pieces)
    assert 0.4 * 7.4 < covered < 0.8 * 7.4
    assert whole["path"].count("M") == 1
    assert (weak["opacity"], whole.get("opacity")) == (nodes.WEAK_OPACITY, None)


def test_touching_nodes_have_no_arrow():
    assert nodes.arrow(np.array([[0.0, 0], [1, 0]]), width=0.1, radius=1, end_radius=1, dark=False) is None


def test_arrow_width_is_in_proportion_but_never_nothing():
    wide, half, least = (nodes.arrow_width(c, highest=0.8, radius=10) for c in (0.8, 0.4, 1e-9))
    assert half == pytest.approx(wide / 2)
    assert 0 < least < half
    assert nodes.arrow_width(0.0, highest=0.0, radius=10) == least


def test_note_names_root_and_ends():
    notes = [nodes.note(group, root="a", ends=["b", "a"]) for group in "abc"]
    assert notes == ["root, terminal", "terminal", ""]


EDGES = pd.DataFrame(
    {
        "source": ["a", "b", "c"], "target": ["b", "c", "d"], "confidence": 0.5, "undecided": [0.5, 0.6, np.nan],
        "source_cells": [50, 50, 50], "target_cells": [50, 50, 29],
    }
)  # fmt: skip


def test_edges_of_few_cells_and_edges_of_undecided_cells_are_weak():
    weak, words = nodes.weak_edges(EDGES, 30)
    assert weak.tolist() == [False, True, True]
    assert words == "group of fewer than 30 cells,<br>or direction undecided"
    assert nodes.weak_edges(EDGES[1:], 0)[1] == "direction undecided"
    assert nodes.weak_edges(EDGES[:1], 0)[1] is None


def test_edges_of_an_earlier_version_are_weak_by_their_cells_alone():
    weak, words = nodes.weak_edges(EDGES.drop(columns="undecided"), 30)
    assert weak.tolist() == [False, False, True]
    assert words == "group of fewer than 30 cells"


def test_an_undecided_edge_says_so_when_hovered():
    fig = go.Figure()
    nodes.add_arrow_targets(fig, [np.zeros(2)] * 3, EDGES)
    assert ["direction undecided" in text for text in fig.data[0].text] == [False, True, False]
