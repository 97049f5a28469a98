"""scVelo's velocity graph and arrows on an embedding, from any method's velocities."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import scipy.sparse as sp
from anndata import AnnData

from deepvelo import keys


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
