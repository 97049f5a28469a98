"""What continuity asks of the velocity: the mean displacements to each cell's future and past (eq. 4 to 6).

Both kinds are built in three steps: `clear`, then `add` the velocity of every block of genes, then `settle` which
candidates lie ahead; after that `of` gives the targets of a block.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

import torch
from torch import Tensor

from deepvelo.model.candidates import TINY, Candidates, average
from deepvelo.model.graph import Components

if TYPE_CHECKING:
    from deepvelo.model.blocks import Block


class Targets(Protocol):
    """The mean displacements ahead and behind, from the velocities of this epoch."""

    def clear(self) -> None:
        """Begin with no genes."""

    def add(self, velocity: Tensor, block: Block) -> None:
        """Take in the velocity of a block of genes, shape ``(n_cells, n_genes_of_the_block)``."""

    def settle(self) -> None:
        """Decide which candidates are a cell's future and which its past."""

    def of(self, block: Block) -> tuple[Tensor, Tensor]:
        """Mean displacements ahead and behind, in spliced and then unspliced counts of the block."""


class GeneTargets:
    """Eq. 4 to 6 as written: displacements in all genes, candidates with uniform weights.

    Parameters
    ----------
    candidates
        Candidates of every cell.
    """

    def __init__(self, candidates: Candidates, *, dtype: torch.dtype) -> None:
        self.candidates, self.dtype = candidates, dtype
        self.clear()

    def clear(self) -> None:
        """Begin with no genes."""
        self._products = self.candidates.no_products(self.dtype)

    def add(self, velocity: Tensor, block: Block) -> None:
        """Take in the velocity of a block of genes."""
        self._products = self.candidates.products(velocity, block.spliced, add_to=self._products)

    def settle(self) -> None:
        """A candidate is in the future where the cosine of its displacement with the velocity is positive."""
        sides = self.candidates.sides(self._products)
        self._ahead, self._behind = (self.candidates.averaging(side, dtype=self.dtype) for side in sides)

    def of(self, block: Block) -> tuple[Tensor, Tensor]:
        """Mean displacements ahead and behind, shape ``(n_cells, n_columns)`` each."""
        return average(self._ahead, block.state), average(self._behind, block.state)


class ComponentTargets:
    r"""Eq. 4 to 6 in principal components, a candidate weighing by how far along the velocity it lies.

    .. math:: w_{ij} = \hat v_i \cdot (z_j - z_i), \qquad
              d^\pm_i = \frac{\sum_j \max(\pm w_{ij}, 0) (z_j - z_i)}{\frac{1}{2} \sum_j |w_{ij}|}

    with coordinates z. Changes from the paper, all against noise. A cell and its candidates differ by movement in
    few directions and by noise in all genes; the components keep the first and drop most of the second. A
    candidate hardly ahead is ahead by chance as often as not, so it should not count as much as one far ahead.
    And where nearly all candidates lie on one side, as at a lineage's end, the other side has little to say.

    Parameters
    ----------
    candidates
        Candidates of every cell.
    spliced, unspliced
        Components of each, as `principal_components` gives them.
    """

    def __init__(self, candidates: Candidates, spliced: Components, unspliced: Components) -> None:
        self.candidates, self.spliced, self.unspliced = candidates, spliced, unspliced
        self._scores = torch.cat([spliced.scores, unspliced.scores], dim=1)
        self.clear()

    def clear(self) -> None:
        """Begin with no genes."""
        self._velocity = torch.zeros_like(self.spliced.scores)

    def add(self, velocity: Tensor, block: Block) -> None:
        """Take in the velocity of a block of genes."""
        self._velocity += velocity @ self.spliced.loadings[block.genes]

    def settle(self) -> None:
        """Weigh every candidate by its place along the velocity, ahead or behind."""
        direction = torch.nn.functional.normalize(self._velocity)
        nothing = self.candidates.no_products(direction.dtype)
        along = self.candidates.along(
            self.candidates.products(direction, self.spliced.scores, add_to=nothing)
        )
        weight = 2 * along / (along.abs().sum(dim=1, keepdim=True) + TINY)
        self._ahead, self._behind = (
            average(self.candidates.displacing(side.clamp_min(0)), self._scores) for side in (weight, -weight)
        )

    def of(self, block: Block) -> tuple[Tensor, Tensor]:
        """Mean displacements ahead and behind, shape ``(n_cells, n_columns)`` each."""
        ahead, behind = (self._in_genes(means, block.genes) for means in (self._ahead, self._behind))
        return ahead, behind

    def _in_genes(self, means: Tensor, genes: slice) -> Tensor:
        spliced, unspliced = means.split(
            [self.spliced.scores.shape[1], self.unspliced.scores.shape[1]], dim=1
        )
        return torch.cat(
            [spliced @ self.spliced.loadings[genes].T, unspliced @ self.unspliced.loadings[genes].T], dim=1
        )
