"""Graph coarsening: many averages over the graph of very many cells, computed on groups of nearby cells."""

from __future__ import annotations

import numpy as np
import scipy.sparse as sp
import torch
from torch import Tensor

from deepvelo.model.graph.averaging import Averaging, as_tensor, average

# Cells in a group. Averages of 100,000 cells then take a tenth of the time and differ by 0.1% of a gene's variance; with
# twice as many cells by 0.2%.
_TOGETHER = 16
# Largest number of edges between a group's first cell and its others.
_STEPS = 2
# Smallest weight of an edge that joins a group, relative to equal weights: otherwise a rare cell type would merge with
# another that few of its cells touch.
_SHARE = 0.5
# Columns of noise that measure how far averages reach: eight measure it to a percent in 100,000 cells.
_COLUMNS_OF_NOISE = 8


class CoarseAveraging:
    """Many averages over a graph of cells, approximated on groups of some sixteen nearby cells.

    After many averages the cells of such a group differ little. So groups replace cells: a group starts from the mean of
    its cells, averages over groups mix groups as averages over cells mix their cells, and finally each cell takes the
    average of its neighbours' groups. An average over groups reaches further, so fewer are needed: as many as leave the
    same variance of noise as ``times`` averages over cells.

    A cell joins the group of its strongest edge, and only along an edge: unconnected cells are never mixed.

    Parameters
    ----------
    matrix
        Averages over cells, ``(n_cells, n_cells)``: rows sum to 1, and each cell is part of its own average.
    times
        Number of averages over cells that are approximated, at least 1.

    Attributes
    ----------
    n_groups, n_averages
        Number of groups, and of averages over them.
    """

    def __init__(self, matrix: sp.csr_matrix, *, times: int) -> None:
        n_cells = matrix.shape[0]
        # Not the run's seed: the graph alone decides.
        random = np.random.default_rng(0)
        group_of = _groups(matrix, random)
        sizes = np.bincount(group_of)
        self.n_groups = len(sizes)
        ones = np.ones(n_cells, dtype=np.float32)
        membership = sp.csr_matrix((ones, group_of, np.arange(n_cells + 1)), shape=(n_cells, self.n_groups))
        means = sp.csr_matrix((membership / sizes.astype(np.float32)).T)
        of_neighbors = sp.csr_matrix(matrix @ membership)
        self._means, self._of_neighbors = as_tensor(means), as_tensor(of_neighbors)
        self._average = Averaging(sp.csr_matrix(means @ of_neighbors))
        noise = torch.from_numpy(random.standard_normal((n_cells, _COLUMNS_OF_NOISE), dtype=np.float32))
        self.n_averages = self._leaving(
            _variance(Averaging(matrix)(noise, times=times)), of=noise, at_most=times
        )

    def __call__(self, values: Tensor) -> Tensor:
        """Averaged values of every cell, ``(n_cells, n_columns)``, float32, in a new tensor."""
        of_groups = self._average(average(self._means, values), times=self.n_averages)
        return average(self._of_neighbors, of_groups)

    def _leaving(self, wanted: float, *, of: Tensor, at_most: int) -> int:
        """Number of averages over groups that comes closest to the wanted variance of noise."""
        of_groups = average(self._means, of)
        left = [_variance(average(self._of_neighbors, of_groups))]
        while left[-1] > wanted and len(left) <= at_most:
            of_groups = self._average(of_groups)
            left.append(_variance(average(self._of_neighbors, of_groups)))
        return int(np.abs(np.log(np.array(left) / wanted)).argmin())


def _variance(noise: Tensor) -> float:
    """Of a typical cell: in a small component of the graph much variance always remains."""
    return float(noise.square().mean(1).median())


def _groups(matrix: sp.csr_matrix, random: np.random.Generator) -> np.ndarray:
    """The group of every cell, ``(n_cells,)``: that of a random cell within reach, or its own."""
    n_cells = matrix.shape[0]
    n_edges = np.diff(matrix.indptr)
    rows = np.repeat(np.arange(n_cells, dtype=np.int32), n_edges)
    weights = np.where(matrix.data * n_edges[rows] >= _SHARE, matrix.data, 0)
    n_chosen = -(-n_cells // _TOGETHER)
    group_of = np.full(n_cells, -1)
    group_of[random.permutation(n_cells)[:n_chosen]] = np.arange(n_chosen)
    for _ in range(_STEPS):
        to_groups = np.where(group_of[matrix.indices] >= 0, weights, 0)
        strongest = np.maximum.reduceat(to_groups, matrix.indptr[:-1])
        joins = np.flatnonzero((to_groups > 0) & (to_groups == strongest[rows]) & (group_of[rows] < 0))
        # Backwards: of equal edges the first wins.
        group_of[rows[joins][::-1]] = group_of[matrix.indices[joins]][::-1]
    alone = group_of < 0
    group_of[alone] = n_chosen + np.arange(int(alone.sum()))
    return group_of
