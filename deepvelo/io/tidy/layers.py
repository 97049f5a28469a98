"""Layers under their standard names, as float32."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from scipy import sparse

from deepvelo import keys
from deepvelo.errors import InputError
from deepvelo.matrices import is_lazy, is_numeric

if TYPE_CHECKING:
    from anndata import AnnData


def name_layers(adata: AnnData) -> None:
    """Call the layers of counts as scVelo does, in place."""
    for layer in list(adata.layers):
        if layer.lower() in (keys.SPLICED, keys.UNSPLICED) and layer.lower() not in adata.layers:
            adata.layers[layer.lower()] = adata.layers.pop(layer)


def require_numbers(adata: AnnData, name: str) -> None:
    """Make ``X`` and all layers float32, in place; those that lie in a file stay there.

    Raises
    ------
    InputError
        One does not hold numbers.
    """
    for layer in list(adata.layers):
        adata.layers[layer] = _float32(adata.layers[layer], f"Layer '{layer}' of {name}")
    if adata.X is not None and not _in_file(adata.X):
        adata.X = _float32(adata.X, f"X of {name}")


def _float32(matrix: Any, what: str) -> Any:
    if not is_numeric(matrix):
        kind = getattr(matrix, "dtype", type(matrix).__name__)
        msg = f"{what} does not hold numbers: its type is {kind}. Save the counts as integers or floats."
        raise InputError(msg)
    if is_lazy(matrix):
        return matrix.astype(np.float32)
    if _in_file(matrix):
        return matrix
    if sparse.issparse(matrix):
        return sparse.csr_matrix(matrix, dtype=np.float32)
    return np.asarray(matrix, dtype=np.float32)


def _in_file(matrix: Any) -> bool:
    """Whether it is an HDF5 or Zarr array."""
    return not isinstance(matrix, np.ndarray) and hasattr(matrix, "chunks") and not is_lazy(matrix)
