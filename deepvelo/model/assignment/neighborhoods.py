"""Neighbourhoods of anchor cells and their rates."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from deepvelo.model.assignment.kinetics import spliced_velocity
from deepvelo.model.graph.averaging import average
from deepvelo.model.graph.cell_graph import even_anchors, neighbors_within_reach


class Neighborhoods:
    """Means over the neighbourhoods of anchor cells: all cells, or evenly chosen cells of large data.

    Parameters
    ----------
    positions
        Positions of the cells, ``(n_cells, n_dimensions)``.
    n_anchors
        Maximum number of anchor cells.
    n_neighbors
        Number of nearest cells in a neighbourhood, in addition to the anchor.
    n_among
        Number of evenly chosen cells among which the nearest are searched.

    Attributes
    ----------
    cells
        Indices of the cells in any neighbourhood, ``(n_around,)``; None for all cells in order.
    nearest
        Index of each cell's nearest anchor, ``(n_cells,)``; None if every cell is an anchor.
    """

    def __init__(
        self, positions: Tensor, *, n_anchors: int, n_neighbors: int, n_among: int, device: torch.device
    ) -> None:
        n_cells = len(positions)
        anchors: Tensor | None = None
        self.nearest: Tensor | None = None
        self.cells: Tensor | None = None
        if n_cells > n_anchors:
            anchors, nearest = even_anchors(positions, n_anchors)
            self.nearest = nearest.to(device)
        around = neighbors_within_reach(positions, of=anchors, n_neighbors=n_neighbors, n_among=n_among)
        own = torch.arange(n_cells) if anchors is None else anchors
        columns = torch.cat([around, own[:, None]], dim=1).sort(dim=1).values
        if anchors is not None:
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
    def n_anchors(self) -> int:
        """Number of neighbourhoods."""
        return int(self._matrix.shape[0])

    def mean(self, values: Tensor) -> Tensor:
        """Mean of every neighbourhood, float64 ``(n_anchors, n_columns)``, of values ``(n_around, n_columns)`` of `cells`."""
        return average(self._matrix, values)

    def to_cells(self, values: Tensor, some: slice | Tensor = slice(None)) -> Tensor:
        """Map values of anchors to all or some cells, by their nearest anchor; ``(n_cells, n_columns)``."""
        return values[some] if self.nearest is None else values[self.nearest[some]]


class NeighborhoodRates(NamedTuple):
    """Beta and gamma of every neighbourhood, float32 ``(n_anchors, n_genes)``, per unit time.

    ``typical`` has one beta and one gamma per gene, ``(2, n_genes)``: means weighted by the mean square of the RNA that the
    rate acts on.
    """

    beta: Tensor
    gamma: Tensor
    typical: Tensor
    neighborhoods: Neighborhoods

    def velocity(self, unspliced: Tensor, spliced: Tensor, genes: slice, cells: Tensor | None) -> Tensor:
        """Velocity of spliced RNA (eq. 3) in a block of genes, for the given or all cells, from their moments."""
        some = slice(None) if cells is None else cells
        beta, gamma = (self.neighborhoods.to_cells(rate[:, genes], some) for rate in (self.beta, self.gamma))
        return spliced_velocity(unspliced, spliced, beta=beta, gamma=gamma)
