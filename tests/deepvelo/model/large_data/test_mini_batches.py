"""Batches: every cell once a pass, and hidden layers as in the whole graph."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from deepvelo.config import Variant
from deepvelo.model import gcn
from deepvelo.model.gcn import RateNetwork
from deepvelo.model.graph.cell_graph import nearest_neighbors
from deepvelo.model.large_data.mini_batches import Batches, averaging_graph, whole

POSITIONS = torch.randn(203, 3, generator=torch.Generator().manual_seed(0))
GRAPH = averaging_graph(nearest_neighbors(POSITIONS, n_neighbors=5))


def test_edges_go_both_ways_once_whoever_is_whose_neighbour():
    graph = averaging_graph(torch.tensor([[1, 2], [0, 2], [0, 1], [2, 0]])).toarray()
    degree = np.array([4, 3, 4, 3])  # with the cell itself
    adjacent = np.array([[1, 1, 1, 1], [1, 1, 1, 0], [1, 1, 1, 1], [1, 0, 1, 1]])
    np.testing.assert_allclose(graph, adjacent / np.sqrt(np.outer(degree, degree)), rtol=1e-6)
    assert graph.dtype == np.float32


def made(*, batch_cells=50, group_cells=16, n_averagings=1, seed=0):
    return Batches(
        POSITIONS,
        GRAPH,
        batch_cells=batch_cells,
        group_cells=group_cells,
        n_averagings=n_averagings,
        seed=seed,
    )


@pytest.mark.parametrize("batch_cells", [16, 50, 202])
def test_every_cell_is_in_one_batch_of_a_pass(batch_cells):
    of_a_pass = list(made(batch_cells=batch_cells).shuffled())
    assert sorted(torch.cat([batch.cells for batch in of_a_pass]).tolist()) == list(range(203))
    sizes = [len(batch.cells) for batch in of_a_pass]
    assert len(sizes) == len(made(batch_cells=batch_cells))
    assert max(sizes) <= batch_cells + 2 * 16


def test_passes_differ_and_a_seed_repeats_them():
    first, again, other = made(), made(), made(seed=1)
    passes = [
        [batch.cells.tolist() for batch in source.shuffled()] for source in (first, again, other, first)
    ]
    assert passes[0] == passes[1]
    assert passes[0] != passes[2]
    assert passes[0] != passes[3]


@pytest.mark.parametrize("n_layers", [1, 2, 3])
def test_hidden_layers_of_a_batch_are_those_of_the_whole_graph(n_layers):
    torch.manual_seed(0)
    network = RateNetwork(2, Variant(hidden_sizes=(6,) * n_layers))
    inputs = torch.rand(203, 4)
    n_averagings = network.n_averagings
    assert n_averagings == n_layers - 1
    expected = network.hidden(inputs, whole(GRAPH, n_averagings=n_averagings).graphs)
    for batch in made(n_averagings=n_averagings).shuffled():
        found = network.hidden(inputs, batch.graphs, batch.inputs)
        assert torch.allclose(found, expected[batch.cells], atol=1e-6)


def test_cells_that_go_together_lie_together():
    spread = [POSITIONS[group].std(0).mean().item() for group in made(group_cells=10)._groups]
    assert np.mean(spread) < 0.6 * POSITIONS.std(0).mean().item()


def test_another_order_of_the_cells_makes_the_same_groups():
    order = torch.randperm(203, generator=torch.Generator().manual_seed(1))
    reordered = Batches(
        POSITIONS[order],
        GRAPH[order.numpy()][:, order.numpy()],
        batch_cells=50,
        group_cells=16,
        n_averagings=1,
        seed=0,
    )
    of_both = [
        [sorted(cells.tolist()) for cells in members]
        for members in (
            [batch.cells for batch in made().shuffled()],
            [order[batch.cells] for batch in reordered.shuffled()],
        )
    ]
    assert of_both[0] == of_both[1]


def test_a_batch_gives_the_gradient_found_automatically(monkeypatch):
    monkeypatch.setattr(gcn, "_BLOCK_ROWS", 7)
    torch.manual_seed(0)
    network = RateNetwork(2, Variant(hidden_sizes=(6, 3)))
    inputs = torch.rand(203, 4)
    batch = next(made().shuffled())
    network.hidden(inputs, batch.graphs, batch.inputs).square().sum().backward()
    found = [parameter.grad.clone() for parameter in network.convolutions.parameters()]
    network.zero_grad()
    first, second = network.convolutions
    hidden = torch.relu(first.lin(inputs[batch.inputs]) + first.bias)
    torch.relu(second(hidden, batch.graphs[0])).square().sum().backward()
    for one, parameter in zip(found, network.convolutions.parameters(), strict=True):
        assert torch.allclose(one, parameter.grad, atol=1e-4)
        assert one.abs().sum() > 0


@pytest.mark.parametrize("group_cells", [16, 20, 25])
def test_groups_are_halved_until_they_are_small_enough(group_cells):
    sizes = [len(group) for group in made(group_cells=group_cells)._groups]
    assert group_cells / 2 < max(sizes) <= group_cells
