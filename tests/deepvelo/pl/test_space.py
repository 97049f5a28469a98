import numpy as np
import pytest

from deepvelo.pl import theme
from deepvelo.pl.space import arrows_3d, scatter_3d

POINTS = np.array([[0.0, 0, 0], [1, 2, 3], [4, 1, 0], [2, 2, 1]], dtype=np.float32)
GROUPS = np.array(["a", "b", "a", "b"], dtype=object)
AXES = ("PC 1", "PC 3", "PC 2")


def test_cells_lie_on_three_named_axes_of_equal_scale():
    fig = scatter_3d(POINTS, GROUPS, colors={"a": "#111111", "b": "#222222"}, axis_names=AXES)
    assert {trace.name: trace.marker.color for trace in fig.data} == {"a": "#111111", "b": "#222222"}
    for trace in fig.data:
        at = np.stack([trace.x, trace.y, trace.z], axis=1)
        np.testing.assert_array_equal(at, POINTS[trace.customdata])
    scene = fig.layout.scene
    assert [scene[f"{letter}axis"].title.text for letter in "xyz"] == list(AXES)
    assert scene.aspectmode == "data"
    assert scene.xaxis.range == pytest.approx((-0.12, 4.12))


def test_names_stand_at_the_groups_medians():
    fig = scatter_3d(POINTS, GROUPS, axis_names=AXES)
    labels = {label.text: (label.x, label.y, label.z) for label in fig.layout.scene.annotations}
    assert labels == {"a": (2, 0.5, 0), "b": (1.5, 2, 2)}


def test_values_color_the_cells():
    fig = scatter_3d(POINTS, GROUPS, values=np.array([3.0, 1, np.nan, 2]), value_title="Cpe", axis_names=AXES)
    missing, known = fig.data
    assert missing.customdata.tolist() == [2]
    assert known.marker.color.tolist() == [1, 2, 3]
    assert known.marker.colorbar.title.text == "Cpe"


@pytest.mark.parametrize(("n_cells", "symbol"), [(5000, "circle"), (5001, "square")])
def test_many_cells_are_squares_which_are_drawn_faster(n_cells, symbol):
    points = np.random.default_rng(0).random((n_cells, 3))
    fig = scatter_3d(points, np.full(n_cells, "a"), axis_names=AXES)
    assert fig.data[0].marker.symbol == symbol


def test_without_any_value_the_cells_stay():
    fig = scatter_3d(POINTS, GROUPS, values=np.full(4, np.nan), axis_names=AXES)
    assert [len(trace.x) for trace in fig.data] == [4]
    assert fig.layout.annotations[0].text == "no value for this gene"


def test_cells_without_coordinates_leave_names_and_ranges_finite():
    points = np.concatenate([POINTS, np.full((1, 3), np.nan)])
    fig = scatter_3d(points, np.append(GROUPS, "a"), axis_names=AXES)
    assert np.isfinite([label.x for label in fig.layout.scene.annotations]).all()
    assert scatter_3d(np.full((4, 3), np.nan), GROUPS, axis_names=AXES).layout.scene.xaxis.range


def test_an_arrow_points_from_its_cell_along_its_vector():
    vectors = np.zeros((4, 3))
    vectors[1] = (0, 0, 5.0)
    line, cone = arrows_3d(POINTS, vectors, density=10)
    assert (line["x"][0], line["y"][0], line["z"][0]) == (1, 2, 3)  # the cell
    assert len(cone["x"]) == 1  # the others do not move
    assert (cone["x"][0], cone["y"][0]) == (1, 2)
    assert cone["z"][0] == pytest.approx(3 + 0.06 * 4)
    assert (cone["u"][0], cone["v"][0]) == (0, 0)
    assert cone["w"][0] > 0
    assert cone["colorscale"][0][1] == theme.ink(dark=False)


def test_one_arrow_a_box_and_undecided_ones_are_faded():
    points = np.random.default_rng(0).random((500, 3))
    traces = arrows_3d(points, np.ones((500, 3)), density=0.25, faded=points[:, 0] < 0.5)
    (solid, faded) = traces[1], traces[3]
    assert len(solid["x"]) + len(faded["x"]) == 27
    assert solid["opacity"] == 1 > faded["opacity"]


def test_no_movement_draws_nothing():
    assert arrows_3d(POINTS, np.zeros((4, 3))) == []
    assert arrows_3d(POINTS, np.full((4, 3), np.nan)) == []
