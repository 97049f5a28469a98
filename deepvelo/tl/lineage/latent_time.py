"""Latent time and pseudotime of cells, in each connected component separately."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
import scipy.sparse as sp
from anndata import AnnData

from deepvelo import keys
from deepvelo.plan import MOST_WALKED
from deepvelo.tl.graph.velocity_graph import both_signs, quiet, require_graph
from deepvelo.tl.lineage.flow_time import connected_parts, flow_time
from deepvelo.tl.velocity.smoothing import average_over_graph

LEAST_PART = 20  # cells; scVelo's pseudotime takes ten components, and fewer cells have no flow to speak of


def latent_time(adata: AnnData) -> None:
    """Order cells along the velocity graph, in place: latent time and pseudotime.

    Latent time is the one that explains the cosines between cells best by least squares
    (`deepvelo.tl.lineage.flow_time`), averaged once over the neighbours. Pseudotime is scVelo's distance of a random
    walk (Haghverdi et al. 2016, Bergen et al. 2020) from the earliest cell by latent time. scVelo's own default, the mean
    of the distance from a root and to one end, reverses the branches that do not lead to that end.

    Parameters
    ----------
    adata
        As `deepvelo.tl.velocity_graph` leaves it.

    Sets
    ----
    obs ``latent_time``, ``velocity_pseudotime``
        float64, 0 to 1 in every connected component and without unit; NaN in components of fewer than 20 cells.
        Pseudotime is NaN also where the random walk does not converge.

    Raises
    ------
    InputError
        No velocity graph.

    Examples
    --------
    >>> dv.tl.latent_time(fitted)
    >>> float(fitted.obs["latent_time"].min()), float(fitted.obs["latent_time"].max())
    (0.0, 1.0)
    """
    require_graph(adata)
    cosines = both_signs(adata)
    parts = large_parts(connected_parts(cosines))
    # Components are copied, so layers are left out.
    light = AnnData(
        obs=pd.DataFrame(index=adata.obs_names),
        uns={keys.NEIGHBORS: adata.uns[keys.NEIGHBORS]},
        obsp={key: adata.obsp[key] for key in (keys.CONNECTIVITIES, keys.DISTANCES)},
    )
    time = latent_times(light, flow_time(cosines).time, parts=parts)
    starts = [int(cells[np.argmin(time[cells])]) for cells in parts]
    adata.obs[keys.LATENT_TIME] = time
    adata.obs[keys.PSEUDOTIME] = pseudotimes(light, cosines, parts=parts, starts=starts)


def large_parts(part: np.ndarray) -> list[np.ndarray]:
    """Indices of the cells of every connected component of at least 20, the largest first.

    Parameters
    ----------
    part
        Part of every cell, ``(n_cells,)``, as `deepvelo.tl.lineage.flow_time.connected_parts` numbers them.
    """
    return [np.flatnonzero(part == label) for label in np.flatnonzero(np.bincount(part) >= LEAST_PART)]


def latent_times(adata: AnnData, time: np.ndarray, *, parts: Sequence[np.ndarray]) -> np.ndarray:
    """Times averaged once over the neighbour graph and scaled to 0 to 1 in every component; NaN in smaller ones.

    Parameters
    ----------
    adata
        Neighbour graph of the cells.
    time
        Of every cell, ``(n_cells,)``, as `deepvelo.tl.lineage.flow_time.flow_time` finds it.
    parts
        As `large_parts` gives them.
    """
    stages = np.full(len(time), np.nan)
    for cells in parts:
        stages[cells] = _scaled(average_over_graph(adata[cells], time[cells, None], times=1).ravel())
    return stages


def pseudotimes(
    adata: AnnData, cosines: sp.csr_matrix, *, parts: Sequence[np.ndarray], starts: Sequence[int]
) -> np.ndarray:
    """Velocity pseudotime by scVelo, 0 to 1 in every part; NaN in smaller components and where a random walk does not converge.

    In a part of more than 20,000 cells from the arrows between nearest neighbours alone.

    Parameters
    ----------
    adata
        Neighbour graph of the cells.
    cosines
        Arrows from cell to cell, ``(n_cells, n_cells)``, as in `deepvelo.tl.lineage.flow_time`.
    parts
        As `large_parts` gives them.
    starts
        For each part the index of the cell it begins with, among all cells.
    """
    import scvelo as scv
    from scipy.sparse.linalg import ArpackNoConvergence

    pseudotime = np.full(adata.n_obs, np.nan)
    for cells, start in zip(parts, starts, strict=True):
        # scVelo takes the whole graph for that of the cells given, so each component gets its own.
        own = adata[cells].copy()
        # Scanpy would take it for the diffusion map of this graph, and fail without its eigenvalues.
        own.obsm.pop("X_diffmap", None)
        arrows = cosines[cells][:, cells]
        if len(cells) > MOST_WALKED:
            arrows = arrows.multiply(own.obsp[keys.CONNECTIVITIES] != 0)
        arrows = sp.csr_matrix(arrows)
        own.uns[keys.VELOCITY_GRAPH] = sp.csr_matrix(arrows.maximum(0))
        own.uns[keys.VELOCITY_GRAPH_NEG] = sp.csr_matrix(arrows.minimum(0))
        try:
            with quiet():
                scv.tl.velocity_pseudotime(own, root_key=int(np.searchsorted(cells, start)))
        except ArpackNoConvergence:
            continue
        pseudotime[cells] = _scaled(own.obs[keys.PSEUDOTIME].to_numpy())
    return pseudotime


def _scaled(values: np.ndarray) -> np.ndarray:
    known = values[np.isfinite(values)]
    if not len(known):
        return values
    low, high = known.min(), known.max()
    return np.asarray((values - low) / ((high - low) or 1.0), dtype=np.float64)
