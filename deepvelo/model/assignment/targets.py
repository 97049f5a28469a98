"""Targets of the continuity term: mean displacements to each cell's future and past (eq. 4 to 6).

Both kinds of targets are built in three steps: `clear`, `add` the velocity of every block of genes, and `assign`
candidates to future and past. Then `of` returns the targets of some genes, and `residuals` compares velocities to them.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple, Protocol

import torch
from torch import Tensor

from deepvelo.arrays.on_disk import Columns
from deepvelo.model.assignment.candidates import TINY, Candidates
from deepvelo.model.graph.averaging import average
from deepvelo.model.graph.cell_graph import Components
from deepvelo.model.large_data.parallel import SINGLE_PROCESS, ProcessGroup

VELOCITY_AVERAGES = 2  # before candidates are weighted
NEAR_CANDIDATES = 30

# Displacements to all candidates of a block, about 10 kB per cell, fit into the CPU cache.
_BLOCK_CELLS = 256


class Displacements(NamedTuple):
    """Mean displacements ahead and behind, ``(n_cells, n_genes)`` each."""

    ahead: Tensor
    behind: Tensor


class Pair(NamedTuple):
    """Displacements of spliced and of unspliced RNA."""

    spliced: Displacements
    unspliced: Displacements


class Residuals(NamedTuple):
    r"""Squared residuals of cells extrapolated forwards and backwards, summed over cells and genes.

    .. math:: \sum (v - d^+)^2, \qquad \sum (v + d^-)^2

    Cui et al. 2022, eq. 4 to 6. With :math:`m = (d^+ - d^-) / 2` their sum is :math:`2 \sum (v - m)^2` plus a
    constant that does not depend on the velocity; ``residual`` is :math:`v - m`, ``(n_cells, n_genes)``.
    """

    residual: Tensor
    ahead: Tensor
    behind: Tensor


class Targets(Protocol):
    """Mean displacements ahead and behind, assigned by velocities."""

    def clear(self, cells: Tensor | None = None) -> None:
        """Reset before adding velocities of all cells, or of the given cells."""

    takes_parts: bool
    """Whether `add` accepts subsets of the cells in sequence."""

    def add(self, velocity: Tensor, genes: slice, some: slice = slice(None)) -> None:
        """Add the velocity of these cells, or of ``some`` of them, in a block of genes.

        Shape ``(n_cells, n_genes_of_the_block)``.
        """

    def assign(self, group: ProcessGroup = SINGLE_PROCESS) -> None:
        """Assign candidates to future and past from the velocities that all processes added."""

    @property
    def sums(self) -> Tensor:
        """Sums over the genes, which fully determine `assign`."""

    def assign_from(self, sums: Tensor) -> None:
        """Assign from given `sums`."""

    def of(self, genes: slice, cells: Tensor | None = None) -> Pair:
        """Displacements in a block of genes, of the given or all cells."""

    def displacement(self, genes: slice, cells: Tensor | None = None) -> Tensor:
        """Half the displacement from past to future in spliced RNA, ``(n_cells, n_genes)``: the target of the velocity."""

    def residuals(
        self,
        velocity: Tensor,
        genes: slice,
        cells: Tensor | None,
        *,
        unspliced: bool,
        middle: Tensor | None = None,
    ) -> Residuals:
        """Residuals of the velocity of spliced or unspliced RNA in a block of genes.

        ``middle``, of the velocity's shape, replaces the mean displacement :math:`(d^+ - d^-) / 2`.
        """


class GeneTargets:
    """Eq. 4 to 6 as written: displacements in all genes, candidates with uniform weights.

    Parameters
    ----------
    candidates
        Candidates of every cell.
    spliced, unspliced
        Moments, shape ``(n_cells, n_genes)``.
    """

    takes_parts = False

    def __init__(self, candidates: Candidates, spliced: Columns, unspliced: Columns) -> None:
        self.candidates, self._spliced, self._unspliced = candidates, spliced, unspliced
        self.clear()

    def clear(self, cells: Tensor | None = None) -> None:
        """Reset, for these cells."""
        self._cells = cells
        self._products = self.candidates.no_products(self._spliced.dtype, cells)

    def add(self, velocity: Tensor, genes: slice, some: slice = slice(None)) -> None:
        """Add the velocity of a block of genes."""
        assert some in (slice(None), slice(0, self.candidates.n_cells))
        self._products = self.candidates.products(velocity, self._spliced[:, genes], add_to=self._products)

    def assign(self, group: ProcessGroup = SINGLE_PROCESS) -> None:
        """Assign candidates to the future if the cosine of their displacement with the velocity is positive."""
        if self._cells is not None:
            self._products = self.candidates.spread(self._products, self._cells)
            group.all_reduce(self._products.values())
        sides = self.candidates.sides(self._products)
        self._sides = [self.candidates.averaging(side, dtype=self._spliced.dtype) for side in sides]

    @property
    def sums(self) -> Tensor:
        """Inner products of every cell's velocity with its candidates' and its own expression, flat."""
        return self._products.values()

    def assign_from(self, sums: Tensor) -> None:
        """Assign from these products."""
        self.clear()
        self._products.values().copy_(sums)
        self.assign()

    def of(self, genes: slice, cells: Tensor | None = None) -> Pair:
        """Mean displacements in a block of genes."""
        weights = self._weights(cells)
        spliced, unspliced = (
            Displacements(*(average(weight, values[:, genes]) for weight in weights))
            for values in (self._spliced, self._unspliced)
        )
        return Pair(spliced, unspliced)

    def displacement(self, genes: slice, cells: Tensor | None = None) -> Tensor:
        """Half the displacement from past to future in a block of genes."""
        ahead, behind = (average(weight, self._spliced[:, genes]) for weight in self._weights(cells))
        return (ahead - behind) / 2

    def _weights(self, cells: Tensor | None) -> list[Tensor]:
        return self._sides if cells is None else [self.candidates.rows(side, cells) for side in self._sides]

    def residuals(
        self,
        velocity: Tensor,
        genes: slice,
        cells: Tensor | None,
        *,
        unspliced: bool,
        middle: Tensor | None = None,
    ) -> Residuals:
        """Residuals of the velocity of spliced or unspliced RNA in a block of genes."""
        ahead, behind = self.of(genes, cells)[unspliced]
        if middle is not None:
            half = (ahead + behind) / 2
            ahead, behind = half + middle, half - middle
        residual = velocity - (ahead - behind) / 2
        return Residuals(residual, (velocity - ahead).square().sum(), (velocity + behind).square().sum())


class ComponentTargets:
    r"""Eq. 4 to 6 in principal components, with candidates weighted by their position along the velocity.

    .. math:: w_{ij} = \hat v_i \cdot (z_j - z_i), \qquad
              d^\pm_i = \frac{\sum_j \max(\pm w_{ij}, 0) (z_j - z_i)}{\frac{1}{2} \sum_j |w_{ij}|}

    with coordinates z. Each difference from the paper reduces noise. A cell and its candidates differ by movement in
    few directions and by noise in all genes; components keep the movement and drop most of the noise. A candidate
    slightly ahead may be ahead by chance, so it counts less than one far ahead. If nearly all candidates lie on one
    side, as at the end of a lineage, the other side has little weight.

    Parameters
    ----------
    neighbors
        Candidates of every cell, ``(n_cells, n_candidates)``, int32 or int64, excluding the cell itself.
    spliced, unspliced
        Components of each, from `principal_components`.
    graph
        Averages over neighbours, sparse CSR, ``(n_cells, n_cells)``, applied ``averages`` times to velocities before
        candidates are weighted: a cell's velocity and its displacements share the noise of its counts, which would bias
        the assignment. None applies no averaging.
    """

    takes_parts = True

    def __init__(
        self,
        neighbors: Tensor,
        spliced: Components,
        unspliced: Components,
        *,
        graph: Tensor | None = None,
        averages: int = VELOCITY_AVERAGES,
    ) -> None:
        self.neighbors, self.spliced, self.unspliced = neighbors, spliced, unspliced
        self._graph, self._averages = graph, averages
        self.clear()

    def clear(self, cells: Tensor | None = None) -> None:
        """Reset, for these cells."""
        self._cells = cells
        self._velocity = torch.zeros_like(self.spliced.scores)

    def add(self, velocity: Tensor, genes: slice, some: slice = slice(None)) -> None:
        """Add the velocity of a block of genes."""
        cells = some if self._cells is None else self._cells[some]
        self._velocity[cells] += velocity @ self.spliced.loadings[genes]

    def assign(self, group: ProcessGroup = SINGLE_PROCESS) -> None:
        """Weight every candidate by its position along the velocity, ahead or behind."""
        group.all_reduce(self._velocity)
        velocity = self._velocity
        if self._graph is not None:
            for _ in range(self._averages):
                velocity = average(self._graph, velocity)
        direction = torch.nn.functional.normalize(velocity)
        scores = torch.cat([self.spliced.scores, self.unspliced.scores], dim=1)
        ahead, behind = torch.empty_like(scores), torch.empty_like(scores)
        n_near = min(NEAR_CANDIDATES, self.neighbors.shape[1])
        self._near = torch.empty(len(scores), n_near, dtype=scores.dtype, device=scores.device)
        n_spliced = self.spliced.scores.shape[1]
        for start in range(0, len(scores), _BLOCK_CELLS):
            cells = slice(start, start + _BLOCK_CELLS)
            neighbors = self.neighbors[cells]
            there = scores.index_select(0, neighbors.flatten()).view(*neighbors.shape, -1)
            # An explicit difference, so that duplicates of the cell are at exactly zero and on neither side.
            displacement = there - scores[cells, None]
            along = (displacement[:, :, :n_spliced] @ direction[cells, :, None]).transpose(1, 2)
            weight = 2 * along / (along.abs().sum(dim=2, keepdim=True) + TINY)
            near = along[:, 0, : self._near.shape[1]]
            self._near[cells] = near / (near.abs().sum(dim=1, keepdim=True) + TINY)
            ahead[cells] = (weight.clamp_min(0) @ displacement).squeeze(1)
            behind[cells] = ((-weight).clamp_min(0) @ displacement).squeeze(1)
        sizes = [n_spliced, scores.shape[1] - n_spliced]
        self.displacements = Pair(*map(Displacements, ahead.split(sizes, dim=1), behind.split(sizes, dim=1)))

    @property
    def sums(self) -> Tensor:
        """Every cell's velocity in the components of spliced RNA, ``(n_cells, n_components)``."""
        return self._velocity

    def assign_from(self, sums: Tensor) -> None:
        """Assign from this velocity in components."""
        self._velocity = sums
        self.assign()

    def of(self, genes: slice, cells: Tensor | None = None) -> Pair:
        """Mean displacements in a block of genes."""
        spliced, unspliced = (
            Displacements(*(_rows(side, cells) @ loadings[genes].T for side in sides))
            for sides, loadings in zip(
                self.displacements, (self.spliced.loadings, self.unspliced.loadings), strict=True
            )
        )
        return Pair(spliced, unspliced)

    def displacement(self, genes: slice, cells: Tensor | None = None) -> Tensor:
        """Half the displacement from past to future in a block of genes."""
        return _rows(self._middle, cells) @ self.spliced.loadings[genes].T

    def assign_along(self, signs: Tensor | float = 1.0) -> None:
        """Reassign by the displacements, or by their opposites where ``signs`` are negative."""
        self.assign_from(signs * self._middle)

    @property
    def _middle(self) -> Tensor:
        ahead, behind = self.displacements.spliced
        return (ahead - behind) / 2

    def near_displacement(self, cells: Tensor | None) -> Callable[[Tensor], Tensor]:
        r"""Function from values of all cells to displacements of the given (or all) cells among nearest candidates.

        .. math:: \sum_j w_{ij} (x_j - x_i) / \sum_j |w_{ij}|
        """
        weights, neighbors = _rows(self._near, cells), _rows(self.neighbors, cells)
        matrix = torch.sparse_csr_tensor(
            torch.arange(0, weights.numel() + 1, weights.shape[1], device=weights.device),
            neighbors[:, : weights.shape[1]].long().flatten(),
            weights.flatten(),
            (len(weights), len(self.neighbors)),
            check_invariants=False,
        )
        own = weights.sum(dim=1, keepdim=True)

        def displacement(values: Tensor) -> Tensor:
            return average(matrix, values).addcmul_(own, _rows(values, cells), value=-1)

        return displacement

    def residuals(
        self,
        velocity: Tensor,
        genes: slice,
        cells: Tensor | None,
        *,
        unspliced: bool,
        middle: Tensor | None = None,
    ) -> Residuals:
        """Residuals of the velocity of spliced or unspliced RNA in a block of genes.

        Only :math:`(d^+ - d^-) / 2` is computed in genes: squares of the other half, which do not depend on the velocity,
        follow from products of the loadings.
        """
        ahead, behind = (_rows(side, cells) for side in self.displacements[unspliced])
        loadings = (self.unspliced if unspliced else self.spliced).loadings[genes]
        half = (ahead + behind) / 2
        if middle is None:
            residual = torch.addmm(velocity, (ahead - behind) / 2, loadings.T, alpha=-1)
        else:
            residual = velocity - middle
        # v - d+ = residual - half, v + d- = residual + half.
        together = residual.square().sum() + ((half @ (loadings.T @ loadings)) * half).sum()
        across = 2 * ((residual @ loadings) * half).sum()
        return Residuals(residual, together - across, together + across)


def _rows(values: Tensor, cells: Tensor | None) -> Tensor:
    return values if cells is None else values[cells]
