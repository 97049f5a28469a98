"""Which cells are alike: neighbours, the network's edges, and averaging over a graph."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
from sklearn.decomposition import PCA
from sklearn.neighbors import NearestNeighbors
from torch import Tensor

from deepvelo.errors import InputError


class Components(NamedTuple):
    """Principal components of some measurements.

    scores ``(n_cells, n_components)`` are the cells' coordinates, loadings ``(n_features, n_components)`` have
    orthonormal columns: ``scores = (values - mean) @ loadings``.
    """

    scores: Tensor
    loadings: Tensor

    def keep(self, vectors: Tensor) -> Tensor:
        """Of vectors ``(n_cells, n_features)``, the part that lies in the components."""
        return (vectors @ self.loadings) @ self.loadings.T


def principal_components(values: Tensor, *, n_components: int, seed: int) -> Components:
    """The first principal components of ``values``, ``(n_cells, n_features)``; fewer when there are fewer dimensions."""
    # In double precision the order of the cells is lost in the rounding of the result.
    measured = values.cpu().double().numpy()
    n_components = min(n_components, *measured.shape)
    # The iterative solver needs more dimensions than it finds, and cells that differ.
    iterative = n_components < min(measured.shape) and np.ptp(measured, axis=0).any()
    pca = PCA(n_components=n_components, svd_solver="arpack" if iterative else "full", random_state=seed)
    scores = pca.fit_transform(measured)
    # A copy: of one component the solver gives views with negative strides.
    return Components(
        *(torch.from_numpy(np.array(x, dtype=np.float32, order="C")) for x in (scores, pca.components_.T))
    )


def nearest_neighbors(points: Tensor, *, n_neighbors: int) -> Tensor:
    """Indices of each cell's nearest other cells by Euclidean distance, nearest first.

    A cell is never its own neighbour, also where another cell has exactly its coordinates.

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
    if n_neighbors >= n_cells:
        msg = (
            f"The number of neighbours must be below the number of cells. Got {n_neighbors} for {n_cells} cells. "
            "Lower graph neighbours and candidate neighbours."
        )
        raise InputError(msg)
    # Asked without points of its own, scikit-learn leaves each cell out of its own neighbours.
    search = NearestNeighbors(n_neighbors=n_neighbors).fit(points.cpu().numpy())
    return torch.from_numpy(search.kneighbors(return_distance=False)).long()


def message_edges(neighbors: Tensor) -> Tensor:
    """Edges between cells and their neighbours, both directions, each once, without self-loops.

    Parameters
    ----------
    neighbors
        Shape ``(n_cells, n_neighbors)``.

    Returns
    -------
    ``edge_index``, shape ``(2, n_edges)``, source row first, sorted.
    """
    n_cells, n_neighbors = neighbors.shape
    cells = torch.arange(n_cells).repeat_interleave(n_neighbors)
    there = torch.stack([neighbors.flatten(), cells])
    both = torch.cat([there, there.flip(0)], dim=1)
    return torch.unique(both[:, both[0] != both[1]], dim=1)


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
