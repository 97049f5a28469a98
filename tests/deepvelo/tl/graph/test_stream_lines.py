import time

import matplotlib.pyplot as plt
import numpy as np
import pytest

from deepvelo.tl.graph import stream_lines as embedding
from deepvelo.tl.graph.stream_lines import grid_arrows, mostly_of, stream_lines


@pytest.fixture
def square():
    return np.random.default_rng(0).uniform(0, 10, size=(1500, 2))


@pytest.fixture
def disc(square):
    points = square - 5
    return points[np.linalg.norm(points, axis=1) < 5]


def test_uniform_flow_gives_straight_lines_along_it(square):
    flow = np.tile([0.6, 0.8], (len(square), 1))
    stream = stream_lines(square, flow)
    assert len(stream.lines) > 10
    for line in stream.lines:
        along = (line[-1] - line[0]) / np.linalg.norm(line[-1] - line[0])
        np.testing.assert_allclose(along, [0.6, 0.8], atol=0.02)
        off_axis = (line - line[0]) @ np.array([-0.8, 0.6])
        assert np.abs(off_axis).max() < 0.02 * 10
    np.testing.assert_allclose(stream.arrow_direction, np.tile([0.6, 0.8], (len(stream.lines), 1)), atol=0.02)


def test_circular_flow_gives_circles(disc):
    flow = np.stack([-disc[:, 1], disc[:, 0]], axis=1)
    stream = stream_lines(disc, flow)
    checked = 0
    for line, middle, direction in zip(stream.lines, stream.arrow_xy, stream.arrow_direction, strict=True):
        radius = np.linalg.norm(line, axis=1)
        if 1.5 < radius.min() and radius.max() < 4.2:  # off the rim, where half of the average is missing
            assert np.ptp(radius) < 0.12 * radius.mean()
            turning = middle[0] * direction[1] - middle[1] * direction[0]
            assert turning > 0.95 * np.linalg.norm(middle)  # counter-clockwise
            checked += 1
    assert checked >= 3


def test_an_embedding_in_other_units_has_the_same_lines(square):
    flow = np.stack([-(square[:, 1] - 5), square[:, 0] - 5], axis=1)
    stream = stream_lines(square, flow, density=0.5)
    small = stream_lines(square * 1e-3 - 7, flow * 1e-6, density=0.5)
    assert len(stream.lines) == len(small.lines) > 0
    for line, other in zip(stream.lines, small.lines, strict=True):
        np.testing.assert_allclose((other + 7) * 1e3, line, atol=1e-3)


def test_same_input_same_lines_and_nothing_of_pyplot_is_used(square):
    flow = np.stack([np.sin(square[:, 1]), np.ones(len(square))], axis=1)
    before = plt.get_fignums()
    first, second = (stream_lines(square, flow, density=0.5) for _ in range(2))
    assert plt.get_fignums() == before
    assert all(np.array_equal(a, b) for a, b in zip(first.lines, second.lines, strict=True))


def test_density_packs_lines_closer(square):
    flow = np.tile([1.0, 0.0], (len(square), 1))
    counts = [len(stream_lines(square, flow, density=density).lines) for density in (0.5, 1.0, 1.5)]
    assert counts[0] < counts[1] < counts[2]


def test_lines_stay_near_cells():
    rng = np.random.default_rng(0)
    islands = np.concatenate([rng.normal(0, 0.5, (400, 2)), rng.normal(20, 0.5, (400, 2))])
    stream = stream_lines(islands, np.tile([1.0, 1.0], (800, 1)))
    assert stream.lines
    for line in stream.lines:
        nearest = np.linalg.norm(line[:, None] - islands[None], axis=2).min(axis=1)
        assert nearest.max() < 2.5


@pytest.mark.parametrize("case", ["still", "one cell", "all nan", "one place", "one line", "nearly a line"])
def test_nothing_to_draw_is_no_error(case):
    points, flow = np.random.default_rng(0).normal(size=(50, 2)), np.ones((50, 2))
    points, flow = {
        "still": (points, flow * 0),
        "one cell": (points[:1], flow[:1]),
        "all nan": (points, flow * np.nan),
        "one place": (points * 0, flow),
        "one line": (points * [1, 0] + [0, 3], flow),
        "nearly a line": (points * [1e-9, 1], flow),
    }[case]
    stream = stream_lines(points, flow)
    assert stream.lines == []
    assert stream.arrow_xy.shape == stream.arrow_direction.shape == (0, 2)
    at, arrows = grid_arrows(points, flow)
    assert at.shape == arrows.shape == (0, 2)


def test_cells_without_velocity_are_left_out(square):
    flow = np.tile([1.0, 0.0], (len(square), 1))
    flow[::7] = np.nan
    assert len(stream_lines(square, flow).lines) > 5
    assert np.isfinite(grid_arrows(square, flow)[1]).all()


def test_few_cells_work():
    points = np.random.default_rng(0).normal(size=(12, 2))
    at, arrows = grid_arrows(points, np.tile([0.0, 2.0], (12, 1)))
    assert len(at) > 0
    assert (arrows[:, 1] > 0).all()
    np.testing.assert_allclose(arrows[:, 0], 0, atol=1e-9)


def test_grid_arrows_lie_within_the_cells_and_point_with_the_flow(square):
    flow = np.tile([0.6, 0.8], (len(square), 1))
    at, arrows = grid_arrows(square, flow)
    assert (at > -0.5).all()
    assert (at < 10.5).all()
    np.testing.assert_allclose(
        arrows / np.linalg.norm(arrows, axis=1, keepdims=True), np.tile([0.6, 0.8], (len(at), 1)), atol=1e-6
    )
    assert len(grid_arrows(square, flow, density=0.5)[0]) < len(at)


def test_many_cells_are_drawn_as_all_of_them_would_be(monkeypatch):
    rng = np.random.default_rng(0)
    points = rng.normal(size=(25_000, 2)) * [3, 2]
    flow = np.stack([-points[:, 1], points[:, 0]], axis=1) + rng.normal(0, 0.5, points.shape)
    merged, arrows = grid_arrows(points, flow)
    monkeypatch.setattr(embedding, "MOST_STREAMED", len(points))
    whole, expected = grid_arrows(points, flow)
    common = {tuple(at): arrow for at, arrow in zip(whole.round(6), expected, strict=True)}
    pairs = [
        (arrow, common[tuple(at)])
        for at, arrow in zip(merged.round(6), arrows, strict=True)
        if tuple(at) in common
    ]
    assert len(pairs) > 0.9 * len(whole)
    one, other = np.array(pairs).transpose(1, 0, 2)
    cosines = (one * other).sum(axis=1) / np.linalg.norm(one, axis=1) / np.linalg.norm(other, axis=1)
    assert np.median(cosines) > 0.999
    assert np.quantile(cosines, 0.05) > 0.95


@pytest.mark.slow
def test_a_hundred_thousand_cells_are_quick():
    points = np.random.default_rng(0).normal(size=(100_000, 2)) * 5
    flow = np.stack([-points[:, 1], points[:, 0]], axis=1)
    stream_lines(points[:100], flow[:100])  # imports scvelo
    start = time.process_time()
    stream = stream_lines(points, flow)
    assert time.process_time() - start < 3
    assert len(stream.lines) > 10


@pytest.mark.slow
def test_three_thousand_cells_are_quick():
    points = np.random.default_rng(0).normal(size=(3000, 2)) * 5
    flow = np.stack([-points[:, 1], points[:, 0]], axis=1)
    stream_lines(points, flow)  # imports scvelo
    times = []
    for _ in range(3):  # processor time, best of three: a busy machine must not fail the test
        start = time.process_time()
        stream_lines(points, flow)
        times.append(time.process_time() - start)
    assert min(times) < 1.0


def test_most_of_the_nearest_cells_decide_what_is_said_of_a_place():
    points = np.stack([np.repeat([0.0, 10.0, 20.0], 15), np.tile(np.linspace(0, 1, 15), 3)], axis=1)
    cells = np.zeros(45, dtype=bool)
    cells[:15] = True
    cells[15:22] = True  # 7 of 15
    cells[30:38] = True  # 8 of 15
    at = np.array([[0.0, 0.5], [10.0, 0.5], [20.0, 0.5]])
    assert mostly_of(cells, at, points).tolist() == [True, False, True]
    assert mostly_of(cells, at[:0], points).shape == (0,)


def test_cells_without_coordinates_have_no_say():
    points = np.array([[0.0, 0], [np.nan, 0], [1, 0]])
    cells = np.array([True, False, True])
    assert mostly_of(cells, np.array([[5.0, 5.0]]), points).tolist() == [True]
    assert mostly_of(cells, np.array([[5.0, 5.0]]), points * np.nan).tolist() == [False]
