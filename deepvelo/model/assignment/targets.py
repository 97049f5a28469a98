"""What continuity asks of the velocity: the mean displacements to each cell's future and past (eq. 4 to 6).

Both kinds are built in three steps: `clear`, then `add` the velocity of every block of genes, then `assign` which
candidates lie ahead; after that `of` gives the targets of some genes, and `residuals` how far velocities are from them.
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

VELOCITY_AVERAGES = 2  # before candidates are weighed
NEAR_CANDIDATES = 30

# Displacements to all their candidates, some ten kilobytes a cell, stay in the processor's cache.
_BLOCK_CELLS = 256


class Displacements(NamedTuple):
    """Mean displacements ahead and behind, ``(n_cells, n_genes)`` each."""

    ahead: Tensor
    behind: Tensor


class Pair(NamedTuple):
    """The same of spliced and of unspliced RNA."""

    spliced: Displacements
    unspliced: Displacements


class Residuals(NamedTuple):
    r"""How far extrapolated cells land from their future and, run backwards, from their past, summed over cells and genes.

    .. math:: \sum (v - d^+)^2, \qquad \sum (v + d^-)^2

    Cui et al. 2022, eq. 4 to 6. With :math:`m = (d^+ - d^-) / 2` both together are :math:`2 \sum (v - m)^2` and a
    part that the velocity cannot change; ``residual`` is :math:`v - m`, ``(n_cells, n_genes)``.
    """

    residual: Tensor
    ahead: Tensor
    behind: Tensor


class Targets(Protocol):
    """The mean displacements ahead and behind, from the velocities they were assigned by."""

    def clear(self, cells: Tensor | None = None) -> None:
        """Begin with no genes; velocities will be those of all cells, or of the cells given."""

    takes_parts: bool
    """Whether `add` takes velocities of some of the cells after the other."""

    def add(self, velocity: Tensor, genes: slice, some: slice = slice(None)) -> None:
        """Take in the velocity of these cells, or of ``some`` of them, in a block of genes.

        Shape ``(n_cells, n_genes_of_the_block)``.
        """

    def assign(self, group: ProcessGroup = SINGLE_PROCESS) -> None:
        """Decide which candidates are a cell's future and which its past, from the velocities that all processes took in."""

    @property
    def sums(self) -> Tensor:
        """What was added up over the genes and is all that `assign` decides from."""

    def assign_from(self, sums: Tensor) -> None:
        """Assign as those targets did that had these sums."""

    def of(self, genes: slice, cells: Tensor | None = None) -> Pair:
        """Displacements in a block of genes, of the cells given, or all."""

    def displacement(self, genes: slice, cells: Tensor | None = None) -> Tensor:
        """From past to future in spliced RNA, half of it, ``(n_cells, n_genes)``: what both sides together ask of the velocity."""

    def residuals(
        self,
        velocity: Tensor,
        genes: slice,
        cells: Tensor | None,
        *,
        unspliced: bool,
        middle: Tensor | None = None,
    ) -> Residuals:
        """Of the velocity of spliced, or unspliced, RNA in a block of genes.

        ``middle``, of the velocity's shape, takes the place of the mean of both sides' displacements.
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
        """Begin with no genes, for these cells."""
        self._cells = cells
        self._products = self.candidates.no_products(self._spliced.dtype, cells)

    def add(self, velocity: Tensor, genes: slice, some: slice = slice(None)) -> None:
        """Take in the velocity of a block of genes."""
        assert some in (slice(None), slice(0, self.candidates.n_cells))
        self._products = self.candidates.products(velocity, self._spliced[:, genes], add_to=self._products)

    def assign(self, group: ProcessGroup = SINGLE_PROCESS) -> None:
        """A candidate is in the future where the cosine of its displacement with the velocity is positive."""
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
        """From past to future in a block of genes."""
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
        """Of the velocity of spliced, or unspliced, RNA in a block of genes."""
        ahead, behind = self.of(genes, cells)[unspliced]
        if middle is not None:
            half = (ahead + behind) / 2
            ahead, behind = half + middle, half - middle
        residual = velocity - (ahead - behind) / 2
        return Residuals(residual, (velocity - ahead).square().sum(), (velocity + behind).square().sum())


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
    neighbors
        Candidates of every cell, ``(n_cells, n_candidates)``, int32 or int64, no cell among its own.
    spliced, unspliced
        Components of each, as `principal_components` gives them.
    graph
        Sparse CSR, averages over neighbours, ``(n_cells, n_cells)``; velocities are averaged ``averages`` times before
        candidates are weighed: a single cell's velocity has the noise of its own counts, and so have the displacements
        from it, which makes its noise point ahead. None: velocities as they are.
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
        """Begin with no genes, for these cells."""
        self._cells = cells
        self._velocity = torch.zeros_like(self.spliced.scores)

    def add(self, velocity: Tensor, genes: slice, some: slice = slice(None)) -> None:
        """Take in the velocity of a block of genes."""
        cells = some if self._cells is None else self._cells[some]
        self._velocity[cells] += velocity @ self.spliced.loadings[genes]

    def assign(self, group: ProcessGroup = SINGLE_PROCESS) -> None:
        """Weigh every candidate by its place along the velocity, ahead or behind."""
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
            # The difference itself: a duplicate of the cell is at exactly zero, and on neither side.
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
        """Assign from this velocity."""
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
        """From past to future in a block of genes."""
        return _rows(self._middle, cells) @ self.spliced.loadings[genes].T

    def assign_along(self, signs: Tensor | float = 1.0) -> None:
        """Assign anew by the displacements themselves, or by their opposites where ``signs`` are negative."""
        self.assign_from(signs * self._middle)

    @property
    def _middle(self) -> Tensor:
        ahead, behind = self.displacements.spliced
        return (ahead - behind) / 2

    def near_displacement(self, cells: Tensor | None) -> Callable[[Tensor], Tensor]:
        r"""Takes values of all cells to displacements of the cells given (or all) among their nearest candidates.

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
        """Of the velocity of spliced, or unspliced, RNA in a block of genes.

        Only the middle of both sides is formed in genes: squares of their mean, which the velocity cannot change, take
        products of the loadings.
        """
        ahead, behind = (_rows(side, cells) for side in self.displacements[unspliced])
        loadings = (self.unspliced if unspliced else self.spliced).loadings[genes]
        half = (ahead + behind) / 2
        if middle is None:
            residual = torch.addmm(velocity, (ahead - behind) / 2, loadings.T, alpha=-1)
        else:
            residual = velocity - middle
        # v - d+ is the residual less the half, v + d- the residual and the half.
        together = residual.square().sum() + ((half @ (loadings.T @ loadings)) * half).sum()
        across = 2 * ((residual @ loadings) * half).sum()
        return Residuals(residual, together - across, together + across)


def _rows(values: Tensor, cells: Tensor | None) -> Tensor:
    return values if cells is None else values[cells]
