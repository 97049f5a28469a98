"""Ends of chains, against the gambler's ruin."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import sparse

from deepvelo.errors import InputError
from deepvelo.tl.lineage.absorption import absorption


def game(n_cells: int) -> sparse.csr_matrix:
    """A fair game: a step to either side alike; who has nothing or everything stays."""
    matrix = sparse.diags([0.5, 0.5], [1, -1], shape=(n_cells, n_cells)).tolil()
    matrix[0], matrix[-1] = 0, 0
    matrix[0, 0] = matrix[-1, -1] = 1
    return matrix.tocsr()


def test_the_gamblers_ruin():
    n_cells = 21
    end = np.full(n_cells, -1)
    end[0], end[-1] = 0, 1
    chances, steps = absorption(game(n_cells), np.zeros(n_cells, int), end, n_ends=2)
    place = np.arange(n_cells)
    np.testing.assert_allclose(chances[:, 1], place / 20, atol=1e-7)
    np.testing.assert_allclose(chances.sum(axis=1), 1)
    np.testing.assert_allclose(steps, place * (20 - place), atol=1e-4)


def test_parts_are_apart_and_one_without_end_is_unknown():
    chain = sparse.block_diag([game(5), game(4), game(3)], format="csr")
    parts = np.repeat([0, 1, 2], [5, 4, 3])
    end = np.array([0, -1, -1, -1, 1, 2, -1, -1, 2, -1, -1, -1])
    chances, steps = absorption(chain, parts, end, n_ends=3)
    assert chances[2] == pytest.approx([0.5, 0.5, 0])
    np.testing.assert_array_equal(chances[5:9], [[0, 0, 1]] * 4)
    assert np.isnan(chances[9:]).all()
    assert np.isnan(steps[9:]).all()
    assert steps[5] == 0


def test_a_part_of_nothing_but_ends():
    chances, steps = absorption(game(3), np.zeros(3, int), np.array([0, 1, 0]), n_ends=2)
    np.testing.assert_array_equal(chances, [[1, 0], [0, 1], [1, 0]])
    np.testing.assert_array_equal(steps, 0)


def trap(n_cells: int) -> sparse.csr_matrix:
    """A row with an end on the left that a walk to the right never comes back to, within what numbers can hold."""
    matrix = sparse.diags([1 - 1e-9, 1e-9], [1, -1], shape=(n_cells, n_cells)).tolil()
    matrix[0, 0], matrix[0, 1], matrix[-1, -1] = 1, 0, 1 - 1e-9
    return matrix.tocsr()


def test_what_never_comes_to_the_one_end_takes_very_long():
    end = np.full(12, -1)
    end[0] = 0
    chances, steps = absorption(trap(12), np.zeros(12, int), end, n_ends=1)
    assert (chances == 1).all()
    assert steps[0] == 0
    assert (steps[1:] > 1e8).all()
    assert np.isfinite(steps).all()


def test_what_never_comes_to_one_of_several_ends_is_refused():
    end = np.full(12, -1)
    end[:2] = 0, 1
    with pytest.raises(InputError, match="hardly ever reach a terminal state"):
        absorption(trap(12), np.zeros(12, int), end, n_ends=2)
