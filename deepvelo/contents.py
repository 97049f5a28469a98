"""What an AnnData object brings: counts, moments, neighbours, groups, embeddings."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from scipy import sparse

from deepvelo import keys, matrices

if TYPE_CHECKING:
    from anndata import AnnData

    from deepvelo.config import Settings

MAX_GROUPS = 100  # a colour for each, and a name that can be read
_NOT_PICTURES = ("pca", "diffmap", "harmony", "scvi", "lsi", "svd", "rates")


def groupings(adata: AnnData) -> list[str]:
    """The ``obs`` columns that sort cells into 2 to 100 groups."""
    return [str(name) for name in adata.obs.columns if groups_cells(adata.obs[name])]


def embeddings(adata: AnnData) -> list[str]:
    """Names, without ``X_``, of the ``obsm`` entries with two or more finite columns."""
    return [
        key.removeprefix("X_")
        for key, values in adata.obsm.items()
        if key.startswith("X_") and _is_coordinates(values, adata.n_obs)
    ]


def pictures(adata: AnnData) -> list[str]:
    """The embeddings made to be looked at: two or three columns, and no principal components."""
    return [
        name
        for name in embeddings(adata)
        if adata.obsm[f"X_{name}"].shape[1] <= 3 and not any(word in name.lower() for word in _NOT_PICTURES)
    ]


def has_counts(adata: AnnData) -> bool:
    """Whether both layers hold whole numbers."""
    layers = (keys.SPLICED, keys.UNSPLICED)
    return all(k in adata.layers and matrices.is_whole(adata.layers[k]) for k in layers)


def has_moments(adata: AnnData) -> bool:
    """Whether the object brings ``Ms`` and ``Mu``."""
    return keys.MS in adata.layers and keys.MU in adata.layers


def keeps_moments(adata: AnnData, settings: Settings) -> bool:
    """Whether preparation will keep the moments and genes that came with the object."""
    return has_moments(adata) and not settings.preparation.recompute_moments


def has_neighbors(adata: AnnData) -> bool:
    """Whether the neighbour graph that came with the object is whole.

    Taking some of the cells leaves a graph in which cells have lost neighbours; scVelo calls it corrupted.
    Its rule: the poorest cell has more than half as many neighbours as the richest.
    """
    stored = adata.uns.get(keys.NEIGHBORS)
    if not isinstance(stored, dict) or "params" not in stored:
        return False
    if not all(
        key in adata.obsp and sparse.issparse(adata.obsp[key])
        for key in (keys.CONNECTIVITIES, keys.DISTANCES)
    ):
        return False
    indices = stored.get("indices")
    if indices is not None and (len(indices) != adata.n_obs or np.max(indices, initial=0) >= adata.n_obs):
        return False
    per_cell = np.asarray((adata.obsp[keys.DISTANCES] > 0).sum(axis=1)).ravel()
    return bool(per_cell.size and per_cell.min() * 2 > per_cell.max())


def groups_cells(column: pd.Series) -> bool:
    """Whether a column sorts the cells into 2 to 100 groups."""
    if pd.api.types.is_float_dtype(column) or pd.api.types.is_datetime64_any_dtype(column):
        return False
    n_levels = column.nunique()
    return 2 <= n_levels <= MAX_GROUPS and n_levels < len(column)


def _is_coordinates(values: Any, n_cells: int) -> bool:
    shape: tuple[int, ...] = getattr(values, "shape", ())
    if len(shape) != 2 or shape[0] != n_cells or shape[1] < 2 or sparse.issparse(values):
        return False
    array = np.asarray(values)
    return array.dtype.kind in "biuf" and bool(np.isfinite(array).all())
