from __future__ import annotations

import numpy as np
import pytest

from deepvelo.pl.thinning import drawn_cells

N_DENSE, N_SPARSE, N_RARE = 20_000, 400, 40
MOST = 3000
DENSE, SPARSE, RARE = "dense", "sparse", "rare"


@pytest.fixture(scope="module")
def points():
    """A dense ball, a thin cloud beside it, and a rare group inside the ball."""
    rng = np.random.default_rng(0)
    ball, cloud = rng.normal(size=(N_DENSE, 2)), rng.uniform((10, -10), (30, 10), size=(N_SPARSE, 2))
    return np.concatenate([ball, cloud, rng.normal(scale=0.1, size=(N_RARE, 2))])


@pytest.fixture(scope="module")
def groups():
    return np.repeat([DENSE, SPARSE, RARE], [N_DENSE, N_SPARSE, N_RARE])


def test_few_cells_are_all_drawn(points):
    assert drawn_cells(points, most=len(points)) is None


def test_just_as_many_as_asked_each_once(points, groups):
    rows = drawn_cells(points, groups, most=MOST)
    assert len(rows) == MOST
    assert (np.diff(rows) > 0).all()


def test_sparse_places_and_rare_groups_are_whole_and_dense_places_are_not(points, groups):
    rows = drawn_cells(points, groups, most=MOST)
    n_drawn = {group: int((groups[rows] == group).sum()) for group in (DENSE, SPARSE, RARE)}
    assert n_drawn[RARE] == N_RARE
    assert n_drawn[SPARSE] > 0.95 * N_SPARSE
    assert n_drawn[DENSE] < 0.15 * N_DENSE


def test_without_groups_a_rare_one_is_thinned_like_its_place(points, groups):
    rows = drawn_cells(points, most=MOST)
    assert (groups[rows] == RARE).sum() < N_RARE / 2


def test_what_is_denser_still_has_more_cells(points):
    at = points[drawn_cells(points, most=MOST)]
    middle, edge = (np.abs(at - place).max(axis=1) < 0.3 for place in ((0, 0), (1.7, 0)))
    assert middle.sum() > 1.5 * edge.sum()


def test_the_share_falls_with_the_square_root_of_the_cells():
    # two boxes at the ends of a line, with 100 and 900 cells
    points = np.repeat([[0.0, 0], [1, 0]], [100, 900], axis=0)
    rows = drawn_cells(points, most=40)
    assert (rows < 100).sum() == pytest.approx(10, abs=1)


def test_the_same_cells_again_and_others_with_another_seed(points, groups):
    first, again, other = (drawn_cells(points, groups, most=MOST, seed=seed) for seed in (0, 0, 1))
    np.testing.assert_array_equal(first, again)
    assert len(np.intersect1d(first, other)) < 0.8 * MOST


def test_more_drawn_keeps_those_that_fewer_draw(points):
    assert set(drawn_cells(points, most=MOST)) < set(drawn_cells(points, most=2 * MOST))


def test_cells_without_a_place_do_not_crowd_out_the_others(points):
    places = points.copy()
    places[:5000] = np.nan
    rows = drawn_cells(places, most=MOST)
    assert 0 < (rows < 5000).sum() < 200


def test_no_places_at_all_and_one_place_for_all():
    for points in (np.full((50, 2), np.nan), np.zeros((50, 2))):
        assert len(drawn_cells(points, most=20)) == 20
