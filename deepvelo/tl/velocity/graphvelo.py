"""Velocities projected onto the tangent space of the cells by GraphVelo (Chen et al. 2025), an optional package."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Final

import numpy as np
import scipy.sparse as sp
from anndata import AnnData

from deepvelo import choices, keys, peers
from deepvelo.arrays.layers import known_genes
from deepvelo.contents.graphs import n_neighbors
from deepvelo.errors import InputError
from deepvelo.tl.velocity.baselines import errors_of
from deepvelo.tl.velocity.earlier_fit import remove_earlier_fit

if TYPE_CHECKING:
    from deepvelo.arrays.layers import Layer

OnCells = Callable[[int, int], None]

# GraphVelo's defaults: weights of length, direction and regularization; principal components.
_WEIGHTS: Final = {"a": 1, "b": 10, "r": 1, "loss_func": "linear"}
_N_COMPONENTS: Final = 30
_BLOCK_CELLS: Final = 50  # about a second, so that cancelling takes effect soon
_NAME: Final = "GraphVelo"


def graphvelo_velocity(adata: AnnData, *, on_cells: OnCells | None = None) -> None:
    r"""Replace velocities by their projection onto the tangent space of the cells, in place.

    The velocity of cell :math:`i` becomes :math:`\sum_j \phi_{ij} (x_j - x_i)` over its neighbours. GraphVelo chooses
    :math:`\phi` so that the sum comes near the given velocity and points to the neighbours it points to, in principal
    components of its genes. The same :math:`\phi` then gives a velocity to every gene. The package computes it densely,
    cells × cells, and with calls that scipy no longer has; here its own functions are called cell by cell.

    Parameters
    ----------
    adata
        With moments, neighbours and velocities of any method, e.g. as `deepvelo.tl.scvelo_velocity` leaves them with
        ``mode="stochastic"``.
    on_cells
        Called with the number of projected cells and of all cells, from 0 on, after every 50 cells. What it raises
        stops the projection and is passed on.

    Sets
    ----
    layers ``velocity``
        float32 ``(n_cells, n_genes)``, normalised counts per unit of time; NaN in genes whose ``Ms`` is not finite.
    var ``velocity_genes``
        bool: genes with a velocity.
    uns ``deepvelo``
        ``settings``, with ``graphvelo`` as their ``method``.

    Removes
    -------
    What belongs to the given velocities: ``velocity_u``, rates and fitted lines, the velocity graph, arrows, times and
    scores.

    Raises
    ------
    InputError
        GraphVelo is not installed or of another version; there are no moments, neighbours or velocities of at least
        two genes; a cell has no neighbour; GraphVelo fails, with its message.

    Examples
    --------
    >>> dv.tl.scvelo_velocity(adata, mode="stochastic")  # doctest: +SKIP
    >>> dv.tl.graphvelo_velocity(adata)  # doctest: +SKIP
    """
    peers.require_installed("graphvelo")
    _require(adata)
    chosen = known_genes(adata.layers[keys.VELOCITY]) & known_genes(adata.layers[keys.MS])
    if chosen.sum() < 2:
        msg = (
            f"{_NAME} needs velocities of at least 2 genes. Found {chosen.sum()} of {adata.n_vars}. "
            "Choose another method, or data with more unspliced counts."
        )
        raise InputError(msg)
    weights = _neighbor_weights(adata, chosen, on_cells or (lambda done, total: None))
    known = known_genes(adata.layers[keys.MS])
    moments = np.asarray(adata.layers[keys.MS], dtype=np.float32)[:, known]
    velocity = np.full(adata.shape, np.nan, dtype=np.float32)
    velocity[:, known] = weights @ moments - weights.sum(axis=1).A1[:, None] * moments
    remove_earlier_fit(adata)
    adata.layers[keys.VELOCITY] = velocity
    adata.var[keys.VELOCITY_GENES] = known
    choices.record_method(adata, "graphvelo")


def _neighbor_weights(adata: AnnData, genes: np.ndarray, on_cells: OnCells) -> sp.csr_matrix:
    """GraphVelo's phi, ``(n_cells, n_cells)``: a weight for every neighbour, from the velocities of some genes."""
    # Seconds to import, with its plots.
    with errors_of(_NAME, "loading its package"):
        from graphvelo.graph_velocity import GraphVelo, regression_phi
        from graphvelo.tangent_space import cos_corr

    neighbors = _neighbors(adata)
    part = AnnData(
        layers={key: _columns(adata.layers[key], genes) for key in (keys.MS, keys.VELOCITY)},
        shape=(adata.n_obs, int(genes.sum())),
        uns={keys.NEIGHBORS: {"indices": np.split(neighbors.indices, neighbors.indptr[1:-1])}},
    )
    n_components = min(_N_COMPONENTS, *(size - 1 for size in part.shape))
    with errors_of(_NAME, "the principal components of the velocities"):
        model = GraphVelo(part, xkey=keys.MS, vkey=keys.VELOCITY, n_pcs=n_components)
    weights = neighbors.astype(np.float64)
    on_cells(0, adata.n_obs)
    for cell, near in enumerate(model.nbrs_idx):
        with errors_of(_NAME, "the tangent space projection"):
            # One cell and its neighbours, numbered from 0, in place of GraphVelo's cells x cells matrices.
            toward = cos_corr(model.X[cell], model.X[near], model.V[cell])
            start = np.concatenate([[0.0], toward - toward.mean()])[None]
            places = [np.arange(1, len(near) + 1)]
            around = model.X[np.concatenate([[cell], near])]
            _, phi = regression_phi(0, around, model.V[[cell]], start, places, **_WEIGHTS)
        weights.data[weights.indptr[cell] : weights.indptr[cell + 1]] = phi
        if (cell + 1) % _BLOCK_CELLS == 0 or cell + 1 == adata.n_obs:
            on_cells(cell + 1, adata.n_obs)
    return weights


def _neighbors(adata: AnnData) -> sp.csr_matrix:
    """The neighbours of every cell without itself, ``(n_cells, n_cells)``; values mean nothing."""
    graph = sp.coo_matrix(adata.obsp[keys.DISTANCES])
    others = graph.row != graph.col
    ones = np.ones(int(others.sum()), dtype=np.float32)
    return sp.csr_matrix((ones, (graph.row[others], graph.col[others])), shape=graph.shape)


def _columns(layer: Layer, genes: np.ndarray) -> np.ndarray:
    return np.asarray(layer, dtype=np.float32)[:, genes]


def _require(adata: AnnData) -> None:
    missing = [key for key in (keys.MS, keys.VELOCITY) if key not in adata.layers]
    if missing or keys.DISTANCES not in adata.obsp:
        what = f"the layers {missing}" if missing else "a neighbour graph"
        msg = f"{_NAME} needs {what}. Found the layers {list(adata.layers)}. Run `deepvelo.pp.moments(adata)` and a velocity method first."
        raise InputError(msg)
    if alone := int((n_neighbors(sp.csr_matrix(adata.obsp[keys.DISTANCES])) == 0).sum()):
        msg = f"{_NAME} needs a neighbour of every cell, and {alone} of {adata.n_obs} cells have none. Compute the neighbours again."
        raise InputError(msg)
