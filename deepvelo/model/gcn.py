"""The graph convolutional network that gives every cell and gene its own rates."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple, cast

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch_geometric.nn import GCNConv

from deepvelo.arrays.on_disk import Cells, CellsOnDisk
from deepvelo.config import Variant

_BLOCK_ROWS = 1024  # some ten megabytes, which the allocator reuses


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

    No parameters come before the first averaging over the graph, so it is computed once, before training: inputs are
    averaged already. Rates are computed for a block of genes, so training never holds ``(n_cells, n_genes)`` at once.

    Shapes
    ------
    inputs ``(n_inputs, 2 n_genes)``, graphs as in `deepvelo.model.large_data.mini_batches.Batch`, hidden ``(n_cells, hidden_sizes[-1])``.
    """

    def __init__(self, n_genes: int, variant: Variant) -> None:
        super().__init__()
        self.n_genes = n_genes
        self.dropout = variant.dropout
        self.nonnegative = variant.nonnegative_rates
        sizes = (2 * n_genes, *variant.hidden_sizes)
        # Graphs come normalised: within a batch a cell's number of neighbours cannot be counted.
        self.convolutions = nn.ModuleList(
            GCNConv(inputs, outputs, normalize=False) for inputs, outputs in itertools.pairwise(sizes)
        )
        self.rate_layer = nn.Linear(sizes[-1], 3 * n_genes)

    def start_from(self, rates: tuple[Tensor, Tensor, Tensor]) -> None:
        """Start from one alpha, beta and gamma per gene, ``(n_genes,)`` each, the same in all cells."""
        wanted = torch.cat(rates)
        with torch.no_grad():
            # The inverse of softplus; written so that large rates do not overflow.
            start = wanted + torch.log(-torch.expm1(-wanted)) if self.nonnegative else wanted
            self.rate_layer.bias.copy_(start)
            # Velocity is a small difference of large numbers, which small random rates would dominate.
            self.rate_layer.weight.zero_()

    @property
    def n_averagings(self) -> int:
        """Number of averagings over the graph within the network, which is the number of graphs of a batch."""
        return len(self.convolutions) - 1

    def hidden(self, inputs: Cells, graphs: Sequence[Tensor], cells: Tensor | None = None) -> Tensor:
        """The last H of eq. 2; ``cells`` are the rows of ``inputs`` that the first graph takes, None for all."""
        convolution = cast(GCNConv, self.convolutions[0])
        first: Tensor = _LinearOfSome.apply(inputs, cells, convolution.lin.weight, convolution.bias)
        return self.later(self._activated(first), graphs)

    def later(self, values: Tensor, graphs: Sequence[Tensor]) -> Tensor:
        """The last hidden layer from the first."""
        for convolution, graph in zip(itertools.islice(self.convolutions, 1, None), graphs, strict=True):
            values = self._activated(convolution(values, graph))
        return values

    def _activated(self, values: Tensor) -> Tensor:
        return functional.dropout(functional.relu(values), self.dropout, training=self.training)

    def rates(self, hidden: Tensor, genes: slice = slice(None)) -> Rates:
        """Rates of all cells for a block of genes."""
        weight = self.rate_layer.weight.view(3, self.n_genes, -1)[:, genes].flatten(0, 1)
        bias = self.rate_layer.bias.view(3, self.n_genes)[:, genes].flatten()
        out = functional.linear(hidden, weight, bias)
        if self.nonnegative:
            out = functional.softplus(out)
        return Rates(*out.chunk(3, dim=1))


class _LinearOfSome(torch.autograd.Function):
    """A fully connected layer on some rows, a few at a time.

    Forward and backward each select the rows and convert them to single precision: that is faster than allocating
    memory for all of them in every step.
    """

    @staticmethod
    def forward(ctx: Any, inputs: Cells, rows: Tensor | None, weight: Tensor, bias: Tensor) -> Tensor:
        ctx.inputs, ctx.rows = inputs, rows
        n_rows = len(inputs) if rows is None else len(rows)
        # Preallocate to avoid heap fragmentation.
        out = torch.empty(n_rows, weight.shape[0], dtype=weight.dtype, device=weight.device)
        for where, part in _parts(inputs, rows, weight.dtype):
            if isinstance(where, slice):
                torch.addmm(bias, part, weight.T, out=out[where])
            else:
                out[where] = torch.addmm(bias, part, weight.T)
        return out

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[None, None, Tensor, Tensor]:
        (gradient,) = gradients
        by_weight = gradient.new_zeros(gradient.shape[1], ctx.inputs.shape[1])
        for where, part in _parts(ctx.inputs, ctx.rows, gradient.dtype):
            by_weight.addmm_(gradient[where].T, part)
        return None, None, by_weight, gradient.sum(0)


def _parts(inputs: Cells, rows: Tensor | None, dtype: torch.dtype) -> Iterator[tuple[slice | Tensor, Tensor]]:
    """Parts of the rows: their positions among those requested, and their inputs."""
    if rows is None and isinstance(inputs, CellsOnDisk):
        for cells, part in inputs.in_parts(_BLOCK_ROWS):
            yield cells, part.to(dtype)
        return
    for start in range(0, len(inputs if rows is None else rows), _BLOCK_ROWS):
        some = slice(start, start + _BLOCK_ROWS)
        if rows is not None:
            part = inputs.index_select(0, rows[some])
        else:
            assert isinstance(inputs, Tensor)
            part = inputs[some]
        yield some, part.to(dtype)
