"""Eq. 2 against the dense formula, and the promises of the rate layer."""

from __future__ import annotations

import pytest
import torch

from deepvelo.config import Variant
from deepvelo.model.gcn import RateNetwork
from deepvelo.model.graph.averaging import as_tensor
from deepvelo.model.large_data.mini_batches import averaging_graph

# Four cells in a row: 0 - 1 - 2 - 3.
PATH = torch.tensor([[1], [0], [1], [2]])
GRAPH = as_tensor(averaging_graph(PATH))
ADJACENCY = torch.tensor([[0.0, 1, 0, 0], [1, 0, 1, 0], [0, 1, 0, 1], [0, 0, 1, 0]])


def network(**changes) -> RateNetwork:
    torch.manual_seed(0)
    return RateNetwork(3, Variant(hidden_sizes=(5, 4), **changes)).eval()


def test_hidden_layers_are_eq_2_on_four_cells():
    net = network()
    features = torch.rand(4, 6)
    with_self = ADJACENCY + torch.eye(4)
    scale = with_self.sum(1).rsqrt()
    normalised = scale[:, None] * with_self * scale
    expected = features
    for convolution in net.convolutions:
        expected = torch.relu(normalised @ expected @ convolution.lin.weight.T + convolution.bias)
    assert torch.allclose(net.hidden(normalised @ features, [GRAPH]), expected, atol=1e-6)


def test_rate_layer_is_one_fully_connected_layer():
    net = network(nonnegative_rates=False)
    hidden = torch.rand(4, 4)
    out = net.rate_layer(hidden)
    alpha, beta, gamma = net.rates(hidden)
    assert torch.allclose(torch.cat([alpha, beta, gamma], dim=1), out)


def test_a_block_of_genes_equals_those_columns():
    net = network()
    hidden = torch.rand(4, 4)
    for block, whole in zip(net.rates(hidden, slice(1, 3)), net.rates(hidden), strict=True):
        assert torch.allclose(block, whole[:, 1:3])


def test_rates_cannot_be_negative_unless_allowed():
    hidden = 50 * torch.randn(4, 4)
    assert all((rate >= 0).all() for rate in network().rates(hidden))
    assert any((rate < 0).any() for rate in network(nonnegative_rates=False).rates(hidden))


@pytest.mark.parametrize("nonnegative", [True, False])
def test_start_gives_every_cell_the_wanted_rates(nonnegative):
    net = network(nonnegative_rates=nonnegative)
    wanted = (torch.tensor([0.01, 1.0, 300.0]), torch.ones(3), torch.tensor([0.2, 5.0, 20.0]))
    net.start_from(wanted)
    for rate, value in zip(net.rates(torch.zeros(2, 4)), wanted, strict=True):
        assert torch.allclose(rate, value.expand(2, 3), rtol=1e-4)


def test_permuting_the_cells_permutes_the_rates():
    net = network()
    inputs, order = torch.rand(4, 6), torch.tensor([2, 0, 3, 1])
    expected = [rate[order] for rate in net.rates(net.hidden(inputs, [GRAPH]))]
    permuted = as_tensor(averaging_graph(order.argsort()[PATH[order]]))
    for rate, wanted in zip(net.rates(net.hidden(inputs[order], [permuted])), expected, strict=True):
        assert torch.allclose(rate, wanted, atol=1e-6)
