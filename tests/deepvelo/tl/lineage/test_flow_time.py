"""Times of a few cells whose answer is worked out by hand."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import sparse

from deepvelo.tl.lineage.flow_time import connected_parts, flow_time


def arrows(entries: dict[tuple[int, int], float], n_cells: int) -> sparse.csr_matrix:
    rows, cols = np.array(list(entries)).T
    return sparse.csr_matrix((list(entries.values()), (rows, cols)), shape=(n_cells, n_cells))


def test_a_chain_counts_its_steps():
    found = flow_time(arrows({(0, 1): 1.0, (1, 2): 1.0, (2, 3): 0.5}, 4))
    assert (found.time - found.time[0]).tolist() == pytest.approx([0, 1, 2, 2.5])
    assert found.time.sum() == pytest.approx(0)
    assert found.explained == pytest.approx(1)


def test_both_ends_of_a_pair_are_heard():
    """1 says 2 is ahead by 1, 2 says 1 is behind by 0.5: the mean; the opposite arrow counts with its sign."""
    found = flow_time(arrows({(0, 1): 1.0, (1, 0): -0.5}, 2))
    assert found.time[1] - found.time[0] == pytest.approx(0.75)


def test_a_contradiction_is_settled_by_least_squares():
    """Ways of 1 + 1 and of 0.5 to the same cell: each arrow is missed by the same 0.5."""
    found = flow_time(arrows({(0, 1): 1.0, (1, 2): 1.0, (0, 2): 0.5}, 3))
    assert (found.time - found.time[0]).tolist() == pytest.approx([0, 0.5, 1.0])
    assert found.explained == pytest.approx(1 - 0.75 / 2.25)


def test_branches_are_ahead_of_the_fork_alike():
    found = flow_time(arrows({(0, 1): 1.0, (1, 2): 1.0, (1, 3): 1.0}, 4))
    assert (found.time - found.time[0]).tolist() == pytest.approx([0, 1, 2, 2])


def test_a_ring_has_no_time():
    found = flow_time(arrows({(i, (i + 1) % 5): 0.8 for i in range(5)}, 5))
    assert found.time.tolist() == pytest.approx([0] * 5)
    assert found.explained == pytest.approx(0)


def test_parts_have_times_of_their_own_and_a_lone_cell_has_none():
    cosines = arrows({(0, 1): 1.0, (1, 2): 1.0, (3, 4): 0.5}, 6)
    found = flow_time(cosines)
    assert found.time.tolist() == pytest.approx([-1, 0, 1, -0.25, 0.25, 0])
    assert connected_parts(cosines).tolist() == [0, 0, 0, 1, 1, 2]


def test_parts_are_numbered_by_size():
    assert connected_parts(arrows({(1, 0): 1.0, (3, 2): -1.0, (4, 3): 1.0}, 5)).tolist() == [1, 1, 0, 0, 0]


def test_without_arrows_nothing_is_explained():
    found = flow_time(sparse.csr_matrix((3, 3)))
    assert found.time.tolist() == [0, 0, 0]
    assert np.isnan(found.explained)
