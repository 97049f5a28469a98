"""Which way each cell goes, settled before the training from rates that a cell's surroundings share."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from scipy.spatial import KDTree
from torch import Tensor

from deepvelo.model.blocks import BlockedObjective, blocks_of_genes
from deepvelo.model.candidates import average
from deepvelo.model.gcn import RateNetwork
from deepvelo.model.kinetics import SharedRates, spliced_velocity

# A cell turns round only where shared rates explain that much more of the opposite way: a smaller lead is chance.
TURN_MARGIN = 0.05
MOST_TURNS = 4
# Places whose surroundings are looked at; with more cells, each takes the answer of the nearest place.
MOST_PLACES = 5000


class Surroundings:
    """Means over the surroundings of places among the cells: of every cell, or of an even choice where they are many.

    Parameters
    ----------
    positions
        Where cells lie, ``(n_cells, n_dimensions)``.
    neighbors
        Each cell's nearest, ``(n_cells, n_surrounding)``; they and the cell itself are its surroundings.
    """

    def __init__(self, positions: Tensor, neighbors: Tensor) -> None:
        n_cells, n_surrounding = neighbors.shape
        places = torch.arange(n_cells)
        self._nearest: Tensor | None = None
        if n_cells > MOST_PLACES:
            # In the order of a tree that halves the cells again and again, every so many-eth is an even choice.
            near = KDTree(positions.cpu().numpy()).indices
            places = torch.from_numpy(near[np.linspace(0, n_cells - 1, MOST_PLACES).astype(int)])
            at = KDTree(positions[places].cpu().numpy())
            self._nearest = torch.from_numpy(at.query(positions.cpu().numpy())[1]).to(neighbors.device)
        columns = torch.cat([neighbors[places.to(neighbors.device)], places[:, None].to(neighbors)], dim=1)
        columns = columns.sort(dim=1).values
        size = n_surrounding + 1
        self._matrix = torch.sparse_csr_tensor(
            torch.arange(0, columns.numel() + 1, size, device=neighbors.device),
            columns.flatten(),
            torch.full((columns.numel(),), 1 / size, dtype=torch.float64, device=neighbors.device),
            (len(places), n_cells),
            check_invariants=False,
        )

    def mean(self, values: Tensor) -> Tensor:
        """Means over the surroundings of every place, float64 ``(n_places, n_columns)``, of values of cells."""
        return average(self._matrix, values)

    def to_cells(self, values: Tensor) -> Tensor:
        """Values of places to the cells nearest to them, ``(n_cells, n_columns)``."""
        return values if self._nearest is None else values[self._nearest]


@torch.no_grad()
def settle_before_training(
    objective: BlockedObjective, network: RateNetwork, hidden: Tensor, *, surroundings: Surroundings
) -> None:
    """Settle each cell's future and past from the velocity a network starts with, and refine them.

    Both steps ask which non-negative rates, shared by a cell's surroundings, explain the way ahead. First, a cell
    whose way back is explained better turns round. Then, in every pass, future and past are settled anew from the
    velocity with those rates. A direction that holds in single cells by chance finds no such rates and is outvoted.

    Parameters
    ----------
    hidden
        The network's last hidden layer of all cells.
    """

    def start(genes: slice) -> Tensor:
        rates = network.rates(hidden, genes)
        return _velocity(objective, genes, rates.beta, rates.gamma)

    def with_shared_rates(genes: slice) -> Tensor:
        shared = _shared_rates(objective, _way(objective, genes), genes, surroundings)
        beta, gamma = (surroundings.to_cells(rate.to(objective.spliced)) for rate in shared.rates())
        return _velocity(objective, genes, beta, gamma)

    objective.settle(start)
    passes = objective.config.shared_rate_passes
    if passes:
        _turn_round(objective, surroundings)
    for _ in range(passes):
        objective.settle(with_shared_rates)


def _turn_round(objective: BlockedObjective, surroundings: Surroundings) -> None:
    """Turn the cells round whose way back has the better explanation, summed over genes, until none has."""
    for _ in range(MOST_TURNS):
        against: Tensor | float = 0.0
        total: Tensor | float = 0.0
        for genes in blocks_of_genes(objective.n_cells, objective.n_genes):
            way = _way(objective, genes)
            shared = _shared_rates(objective, way, genes, surroundings)
            against = against + (shared.explained(sign=-1) - shared.explained()).sum(dim=1)
            total = total + surroundings.mean(way.double() ** 2).sum(dim=1)
        turned = torch.as_tensor(against > TURN_MARGIN * total)
        if not turned.any():
            return
        objective.settle(_turned(objective, surroundings.to_cells(torch.where(turned, -1.0, 1.0)[:, None])))


def _turned(objective: BlockedObjective, sign: Tensor) -> Callable[[slice], Tensor]:
    """The settled way, turned round where the sign is negative."""
    return lambda genes: sign.to(objective.spliced) * _way(objective, genes)


def _way(objective: BlockedObjective, genes: slice) -> Tensor:
    """The settled way ahead in spliced counts, from the past to the future, shape ``(n_cells, n_genes_of_the_block)``."""
    ahead, behind = objective.targets.of(genes).spliced
    return (ahead - behind) / 2


def _velocity(objective: BlockedObjective, genes: slice, beta: Tensor, gamma: Tensor) -> Tensor:
    return spliced_velocity(
        objective.unspliced[:, genes], objective.spliced[:, genes], beta=beta, gamma=gamma
    )


def _shared_rates(
    objective: BlockedObjective, way: Tensor, genes: slice, surroundings: Surroundings
) -> SharedRates:
    return SharedRates(
        way, objective.unspliced[:, genes], objective.spliced[:, genes], mean=surroundings.mean
    )
