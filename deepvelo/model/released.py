"""The network of the authors' released code, which differs from the paper's."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch_geometric.utils import spmm

from deepvelo.config import Variant
from deepvelo.model.gcn import RateNetwork, Rates


class ReleasedNetwork(RateNetwork):
    r"""Rates from a last graph convolution instead of a fully connected layer.

    Its output is :math:`\hat A H W + b`: the rate layer takes hidden values averaged over the graph. Dropout also
    applies to the rates. Without unspliced velocity alpha is not predicted and is NaN.

    Weights are initialised as in the release, so that a seed gives the same rates.
    """

    def __init__(self, n_genes: int, variant: Variant) -> None:
        with torch.random.fork_rng(devices=[]):  # the layers' own random weights are not used
            super().__init__(n_genes, variant)
            self.n_rates = 3 if variant.unspliced_velocity else 2
            self.rate_layer = nn.Linear(variant.hidden_sizes[-1], self.n_rates * n_genes)
        self._kept: Tensor | None = None
        with torch.no_grad():
            for name, parameter in self.named_parameters():
                if name.endswith("bias"):
                    parameter.zero_()
                else:
                    n_outputs, n_inputs = parameter.shape
                    parameter.copy_(nn.init.xavier_uniform_(torch.empty(n_inputs, n_outputs)).T)
            # The release adds gamma s where alpha is not predicted: its gamma is the negative of ours.
            if not variant.unspliced_velocity:
                self.rate_layer.weight[n_genes:].neg_()

    @property
    def n_averagings(self) -> int:
        """One more than in the paper's network, for the rate layer."""
        return len(self.convolutions)

    def later(self, values: Tensor, graphs: Sequence[Tensor]) -> Tensor:
        """The last H of eq. 2, averaged once more over the graph."""
        *others, last = graphs
        averaged: Tensor = spmm(last, super().later(values, others))
        # Drawn once a step for all genes, with the release's draws: every block drops the same rates each time it is
        # computed. One byte a rate, ``(n_cells, n_genes)``.
        self._kept = None
        if self.training:
            kept = torch.empty(
                len(averaged), self.n_rates * self.n_genes, dtype=torch.bool, device=averaged.device
            )
            self._kept = kept.bernoulli_(1 - self.dropout)
        return averaged

    def rates(self, hidden: Tensor, genes: slice = slice(None)) -> Rates:
        """Rates of all cells for a block of genes."""
        weight = self.rate_layer.weight.view(self.n_rates, self.n_genes, -1)[:, genes]
        bias = self.rate_layer.bias.view(self.n_rates, self.n_genes)[:, genes]
        out = functional.linear(hidden, weight.flatten(0, 1), bias.flatten())
        if self._kept is not None:
            kept = self._kept.view(len(hidden), self.n_rates, -1)[:, :, genes].flatten(1)
            out = out * kept / (1 - self.dropout)
        if self.nonnegative:
            out = functional.softplus(out)
        # In the release's order.
        beta, gamma, *alpha = out.chunk(self.n_rates, dim=1)
        return Rates(alpha[0] if alpha else torch.full_like(beta, torch.nan), beta, gamma)
