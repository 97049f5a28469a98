"""The loss and its gradient in blocks of genes, which keeps memory small."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from math import sqrt
from typing import NamedTuple

import torch
from torch import Tensor

from deepvelo.arrays.on_disk import Cells, Columns
from deepvelo.config import Variant
from deepvelo.model.assignment.kinetics import spliced_velocity, unspliced_velocity
from deepvelo.model.assignment.neighborhoods import NeighborhoodRates
from deepvelo.model.assignment.targets import Targets
from deepvelo.model.gcn import RateNetwork
from deepvelo.model.large_data.correlation import Correlation, direction_gradient
from deepvelo.model.large_data.parallel import SINGLE_PROCESS, ProcessGroup
from deepvelo.model.loss import Terms, direction

# Numbers in a block: its temporaries stay in the processor's cache.
_BLOCK_NUMBERS = 400_000
_BLOCK_GENES = 16
_BLOCK_CELLS = _BLOCK_NUMBERS // _BLOCK_GENES


def blocks_of_genes(n_cells: int, n_genes: int) -> Iterator[slice]:
    """Slices of all genes; the more cells, the fewer genes in a block."""
    size = max(_BLOCK_GENES, _BLOCK_NUMBERS // max(1, n_cells))
    for start in range(0, n_genes, size):
        yield slice(start, min(start + size, n_genes))


def parts_of_cells(n_cells: int) -> Iterator[slice]:
    """Slices of all cells, so few that the smallest blocks of genes stay in cache."""
    for start in range(0, n_cells, _BLOCK_CELLS):
        yield slice(start, min(start + _BLOCK_CELLS, n_cells))


def means(values: Columns) -> Tensor:
    """Mean of every gene, ``(n_genes,)``, of values ``(n_cells, n_genes)``."""
    return torch.cat([values[:, genes].mean(0) for genes in blocks_of_genes(*values.shape)])


class Sample(NamedTuple):
    """The cells of one step: their indices, None for all, and their moments ``(n_cells, n_genes)``."""

    cells: Tensor | None
    spliced: Columns
    unspliced: Columns


class BlockedObjective:
    """The data of one fit and the loss of eq. 4 to 7, over all cells or a mini-batch.

    Parameters
    ----------
    spliced, unspliced
        Moments, shape ``(n_cells, n_genes)``.
    targets
        Mean displacements to each cell's future and past, which continuity compares velocities with.
    correlation_weights
        Of corr(v, u) and corr(v, -s), `deepvelo.config.Settings.correlation_weights`.
    by_cell
        The same moments in files of cells, if ``spliced`` and ``unspliced`` are files of columns.
    """

    def __init__(
        self,
        spliced: Columns,
        unspliced: Columns,
        targets: Targets,
        *,
        correlation_weights: tuple[float, float],
        variant: Variant,
        by_cell: tuple[Cells, Cells] | None = None,
    ) -> None:
        self.spliced, self.unspliced, self.targets = spliced, unspliced, targets
        self.correlation_weights, self.variant = correlation_weights, variant
        if by_cell is None:
            assert isinstance(spliced, Tensor)
            assert isinstance(unspliced, Tensor)
            by_cell = spliced, unspliced
        self._by_cell = by_cell
        self.n_cells, self.n_genes = spliced.shape
        self.n_columns = self.n_genes * (2 if variant.unspliced_velocity else 1)
        self._means = means(spliced), means(unspliced)
        self.explained: NeighborhoodRates | None = None
        """Neighbourhood rates: continuity then compares spliced velocities with theirs, not with displacements."""

    def assign_targets(
        self,
        velocity_of: Callable[[slice], Iterable[tuple[slice, Tensor]]],
        *,
        cells: Tensor | None = None,
        group: ProcessGroup = SINGLE_PROCESS,
    ) -> None:
        """Assign each cell's future and past by the velocity that a function computes for a block of genes.

        Parameters
        ----------
        velocity_of
            Yields slices of the cells, those of `parts` or one slice of all, with their velocities.
        cells
            Indices of this process's cells, which the velocities are of; None: all cells.
        """
        self.targets.clear(cells)
        for genes in blocks_of_genes(self.n_cells, self.n_genes):
            for some, velocity in velocity_of(genes):
                self.targets.add(velocity, genes, some)
        self.targets.assign(group)

    def parts(self) -> Iterator[slice]:
        """Slices of all cells, one slice where the targets need velocities of all cells at once."""
        return parts_of_cells(self.n_cells) if self.targets.takes_parts else iter([slice(0, self.n_cells)])

    @torch.no_grad()
    def reassign_targets(
        self,
        network: RateNetwork,
        hidden: Tensor,
        *,
        cells: Tensor | None = None,
        group: ProcessGroup = SINGLE_PROCESS,
    ) -> float:
        """Assign each cell's future and past by the network's velocity; returns the direction loss.

        Only the published schedule weighs by the direction loss; with others this returns 0.

        Parameters
        ----------
        hidden
            Last hidden layer of ``cells``: all cells if None, else this process's share.
        """
        published = self.variant.direction_schedule == "published"
        pearson = torch.zeros(2).to(hidden)

        def velocity_of(genes: slice) -> list[tuple[slice, Tensor]]:
            rates = network.rates(hidden, genes)
            # Genes first, then cells: all genes of a share of the cells may not fit into memory.
            s, u = (values[:, genes] for values in (self.spliced, self.unspliced))
            if cells is not None:
                s, u = s.index_select(0, cells), u.index_select(0, cells)
            velocity = spliced_velocity(u, s, beta=rates.beta, gamma=rates.gamma)
            if published:
                correlations = self._correlations(velocity, s, u, genes, group=group)
                pearson.add_(_pearson(*correlations) / self.n_genes)
            return [(slice(None), velocity)]

        self.assign_targets(velocity_of, cells=cells, group=group)
        pearson_u, pearson_s = pearson
        return float(direction(pearson_u, pearson_s, self.correlation_weights)) if published else 0.0

    def backward(
        self,
        network: RateNetwork,
        hidden: Tensor,
        sample: Sample,
        *,
        weight: float,
        with_correlations: bool = True,
        group: ProcessGroup = SINGLE_PROCESS,
    ) -> Terms:
        """The terms of a sample; the gradient of the total is added to the network's parameters.

        Where a process group shares the cells, terms are those of all cells, gradients those of this process's cells.

        The gradient by the rates is written out, in half the time and memory of autograd at 1,000 cells and 2,000
        genes; it is gathered in the last hidden layer and goes through the graph convolutions once.

        Parameters
        ----------
        hidden
            Last hidden layer of these cells, attached to the parameters.
        sample
            Continuity is the mean over these cells, correlations are taken over them.
        weight
            Of the direction term.
        with_correlations
            Whether to compute the correlations where they have no weight: without weight they take as long as the rest.
        """
        cells, spliced, unspliced = sample
        n_cells = group.total(len(spliced))
        scale = sqrt(self.n_genes) / (2 * n_cells * self.n_columns)
        leaf = hidden.detach().requires_grad_()
        with_correlations = with_correlations or weight > 0
        continuity, pearson = torch.zeros(2).to(leaf), torch.zeros(2).to(leaf)
        # The same blocks in every process: shares differ by a cell.
        for genes in blocks_of_genes(n_cells // group.size, self.n_genes):
            s, u = spliced[:, genes], unspliced[:, genes]
            rates = network.rates(leaf, genes)
            with torch.no_grad():
                velocity = spliced_velocity(u, s, beta=rates.beta, gamma=rates.gamma)
                middle = None if self.explained is None else self.explained.velocity(u, s, genes, cells)
                residuals = self.targets.residuals(velocity, genes, cells, unspliced=False, middle=middle)
                continuity += torch.stack([residuals.ahead, residuals.behind])
                by_velocity = residuals.residual.mul_(4 * scale)
                if with_correlations:
                    correlations = self._correlations(velocity, s, u, genes, group=group)
                    pearson += _pearson(*correlations)
                if weight > 0:
                    by_velocity.add_(
                        direction_gradient(*correlations, self.correlation_weights),
                        alpha=weight / self.n_genes,
                    )
                by_beta = by_velocity * u
                by_gamma = (by_velocity * s).neg_()
                gradients = [(rates.beta, by_beta), (rates.gamma, by_gamma)]
                if self.variant.unspliced_velocity:
                    velocity_u = unspliced_velocity(u, alpha=rates.alpha, beta=rates.beta)
                    residuals = self.targets.residuals(velocity_u, genes, cells, unspliced=True)
                    continuity += torch.stack([residuals.ahead, residuals.behind])
                    by_alpha = residuals.residual.mul_(4 * scale)
                    by_beta.addcmul_(by_alpha, u, value=-1)
                    gradients.append((rates.alpha, by_alpha))
            tensors, by_them = zip(*gradients, strict=True)
            torch.autograd.backward(tensors, by_them)
        hidden.backward(leaf.grad)
        group.all_reduce(continuity)
        future, past = (scale * continuity).tolist()
        terms = {"continuity_future": future, "continuity_past": past}
        total = future + past
        if with_correlations:
            pearson_u, pearson_s = pearson / self.n_genes
            of_direction = float(direction(pearson_u, pearson_s, self.correlation_weights))
            terms |= {"pearson_u": float(pearson_u), "pearson_s": float(pearson_s), "direction": of_direction}
            total += weight * of_direction
        return terms | {"total": total}

    def of(self, cells: Tensor | None) -> tuple[Columns, Columns]:
        """Spliced and unspliced moments of some cells; of all cells if None."""
        if cells is None:
            return self.spliced, self.unspliced
        spliced, unspliced = self._by_cell
        return spliced.index_select(0, cells), unspliced.index_select(0, cells)

    def _correlations(
        self, velocity: Tensor, spliced: Tensor, unspliced: Tensor, genes: slice, *, group: ProcessGroup
    ) -> tuple[Correlation, Correlation]:
        """Correlations of velocity with unspliced and with spliced RNA."""
        mean_s, mean_u = (mean[genes] for mean in self._means)
        return (
            Correlation(velocity, unspliced, mean=mean_u, group=group),
            Correlation(velocity, spliced, mean=mean_s, group=group),
        )


def _pearson(of_unspliced: Correlation, of_spliced: Correlation) -> Tensor:
    """corr(v, u) and corr(v, -s), summed over the genes; shape ``(2,)``."""
    return torch.stack([of_unspliced.value.sum(), -of_spliced.value.sum()])
