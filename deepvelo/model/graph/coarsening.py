"""Many averages over the graph of very many cells, made over groups of near cells."""

from __future__ import annotations

import numpy as np
import scipy.sparse as sp
import torch
from torch import Tensor

from deepvelo.model.graph.averaging import Averaging, as_tensor, average

# Cells a group. Averages of 100,000 cells take a tenth of the time so, and differ by 0.1% of a gene's variance; with twice
# as many a group by 0.2%.
_TOGETHER = 16
# How many edges away a group takes cells from.
_STEPS = 2
# Of an average over as many cells in equal parts: a smaller share joins no group, or a rare cell type would become one with
# another that few of its cells touch.
_SHARE = 0.5
# Columns of noise whose averages tell how far averages reach: of 100,000 cells eight tell it to a percent.
_COLUMNS_OF_NOISE = 8


class GroupAveraging:
    """What many averages over a graph of cells make of values, from groups of some sixteen near cells.

    After many averages the cells of such a group differ little. So groups take the place of cells: a group starts from the
    mean of its cells, an average over groups mixes them as one over cells mixes their cells, and at the end each cell takes
    the average of its neighbours' groups. As an average over groups reaches further, there are fewer: so many that as much
    is left of noise as ``times`` averages over cells leave.

    A cell joins the group it has the strongest edge to, and none but by an edge: what the graph keeps apart is never mixed.

    Parameters
    ----------
    matrix
        An average over cells, ``(n_cells, n_cells)``: its rows sum to 1, and each cell is part of its own average.
    times
        How many averages over cells it stands for, at least 1.

    Attributes
    ----------
    n_groups, n_averages
        How many groups there are, and averages over them.
    """

    def __init__(self, matrix: sp.csr_matrix, *, times: int) -> None:
        n_cells = matrix.shape[0]
        # Not of the run's seed: the graph alone decides.
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
        """Values of every cell, ``(n_cells, n_columns)``, float32, averaged as far; never the tensor given."""
        of_groups = self._average(average(self._means, values), times=self.n_averages)
        return average(self._of_neighbors, of_groups)

    def _leaving(self, wanted: float, *, of: Tensor, at_most: int) -> int:
        """How many averages over groups leave most nearly the variance wanted of noise."""
        of_groups = average(self._means, of)
        left = [_variance(average(self._of_neighbors, of_groups))]
        while left[-1] > wanted and len(left) <= at_most:
            of_groups = self._average(of_groups)
            left.append(_variance(average(self._of_neighbors, of_groups)))
        return int(np.abs(np.log(np.array(left) / wanted)).argmin())


def _variance(noise: Tensor) -> float:
    """In a typical cell: in a small part of the graph much is always left."""
    return float(noise.square().mean(1).median())


def _groups(matrix: sp.csr_matrix, random: np.random.Generator) -> np.ndarray:
    """Which group each cell is in, ``(n_cells,)``: that of a cell chosen at random, or its own where none is in reach."""
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
        # Backwards: of edges as strong the first is taken.
        group_of[rows[joins][::-1]] = group_of[matrix.indices[joins]][::-1]
    alone = group_of < 0
    group_of[alone] = n_chosen + np.arange(int(alone.sum()))
    return group_of
