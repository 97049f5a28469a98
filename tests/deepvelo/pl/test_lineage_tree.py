import itertools
import re

import numpy as np
import pandas as pd
import pytest

from deepvelo.pl import theme
from deepvelo.pl.lanes import RADIUS
from deepvelo.pl.lineage_tree import AGAINST, lineage_tree
from deepvelo.pl.nodes import STAGE_COLORS, WEAK_OPACITY

TIMES = pd.Series({"stem": 0.0, "middle": 0.4, "left": 0.9, "right": 1.0})
SHARES = pd.DataFrame(
    {"early": [1.0, 0.2, 0, 0], "middle": [0, 0.8, 0.1, 0], "late": [0, 0, 0.9, 1]}, index=TIMES.index
)
EDGES = pd.DataFrame(
    [("stem", "middle", 0.8, 90, 40), ("middle", "left", 0.4, 40, 50), ("middle", "right", 0.2, 40, 9)],
    columns=["source", "target", "confidence", "source_cells", "target_cells"],
)


def draw(edges=EDGES, times=TIMES, **changes):
    arguments = {"part_colors": STAGE_COLORS, "shares_title": "cells by time", "root": "stem"}
    return lineage_tree(edges, SHARES, times=times, **(arguments | {"ends": ["left", "right"]} | changes))


def nodes_of(fig):
    (trace,) = [trace for trace in fig.data if trace.customdata is not None]
    return {name: (x, y) for name, x, y in zip(trace.customdata, trace.x, trace.y, strict=True)}


def fills(fig):
    return [shape.fillcolor for shape in fig.layout.shapes]


def test_time_goes_from_left_to_right():
    at = nodes_of(draw())
    assert at["stem"][0] < at["middle"][0] < at["left"][0]
    assert at["middle"][0] < at["right"][0]
    assert at["left"][1] != at["right"][1]


def test_every_edge_has_an_arrow_and_marks_are_written():
    fig = draw()
    assert fills(fig).count(theme.ink(dark=False)) == len(EDGES)
    texts = {note.text.split("<br>")[0]: note.text for note in fig.layout.annotations}
    assert "root" in texts["stem"]
    assert "terminal" in texts["left"]
    assert texts["middle"] == "middle"


def test_an_edge_of_few_cells_is_dashed():
    fig = draw(least_cells=30)
    assert [shape.opacity for shape in fig.layout.shapes[: len(EDGES)]] == [WEAK_OPACITY, None, None]
    assert "group of fewer than 30 cells" in [trace.name for trace in fig.data]


def test_a_cycle_is_drawn_and_its_way_back_stands_out():
    cycle = pd.concat([EDGES, pd.DataFrame([("right", "stem", 0.3, 9, 90)], columns=EDGES.columns)])
    fig = draw(cycle)
    assert fills(fig).count(AGAINST) == 1
    assert "against time" in [trace.name for trace in fig.data]
    assert "against time" not in [trace.name for trace in draw().data]


def test_an_edge_past_a_group_on_the_straight_way_bends_around_it():
    past = pd.DataFrame(
        [("stem", "right", 0.8), ("stem", "left", 0.5), ("stem", "middle", 0.3), ("middle", "left", 0.1)],
        columns=["source", "target", "confidence"],
    ).assign(source_cells=50, target_cells=50)
    times = pd.Series({"stem": 0.0, "middle": 0.65, "left": 0.8, "right": 1.0})
    fig = draw(past, times)
    at = {name: np.array(place) for name, place in nodes_of(fig).items()}
    arrows = [shape.path for shape in fig.layout.shapes if shape.fillcolor == theme.ink(dark=False)]
    corners = np.array(re.findall(r"(-?[\d.e+-]+),(-?[\d.e+-]+)", arrows[2]), dtype=float)  # by confidence
    outline = np.concatenate([np.linspace(*pair, 50) for pair in itertools.pairwise(corners)])
    assert np.linalg.norm(outline - at["left"], axis=1).min() < 1.5 * RADIUS
    for other in ("middle", "right"):
        assert np.linalg.norm(outline - at[other], axis=1).min() > RADIUS


@pytest.mark.parametrize("times", [TIMES * np.nan, TIMES[:1], TIMES * 0])
def test_times_may_be_missing_or_equal(times):
    fig = draw(times=times)
    assert all(np.isfinite(place).all() for place in nodes_of(fig).values())


def test_without_edges_groups_stand_alone():
    fig = draw(EDGES.iloc[:0])
    assert len(nodes_of(fig)) == 4
    assert not any((trace.name or "").startswith("widest") for trace in fig.data)


def test_axes_have_one_scale_so_that_pies_are_round():
    fig = draw(dark=True)
    assert fig.layout.yaxis.scaleanchor == "x"
    assert theme.ink(dark=True) in fills(fig)
