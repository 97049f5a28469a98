import numpy as np
import pytest

from deepvelo.pl.split import axis_of, panel_columns, split

POINTS = np.array([[0.0, 0], [1, 0], [2, 4], [3, 1], [10, 2], [4, 3]], dtype=np.float32)
GROUPS = np.array(["a", "b", "a", "b", "c", "a"], dtype=object)
COLORS = {"a": "#111111", "b": "#222222", "c": "#333333"}
PARTS = {
    "control": np.array([1, 1, 0, 1, 0, 0], dtype=bool),
    "treated": np.array([0, 0, 1, 0, 1, 1], dtype=bool),
}


def colored(fig, axis):
    return [trace for trace in fig.data if trace.xaxis == axis and trace.customdata is not None]


@pytest.fixture
def fig():
    return split(POINTS, PARTS, GROUPS, colors=COLORS)


def test_each_panel_has_its_own_cells_in_color_over_all_in_grey(fig):
    for panel, part in enumerate(PARTS.values()):
        axis = axis_of(panel)
        rows = np.concatenate([trace.customdata for trace in colored(fig, axis)])
        assert sorted(rows) == np.flatnonzero(part).tolist()
        assert all(trace.marker.color == COLORS[trace.name] for trace in colored(fig, axis))
        (background,) = [trace for trace in fig.data if trace.xaxis == axis and trace.customdata is None]
        np.testing.assert_array_equal(background.x, POINTS[:, 0])
        assert background.marker.opacity < 0.2


def test_panels_share_range_and_scale(fig):
    x, y, x2, y2 = fig.layout.xaxis, fig.layout.yaxis, fig.layout.xaxis2, fig.layout.yaxis2
    assert (x2.matches, y2.matches, y.scaleanchor) == ("x", "y", "x")
    assert {axis.range for axis in (x, y, x2, y2)} == {None}


def test_titles_count_cells_and_outer_axes_are_named(fig):
    assert [note.text for note in fig.layout.annotations] == ["control<br>3 cells", "treated<br>3 cells"]
    assert [axis.title.text for axis in fig.select_xaxes()] == ["UMAP 1", "UMAP 1"]
    assert [axis.title.text for axis in fig.select_yaxes()] == ["UMAP 2", ""]


def test_a_group_stands_in_the_legend_once(fig):
    named = [trace.name for trace in fig.data if trace.showlegend]
    assert sorted(named) == ["a", "b", "c"]


def test_panels_share_one_color_scale():
    values = np.array([0.0, 1, 2, 3, 4, 50])
    fig = split(POINTS, PARTS, GROUPS, values=values, limits=(0, 4), value_title="Cpe")
    markers = [trace.marker for axis in ("x", "x2") for trace in colored(fig, axis)]
    assert [marker.showscale for marker in markers] == [True, False]
    assert {(marker.cmin, marker.cmax) for marker in markers} == {(0, 4)}


def test_arrows_lie_in_their_panel():
    line = {"type": "scattergl", "x": np.zeros(2), "y": np.zeros(2), "mode": "lines", "showlegend": False}
    fig = split(POINTS, PARTS, GROUPS, over={"treated": [line]})
    assert [trace.xaxis for trace in fig.data if trace.mode == "lines"] == ["x2"]


def test_y_can_point_down():
    fig = split(POINTS, PARTS, GROUPS, y_down=True)
    assert {axis.autorange for axis in fig.select_yaxes()} == {"reversed"}


@pytest.mark.parametrize(
    ("n_parts", "columns", "hidden"), [(2, 2, 0), (3, 3, 0), (4, 2, 0), (5, 3, 1), (6, 3, 0)]
)
def test_panels_stand_in_rows(n_parts, columns, hidden):
    parts = {f"part {i}": np.arange(6) % n_parts == i for i in range(n_parts)}
    fig = split(POINTS, parts, GROUPS)
    assert panel_columns(n_parts) == columns
    assert len({axis.domain for axis in fig.select_xaxes()}) == columns
    assert sum(axis.visible is False for axis in fig.select_xaxes()) == hidden


def test_of_many_cells_only_the_chosen_are_drawn():
    fig = split(POINTS, PARTS, GROUPS, drawn=np.array([0, 2, 4]))
    assert sorted(np.concatenate([trace.customdata for trace in colored(fig, "x2")])) == [2, 4]
    assert fig.layout.annotations[1].text == "treated<br>3 cells"
