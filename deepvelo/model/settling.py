"""Which way each cell goes, settled before the training from rates that a cell's surroundings share."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

import torch
from scipy.spatial import KDTree
from torch import Tensor

from deepvelo.config.graph import MOST_PLACES
from deepvelo.model.averaging import average
from deepvelo.model.blocks import BlockedObjective, blocks_of_genes
from deepvelo.model.gcn import RateNetwork
from deepvelo.model.graph import even_choice, neighbors_within_reach
from deepvelo.model.kinetics import SharedRates, spliced_velocity

# A cell turns round only where shared rates explain that much more of the opposite way: a smaller lead is chance.
TURN_MARGIN = 0.05
MOST_TURNS = 4


class Surroundings:
    """Means over the surroundings of places among the cells: of every cell, or of an even choice where they are many.

    Parameters
    ----------
    positions
        Where cells lie, ``(n_cells, n_dimensions)``.
    n_neighbors
        How many of its nearest, with the cell itself, are a place's surroundings.
    n_among
        The nearest are sought among an even choice of so many cells.

    Attributes
    ----------
    cells
        Indices of the cells that are in any surroundings, ``(n_around,)``; None: all in their order.
    """

    def __init__(self, positions: Tensor, *, n_neighbors: int, n_among: int, device: torch.device) -> None:
        n_cells = len(positions)
        places: Tensor | None = None
        self._nearest: Tensor | None = None
        self.cells: Tensor | None = None
        if n_cells > MOST_PLACES:
            places = even_choice(positions, MOST_PLACES)
            at = KDTree(positions[places].cpu().numpy())
            self._nearest = torch.from_numpy(at.query(positions.cpu().numpy())[1]).to(device)
        around = neighbors_within_reach(positions, of=places, n_neighbors=n_neighbors, n_among=n_among)
        own = torch.arange(n_cells) if places is None else places
        columns = torch.cat([around, own[:, None]], dim=1).sort(dim=1).values
        if places is not None:
            cells, columns = columns.unique(return_inverse=True)
            self.cells, n_cells = cells.to(device), len(cells)
        self._matrix = torch.sparse_csr_tensor(
            torch.arange(0, columns.numel() + 1, columns.shape[1]),
            columns.flatten(),
            torch.full((columns.numel(),), 1 / columns.shape[1], dtype=torch.float64),
            (len(own), n_cells),
            check_invariants=False,
        ).to(device)

    @property
    def n_places(self) -> int:
        """How many places there are."""
        return int(self._matrix.shape[0])

    def mean(self, values: Tensor) -> Tensor:
        """Means over the surroundings of every place, float64 ``(n_places, n_columns)``, of values of `cells`."""
        return average(self._matrix, values)

    def to_cells(self, values: Tensor, some: slice = slice(None)) -> Tensor:
        """Values of places to the cells nearest to them, or some of these; ``(n_cells, n_columns)``."""
        return values[some] if self._nearest is None else values[self._nearest[some]]


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
    passes = objective.config.shared_rate_passes
    settling = _Settling(objective, surroundings)

    def velocity(cells: slice, genes: slice, beta: Tensor, gamma: Tensor) -> Tensor:
        s, u = objective.spliced[cells, genes], objective.unspliced[cells, genes]
        return spliced_velocity(u, s, beta=beta, gamma=gamma)

    def start(genes: slice) -> Iterator[tuple[slice, Tensor]]:
        for cells in objective.parts():
            rates = network.rates(hidden[cells], genes)
            yield cells, velocity(cells, genes, rates.beta, rates.gamma)

    def with_shared_rates(genes: slice) -> Iterator[tuple[slice, Tensor]]:
        shared = settling.shared_rates(settling.way(genes), genes).rates()
        rates = [rate.to(objective.spliced.dtype) for rate in shared]
        for cells in objective.parts():
            yield cells, velocity(cells, genes, *(surroundings.to_cells(rate, cells) for rate in rates))

    objective.settle(start)
    if passes:
        settling.turn_round()
    for _ in range(passes):
        objective.settle(with_shared_rates)


class _Settling:
    """What the cells around the places say."""

    def __init__(self, objective: BlockedObjective, surroundings: Surroundings) -> None:
        self._objective, self._surroundings = objective, surroundings
        self._spliced, self._unspliced = objective.of(surroundings.cells)
        # There are few enough places to keep them: 240 MB for 2,000 genes. In one piece, found before the work begins:
        # small pieces that stay between large ones that go would leave holes of gigabytes in memory.
        n_places = surroundings.n_places if objective.config.shared_rate_passes else 0
        shape = 3, n_places, objective.n_genes
        self._squares = torch.empty(shape, dtype=torch.float64, device=objective.spliced.device)
        self._known: set[int] = set()

    def turn_round(self) -> None:
        """Turn the cells round whose way back has the better explanation, summed over genes, until none has."""
        objective, surroundings = self._objective, self._surroundings
        for _ in range(MOST_TURNS):
            against, total = torch.zeros(
                2, surroundings.n_places, dtype=torch.float64, device=objective.spliced.device
            )
            for genes in blocks_of_genes(objective.n_cells, objective.n_genes):
                way = self.way(genes)
                shared = self.shared_rates(way, genes)
                against += (shared.explained(sign=-1) - shared.explained()).sum(dim=1)
                total += surroundings.mean(way.double() ** 2).sum(dim=1)
            turned = against > TURN_MARGIN * total
            if not turned.any():
                return
            sign = surroundings.to_cells(torch.where(turned, -1.0, 1.0)[:, None])
            objective.settle(partial(self._turned, sign))

    def way(self, genes: slice) -> Tensor:
        """The settled way ahead in spliced counts, ``(n_around, n_genes_of_the_block)``."""
        return self._way(genes, self._surroundings.cells)

    def _way(self, genes: slice, cells: Tensor | None) -> Tensor:
        """From the past to the future."""
        ahead, behind = self._objective.targets.of(genes, cells).spliced
        return (ahead - behind) / 2

    def _turned(self, sign: Tensor, genes: slice) -> list[tuple[slice, Tensor]]:
        way = self._way(genes, None)
        return [(slice(None), sign.to(way) * way)]

    def shared_rates(self, way: Tensor, genes: slice) -> SharedRates:
        """What explains a way in the surroundings of every place."""
        s, u = self._spliced[:, genes], self._unspliced[:, genes]
        mean = self._surroundings.mean
        squares = self._squares[:, :, genes]
        if genes.start not in self._known:
            for place, values in zip(squares, SharedRates.squares(u, s, mean=mean), strict=True):
                place.copy_(values)
            self._known.add(genes.start)
        return SharedRates(way, u, s, mean=mean, squares=squares.unbind())
