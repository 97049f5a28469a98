"""Maps of cells: which of their columns a figure can show, and how people name maps and axes."""

from __future__ import annotations

from collections.abc import Collection

import numpy as np

from deepvelo import keys
from deepvelo.contents.coordinates import is_spatial, plain_name

_OF_RATES = {keys.X_RATES_PCA, keys.X_RATES_UMAP, keys.X_ALPHA_UMAP, keys.X_BETA_UMAP, keys.X_GAMMA_UMAP}
_LABELS = {
    "umap": "UMAP", "tsne": "t-SNE", "pca": "PCA", "diffmap": "Diffusion map", "spatial": "Spatial coordinates",
    "umap3d": "UMAP, 3D", "tsne3d": "t-SNE, 3D",
    "phate": "PHATE", "drawgraphfa": "Force-directed graph", "drawgraphfr": "Force-directed graph",
}  # fmt: skip
_AXES = {
    "pca": "PC",
    "diffmap": "DC",
    "spatial": "Spatial",
    "umap3d": "UMAP",
    "tsne3d": "t-SNE",
    "drawgraphfa": "FA",
    "drawgraphfr": "FR",
}
_CONSTANT = 1e-5  # spread by largest value; float32 leaves about 1e-7


def maps(obsm: Collection[str]) -> list[str]:
    """The maps of cells among the names in ``obsm``, without ``X_``; maps of rates are left out."""
    own = [name.removeprefix("X_") for name in obsm if name.startswith("X_") and name not in _OF_RATES]
    others = [
        name
        for name in obsm
        if is_spatial(name) and not name.startswith(("X_", "velocity_")) and name not in own
    ]
    return own + others


def key_of(basis: str, obsm: Collection[str]) -> str:
    """The name in ``obsm`` of a map; spatial coordinates may stand there without ``X_``."""
    key = keys.embedding(basis)
    return basis if key not in obsm and basis in obsm else key


def label(basis: str) -> str:
    """Name of a map, as people write it."""
    return _LABELS.get(plain_name(basis), basis.upper() if len(basis) <= 4 else basis)


def axis_label(basis: str, number: int) -> str:
    """Name of an axis by its number, from 1: ``PC 1``."""
    return f"{_AXES.get(plain_name(basis), label(basis))} {number}"


def axes(basis: str, values: np.ndarray) -> dict[int, str]:
    """The columns of a map that differ between cells, each with its name.

    Parameters
    ----------
    basis
        Name of the map, with or without ``X_``.
    values
        Shape ``(n_cells, n_columns)``; cells with a NaN are passed over.

    Returns
    -------
    Names by column. Constant columns are left out, and so is the first component of a diffusion map if it has one
    sign: that is the stationary distribution, which only tells how dense the cells lie. As in scanpy, the next one is
    ``DC 1``. All columns if fewer than two differ.

    Examples
    --------
    >>> axes("pca", np.array([[0.0, 1.0, 2.0], [1.0, 1.0, 3.0]]))
    {0: 'PC 1', 2: 'PC 3'}
    """
    known = values[np.isfinite(values).all(axis=1)]
    known = known if known.dtype.kind == "f" else known.astype(float)  # differences of booleans are none
    if not len(known):
        known = np.zeros((1, values.shape[1]))
    low, high = known.min(axis=0), known.max(axis=0)
    differ = high - low > _CONSTANT * np.maximum(np.abs(low), np.abs(high))
    is_stationary = "diff" in plain_name(basis) and (low[0] > 0 or high[0] < 0)
    if is_stationary:
        differ[0] = False
    columns = np.flatnonzero(differ) if differ.sum() > 1 else np.arange(values.shape[1])
    first = 0 if is_stationary and differ.sum() > 1 else 1
    return {int(column): axis_label(basis, int(column) + first) for column in columns}
