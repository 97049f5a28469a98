"""Where a cell goes next: the Markov chain on the neighbour graph that fates are computed from."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import numpy as np
from anndata import AnnData

from deepvelo import checks, keys
from deepvelo.errors import InputError

if TYPE_CHECKING:
    from scipy.sparse import csr_matrix


def transition_matrix(adata: AnnData, *, weight_connectivities: float = 0.2) -> csr_matrix:
    r"""Probabilities of a cell's next step, by CellRank's velocity and connectivity kernels.

    .. math:: T = (1 - w) T_{velocity} + w T_{connectivities}

    The velocity kernel takes a neighbour the more likely, the better the way to it correlates with the cell's
    velocity, over the velocity genes (Lange et al. 2022, Nature Methods 19:159); its scale is one over the
    median correlation, as CellRank chooses it. A cell at rest goes to all its neighbours alike.

    Parameters
    ----------
    adata
        A run: layers ``Ms`` and ``velocity``, neighbours; genes without velocity are left out. Not changed.
    weight_connectivities
        w, 0 to below 1: how much of the chain ignores the velocities, which evens out their noise.

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
    chain = _light_copy(adata)
    with quiet_cellrank():
        from cellrank.kernels import ConnectivityKernel, VelocityKernel

        # CellRank would count its progress in a process of its own, which a Dask worker may not start,
        # and so it does when it estimates the scale itself: the scale is found here.
        kernel = VelocityKernel(chain)
        options = {"similarity": _correlation, "show_progress_bar": False, "n_jobs": 1}
        kernel.compute_transition_matrix(softmax_scale=1.0, **options)
        correlations = np.abs(kernel.logits.data)
        if not correlations.size:
            msg = "The velocity is 0 in every cell, so no cell has a fate. Train for more epochs, or choose another run."
            raise InputError(msg)
        kernel.compute_transition_matrix(softmax_scale=1 / float(np.median(correlations)), **options)
        matrix = (1 - weight_connectivities) * kernel.transition_matrix
        if weight_connectivities:
            likeness = ConnectivityKernel(chain).compute_transition_matrix()
            matrix = matrix + weight_connectivities * likeness.transition_matrix
    return matrix.tocsr()


@contextmanager
def quiet_cellrank() -> Iterator[None]:
    """Keeps CellRank, and the libraries it calls, from printing and warning."""
    from cellrank import settings

    verbosity = settings.verbosity
    settings.verbosity = 0
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        settings.verbosity = verbosity


def _correlation(velocity: np.ndarray, ways: np.ndarray, scale: float) -> tuple[np.ndarray, np.ndarray]:
    """Probabilities of a cell's neighbours, and their correlations: CellRank's own without compiling for seconds.

    ``velocity`` is ``(1, n_genes)``, ``ways`` from the cell to each neighbour ``(n_neighbors, n_genes)``.
    """
    velocity = velocity - velocity.mean(axis=1, keepdims=True)
    ways = ways - ways.mean(axis=1, keepdims=True)
    lengths = np.linalg.norm(ways, axis=1) * np.linalg.norm(velocity)
    found = np.divide(ways @ velocity[0], lengths, out=np.zeros(len(ways)), where=lengths > 0)
    likely = np.exp(scale * (found - found.max()))
    return likely / likely.sum(), found


def _light_copy(adata: AnnData) -> AnnData:
    """The velocity genes and the graph alone, since CellRank writes into what it is given."""
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
    velocity = np.asarray(adata.layers[keys.VELOCITY], dtype=np.float64)
    genes = np.isfinite(velocity).all(axis=0)
    if keys.VELOCITY_GENES in adata.var:
        genes &= adata.var[keys.VELOCITY_GENES].to_numpy(dtype=bool)
    if genes.sum() < 2:
        msg = f"Fates need two or more genes with a velocity. Found {genes.sum()} of {adata.n_vars}. Choose another run."
        raise InputError(msg)
    layers = {
        keys.MS: np.asarray(adata.layers[keys.MS], dtype=np.float64)[:, genes],
        keys.VELOCITY: velocity[:, genes],
    }
    light = AnnData(obs=adata.obs[[]].copy(), var=adata.var.loc[genes, []].copy(), layers=layers)
    for key in (keys.CONNECTIVITIES, keys.DISTANCES):
        light.obsp[key] = adata.obsp[key].tocsr()
    light.uns[keys.NEIGHBORS] = dict(adata.uns[keys.NEIGHBORS])
    return light
