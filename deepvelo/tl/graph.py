"""scVelo's velocity graph, arrows on an embedding and pseudotime, from our velocities."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
from anndata import AnnData

from deepvelo import keys

logger = logging.getLogger(__name__)


def velocity_graph(adata: AnnData) -> None:
    """Cosine of each cell's velocity with the displacements to its neighbours, by scVelo, in place.

    Sets ``uns["velocity_graph"]``, ``uns["velocity_graph_neg"]`` and ``uns["velocity_params"]``.
    """
    import scvelo as scv

    adata.uns[keys.VELOCITY_PARAMS] = {"mode": "deepvelo", "perc": [5, 95]}
    # One job: two are slower than one, the data are copied to each.
    with quiet():
        scv.tl.velocity_graph(adata, n_jobs=1, show_progress_bar=False)


def velocity_embedding(adata: AnnData, *, basis: str) -> np.ndarray:
    """Arrows on an embedding from the velocity graph, by scVelo; also set as ``obsm["velocity_<basis>"]``.

    Returns
    -------
    Shape ``(n_cells, 2)``. Their length says how well a cell's neighbours agree with its velocity, not how fast
    the cell changes.
    """
    import scvelo as scv

    with quiet():
        scv.tl.velocity_embedding(adata, basis=basis.removeprefix("X_"))
    return np.asarray(adata.obsm[keys.velocity_embedding(basis)])


def velocity_pseudotime(adata: AnnData) -> None:
    """Position along the flow of the velocity graph, 0 to 1, by scVelo; sets ``obs["velocity_pseudotime"]``.

    NaN in all cells where the graph has no stable flow to follow, as with a hardly trained network on few cells.
    """
    import scvelo as scv
    from scipy.sparse.linalg import ArpackNoConvergence

    try:
        with quiet():
            scv.tl.velocity_pseudotime(adata)
    except ArpackNoConvergence:
        logger.warning("No pseudotime: the arrows have no common beginning and end. Train for more epochs.")
        adata.obs[keys.PSEUDOTIME] = np.full(adata.n_obs, np.nan)


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
