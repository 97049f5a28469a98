"""Principal components, nearest neighbours and the averages over their graph."""

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

_BLOCK_CELLS = 1024
# Of cells in a file of columns, twice in memory: pieces of megabytes, which disks read as fast as all in a row.
_BLOCK_BYTES = 2**27
_BLOCK_ASKED = 50_000  # queries in a chunk: the search returns 64-bit indices
# Neighbours in the index, trees it starts from, and neighbours searched for at least: more than needed raises recall.
_INDEXED, _TREES, _LOOKED_FOR = 30, 12, 60
_LEAST_RECALL = 0.95
# With as many features, sums of their products take 200 MB in double precision.
_BLOCK_FEATURES = 5000


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
    """All cells in chunks; files are read in larger pieces."""
    on_disk = isinstance(values, ColumnsOnDisk)
    read = _BLOCK_CELLS
    if on_disk:
        read *= max(1, _BLOCK_BYTES // (_BLOCK_CELLS * values.shape[1] * values.dtype.itemsize))
    for start in range(0, values.shape[0], read):
        some = values[start : start + read, :]
        some = some.numpy() if isinstance(some, Tensor) else some
        for first in range(0, len(some), _BLOCK_CELLS):
            yield some[first : first + _BLOCK_CELLS]


def _mean(values: Columns | Layer) -> tuple[np.ndarray, bool]:
    """Mean of each feature, float64, and whether any feature differs between cells."""
    total, first, differ = np.zeros(values.shape[1]), None, False
    for cells in _parts(values):
        first = cells[:1].copy() if first is None else first
        total += cells.sum(axis=0, dtype=np.float64)
        differ = differ or bool((cells != first).any())
    return total / values.shape[0], differ


def _centered(values: Columns | Layer, mean: np.ndarray) -> Iterator[np.ndarray]:
    """The cells minus the mean, in chunks and in double precision, so that the order of the cells does not matter."""
    for cells in _parts(values):
        yield cells - mean


def _project(values: Columns | Layer, mean: np.ndarray, loadings: np.ndarray) -> np.ndarray:
    scores = np.empty((values.shape[0], loadings.shape[1]))
    for start, cells in zip(range(0, len(scores), _BLOCK_CELLS), _centered(values, mean), strict=True):
        scores[start : start + _BLOCK_CELLS] = cells @ loadings
    return scores


def sums_up(shape: tuple[int, ...]) -> bool:
    """Whether `principal_components` of values of this shape reads the cells only three times."""
    n_cells, n_features = shape
    return n_features <= min(n_cells // 2, _BLOCK_FEATURES)


def _scatter(measured: Columns | Layer, mean: np.ndarray) -> np.ndarray | LinearOperator:
    """The sum over cells of (x - mean)(x - mean)^T, ``(n_features, n_features)``, whose eigenvectors are the loadings.

    A matrix where there are many more cells than features: the solver would otherwise read all cells some seventy times.
    Otherwise, and where the matrix would be large, an operator that computes its products from the cells.
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
    scatter += np.tril(scatter, -1).T  # only the lower half was summed
    return scatter


def even_choice(points: Tensor, n_chosen: int) -> Tensor:
    """Indices of an even sample of the cells, ``(n_chosen,)``, with nearby cells next to each other."""
    # Cells at equal steps along a k-d tree's order. Sorted first, so that permuted cells give the same tree.
    measured = points.cpu().numpy()
    order = np.lexsort(measured.T[::-1])
    near = order[KDTree(measured[order]).indices]
    return torch.from_numpy(near[np.linspace(0, len(near) - 1, n_chosen).astype(int)])


def even_anchors(points: Tensor, n_chosen: int) -> tuple[Tensor, Tensor]:
    """An `even_choice` ``(n_chosen,)``, and for each cell the position in it of the nearest, int64 ``(n_cells,)``."""
    chosen = even_choice(points, n_chosen)
    nearest = KDTree(points[chosen].cpu().numpy()).query(points.cpu().numpy())[1]
    return chosen, torch.from_numpy(nearest)


def neighbors_within_reach(
    points: Tensor, *, n_neighbors: int, n_among: int, of: Tensor | None = None
) -> Tensor:
    """Each cell's nearest others among an even choice of ``n_among`` cells, or among all if there are fewer.

    In very large data the nearest cells differ by noise alone. These are as far away as in a data set of ``n_among`` cells.

    Parameters
    ----------
    points
        Shape ``(n_cells, n_dimensions)``.
    of
        Indices of the cells whose neighbours are returned; None: all cells.

    Returns
    -------
    Shape ``(n_asked, n_neighbors)``, nearest first, int32 to save memory.

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
    for start in range(0, len(asked), _BLOCK_ASKED):
        some = asked[start : start + _BLOCK_ASKED]
        found = search.kneighbors(measured[some], return_distance=False)
        out[start : start + _BLOCK_ASKED] = _others(chosen[found], some)
    return out


def nearest_neighbors(points: Tensor, *, n_neighbors: int) -> Tensor:
    """Indices of each cell's nearest other cells by Euclidean distance, nearest first.

    A cell is never its own neighbour, also where another cell has exactly its coordinates. Up to 120,000 cells the search
    is exact, and as fast as an index of the same recall. Larger data take a seeded approximate search (`pynndescent`), and
    the exact one if the recall is below 95%.

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
        logger.info("Recall of the nearest-neighbour search: %.1f%%.", 100 * recall)
        if recall >= _LEAST_RECALL:
            return torch.from_numpy(found)
        logger.warning("The recall is too low; the exact search is used, which takes longer.")
    # Without query points, scikit-learn leaves each cell out of its own neighbours.
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
    """Neighbours by approximate search (`pynndescent`), ``(n_cells, n_neighbors)``."""
    from pynndescent import NNDescent

    # Nearby cells next to each other: consecutive queries then read the same memory.
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
    """The nearest of these cells without the cell itself, or without the last: one less for every cell."""
    others = found != cells[:, None]
    others[others.all(axis=1), -1] = False  # the cell was not found, as many have its coordinates
    return torch.from_numpy(found[others].reshape(len(found), -1))


def _recall(points: np.ndarray, found: np.ndarray) -> float:
    """Share of the true neighbours among those found, in a thousand cells; 0 if any cell has too few."""
    if (found < 0).any():
        return 0.0
    asked = np.random.default_rng(0).choice(len(points), size=min(1000, len(points)), replace=False)
    n_neighbors = found.shape[1]
    # By distance: any of equally distant neighbours counts.
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
