"""The graph convolutional network that gives every cell and gene its own rates."""

from __future__ import annotations

import itertools
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch_geometric.nn import GCNConv

from deepvelo.config import NetworkConfig


class Rates(NamedTuple):
    """Transcription, splicing and degradation rates, each of shape ``(n_cells, n_genes)``.

    alpha in normalised counts per unit time, beta and gamma per unit time.
    """

    alpha: Tensor
    beta: Tensor
    gamma: Tensor


class RateNetwork(nn.Module):
    r"""Graph convolutions over the cells, then one fully connected layer to all rates.

    .. math:: H^{(l+1)} = \mathrm{ReLU}(D^{-1/2} (A + I) D^{-1/2} H^{(l)} W^{(l)})

    Cui et al. 2022, eq. 2, with cells as nodes and [s, u] as features.

    The rates of a block of genes can be had alone: training then never holds
    all cells times all genes at once.

    Shapes
    ------
    features ``(n_cells, 2 n_genes)``, edge_index ``(2, n_edges)``, hidden ``(n_cells, hidden_sizes[-1])``.
    """

    def __init__(self, n_genes: int, config: NetworkConfig) -> None:
        super().__init__()
        self.n_genes = n_genes
        self.dropout = config.dropout
        self.nonnegative = config.nonnegative_rates
        sizes = (2 * n_genes, *config.hidden_sizes)
        # The graph stays the same throughout, so its normalisation is computed once.
        self.convolutions = nn.ModuleList(
            GCNConv(inputs, outputs, cached=True) for inputs, outputs in itertools.pairwise(sizes)
        )
        self.rate_layer = nn.Linear(sizes[-1], 3 * n_genes)

    def start_from(self, rates: tuple[Tensor, Tensor, Tensor]) -> None:
        """Begin at one alpha, beta and gamma per gene, each of shape ``(n_genes,)``, the same for all cells."""
        wanted = torch.cat(rates)
        with torch.no_grad():
            # The inverse of softplus; written so that large rates do not overflow.
            start = wanted + torch.log(-torch.expm1(-wanted)) if self.nonnegative else wanted
            self.rate_layer.bias.copy_(start)
            # Velocity is a small difference of large numbers: the slightest random rates would drown it.
            self.rate_layer.weight.zero_()

    def hidden(self, features: Tensor, edge_index: Tensor) -> Tensor:
        """The last H of eq. 2."""
        for convolution in self.convolutions:
            features = functional.relu(convolution(features, edge_index))
            features = functional.dropout(features, self.dropout, training=self.training)
        return features

    def rates(self, hidden: Tensor, genes: slice = slice(None)) -> Rates:
        """Rates of all cells for a block of genes."""
        weight = self.rate_layer.weight.view(3, self.n_genes, -1)[:, genes].flatten(0, 1)
        bias = self.rate_layer.bias.view(3, self.n_genes)[:, genes].flatten()
        out = functional.linear(hidden, weight, bias)
        if self.nonnegative:
            out = functional.softplus(out)
        return Rates(*out.chunk(3, dim=1))

    def forward(self, features: Tensor, edge_index: Tensor) -> Rates:
        """Rates of all cells and genes."""
        return self.rates(self.hidden(features, edge_index))
