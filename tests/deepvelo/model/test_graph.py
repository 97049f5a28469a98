"""Neighbours, edges and averages on graphs small enough to write out."""

from __future__ import annotations

import pytest
import torch

from deepvelo.errors import InputError
from deepvelo.model.graph import averaging_matrix, message_edges, nearest_neighbors, principal_components

FOUR = torch.tensor([[0.0], [1.0], [3.0], [7.0]])


def test_nearest_neighbors_of_four_cells():
    assert nearest_neighbors(FOUR, n_neighbors=2).tolist() == [[1, 2], [0, 2], [1, 0], [2, 1]]


def test_a_duplicate_cell_is_a_neighbour_and_no_cell_its_own():
    points = torch.tensor([[0.0], [0.0], [0.0], [5.0]])
    neighbors = nearest_neighbors(points, n_neighbors=2)
    assert all(cell not in row for cell, row in enumerate(neighbors.tolist()))
    assert sorted(neighbors[1].tolist()) == [0, 2]


def test_too_many_neighbours_name_the_remedy():
    with pytest.raises(InputError, match=r"Got 4 for 4 cells\. Lower"):
        nearest_neighbors(FOUR, n_neighbors=4)


def test_edges_go_both_ways_once_and_never_to_the_cell_itself():
    edges = message_edges(torch.tensor([[1], [0], [1], [2]]))
    assert edges.T.tolist() == [[0, 1], [1, 0], [1, 2], [2, 1], [2, 3], [3, 2]]


def test_averaging_matrix_of_three_cells():
    weights = torch.tensor([[0.0, 0.5, 0.0], [0.5, 0.0, 0.25], [0.0, 0.25, 0.0]]).to_sparse()
    expected = torch.tensor([[0.5, 0.5, 0], [0.4, 0.4, 0.2], [0, 1 / 3, 2 / 3]])
    assert torch.allclose(averaging_matrix(weights).to_dense(), expected)


def test_averaging_keeps_a_cell_without_neighbours():
    empty = torch.zeros(2, 2).to_sparse()
    assert torch.equal(averaging_matrix(empty).to_dense(), torch.eye(2))


def test_principal_components_keep_distances_when_all_are_kept():
    values = torch.rand(8, 3)
    scores, _ = principal_components(values, n_components=3, seed=0)
    assert torch.allclose(torch.cdist(scores, scores), torch.cdist(values, values), atol=1e-5)


def test_components_keep_what_lies_in_them_and_nothing_else():
    along = torch.tensor([3.0, 4.0, 0.0]) / 5
    values = torch.arange(6.0)[:, None] * along + 2.0
    components = principal_components(values, n_components=1, seed=0)
    kept = components.keep(torch.tensor([[6.0, 8.0, 1.0], [-4.0, 3.0, 0.0]]))
    assert torch.allclose(kept, torch.tensor([[6.0, 8.0, 0.0], [0.0, 0.0, 0.0]]), atol=1e-5)
