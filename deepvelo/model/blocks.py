"""The objective and its gradient, one block of genes at a time, so that memory stays small."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from math import sqrt
from typing import NamedTuple

import torch
from torch import Tensor

from deepvelo.config import ObjectiveConfig
from deepvelo.model.candidates import average
from deepvelo.model.gcn import RateNetwork, Rates
from deepvelo.model.kinetics import SharedRates, spliced_velocity, unspliced_velocity
from deepvelo.model.objective import Correlation, direction_loss, direction_weight, squared_misses
from deepvelo.model.targets import Targets

# Genes worked on at once: few enough for the temporaries of a block of 3,000 cells to stay in cache.
GENES_PER_BLOCK = 128
# A cell turns round only where shared rates explain that much more of the opposite way: a smaller lead is chance.
TURN_MARGIN = 0.05
MOST_TURNS = 4


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

    @torch.no_grad()
    def settle_before_training(
        self, network: RateNetwork, features: Tensor, edge_index: Tensor, *, surroundings: Tensor
    ) -> None:
        """Settle each cell's future and past from the velocity a network starts with, and refine them.

        Both steps ask which non-negative rates, shared by a cell's surroundings, explain the way ahead. First, a cell
        whose way back is explained better turns round. Then, in every pass, future and past are settled anew from the
        velocity with those rates. A direction that holds in single cells by chance finds no such rates and is outvoted.

        Parameters
        ----------
        surroundings
            Takes the mean over the cells that share rates, as `Candidates.surrounding` gives it.
        """

        def mean(values: Tensor) -> Tensor:
            return average(surroundings, values)

        def with_shared_rates(block: Block) -> Tensor:
            shared = SharedRates(self._way(block), block.unspliced, block.spliced, mean=mean)
            beta, gamma = (rate.to(block.spliced) for rate in shared.rates())
            return spliced_velocity(block.unspliced, block.spliced, beta=beta, gamma=gamma)

        hidden = network.hidden(features, edge_index)
        self._settle(lambda block: block.velocity(network.rates(hidden, block.genes)))
        if self.config.shared_rate_passes:
            self._turn_round(mean)
        for _ in range(self.config.shared_rate_passes):
            self._settle(with_shared_rates)

    def _turn_round(self, mean: Callable[[Tensor], Tensor]) -> None:
        """Turn the cells round whose way back has the better explanation, summed over genes, until none has."""
        for _ in range(MOST_TURNS):
            against, total = torch.zeros(
                2, self.n_cells, dtype=torch.float64, device=self.blocks[0].state.device
            )
            for block in self.blocks:
                way = self._way(block)
                shared = SharedRates(way, block.unspliced, block.spliced, mean=mean)
                against += (shared.explained(sign=-1) - shared.explained()).sum(dim=1)
                total += mean(way.double() ** 2).sum(dim=1)
            turned = against > TURN_MARGIN * total
            if not turned.any():
                return
            self._settle(partial(self._turned_way, torch.where(turned, -1.0, 1.0)[:, None]))

    def _turned_way(self, sign: Tensor, block: Block) -> Tensor:
        return sign.to(block.spliced) * self._way(block)

    def _way(self, block: Block) -> Tensor:
        """The settled way ahead in spliced counts, from the past to the future, shape ``(n_cells, n_genes_of_the_block)``."""
        ahead, behind = (side[:, : block.spliced.shape[1]] for side in self.targets.of(block))
        return (ahead - behind) / 2

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
        every = 1 if self.config.direction_schedule == "published" else self.config.settle_every
        if every and (epoch - 1) % every == 0:
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

        def velocity_of(block: Block) -> Tensor:
            velocity = block.velocity(network.rates(hidden, block.genes))
            if published:
                pearson.add_(block.pearson(velocity) / self.n_genes)
            return velocity

        self._settle(velocity_of)
        return float(direction_loss(pearson, self.config)) if published else 0.0

    def _settle(self, velocity_of: Callable[[Block], Tensor]) -> None:
        self.targets.clear()
        for block in self.blocks:
            self.targets.add(velocity_of(block), block)
        self.targets.settle()

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
