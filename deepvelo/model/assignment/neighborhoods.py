"""Neighbourhoods of anchor cells, and the rates that their cells share."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from deepvelo.model.assignment.kinetics import spliced_velocity
from deepvelo.model.graph.averaging import average
from deepvelo.model.graph.cell_graph import even_anchors, neighbors_within_reach


class Neighborhoods:
    """Means over the neighbourhoods of anchor cells: all cells, or an even choice of a large data set.

    Parameters
    ----------
    positions
        Where cells lie, ``(n_cells, n_dimensions)``.
    n_anchors
        Number of anchor cells, at most that of all cells.
    n_neighbors
        Number of nearest cells in a neighbourhood, beside the anchor itself.
    n_among
        Number of cells, chosen evenly, among which the nearest are found.

    Attributes
    ----------
    cells
        Indices of the cells in any neighbourhood, ``(n_around,)``; None: all, in their order.
    nearest
        Index of each cell's nearest anchor, ``(n_cells,)``; None: every cell is its own anchor.
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
        """Give all cells, or some, the values of their nearest anchors; ``(n_cells, n_columns)``."""
        return values[some] if self.nearest is None else values[self.nearest[some]]


class NeighborhoodRates(NamedTuple):
    """Beta and gamma of every neighbourhood, float32 ``(n_anchors, n_genes)``, per unit time.

    ``typical`` are one beta and gamma a gene, ``(2, n_genes)``: means that weigh by the mean square of the RNA a rate acts on.
    """

    beta: Tensor
    gamma: Tensor
    typical: Tensor
    neighborhoods: Neighborhoods

    def velocity(self, unspliced: Tensor, spliced: Tensor, genes: slice, cells: Tensor | None) -> Tensor:
        """Velocity of spliced RNA (eq. 3) in a block of genes, of the cells given or all, from their moments."""
        some = slice(None) if cells is None else cells
        beta, gamma = (self.neighborhoods.to_cells(rate[:, genes], some) for rate in (self.beta, self.gamma))
        return spliced_velocity(unspliced, spliced, beta=beta, gamma=gamma)
