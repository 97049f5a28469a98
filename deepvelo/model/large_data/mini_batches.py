"""Mini-batches: the cells of each step, and the part of the graph that their rates depend on."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import scipy.sparse as sp
import torch
from scipy.spatial import cKDTree
from torch import Tensor

from deepvelo.model.graph.averaging import as_tensor
from deepvelo.model.large_data.parallel import SINGLE_PROCESS, ProcessGroup
from deepvelo.plan import SMALLEST_GROUP


@dataclass(frozen=True)
class Batch:
    """Some cells, and the rows of the inputs and graphs that their last hidden layer depends on.

    Attributes
    ----------
    cells
        Their indices, ``(n_cells,)``; None: all cells in order.
    inputs
        Indices of the cells whose inputs they depend on, ``(n_inputs,)``; None: all cells in order.
    graphs
        For each averaging over the graph, sparse CSR from the cells before it to those after it: the first has
        ``n_inputs`` columns, the last ``n_cells`` rows.
    """

    cells: Tensor | None
    inputs: Tensor | None
    graphs: tuple[Tensor, ...]

    def to(self, device: torch.device) -> Batch:
        """The same on a device."""
        cells, inputs = (None if of is None else of.to(device) for of in (self.cells, self.inputs))
        return Batch(cells, inputs, tuple(graph.to(device) for graph in self.graphs))


def averaging_graph(neighbors: Tensor) -> sp.csr_matrix:
    r""":math:`D^{-1/2} (A + I) D^{-1/2}` of eq. 2, ``(n_cells, n_cells)``, float32.

    A has an undirected edge between a cell and each of its ``neighbors``, ``(n_cells, n_neighbors)``.
    """
    n_cells, n_neighbors = neighbors.shape
    starts = np.arange(0, neighbors.numel() + 1, n_neighbors)
    there = sp.csr_matrix(
        (np.ones(neighbors.numel(), dtype=bool), neighbors.numpy().ravel(), starts), shape=(n_cells, n_cells)
    )
    graph = there + there.T + sp.identity(n_cells, dtype=bool, format="csr")
    degree = np.diff(graph.indptr)
    scale = (degree**-0.5).astype(np.float32)
    return sp.csr_matrix((np.repeat(scale, degree) * scale[graph.indices], graph.indices, graph.indptr))


def whole(graph: sp.csr_matrix, *, n_averagings: int) -> Batch:
    """All cells in one batch."""
    return Batch(None, None, (as_tensor(graph),) * n_averagings)


def shares(positions: Tensor, graph: sp.csr_matrix, *, n_averagings: int, n_shares: int) -> list[Batch]:
    """All cells in ``n_shares`` batches of equal size, each of nearby cells; other arguments as in `Batches`."""
    near = near_order(positions).numpy()
    return [_batch(cells, graph, n_averagings) for cells in np.array_split(near, n_shares)]


def near_order(positions: Tensor) -> Tensor:
    """Indices of all cells, ``(n_cells,)``, with the cells of a group of `Batches` next to each other."""
    return torch.from_numpy(np.concatenate(_nearby_groups(positions.numpy(), n_cells=SMALLEST_GROUP)))


class Batches:
    """Mini-batches of cells from all over the data; an epoch has every cell once.

    A batch consists of random groups of nearby cells, which share most of the neighbours that their averages need.
    Gradients are those of the batch's cells in the whole graph; no edge is cut.

    Parameters
    ----------
    positions
        Where cells lie, ``(n_cells, n_dimensions)``.
    graph
        As `averaging_graph` gives it.
    batch_cells
        Number of cells in a batch, approximately.
    group_cells
        Largest number of cells in a group.
    n_averagings
        Averagings over the graph between inputs and rates.

    Attributes
    ----------
    random
        The random generator that draws the groups of a batch.
    """

    def __init__(
        self,
        positions: Tensor,
        graph: sp.csr_matrix,
        *,
        batch_cells: int,
        group_cells: int,
        n_averagings: int,
        seed: int,
    ) -> None:
        self._graph, self._n_averagings = graph, n_averagings
        self._groups = _nearby_groups(positions.numpy(), n_cells=group_cells)
        self._n_batches = min(len(self._groups), -(-len(positions) // batch_cells))
        self.random = np.random.default_rng(seed)

    def __len__(self) -> int:
        """Number of batches in an epoch."""
        return self._n_batches

    @property
    def fewest_cells(self) -> int:
        """Lower bound of the number of cells in a batch."""
        sizes = sorted(len(group) for group in self._groups)
        return sum(sizes[: len(sizes) // self._n_batches])

    def shuffled(self, group: ProcessGroup = SINGLE_PROCESS) -> Iterator[Batch]:
        """Random batches of one epoch; in a process group, this process's share of each."""
        order = self.random.permutation(len(self._groups))
        for chosen in np.array_split(order, self._n_batches):
            cells = np.concatenate([self._groups[i] for i in chosen])
            yield _batch(group.share_of(cells), self._graph, self._n_averagings)


def _batch(cells: np.ndarray, graph: sp.csr_matrix, n_averagings: int) -> Batch:
    graphs: list[Tensor] = []
    needed = cells
    for _ in range(n_averagings):
        rows = graph[needed]
        needed, columns = np.unique(rows.indices, return_inverse=True)
        part = sp.csr_matrix((rows.data, columns, rows.indptr), shape=(len(rows.indptr) - 1, len(needed)))
        graphs.insert(0, as_tensor(part))
    return Batch(torch.from_numpy(cells), torch.from_numpy(needed).long(), tuple(graphs))


def _nearby_groups(positions: np.ndarray, *, n_cells: int) -> list[np.ndarray]:
    """Groups of at most ``n_cells`` nearby cells: indices in the leaves of a k-d tree."""
    groups: list[np.ndarray] = []
    nodes = [cKDTree(positions, leafsize=n_cells).tree]
    while nodes:
        node = nodes.pop()
        if node.lesser is None:
            # The tree does not split identical cells.
            groups += np.array_split(node.indices, -(-len(node.indices) // n_cells))
        else:
            nodes += [node.lesser, node.greater]
    return groups
