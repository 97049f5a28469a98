"""The objective and its gradient, one block of genes at a time, so that memory stays small."""

from __future__ import annotations

from math import sqrt
from typing import NamedTuple

import torch
from torch import Tensor

from deepvelo.config import ObjectiveConfig
from deepvelo.model.gcn import RateNetwork, Rates
from deepvelo.model.kinetics import spliced_velocity, unspliced_velocity
from deepvelo.model.objective import Correlation, direction_loss, direction_weight, squared_misses
from deepvelo.model.targets import Targets

# Genes worked on at once: few enough for the temporaries of a block of 3,000 cells to stay in cache.
GENES_PER_BLOCK = 128


class EpochTerms(NamedTuple):
    """The terms of one epoch.

    continuity_future and continuity_past are L+ and L- (eq. 5 and 6), pearson_u and pearson_s the mean
    correlations corr(v, u) and corr(v, -s) of eq. 7, direction their loss, total what was minimised.
    """

    epoch: int
    continuity_future: float
    continuity_past: float
    pearson_u: float
    pearson_s: float
    direction: float
    total: float


class Block:
    """Some genes of all cells."""

    def __init__(self, genes: slice, spliced: Tensor, unspliced: Tensor) -> None:
        self.genes = genes
        self.state = torch.cat([spliced[:, genes], unspliced[:, genes]], dim=1)
        self.spliced, self.unspliced = self.state.chunk(2, dim=1)
        self._with_spliced, self._with_unspliced = Correlation(self.spliced), Correlation(self.unspliced)

    def velocity(self, rates: Rates) -> Tensor:
        """ds/dt of these genes."""
        return spliced_velocity(self.unspliced, self.spliced, beta=rates.beta, gamma=rates.gamma)

    def pearson(self, velocity: Tensor) -> Tensor:
        """corr(v, u) and corr(v, -s), summed over the genes; shape ``(2,)``."""
        return torch.stack([self._with_unspliced(velocity).sum(), -self._with_spliced(velocity).sum()])


class BlockedObjective:
    """The data of one fit, cut into blocks of genes, and the objective of eq. 4 to 7 on them.

    Parameters
    ----------
    spliced, unspliced
        Moments, shape ``(n_cells, n_genes)``.
    targets
        Where continuity wants the velocity to lead; they decide each cell's future and past.
    """

    def __init__(
        self, spliced: Tensor, unspliced: Tensor, targets: Targets, *, config: ObjectiveConfig
    ) -> None:
        self.n_cells, self.n_genes = spliced.shape
        self.n_columns = self.n_genes * (2 if config.unspliced_velocity else 1)
        self.config = config
        self.targets = targets
        starts = range(0, self.n_genes, GENES_PER_BLOCK)
        self.blocks = [Block(slice(start, start + GENES_PER_BLOCK), spliced, unspliced) for start in starts]

    def backward(
        self, network: RateNetwork, features: Tensor, edge_index: Tensor, *, epoch: int, share_done: float
    ) -> EpochTerms:
        """One epoch's terms; the gradient of their total is added to the network's parameters.

        Every block is visited twice. First, without gradients and not in every epoch: all genes
        together decide which candidates are a cell's future. Then with gradients, gathered in the last hidden
        layer and sent through the graph convolutions once.
        """
        hidden = network.hidden(features, edge_index)
        leaf = hidden.detach().requires_grad_()
        direction = 0.0
        published = self.config.direction_schedule == "published"
        if published or (epoch - 1) % self.config.settle_every == 0:
            direction = self._survey(network, leaf.detach())
        weight = direction_weight(
            direction, n_columns=self.n_columns, share_done=share_done, config=self.config
        )
        continuity, pearson = torch.zeros(2).to(leaf), torch.zeros(2).to(leaf)
        for block in self.blocks:
            rates = network.rates(leaf, block.genes)
            velocity = block.velocity(rates)
            continuity_block = self._continuity(block, velocity, rates)
            with torch.set_grad_enabled(weight > 0):
                pearson_block = block.pearson(velocity) / self.n_genes
            loss = continuity_block.sum()
            if weight > 0:
                loss = loss + weight * direction_loss(pearson_block, self.config)
            loss.backward()
            continuity += continuity_block.detach()
            pearson += pearson_block.detach()
        hidden.backward(leaf.grad)
        ahead, behind = continuity.tolist()
        direction = float(direction_loss(pearson, self.config))
        return EpochTerms(
            epoch=epoch,
            continuity_future=ahead,
            continuity_past=behind,
            pearson_u=float(pearson[0]),
            pearson_s=float(pearson[1]),
            direction=direction,
            total=ahead + behind + weight * direction,
        )

    @torch.no_grad()
    def _survey(self, network: RateNetwork, hidden: Tensor) -> float:
        """Settle what the gradient takes as given: each cell's future and past, and the direction loss, returned.

        Only the published schedule weighs by the direction loss; for others it is left at 0.
        """
        pearson = torch.zeros(2).to(hidden)
        published = self.config.direction_schedule == "published"
        self.targets.clear()
        for block in self.blocks:
            velocity = block.velocity(network.rates(hidden, block.genes))
            self.targets.add(velocity, block)
            if published:
                pearson += block.pearson(velocity) / self.n_genes
        self.targets.settle()
        return float(direction_loss(pearson, self.config)) if published else 0.0

    def _continuity(self, block: Block, velocity: Tensor, rates: Rates) -> Tensor:
        """L+ and L- of one block, shape ``(2,)``: means over all cells and columns, scaled by half the root of n_genes."""
        ahead, behind = self.targets.of(block)
        if self.config.unspliced_velocity:
            velocity_u = unspliced_velocity(block.unspliced, alpha=rates.alpha, beta=rates.beta)
            velocity = torch.cat([velocity, velocity_u], dim=1)
        else:
            ahead, behind = (side[:, : velocity.shape[1]] for side in (ahead, behind))
        misses = squared_misses(velocity, ahead, behind)
        return misses * (sqrt(self.n_genes) / (2 * self.n_cells * self.n_columns))
