import numpy as np
import pytest

from deepvelo.pl import theme
from deepvelo.pl.arrows import LINE_WIDTH
from deepvelo.pl.embedding import panels, scatter
from deepvelo.pl.stream import add_stream

GROUPS = np.array(["b", "a", "b", "b", "a", "c"])


@pytest.fixture
def points():
    return np.random.default_rng(0).normal(size=(6, 2)).astype(np.float32)


def test_one_trace_a_group_in_its_color(points):
    colors = {"a": "#111111", "b": "#222222", "c": "#333333"}
    fig = scatter(points, GROUPS, colors=colors)
    assert {trace.name: trace.marker.color for trace in fig.data} == colors
    assert {trace.name: len(trace.x) for trace in fig.data} == {"a": 2, "b": 3, "c": 1}
    assert all(trace.type == "scattergl" and trace.x.dtype == np.float32 for trace in fig.data)


def test_customdata_leads_back_to_the_cell(points):
    fig = scatter(points, GROUPS)
    for trace in fig.data:
        np.testing.assert_array_equal(points[trace.customdata, 0], trace.x)
        assert set(GROUPS[trace.customdata]) == {trace.name}


def test_names_stand_at_the_groups_medians(points):
    labels = {label.text: (label.x, label.y) for label in scatter(points, GROUPS).layout.annotations}
    middles = {name: np.median(points[GROUPS == name], axis=0) for name in "abc"}
    assert {name: x for name, (x, _) in labels.items()} == pytest.approx(
        {n: m[0] for n, m in middles.items()}
    )
    assert not scatter(points, GROUPS, labels=False).layout.annotations


def test_names_that_would_cover_each_other_are_moved_apart():
    places = np.zeros((40, 2))
    places[-1] = 10
    fig = scatter(places, np.array(["one", "two"] * 19 + ["two", "far"]))
    heights = {label.text: label.y for label in fig.layout.annotations}
    assert abs(heights["one"] - heights["two"]) > 0.3
    # each as far from where both would stand: above their cells, as the third does
    assert (heights["one"] + heights["two"]) / 2 == pytest.approx(heights["far"] - 10)


def test_axes_are_named_equal_and_without_ticks(points):
    fig = scatter(points, GROUPS, axis_name="UMAP")
    assert (fig.layout.xaxis.title.text, fig.layout.yaxis.title.text) == ("UMAP 1", "UMAP 2")
    assert fig.layout.yaxis.scaleanchor == "x"
    assert fig.layout.xaxis.showticklabels is False


def test_values_color_the_cells_the_largest_on_top(points):
    values = np.array([0.0, 5, 1, 0, 2, np.nan])
    fig = scatter(points, GROUPS, values=values, value_title="Cpe, counts")
    missing, known = fig.data
    assert missing.customdata.tolist() == [5]
    assert missing.marker.color == theme.GREY
    assert known.marker.color.tolist() == sorted([0.0, 5, 1, 0, 2])
    np.testing.assert_array_equal(values[known.customdata], known.marker.color)
    assert known.marker.colorbar.title.text == "Cpe, counts"
    assert known.marker.cmin == 0


def test_velocity_colors_are_centred_at_zero(points):
    marker = scatter(points, values=np.array([-3.0, 1, 1, 0, 0, 0]), diverging=True).data[0].marker
    assert marker.cmin == -marker.cmax
    assert [color for _, color in marker.colorscale] == theme.DIVERGING


def test_all_nan_says_so_and_keeps_the_cells(points):
    fig = scatter(points, values=np.full(6, np.nan))
    assert len(fig.data) == 1
    assert len(fig.data[0].x) == 6
    assert fig.layout.annotations[0].text == "no value for this gene"


def test_panels_are_one_figure_with_a_color_bar_each(points):
    values = {name: np.arange(6.0) + i for i, name in enumerate("pqrst")} | {"none": np.full(6, np.nan)}
    fig = panels(points, values, diverging=["q"], columns=2)
    assert [note.text for note in fig.layout.annotations][:6] == list(values)
    assert fig.layout.annotations[6].text == "no value for this gene"
    colored = [trace for trace in fig.data if trace.marker.showscale]
    assert len(colored) == 5
    assert len({(trace.marker.colorbar.x, trace.marker.colorbar.y) for trace in colored}) == 5
    assert [trace.marker.cmin < 0 for trace in colored] == [False, True, False, False, False]
    assert {axis.scaleanchor for axis in fig.select_yaxes()} == {"x", "x2", "x3", "x4", "x5", "x6"}


@pytest.mark.parametrize("dark", [True, False])
def test_stream_lies_over_the_cells_with_a_head_on_each_line(points, dark):
    fig = scatter(points, GROUPS, dark=dark)
    n_cells_traces = len(fig.data)
    lines = [np.array([[0.0, 0], [1, 0], [2, 0]]), np.array([[0.0, 1], [0, 2]])]
    add_stream(
        fig,
        lines,
        arrow_xy=np.array([[1.0, 0], [0, 1.5]]),
        arrow_direction=np.array([[1.0, 0], [0, 1]]),
        dark=dark,
    )
    halo, line, _, heads = fig.data[n_cells_traces:]
    assert len(line.x) == 7  # five points and a gap after each line
    assert np.isnan(line.x[[3, 6]]).all()
    assert (line.line.color, line.line.width) == (theme.ink(dark=dark), LINE_WIDTH)
    assert halo.line.width > line.line.width
    tip, left, right = np.array([heads.x, heads.y]).T[:3]
    assert tip[0] > left[0] == right[0]
    assert left[1] == -right[1] != 0
    assert heads.fill == "toself"


def test_no_lines_draw_nothing(points):
    fig = scatter(points, GROUPS)
    before = len(fig.data)
    add_stream(fig, [], arrow_xy=np.empty((0, 2)), arrow_direction=np.empty((0, 2)))
    assert len(fig.data) == before


def test_of_many_cells_only_the_chosen_are_drawn_and_names_and_scales_stay():
    rng = np.random.default_rng(0)
    points, values = rng.normal(size=(200, 2)), rng.normal(size=200)
    groups = np.where(points[:, 0] > 0, "right", "left")
    some = np.arange(0, 200, 7)
    for options in ({}, {"values": values}):
        full, thinned = scatter(points, groups, **options), scatter(points, groups, drawn=some, **options)
        rows = np.concatenate([trace.customdata for trace in thinned.data])
        assert sorted(rows) == some.tolist()
        for trace in thinned.data:
            np.testing.assert_array_equal(trace.x, points[trace.customdata, 0].astype(np.float32))
        assert [(a.text, a.x, a.y) for a in thinned.layout.annotations] == [
            (a.text, a.x, a.y) for a in full.layout.annotations
        ]
        if options:
            assert (thinned.data[0].marker.cmin, thinned.data[0].marker.cmax) == (
                full.data[0].marker.cmin, full.data[0].marker.cmax,
            )  # fmt: skip


def test_a_stream_is_faded_where_both_ends_of_a_step_are():
    fig = scatter(np.zeros((2, 2)))
    lines = [np.stack([np.arange(6.0), np.zeros(6)], axis=1), np.array([[0.0, 1], [1, 1]])]
    faded = [np.array([0, 0, 1, 1, 0, 1], dtype=bool), np.ones(2, dtype=bool)]
    add_stream(
        fig, lines, arrow_xy=np.array([[2.5, 0], [0.5, 1]]), arrow_direction=np.array([[1.0, 0], [1, 0]]),
        faded=faded, faded_arrows=np.array([False, True]),
    )  # fmt: skip
    below, below_heads, _, ink, _, heads = fig.data[1:]
    assert below.line.color == below_heads.fillcolor == theme.faded_ink(dark=False)
    assert np.nan_to_num(below.x, nan=-1).tolist() == [2, 3, -1, 0, 1, -1]
    assert np.nan_to_num(ink.x, nan=-1).tolist() == [0, 1, 2, -1, 3, 4, 5, -1]
    assert np.nanmean(below_heads.y) == 1
    assert np.nanmean(heads.y) == pytest.approx(0)


def test_limits_set_the_ends_of_the_color_scale():
    points = np.zeros((3, 2))
    (trace,) = scatter(points, values=np.array([0.6, 0.7, 0.8]), limits=(0.5, 1)).data
    assert (trace.marker.cmin, trace.marker.cmax) == (0.5, 1)


def test_y_points_down_and_axes_have_names_of_their_own_where_asked(points):
    fig = scatter(points, GROUPS, axis_name=("PC 2", "PC 5"), y_down=True)
    assert (fig.layout.xaxis.title.text, fig.layout.yaxis.title.text) == ("PC 2", "PC 5")
    assert fig.layout.yaxis.autorange == "reversed"
