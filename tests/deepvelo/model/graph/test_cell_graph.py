"""Neighbours, edges and averages on graphs small enough to write out."""

from __future__ import annotations

import logging
import re

import numpy as np
import pytest
import torch
from sklearn.decomposition import PCA

from deepvelo import plan
from deepvelo.errors import InputError
from deepvelo.model.graph import cell_graph as graph
from deepvelo.model.graph.cell_graph import (
    averaging_matrix,
    even_anchors,
    even_choice,
    nearest_neighbors,
    neighbors_within_reach,
    principal_components,
)

FOUR = torch.tensor([[0.0], [1.0], [3.0], [7.0]])


def test_nearest_neighbors_of_four_cells():
    assert nearest_neighbors(FOUR, n_neighbors=2).tolist() == [[1, 2], [0, 2], [1, 0], [2, 1]]


def test_a_duplicate_cell_is_a_neighbour_and_no_cell_its_own():
    points = torch.tensor([[0.0], [0.0], [0.0], [5.0]])
    neighbors = nearest_neighbors(points, n_neighbors=2)
    assert all(cell not in row for cell, row in enumerate(neighbors.tolist()))
    assert sorted(neighbors[1].tolist()) == [0, 2]


def clustered(n_cells: int) -> torch.Tensor:
    """Cells on a curved sheet in 20 dimensions, with noise in all of them; the first three are at one place."""
    rng = np.random.default_rng(0)
    points = np.tanh(rng.normal(size=(n_cells, 4)) @ rng.normal(size=(4, 20))) * np.geomspace(10, 1, 20)
    points += 0.7 * rng.normal(size=points.shape)
    points[:3] = points[0]
    return torch.from_numpy(points.astype(np.float32))


@pytest.mark.slow
def test_neighbours_of_many_cells_are_found_by_an_index_and_the_same_every_time(monkeypatch, caplog):
    points = clustered(10_000)
    exact = nearest_neighbors(points, n_neighbors=100)
    monkeypatch.setattr(plan, "EXACT_UP_TO", 5000)
    with caplog.at_level(logging.INFO):
        found, again = (nearest_neighbors(points, n_neighbors=100) for _ in range(2))
    assert torch.equal(found, again)
    shared = [len(set(a) & set(b)) for a, b in zip(found.tolist(), exact.tolist(), strict=True)]
    assert np.mean(shared) / 100 > 0.99
    assert re.search(r"search: (9\d\.\d|100\.0)%", caplog.text)
    assert (found != torch.arange(10_000)[:, None]).all(), "no cell is its own neighbour"
    assert {1, 2} <= set(found[0].tolist()), "cells at its own place are its neighbours"
    distances = (points[:, None] - points[found]).norm(dim=2)
    assert (distances.diff(dim=1) >= -1e-4).all(), "nearest first"


def test_neighbours_that_an_index_misses_are_noticed_and_found_after_all(monkeypatch, caplog):
    points = clustered(200)
    exact = nearest_neighbors(points, n_neighbors=10)
    monkeypatch.setattr(plan, "EXACT_UP_TO", 100)
    # Nine of ten right: too few.
    missed = exact.numpy().copy()
    farthest = (points[:, None] - points).norm(dim=2).argmax(dim=1)
    missed[:, -1] = farthest.numpy()
    monkeypatch.setattr(graph, "_approximate_neighbors", lambda *_: missed)
    with caplog.at_level(logging.INFO):
        assert torch.equal(nearest_neighbors(points, n_neighbors=10), exact)
    assert "90.0%" in caplog.text
    assert "exact search" in caplog.text


@pytest.mark.parametrize("n_among", [40, 300])
@pytest.mark.parametrize("of", [None, torch.tensor([250, 3, 60, 4])])
def test_neighbours_among_some_cells_are_the_nearest_of_them(of, n_among, monkeypatch):
    monkeypatch.setattr(graph, "_BLOCK_ASKED", 64)
    points = clustered(300)
    among = even_choice(points, n_among)
    found = neighbors_within_reach(points, n_neighbors=5, n_among=n_among, of=of)
    distances = (points[:, None] - points[among]).norm(dim=2)
    distances[among, torch.arange(len(among))] = torch.inf  # no cell is its own neighbour
    asked = torch.arange(300) if of is None else of
    expected = distances.topk(5, largest=False).values[asked]
    reached = (points[asked, None] - points[found]).norm(dim=2)
    torch.testing.assert_close(reached, expected, rtol=1e-4, atol=1e-4)
    assert set(found.flatten().tolist()) <= set(among.tolist())
    with pytest.raises(InputError, match=r"must be below"):
        neighbors_within_reach(points, n_neighbors=n_among, n_among=n_among, of=of)


def test_an_even_choice_takes_the_same_cells_in_any_order():
    points = torch.from_numpy(np.random.default_rng(0).normal(size=(500, 3)).astype(np.float32))
    order = torch.from_numpy(np.random.default_rng(1).permutation(500))
    assert torch.equal(points[even_choice(points, 60)], points[order][even_choice(points[order], 60)])


def test_anchors_are_the_nearest_of_the_choice():
    points = torch.from_numpy(np.random.default_rng(0).normal(size=(200, 3)).astype(np.float32))
    chosen, nearest = even_anchors(points, 20)
    assert torch.equal(nearest, torch.cdist(points, points[chosen]).argmin(dim=1))


def test_an_even_choice_takes_as_many_of_every_part_as_it_is_large():
    parts = torch.randn(1000, 3, generator=torch.Generator().manual_seed(0))
    parts[900:] += 100
    chosen = even_choice(parts, 200)
    assert len(set(chosen.tolist())) == 200
    assert int((chosen >= 900).sum()) == pytest.approx(20, abs=2)


def test_neighbours_stay_within_the_reach_they_have_among_fewer_cells():
    points = torch.randn(4000, 2, generator=torch.Generator().manual_seed(0))
    few, many = points[:500], points

    def reach(points, **options):
        found = neighbors_within_reach(points, n_neighbors=20, **options)
        return float((points[:, None] - points[found]).norm(dim=2).mean())

    assert reach(many, n_among=4000) < 0.5 * reach(few, n_among=500)
    assert reach(many, n_among=500) == pytest.approx(reach(few, n_among=500), rel=0.1)


def test_too_many_neighbours_name_the_remedy():
    with pytest.raises(InputError, match=r"Got 4 for 4 cells\. Lower"):
        nearest_neighbors(FOUR, n_neighbors=4)


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
    _, loadings = principal_components(values, n_components=1, seed=0)
    kept = (torch.tensor([[6.0, 8.0, 1.0], [-4.0, 3.0, 0.0]]) @ loadings) @ loadings.T
    assert torch.allclose(kept, torch.tensor([[6.0, 8.0, 0.0], [0.0, 0.0, 0.0]]), atol=1e-5)


@pytest.mark.parametrize("shape", [(700, 50), (60, 50), (50, 60), (30, 200)], ids=str)
def test_principal_components_are_those_of_a_full_decomposition(shape, monkeypatch):
    monkeypatch.setattr(graph, "_BLOCK_CELLS", 64)
    rng = np.random.default_rng(0)
    kinds = rng.normal(size=(shape[0], 6)) * [9, 7, 5, 4, 3, 2]
    values = (kinds @ rng.normal(size=(6, shape[1])) + rng.normal(size=shape) + 40).astype(np.float32)
    full = PCA(n_components=6, svd_solver="full").fit(values.astype(np.float64))
    found = principal_components(torch.from_numpy(values), n_components=6, seed=0)
    expected = full.transform(values.astype(np.float64))
    np.testing.assert_allclose(found.scores, expected, atol=1e-5 * np.abs(expected).max())
    np.testing.assert_allclose(found.loadings, full.components_.T, atol=1e-5)

    cells, genes = rng.permutation(shape[0]), rng.permutation(shape[1])
    other = principal_components(torch.from_numpy(values[cells][:, genes]), n_components=6, seed=1)
    torch.testing.assert_close(other.scores, found.scores[cells], rtol=0, atol=1e-5)
    torch.testing.assert_close(other.loadings, found.loadings[genes], rtol=0, atol=1e-6)


def test_cells_that_do_not_differ_have_components_without_extent():
    scores, loadings = principal_components(torch.full((9, 4), 3.0), n_components=2, seed=0)
    assert torch.equal(scores, torch.zeros(9, 2))
    assert torch.allclose(loadings.T @ loadings, torch.eye(2))
