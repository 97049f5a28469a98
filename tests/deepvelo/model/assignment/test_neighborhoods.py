"""Means over neighbourhoods, and the rates that their cells share."""

from __future__ import annotations

import pytest
import torch

from deepvelo.model.assignment.neighborhoods import NeighborhoodRates, Neighborhoods
from deepvelo.model.graph.cell_graph import nearest_neighbors


def neighborhoods(positions: torch.Tensor, *, n_neighbors: int, n_anchors: int = 9) -> Neighborhoods:
    return Neighborhoods(
        positions,
        n_anchors=n_anchors,
        n_neighbors=n_neighbors,
        n_among=len(positions),
        device=torch.device("cpu"),
    )


def test_means_are_over_neighbours_and_the_cell_itself():
    positions, values = torch.rand(9, 2), torch.rand(9, 4, dtype=torch.float64)
    found = neighborhoods(positions, n_neighbors=4)
    neighbors = nearest_neighbors(positions, n_neighbors=4)
    expected = torch.stack([values[[cell, *neighbors[cell].tolist()]].mean(0) for cell in range(9)])
    assert found.cells is None
    assert found.n_anchors == 9
    assert torch.allclose(found.mean(values), expected)
    assert torch.equal(found.to_cells(values), values)


def test_each_of_many_cells_takes_the_value_of_its_nearest_anchor():
    positions = torch.arange(9.0)[:, None] ** 1.1  # the nearest is always the one before
    few = neighborhoods(positions, n_neighbors=1, n_anchors=3)
    anchor = few.mean(positions[few.cells].double())  # half a step before each anchor
    found = few.to_cells(anchor).flatten()
    assert len(anchor) == few.n_anchors == 3
    assert len(few.cells) <= 6
    assert (found - positions.flatten()).abs().max() <= 3.5
    assert (found.diff() >= 0).all()
    some = torch.tensor([8, 0, 4])
    assert torch.equal(few.to_cells(anchor, some).flatten(), found[some])


@pytest.mark.parametrize("n_anchors", [9, 2])
def test_velocities_of_some_cells_and_genes_are_by_the_rates_of_their_anchors(n_anchors):
    around = neighborhoods(torch.arange(9.0)[:, None], n_neighbors=2, n_anchors=n_anchors)
    generator = torch.Generator().manual_seed(0)
    beta, gamma = torch.rand(2, n_anchors, 5, generator=generator)
    u, s = torch.rand(2, 9, 5, generator=generator)
    nearest = range(9) if around.nearest is None else around.nearest.tolist()
    expected = torch.stack([beta[near] * u[i] - gamma[near] * s[i] for i, near in enumerate(nearest)])
    rates, genes = (
        NeighborhoodRates(beta, gamma, torch.stack((beta.mean(0), gamma.mean(0))), around),
        slice(1, 4),
    )
    assert torch.allclose(rates.velocity(u[:, genes], s[:, genes], genes, None), expected[:, genes])
    some = torch.tensor([7, 0, 3])
    found = rates.velocity(u[some, genes], s[some, genes], genes, some)
    assert torch.allclose(found, expected[some, genes])
