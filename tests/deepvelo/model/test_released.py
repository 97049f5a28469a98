"""Where the released network differs from the paper's."""

from __future__ import annotations

from dataclasses import replace

import torch

from deepvelo.config import VARIANTS
from deepvelo.model.graph.averaging import as_tensor
from deepvelo.model.large_data.mini_batches import averaging_graph
from deepvelo.model.released import ReleasedNetwork

GRAPH = as_tensor(averaging_graph(torch.tensor([[1], [0], [1], [2]])))
GRAPHS = [GRAPH, GRAPH]
VARIANT = replace(VARIANTS["published"], hidden_sizes=(5, 4), dropout=0.5, unspliced_velocity=True)


def network(*, with_alpha=True) -> ReleasedNetwork:
    torch.manual_seed(0)
    return ReleasedNetwork(3, replace(VARIANT, unspliced_velocity=with_alpha))


def test_last_layer_is_a_graph_convolution():
    net = network().eval()
    with_self = torch.tensor([[1.0, 1, 0, 0], [1, 1, 1, 0], [0, 1, 1, 1], [0, 0, 1, 1]])
    scale = with_self.sum(1).rsqrt()
    normalised = scale[:, None] * with_self * scale
    features = torch.rand(4, 6)
    hidden = features
    for convolution in net.convolutions:
        hidden = torch.relu(normalised @ hidden @ convolution.lin.weight.T + convolution.bias)
    out = normalised @ hidden @ net.rate_layer.weight.T + net.rate_layer.bias
    alpha, beta, gamma = net.rates(net.hidden(normalised @ features, GRAPHS))
    assert torch.allclose(torch.cat([beta, gamma, alpha], dim=1), out, atol=1e-6)


def test_a_share_of_the_rates_is_dropped_in_training_and_stays_dropped_in_every_block():
    net = network().train()
    torch.nn.init.ones_(net.rate_layer.bias)
    hidden = net.hidden(torch.rand(4, 6), GRAPHS)
    whole = net.rates(hidden)
    assert 0 < (torch.cat(list(whole)) == 0).float().mean() < 1
    for part, all_genes in zip(net.rates(hidden, slice(1, 3)), whole, strict=True):
        assert torch.equal(part, all_genes[:, 1:3])
    net.eval()
    assert (torch.cat(list(net.rates(net.hidden(torch.rand(4, 6), GRAPHS)))) != 0).all()


def test_a_seed_drops_the_rates_that_the_release_drops():
    net = network().train()
    state = torch.random.get_rng_state()
    net.later(torch.rand(4, 5), GRAPHS)
    torch.random.set_rng_state(state)
    torch.rand(4, 5)
    torch.nn.functional.dropout(torch.ones(4, 4), VARIANT.dropout)  # of the hidden layer
    ones = torch.ones(4, 9)
    kept = torch.nn.functional.dropout(ones, VARIANT.dropout)
    assert torch.equal(net._kept, kept > 0)
    hidden = torch.rand(4, 4)
    plain = torch.nn.functional.linear(hidden, net.rate_layer.weight, net.rate_layer.bias)
    beta, gamma, alpha = (plain * kept).chunk(3, dim=1)
    for rate, wanted in zip(net.rates(hidden), (alpha, beta, gamma), strict=True):
        assert torch.allclose(rate, wanted)


def test_without_unspliced_velocity_alpha_is_not_a_number():
    net = network(with_alpha=False).eval()
    alpha, beta, gamma = net.rates(net.hidden(torch.rand(4, 6), GRAPHS))
    assert torch.isnan(alpha).all()
    assert torch.isfinite(beta).all()
    assert torch.isfinite(gamma).all()
