"""The Markov chain of cells on the neighbour graph, from which fates are computed."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial

import numpy as np
import scipy.sparse as sp
from anndata import AnnData

from deepvelo import checks, keys
from deepvelo.arrays.layers import known_genes
from deepvelo.errors import InputError
from deepvelo.tl.graph.velocity_graph import velocity_blocks


def transition_matrix(adata: AnnData, *, weight_connectivities: float = 0.2) -> sp.csr_matrix:
    r"""Probabilities of a cell's next step, those of CellRank's velocity and connectivity kernels.

    .. math:: T = (1 - w) T_{velocity} + w T_{connectivities}

    The velocity kernel takes a neighbour the more likely, the better the displacement to it correlates with the cell's
    velocity, over the velocity genes (Lange et al. 2022, Nature Methods 19:159); its scale is one over the
    median correlation, as CellRank chooses it. A cell with zero velocity goes to all its neighbours alike. CellRank's own kernel
    takes all genes of all cells at once, in double precision; here the correlations are sums over blocks of genes.

    Parameters
    ----------
    adata
        A run: layers ``Ms`` and ``velocity``, in memory or on disk, and neighbours; genes without velocity are left
        out. Not changed.
    weight_connectivities
        w, 0 to below 1: share of the chain that ignores the velocities, which averages out their noise.

    Returns
    -------
    Sparse ``(n_cells, n_cells)``, rows sum to 1.

    Raises
    ------
    InputError
        No velocities, moments or neighbours, an empty velocity graph, all velocities 0, or a weight out of range.
    """
    if not 0 <= weight_connectivities < 1:
        msg = f"`weight_connectivities` must be from 0 to below 1. Got {weight_connectivities}. Try 0.2."
        raise InputError(msg)
    _require(adata)
    # torch takes seconds to import
    from deepvelo.tl.graph.cosines import cosines_of_pairs

    graph = sp.csr_matrix(adata.obsp[keys.CONNECTIVITIES], copy=True)
    graph.sort_indices()
    correlations = cosines_of_pairs(graph, partial(velocity_blocks, adata, adata.layers))
    known = np.abs(correlations[correlations != 0])
    if not known.size:
        msg = "The velocity is 0 in every cell, so no cell has a fate. Train for more epochs, or choose another run."
        raise InputError(msg)
    matrix = (1 - weight_connectivities) * _softmax(correlations / float(np.median(known)), graph)
    if weight_connectivities:
        matrix = matrix + weight_connectivities * _likeness(adata)
    return sp.csr_matrix(matrix)


def _softmax(values: np.ndarray, graph: sp.csr_matrix) -> sp.csr_matrix:
    """Softmax over each row of the graph; ``values`` has one for each stored entry."""
    row = np.repeat(np.arange(graph.shape[0]), np.diff(graph.indptr))
    largest = np.full(graph.shape[0], -np.inf)
    np.maximum.at(largest, row, values)
    likely = np.exp(values - largest[row])
    likely /= np.bincount(row, likely, graph.shape[0])[row]
    return sp.csr_matrix((likely, graph.indices, graph.indptr), shape=graph.shape)


def _likeness(adata: AnnData) -> sp.csr_matrix:
    """CellRank's connectivity kernel, given the graph alone, since CellRank writes into what it is given."""
    light = AnnData(obs=adata.obs[[]].copy(), uns={keys.NEIGHBORS: dict(adata.uns[keys.NEIGHBORS])})
    for key in (keys.CONNECTIVITIES, keys.DISTANCES):
        light.obsp[key] = adata.obsp[key].tocsr()
    with quiet_cellrank():
        from cellrank.kernels import ConnectivityKernel

        return ConnectivityKernel(light).compute_transition_matrix().transition_matrix


@contextmanager
def quiet_cellrank() -> Iterator[None]:
    """Keeps CellRank, and the libraries it calls, from printing and warning."""
    from cellrank import settings

    # CellRank 2.0, and from 2.1 on.
    level, quiet = ("verbosity", 0) if hasattr(settings, "verbosity") else ("logging_level", logging.ERROR)
    before = getattr(settings, level)
    setattr(settings, level, quiet)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        setattr(settings, level, before)


def _require(adata: AnnData) -> None:
    missing = [key for key in (keys.MS, keys.VELOCITY) if key not in adata.layers]
    if missing:
        msg = f"Fates need the layers {missing}. Found {list(adata.layers)}. Choose a finished run, or run `deepvelo run` first."
        raise InputError(msg)
    if not checks.has_neighbors(adata):
        msg = "Fates need the neighbour graph of a run, and there is none. Choose a finished run, or run `deepvelo run` first."
        raise InputError(msg)
    graph = adata.uns.get(keys.VELOCITY_GRAPH)
    if graph is not None and not graph.nnz:
        msg = "The velocity graph is empty: no cell's velocity points to a neighbour. Train for more epochs, or choose another run."
        raise InputError(msg)
    genes = known_genes(adata.layers[keys.VELOCITY])
    if keys.VELOCITY_GENES in adata.var:
        genes &= adata.var[keys.VELOCITY_GENES].to_numpy(dtype=bool)
    if genes.sum() < 2:
        msg = f"Fates need two or more genes with a velocity. Found {genes.sum()} of {adata.n_vars}. Choose another run."
        raise InputError(msg)
