import itertools

import numpy as np
import pandas as pd
import pytest

from deepvelo.pl import theme
from deepvelo.pl.nodes import STAGE_COLORS, WEAK_OPACITY
from deepvelo.pl.trajectory_map import trajectory_map

NAMES = [f"group number {i}" for i in range(14)]
RNG = np.random.default_rng(0)
MIDDLES = np.stack([np.arange(14) % 4, np.arange(14) // 4], axis=1) * [2.0, 1.5]
GROUPS = np.repeat(NAMES, 30)
POINTS = np.repeat(MIDDLES, 30, axis=0) + RNG.normal(scale=0.2, size=(420, 2))
SHARES = pd.DataFrame(RNG.dirichlet([1, 1, 1], size=14), index=NAMES, columns=list(STAGE_COLORS))
EDGES = pd.DataFrame(
    {"source": NAMES[:-1], "target": NAMES[1:], "confidence": np.linspace(0.9, 0.1, 13)}
).assign(source_cells=30, target_cells=[30] * 12 + [12])


def draw(**changes):
    arguments = {
        "edges": EDGES, "shares": SHARES, "part_colors": STAGE_COLORS, "shares_title": "cells by time",
        "root": NAMES[0], "ends": [NAMES[-1]],
    }  # fmt: skip
    return trajectory_map(POINTS, GROUPS, **(arguments | changes))


@pytest.fixture(scope="module")
def fig():
    return draw()


def targets(fig):
    (trace,) = [trace for trace in fig.data if trace.customdata is not None and trace.customdata[0] in NAMES]
    return trace


def test_a_node_a_group_at_its_median_with_its_name(fig):
    trace = targets(fig)
    at = dict(zip(trace.customdata, zip(trace.x, trace.y, strict=True), strict=True))
    for name in NAMES:
        np.testing.assert_allclose(at[name], np.median(POINTS[GROUPS == name], axis=0))
    assert {note.text.split("<br>")[0] for note in fig.layout.annotations} == set(NAMES)
    assert "30 cells" in trace.text[0]


def test_names_cover_neither_nodes_nor_each_other(fig):
    pixel = max(np.ptp(POINTS[:, 1]) / (theme.HEIGHT - 70), np.ptp(POINTS[:, 0]) / 700)
    boxes = []
    for note in fig.layout.annotations:
        lines = note.text.split("<br>")
        width, height = len(lines[0]) * 0.5 * 14 * pixel, 1.2 * 14 * pixel * len(lines)
        x = note.x - width * {"left": 0, "center": 0.5, "right": 1}[note.xanchor]
        y = note.y - height * {"bottom": 0, "middle": 0.5, "top": 1}[note.yanchor]
        boxes.append((x, y, x + width, y + height))
    for one, other in itertools.combinations(boxes, 2):
        assert one[2] <= other[0] or other[2] <= one[0] or one[3] <= other[1] or other[3] <= one[1]
    for x, y in zip(targets(fig).x, targets(fig).y, strict=True):
        assert not any(box[0] < x < box[2] and box[1] < y < box[3] for box in boxes)


def test_root_and_ends_are_marked(fig):
    marked = {note.text.split("<br>")[0]: note.text for note in fig.layout.annotations}
    assert "root" in marked[NAMES[0]]
    assert "terminal" in marked[NAMES[-1]]
    assert "<br>" not in marked[NAMES[5]]
    assert len(fig.layout.shapes) == len(draw(ends=[]).layout.shapes) + 1  # the second ring


def test_arrows_are_as_many_as_edges_and_lie_below_the_nodes(fig):
    without = draw(edges=EDGES.iloc[:0])
    assert len(fig.layout.shapes) == len(without.layout.shapes) + len(EDGES)
    fills = [shape.fillcolor for shape in fig.layout.shapes[: len(EDGES)]]
    assert fills == [theme.ink(dark=False)] * len(EDGES)
    assert "widest: 0.90" in [trace.name for trace in fig.data]
    assert not any((trace.name or "").startswith("widest") for trace in without.data)


def test_edges_of_few_cells_are_dashed_lighter_and_in_the_legend(fig):
    few = draw(least_cells=30)
    lighter = [shape.opacity for shape in few.layout.shapes[: len(EDGES)]]
    assert lighter == [WEAK_OPACITY] + [None] * 12  # the weakest first
    assert few.layout.shapes[0].path.count("M") > 2  # dashes
    assert few.layout.shapes[1].path.count("M") == 1
    assert "group of fewer than 30 cells" in [trace.name for trace in few.data]
    assert "group of fewer than 30 cells" not in [trace.name for trace in fig.data]
    hovers = [text for trace in few.data if trace.text is not None for text in trace.text]
    assert f"{NAMES[12]} → {NAMES[13]}<br>PAGA connectivity 0.10<br>30 → 12 cells" in hovers


def test_cells_are_faint_and_keep_their_row(fig):
    cells = [trace for trace in fig.data if trace.type == "scattergl"]
    assert all(trace.marker.opacity < 0.3 for trace in cells)
    assert sorted(np.concatenate([trace.customdata for trace in cells])) == list(range(420))


def test_a_group_without_shares_is_grey_and_said_so():
    shares = SHARES.copy()
    shares.iloc[3] = np.nan
    fig = draw(shares=shares)
    assert theme.GREY in [shape.fillcolor for shape in fig.layout.shapes]
    assert "unknown" in [trace.name for trace in fig.data]


def test_groups_at_one_place_are_drawn_apart():
    fig = trajectory_map(
        np.zeros((60, 2)) + RNG.normal(scale=0.01, size=(60, 2)), np.repeat(["a", "b", "c"], 20),
        edges=EDGES.iloc[:0], shares=pd.DataFrame({"early": [1.0, 1, 1]}, index=["a", "b", "c"]),
        part_colors=STAGE_COLORS, shares_title="",
    )  # fmt: skip
    (trace,) = [trace for trace in fig.data if trace.customdata is not None and trace.customdata[0] == "a"]
    apart = [np.hypot(trace.x[i] - trace.x[j], trace.y[i] - trace.y[j]) for i, j in ((0, 1), (0, 2), (1, 2))]
    assert min(apart) > 0.5 * max(apart) > 0


def test_a_group_that_is_not_on_the_embedding_is_left_out():
    points = POINTS.copy()
    points[GROUPS == NAMES[4]] = np.nan
    fig = trajectory_map(
        points, GROUPS, edges=EDGES, shares=SHARES, part_colors=STAGE_COLORS, shares_title="cells by time"
    )
    assert NAMES[4] not in targets(fig).customdata
