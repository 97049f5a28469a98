"""The velocity graph: how well each cell's velocity points to the cells around it, for velocities of any method."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING

import numpy as np
import scipy.sparse as sp
from anndata import AnnData

from deepvelo import choices, keys
from deepvelo.arrays.layers import gene_blocks
from deepvelo.contents.graphs import n_neighbors
from deepvelo.errors import InputError

if TYPE_CHECKING:
    import torch

    from deepvelo.arrays.layers import Layer


def velocity_graph(
    adata: AnnData, *, layers: Mapping[str, Layer] | None = None, device: torch.device | str = "cpu"
) -> None:
    r"""Compute the cosines of each cell's velocity with the displacements to its neighbours and theirs, in place.

    .. math:: \pi_{ij} = \cos(x_j - x_i, v_i)

    Over the velocity genes that have a velocity in every cell, each vector centred over genes. These are the
    numbers of ``scvelo.tl.velocity_graph`` (Bergen et al. 2020, Nature Biotechnology 38:1408; 0.3.4, its defaults)
    for every method: its square roots for velocities of the stochastic mode are left out.

    Parameters
    ----------
    adata
        Layers ``Ms`` and ``velocity`` of any method, NumPy or Zarr, which are read in blocks of genes; neighbours.
    layers
        In their place, layers of a kind that AnnData does not take, such as `deepvelo.arrays.views.View`.
    device
        Where to compute, in double precision: ``"cpu"``, ``"cuda"``.

    Sets
    ----
    uns ``velocity_graph``, ``velocity_graph_neg``
        Sparse float32 ``(n_cells, n_cells)``: the positive and the negative cosines; a cell with zero velocity has none.
    obs ``velocity_self_transition``
        How far each cell's largest cosine lies below that of the most confident cells, 0 to 1.
    uns ``velocity_params``
        What scVelo's functions read.

    Removes arrows and times of an earlier graph.

    Raises
    ------
    InputError
        No velocities, moments or neighbours, cells without neighbours, or no cell with a velocity.

    Examples
    --------
    >>> dv.tl.velocity_graph(fitted)
    >>> graph = fitted.uns["velocity_graph"]
    >>> graph.shape == (fitted.n_obs, fitted.n_obs), bool(graph.max() <= 1)
    (True, True)
    """
    _require_velocity(adata, layers or adata.layers)
    # torch takes seconds to import.
    from deepvelo.tl.graph.cosines import displacement_cosines

    cosines = displacement_cosines(
        _nearest(adata), partial(velocity_blocks, adata, layers or adata.layers), device=device
    )
    if not cosines.nnz:
        msg = "No cell's velocity points anywhere: it is 0, or the same, in all genes, or missing. Train for more epochs, or choose another run."
        raise InputError(msg)
    adata.uns[keys.VELOCITY_GRAPH], adata.uns[keys.VELOCITY_GRAPH_NEG] = (
        cosines.maximum(0),
        cosines.minimum(0),
    )
    for key in keys.arrows(adata.obsm):
        del adata.obsm[key]
    for key in (keys.PSEUDOTIME, keys.LATENT_TIME):
        if key in adata.obs:
            del adata.obs[key]
    adata.obs[keys.SELF_TRANSITION] = self_transitions(adata.uns[keys.VELOCITY_GRAPH])
    settings = choices.recorded_settings(adata)
    adata.uns[keys.VELOCITY_PARAMS] = {
        "mode": settings.method if settings else "deepvelo", "perc": [5, 95], "mode_neighbors": "distances", "n_recurse_neighbors": 2,
    }  # fmt: skip


def _require_velocity(adata: AnnData, layers: Mapping[str, Layer]) -> None:
    missing = [key for key in (keys.MS, keys.VELOCITY) if key not in layers]
    if missing:
        msg = f"`adata.layers` is missing {missing}. Found {list(layers)}. Run `deepvelo.tl.velocity(adata)` first."
        raise InputError(msg)
    if keys.DISTANCES not in adata.obsp:
        msg = "`adata.obsp` has no neighbour graph. Run `deepvelo.pp.moments(adata)` first."
        raise InputError(msg)


def require_graph(adata: AnnData) -> None:
    """Raise an `InputError` unless the object has a velocity graph of its cells."""
    if any(key not in adata.uns for key in (keys.VELOCITY_GRAPH, keys.VELOCITY_GRAPH_NEG)):
        msg = "`adata.uns` has no velocity graph. Run `deepvelo.tl.velocity_graph(adata)` first."
        raise InputError(msg)
    shape = adata.uns[keys.VELOCITY_GRAPH].shape
    if shape != (adata.n_obs, adata.n_obs):
        msg = (
            f"The velocity graph is of {shape[0]} cells and `adata` has {adata.n_obs}: cells were left out since. "
            "Run `deepvelo.tl.velocity_graph(adata)` again."
        )
        raise InputError(msg)


def self_transitions(graph: sp.csr_matrix) -> np.ndarray:
    """How far each cell's largest cosine lies below the 98th percentile of all cells', ``(n_cells,)``, 0 to 1.

    Parameters
    ----------
    graph
        The positive cosines, ``(n_cells, n_cells)``.
    """
    confidence = graph.max(axis=1).toarray().ravel()
    return np.clip(np.percentile(confidence, 98) - confidence, 0, 1)


def both_signs(adata: AnnData) -> sp.csr_matrix:
    """The velocity graph with its positive and negative cosines, float64 ``(n_cells, n_cells)``; 0 for what is not finite."""
    # Double precision: with scVelo's single one pseudotime differs in the fifth digit from call to call.
    positive, negative = (
        sp.csr_matrix(adata.uns[key], dtype=np.float64)
        for key in (keys.VELOCITY_GRAPH, keys.VELOCITY_GRAPH_NEG)
    )
    cosines = sp.csr_matrix(positive + negative)
    cosines.data[~np.isfinite(cosines.data)] = 0
    cosines.eliminate_zeros()
    return cosines


@contextmanager
def quiet() -> Iterator[None]:
    """Keeps scVelo from printing to the terminal."""
    import scvelo as scv

    verbosity = scv.settings.verbosity
    scv.settings.verbosity = 0
    try:
        yield
    finally:
        scv.settings.verbosity = verbosity


def _nearest(adata: AnnData) -> sp.csr_matrix:
    """Every cell itself and its nearest, boolean ``(n_cells, n_cells)``.

    The same number for each cell: the smallest that any cell has. Where that is less than half the median, as with BBKNN,
    each cell gets all its neighbours, at most the median number.
    """
    distances = sp.csr_matrix(adata.obsp[keys.DISTANCES])
    counts = n_neighbors(distances)
    if alone := int((counts == 0).sum()):
        msg = f"The velocity graph needs a neighbour of every cell, and {alone} of {adata.n_obs} cells have none. Compute the neighbours again."
        raise InputError(msg)
    fewest, usual = int(counts.min()), int(np.median(counts))
    most = fewest if 2 * fewest >= usual else usual
    row = np.repeat(np.arange(len(counts)), np.diff(distances.indptr))
    others = row != distances.indices
    row, column, distance = row[others], distances.indices[others], distances.data[others]
    order = np.lexsort((distance, row))
    place = np.arange(len(order)) - np.repeat(
        np.cumsum(counts) - counts, counts
    )  # among the neighbours of its cell
    kept = order[place < most]
    edges = sp.csr_matrix((np.ones(len(kept), dtype=bool), (row[kept], column[kept])), shape=distances.shape)
    return sp.csr_matrix(edges + sp.eye(len(counts), dtype=bool, format="csr"))


def velocity_blocks(adata: AnnData, layers: Mapping[str, Layer]) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Moments and velocities, ``(n_cells, n_genes_in_block)``, of the velocity genes that have one in every cell."""
    moments, velocity = layers[keys.MS], layers[keys.VELOCITY]
    chosen = np.ones(adata.n_vars, dtype=bool)
    if keys.VELOCITY_GENES in adata.var:
        chosen = adata.var[keys.VELOCITY_GENES].to_numpy(dtype=bool)
    for genes in gene_blocks(velocity):
        v = np.asarray(velocity[:, genes])
        used = chosen[genes] & ~np.isnan(v.sum(axis=0))
        if used.any():
            yield np.asarray(moments[:, genes])[:, used], v[:, used]
