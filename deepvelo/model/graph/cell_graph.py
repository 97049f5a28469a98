"""Which cells are alike: neighbours, and averaging over a graph."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import torch
from scipy.linalg.blas import dsyrk
from scipy.sparse.linalg import LinearOperator, eigsh
from scipy.spatial import KDTree
from sklearn.neighbors import NearestNeighbors
from torch import Tensor

from deepvelo.arrays.layers import Layer
from deepvelo.arrays.on_disk import Columns, ColumnsOnDisk
from deepvelo.errors import InputError
from deepvelo.plan import neighbor_search

logger = logging.getLogger(__name__)

_CELLS_AT_ONCE = 1024
# Of cells in a file of columns, twice in memory: pieces of megabytes, which disks read as fast as all in a row.
BYTES_AT_ONCE = 2**27
_CELLS_ASKED = 50_000  # whose neighbours are looked for at once, in 64-bit numbers
# The index is built of each cell's nearest few, begins with those in the same leaf of so many trees, and finds more of the
# nearest where it looks for some more.
_INDEXED, _TREES, _LOOKED_FOR = 30, 12, 60
_LEAST_RECALL = 0.95
# With as many features, sums of their products take 200 MB in double precision.
MOST_FEATURES = 5000


class Components(NamedTuple):
    """Principal components of some measurements.

    scores ``(n_cells, n_components)`` are the cells' coordinates, loadings ``(n_features, n_components)`` have
    orthonormal columns: ``scores = (values - mean) @ loadings``.
    """

    scores: Tensor
    loadings: Tensor


def principal_components(values: Columns | Layer, *, n_components: int, seed: int) -> Components:
    """The first principal components of ``values``, ``(n_cells, n_features)``; fewer when there are fewer dimensions.

    Exact, and never with a double-precision copy of all cells. The largest loading of a component is positive.
    """
    measured = values.to("cpu") if isinstance(values, Tensor | ColumnsOnDisk) else values
    n_cells, n_features = measured.shape
    n_components = min(n_components, n_cells, n_features)
    mean, differ = _mean(measured)
    # The iterative solver needs more dimensions than it finds, and cells that differ.
    if n_components < min(n_cells, n_features) and differ:
        _, loadings = eigsh(
            _scatter(measured, mean),
            k=n_components,
            v0=np.random.default_rng(seed).uniform(-1, 1, n_features),
        )
        # Squares lose half the digits; the solution in the subspace found, from the cells themselves, regains them.
        scores = _project(measured, mean, loadings)
        turned = np.linalg.svd(scores, full_matrices=False)[2].T
        loadings, scores = loadings @ turned, scores @ turned
    else:
        centered = np.concatenate(list(_centered(measured, mean)))
        loadings = np.linalg.svd(centered, full_matrices=False)[2][:n_components].T
        scores = centered @ loadings
    largest = loadings[np.abs(loadings).argmax(axis=0), np.arange(n_components)]
    signs = np.where(largest < 0, -1.0, 1.0)
    loadings, scores = loadings * signs, scores * signs
    return Components(
        *(torch.from_numpy(np.array(x, dtype=np.float32, order="C")) for x in (scores, loadings))
    )


def _parts(values: Columns | Layer) -> Iterator[np.ndarray]:
    """All cells, some at a time; those in a file are read many at once."""
    on_disk = isinstance(values, ColumnsOnDisk)
    read = _CELLS_AT_ONCE
    if on_disk:
        read *= max(1, BYTES_AT_ONCE // (_CELLS_AT_ONCE * values.shape[1] * values.dtype.itemsize))
    for start in range(0, values.shape[0], read):
        some = values[start : start + read, :]
        some = some.numpy() if isinstance(some, Tensor) else some
        for first in range(0, len(some), _CELLS_AT_ONCE):
            yield some[first : first + _CELLS_AT_ONCE]


def _mean(values: Columns | Layer) -> tuple[np.ndarray, bool]:
    """Of each feature, float64, and whether any differs between cells."""
    total, first, differ = np.zeros(values.shape[1]), None, False
    for cells in _parts(values):
        first = cells[:1].copy() if first is None else first
        total += cells.sum(axis=0, dtype=np.float64)
        differ = differ or bool((cells != first).any())
    return total / values.shape[0], differ


def _centered(values: Columns | Layer, mean: np.ndarray) -> Iterator[np.ndarray]:
    """The cells minus the mean, some at a time, in double precision: there their order is lost in the rounding."""
    for cells in _parts(values):
        yield cells - mean


def _project(values: Columns | Layer, mean: np.ndarray, loadings: np.ndarray) -> np.ndarray:
    scores = np.empty((values.shape[0], loadings.shape[1]))
    for start, cells in zip(range(0, len(scores), _CELLS_AT_ONCE), _centered(values, mean), strict=True):
        scores[start : start + _CELLS_AT_ONCE] = cells @ loadings
    return scores


def sums_up(shape: tuple[int, ...]) -> bool:
    """Whether `principal_components` of so many cells and features goes through the cells only three times."""
    n_cells, n_features = shape
    return n_features <= min(n_cells // 2, MOST_FEATURES)


def _scatter(measured: Columns | Layer, mean: np.ndarray) -> np.ndarray | LinearOperator:
    """The sum over cells of (x - mean)(x - mean)^T, ``(n_features, n_features)``, whose eigenvectors are the loadings.

    Summed up once where there are many more cells than features, as the solver would go through all cells some
    seventy times. Otherwise, or where it would take much memory itself, its products are formed from the cells.
    """
    n_features = measured.shape[1]
    if not sums_up(measured.shape):

        def product(vector: np.ndarray) -> np.ndarray:
            vector = vector.ravel()
            return sum(cells.T @ (cells @ vector) for cells in _centered(measured, mean))

        return LinearOperator((n_features, n_features), matvec=product, dtype=np.float64)
    scatter = np.zeros((n_features, n_features), order="F")
    for cells in _centered(measured, mean):
        scatter = dsyrk(1.0, cells.T, beta=1.0, c=scatter, overwrite_c=True, lower=True)
    scatter += np.tril(scatter, -1).T  # one half was summed
    return scatter


def even_choice(points: Tensor, n_chosen: int) -> Tensor:
    """Indices of so many cells from wherever there are some, ``(n_chosen,)``, in the order in which they lie together."""
    # In the order of a tree that halves the cells again and again, every so many-eth is an even choice. Sorted first:
    # the tree of permuted cells is another.
    measured = points.cpu().numpy()
    order = np.lexsort(measured.T[::-1])
    near = order[KDTree(measured[order]).indices]
    return torch.from_numpy(near[np.linspace(0, len(near) - 1, n_chosen).astype(int)])


def even_anchors(points: Tensor, n_chosen: int) -> tuple[Tensor, Tensor]:
    """An `even_choice` ``(n_chosen,)``, and for each cell the place in it of the nearest ``(n_cells,)``, int64."""
    chosen = even_choice(points, n_chosen)
    nearest = KDTree(points[chosen].cpu().numpy()).query(points.cpu().numpy())[1]
    return chosen, torch.from_numpy(nearest)


def neighbors_within_reach(
    points: Tensor, *, n_neighbors: int, n_among: int, of: Tensor | None = None
) -> Tensor:
    """Each cell's nearest others among an even choice of so many cells; of fewer cells `nearest_neighbors` among all.

    The nearest of very many cells differ from a cell by noise alone. These lie as far away as in a data set of that many.

    Parameters
    ----------
    points
        Shape ``(n_cells, n_dimensions)``.
    of
        Indices of the cells whose neighbours are asked for; all if None.

    Returns
    -------
    Shape ``(n_asked, n_neighbors)``, nearest first, int32: of many cells they take much memory.

    Raises
    ------
    InputError
        There are not more cells to choose among than neighbours.
    """
    n_among = min(n_among, len(points))
    if n_among == len(points) and of is None:
        return nearest_neighbors(points, n_neighbors=n_neighbors).int()
    _require_more(n_neighbors, n_among)
    chosen, measured = even_choice(points, n_among).int().numpy(), points.cpu().numpy()
    search = NearestNeighbors(n_neighbors=n_neighbors + 1).fit(measured[chosen])
    asked = np.arange(len(points)) if of is None else of.cpu().numpy()
    out = torch.empty(len(asked), n_neighbors, dtype=torch.int32)
    for start in range(0, len(asked), _CELLS_ASKED):
        some = asked[start : start + _CELLS_ASKED]
        found = search.kneighbors(measured[some], return_distance=False)
        out[start : start + _CELLS_ASKED] = _others(chosen[found], some)
    return out


def nearest_neighbors(points: Tensor, *, n_neighbors: int) -> Tensor:
    """Indices of each cell's nearest other cells by Euclidean distance, nearest first.

    A cell is never its own neighbour, also where another cell has exactly its coordinates. Exact up to 120,000 cells:
    comparing all with all is then as fast as an index that finds as many. Beyond, a seeded search by `pynndescent`
    whose recall is looked at: below 95% all are compared after all.

    Parameters
    ----------
    points
        Shape ``(n_cells, n_dimensions)``.

    Returns
    -------
    Shape ``(n_cells, n_neighbors)``, int64.

    Raises
    ------
    InputError
        There are not more cells than neighbours.
    """
    n_cells = len(points)
    _require_more(n_neighbors, n_cells)
    measured = np.ascontiguousarray(points.cpu().numpy())
    if neighbor_search(n_cells) == "index":
        found = _approximate_neighbors(measured, n_neighbors)
        recall = _recall(measured, found)
        logger.info("Of the nearest neighbours, %.1f%% were found.", 100 * recall)
        if recall >= _LEAST_RECALL:
            return torch.from_numpy(found)
        logger.warning("These are too few, so every cell is compared with every other, which takes longer.")
    # Asked without points of its own, scikit-learn leaves each cell out of its own neighbours.
    search = NearestNeighbors(n_neighbors=n_neighbors).fit(measured)
    return torch.from_numpy(search.kneighbors(return_distance=False)).long()


def _require_more(n_neighbors: int, n_cells: int) -> None:
    if n_neighbors >= n_cells:
        msg = (
            f"The number of neighbours must be below the number of cells. Got {n_neighbors} for {n_cells} cells. "
            "Lower graph neighbours and candidate neighbours."
        )
        raise InputError(msg)


def _approximate_neighbors(points: np.ndarray, n_neighbors: int) -> np.ndarray:
    """Neighbours found by walking along a graph of each cell's nearest few, ``(n_cells, n_neighbors)``."""
    from pynndescent import NNDescent

    # Near cells one after the other: what one asks of the index is then in the processor's cache for the next.
    near = KDTree(points).indices
    points = points[near]
    index = NNDescent(points, n_neighbors=min(_INDEXED, len(points) - 2) + 1, n_trees=_TREES, random_state=0)
    asked = min(max(n_neighbors, _LOOKED_FOR), len(points) - 1)
    found, _ = index.query(points, k=asked + 1, epsilon=0.1)
    others = _others(found, np.arange(len(found)))[:, :n_neighbors].numpy()
    out = np.empty(others.shape, dtype=np.int64)
    out[near] = near[others]
    return out


def _others(found: np.ndarray, cells: np.ndarray) -> Tensor:
    """These cells' nearest without the cell itself, or without the last: one less for every cell."""
    others = found != cells[:, None]
    others[others.all(axis=1), -1] = False  # it was not among them, or many are at its own place
    return torch.from_numpy(found[others].reshape(len(found), -1))


def _recall(points: np.ndarray, found: np.ndarray) -> float:
    """The share of the true neighbours among those found, of a thousand cells; 0 where a cell has too few."""
    if (found < 0).any():
        return 0.0
    asked = np.random.default_rng(0).choice(len(points), size=min(1000, len(points)), replace=False)
    n_neighbors = found.shape[1]
    # By distance, as of neighbours equally far any will do.
    search = NearestNeighbors(n_neighbors=n_neighbors + 1).fit(points)
    farthest = search.kneighbors(points[asked])[0][:, -1:]
    distances = np.linalg.norm(points[asked][:, None] - points[found[asked]], axis=2)
    return float(np.mean(distances <= farthest * (1 + 1e-6)))


def averaging_matrix(connectivities: Tensor) -> Tensor:
    """Row-stochastic matrix that averages over a neighbour graph, each cell counting as its own closest neighbour.

    The diagonal gets the largest weight in the graph, then every row is scaled to sum to 1.

    Parameters
    ----------
    connectivities
        Sparse COO, shape ``(n_cells, n_cells)``, non-negative weights.

    Returns
    -------
    Sparse COO of the same shape.
    """
    connectivities = connectivities.coalesce()
    n_cells = connectivities.shape[0]
    largest = connectivities.values().max() if connectivities.values().numel() else torch.tensor(1.0)
    diagonal = torch.arange(n_cells)
    index = torch.cat([connectivities.indices(), torch.stack([diagonal, diagonal])], dim=1)
    values = torch.cat([connectivities.values(), largest.expand(n_cells)])
    total = torch.zeros(n_cells).index_add_(0, index[0], values)
    return torch.sparse_coo_tensor(index, values / total[index[0]], (n_cells, n_cells)).coalesce()
