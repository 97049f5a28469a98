"""Neighbours of every cell: those of the object's own graph, or found in a representation or in principal components."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from deepvelo import keys
from deepvelo.contents import coordinates, graphs
from deepvelo.errors import InputError
from deepvelo.plan import neighbor_search
from deepvelo.pp.counts import logged_counts, noise_weights, whole_logged_counts

if TYPE_CHECKING:
    from anndata import AnnData

    from deepvelo.config import Settings

_REPRESENTATION = "X_compared"
_ROUNDING = 1e-5  # of logarithms in single precision


def find_neighbors(
    out: AnnData, adata: AnnData, layers: Sequence[Any], settings: Settings, *, counted: bool = False
) -> list[str]:
    """Set neighbours and principal components where scanpy, scVelo and CellRank look for them, in place.

    Parameters
    ----------
    out
        Cells x kept genes.
    adata
        The object it was made from, with its graphs.
    layers
        Spliced and unspliced RNA of the kept genes, ``(n_cells, n_genes)`` each, normalised and not logarithms: what
        principal components are computed of where the object brings none.
    settings
        ``settings.preparation`` and ``settings.seed`` decide the answer.
    counted
        Whether the layers are single cells' counts: see `deepvelo.pp.counts.noise_weights`.

    Sets
    ----
    obsp ``distances``, ``connectivities``; uns ``neighbors``; obsm ``X_pca``

    Returns
    -------
    Notes: in what cells are compared, what was not used, and settings that were lowered.
    """
    chosen = settings.preparation
    compared = graphs.comparison_space(adata, chosen)
    own = chosen.compare_in == graphs.OWN or (
        chosen.recompute_moments and compared.representation != keys.X_PCA
    )
    stored = None if own else graphs.components(adata)
    if stored is None:
        for mapping, name in ((out.uns, "pca"), (out.varm, "PCs")):
            mapping.pop(name, None)
        used = list(layers[: graphs.n_layers(settings.variant)])
        weighted = counted and settings.variant.neighbors_from == "both"
        weights = noise_weights(used) if weighted else None
        _principal_components(out, used, settings, weights=weights)
    elif stored != keys.X_PCA:
        out.obsm[keys.X_PCA] = np.array(out.obsm[stored])
    if compared.graph is not None:
        graphs.set_graph(out, adata, compared.graph)
    else:
        _neighbors(out, compared.representation or keys.X_PCA, settings)
    lowered = graphs.reduced_components(settings, n_cells=out.n_obs, n_genes=out.n_vars, own=stored is None)
    return [*compared.rejected, compared.sentence, *lowered]


def _principal_components(
    out: AnnData, layers: Sequence[Any], settings: Settings, *, weights: np.ndarray | None
) -> None:
    """Of logarithms of layers, each column times its weight: by scanpy, or of many cells the same numbers without a matrix of all logarithms and many passes over it."""
    import scanpy as sc

    from deepvelo.model.graph.cell_graph import principal_components, sums_up

    logged = logged_counts(layers, weights=weights)
    n_components = min(settings.preparation.n_components, min(logged.shape) - 1)
    if sums_up(logged.shape):
        found = principal_components(logged, n_components=n_components, seed=settings.seed)
        scores = found.scores.numpy()
    else:
        values = whole_logged_counts(layers, weights=weights)
        if (values.max(axis=0) - values.min(axis=0)).max() <= _ROUNDING:
            msg = (
                "All cells have the same counts relative to their total, so nothing tells them apart. Choose data of "
                "cells that differ."
            )
            raise InputError(msg)
        scores = sc.pp.pca(values, n_comps=n_components, svd_solver="arpack", random_state=settings.seed)
    # By rows: where they lie by columns, scikit-learn compares all cells with all through gigabytes of distances.
    out.obsm[keys.X_PCA] = np.ascontiguousarray(scores)


def _neighbors(out: AnnData, representation: str, settings: Settings) -> None:
    import scanpy as sc
    from anndata import AnnData

    out.obsm[representation] = np.asarray(out.obsm[representation])  # scanpy takes no tables
    n_columns = out.obsm[representation].shape[1]
    is_pca = coordinates.plain_name(representation) == "pca"
    # Alone: scanpy would look for the eigenvalues of a diffusion map beside it, which data may lack.
    found = AnnData(obs=out.obs[[]], obsm={_REPRESENTATION: out.obsm[representation]})
    sc.pp.neighbors(
        found,
        n_neighbors=settings.preparation.n_neighbors,
        n_pcs=min(settings.preparation.n_components, n_columns) if is_pca else n_columns,
        use_rep=_REPRESENTATION,
        # Left to itself, scanpy turns to an index at 8,192 cells, which takes half a minute to be compiled alone.
        transformer="sklearn" if neighbor_search(out.n_obs) == "exact" else "pynndescent",
        random_state=settings.seed,
    )
    for key in (keys.DISTANCES, keys.CONNECTIVITIES):
        out.obsp[key] = found.obsp[key]
    out.uns[keys.NEIGHBORS] = found.uns[keys.NEIGHBORS]
    out.uns[keys.NEIGHBORS]["params"]["use_rep"] = representation
