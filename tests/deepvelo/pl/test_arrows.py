import numpy as np
import plotly.graph_objects as go

from deepvelo.pl import theme
from deepvelo.pl.arrows import LINE_WIDTH, add_arrows, drawn_lengths, shafts_and_barbs, thin


def test_thin_takes_one_point_per_box_nearest_its_middle():
    points = np.array([[0.0, 0.0], [0.9, 0.9], [0.55, 0.5], [10.0, 10.0], [9.0, 1.0]])
    # boxes are 5 wide: (2.5, 2.5) is the middle of the first
    assert thin(points, boxes=(2, 2)).tolist() == [1, 3, 4]


def test_thin_of_nothing_and_of_one_place():
    assert thin(np.empty((0, 2)), boxes=(3, 3)).tolist() == []
    assert thin(np.ones((4, 2)), boxes=(3, 3)).tolist() == [0]


def test_drawn_lengths_stay_in_proportion_up_to_the_cut():
    vectors = np.column_stack([np.append(np.linspace(0, 1, 100), 1000), np.zeros(101)])
    drawn = drawn_lengths(vectors, longest=2.0)
    assert np.isclose(drawn[50, 0] / drawn[25, 0], 2)
    assert np.isclose(np.abs(drawn).max(), 2.0)


def test_drawn_lengths_of_no_movement_and_of_no_arrows():
    assert not drawn_lengths(np.zeros((3, 2)), longest=1.0).any()
    assert drawn_lengths(np.empty((0, 2)), longest=1.0).shape == (0, 2)


def test_shaft_goes_from_tail_to_tip_and_barbs_point_back():
    tail, left_tip = np.array([[1.0, 2.0]]), np.array([[3.0, 0.0]])
    line = shafts_and_barbs(tail, left_tip, head=1.0)
    assert line[:2].tolist() == [[1, 2], [4, 2]]
    assert line[[2, 4]].tolist() == [[3, 2.5], [3, 1.5]]
    assert np.isnan(line[5]).all()


def test_arrows_keep_their_direction_on_unequal_axes():
    fig = go.Figure()
    add_arrows(fig, np.zeros((1, 2)), np.array([[2.0, 30.0]]), longest=0.1, unit=np.array([1.0, 100.0]))
    trace = fig.data[-1]
    assert np.isclose(trace.y[1] / trace.x[1], 15)
    assert np.isclose(np.hypot(trace.x[1], trace.y[1] / 100), 0.1)


def test_ink_lies_on_a_halo():
    fig = go.Figure()
    add_arrows(fig, np.zeros((2, 2)), np.ones((2, 2)), longest=1.0)
    assert [type(trace) for trace in fig.data] == [go.Scattergl, go.Scattergl]
    assert fig.data[0].line.width > fig.data[1].line.width
    assert fig.data[0].line.color != fig.data[1].line.color


def test_faded_arrows_are_thinner_lighter_without_a_halo_and_as_long():
    tails, vectors = np.array([[0.0, 0], [1, 0], [2, 0]]), np.tile([0.0, 2], (3, 1))
    fig = go.Figure()
    add_arrows(fig, tails, vectors, longest=1.0, faded=np.array([False, True, False]))
    faded, halo, ink = fig.data
    assert faded.line.color == theme.faded_ink(dark=False)
    assert faded.line.width < LINE_WIDTH == ink.line.width < halo.line.width
    assert faded.x[::6].tolist() == [1]
    assert ink.x[::6].tolist() == halo.x[::6].tolist() == [0, 2]
    assert faded.y[1] == ink.y[1] == 1


def test_all_faded_and_none_faded_draw_no_empty_trace():
    for mask, n_traces in ((np.ones(2, dtype=bool), 1), (np.zeros(2, dtype=bool), 2)):
        fig = go.Figure()
        add_arrows(fig, np.zeros((2, 2)), np.ones((2, 2)), longest=1.0, faded=mask)
        assert len(fig.data) == n_traces


def test_thinning_works_on_three_axes():
    corners = np.array([[x, y, z] for x in (0.0, 1) for y in (0.0, 1) for z in (0.0, 1)])
    points = np.concatenate([corners, corners])
    assert thin(points, boxes=(2, 2, 2)).tolist() == list(range(8))
