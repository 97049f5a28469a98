"""Find what cannot be written: write everything except the numbers into memory before a fit."""

from __future__ import annotations

import logging
from io import BytesIO
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from scipy import sparse

from deepvelo.errors import InputError
from deepvelo.io.tidy.elements import tidy_elements
from deepvelo.io.tidy.tables import first_names, tidy_tables
from deepvelo.io.write import first_line, write_into_hdf5

if TYPE_CHECKING:
    from anndata import AnnData

logger = logging.getLogger(__name__)

_GROUPS = ("layers", "obsm", "varm", "obsp", "varp", "uns")


def leave_out_unwritable(adata: AnnData) -> list[str]:
    """Remove what h5ad files or the run store cannot hold, in place; called before the training starts.

    Numbers are not written, so this takes a fraction of a second for 100,000 cells.

    Returns
    -------
    One note that names what was left out, or an empty list.

    Raises
    ------
    InputError
        The object cannot be written, and leaving out parts does not help.
    """
    light = _without_numbers(adata)
    if not _error(light):
        return []
    left_out = []
    for name in ("obs", "var"):
        table = getattr(adata, name)
        if bad := _unwritable(light, name, list(table)):
            setattr(adata, name, table.drop(columns=bad))
            left_out += [f"column '{column}' of {name}" for column in bad]
    for group in _GROUPS:
        for key in _unwritable(light, group, list(getattr(adata, group))):
            del getattr(adata, group)[key]
            left_out.append(f"{group}['{key}']")
    if adata.raw is not None and _error(_part(light, raw=light.raw)):
        adata.raw = None
        left_out.append("raw")
    if error := _error(_without_numbers(adata)):
        msg = f"The data cannot be written: {error}. Save them again with `write_h5ad` and fit that file."
        raise InputError(msg)
    return [f"Left out, because it cannot be written: {first_names(left_out)}."]


def writable_copy(adata: AnnData) -> tuple[AnnData, list[str]]:
    """A shallow copy that can be written, and notes on what was changed or left out."""
    copy = _part(adata, **{name: getattr(adata, name) for name in ("X", "obs", "var", "raw", *_GROUPS)})
    return copy, tidy_tables(copy) + tidy_elements(copy) + leave_out_unwritable(copy)


def _part(adata: AnnData, **parts: Any) -> AnnData:
    """An object with the same cells and genes and only the given parts."""
    from anndata import AnnData

    raw = parts.pop("raw", None)
    tables = {
        "obs": pd.DataFrame(index=adata.obs.index),
        "var": pd.DataFrame(index=adata.var.index),
    }
    mappings = {name: dict(parts.pop(name)) for name in _GROUPS if name in parts}
    part = AnnData(**(tables | mappings | parts))
    if raw is not None:
        part.raw = AnnData(X=raw.X, var=raw.var, varm=dict(raw.varm))
    return part


def _without_numbers(adata: AnnData) -> AnnData:
    """The same tables and names with empty matrices: numbers can always be written."""
    found: dict[str, Any] = {"obs": adata.obs, "var": adata.var}
    for group in _GROUPS:
        found[group] = {key: _emptied(value, group) for key, value in getattr(adata, group).items()}
    if adata.raw is not None:
        found["raw"] = _raw_without_numbers(adata)
    return _part(adata, **found)


def _raw_without_numbers(adata: AnnData) -> AnnData:
    from anndata import AnnData

    return AnnData(X=sparse.csr_matrix(adata.raw.shape, dtype=np.float32), var=adata.raw.var)


def _emptied(value: Any, group: str) -> Any:
    if isinstance(value, dict):
        return {key: _emptied(inner, group) for key, inner in value.items()}
    kind = getattr(getattr(value, "dtype", None), "kind", "")
    plain = sparse.issparse(value) or type(value) is np.ndarray or hasattr(value, "chunks")
    if not plain or kind not in "biuf" or len(value.shape) == 0:
        return value
    if group == "uns":
        return np.zeros(0, dtype=value.dtype)
    columns = 1 if group in ("obsm", "varm") else value.shape[1]
    return sparse.csr_matrix((value.shape[0], columns), dtype=np.float32)


def _unwritable(adata: AnnData, group: str, names: list[Any]) -> list[Any]:
    """The entries of a table or mapping that cannot be written, found by bisection."""
    whole = getattr(adata, group)
    part = whole[names] if isinstance(whole, pd.DataFrame) else {name: whole[name] for name in names}
    if not names or not _error(_part(adata, **{group: part})):
        return []
    if len(names) == 1:
        return names
    half = len(names) // 2
    return _unwritable(adata, group, names[:half]) + _unwritable(adata, group, names[half:])


def _error(adata: AnnData) -> str:
    """The first error of either writer; empty if both can write the object."""
    from zarr.storage import MemoryStore

    from deepvelo.io.write_zarr import write_into_zarr

    try:
        write_into_hdf5(BytesIO(), adata)
        write_into_zarr(MemoryStore(), adata)
    except MemoryError:
        raise
    except Exception as error:  # AnnData, HDF5 and Zarr raise errors of many types
        logger.debug("cannot be written", exc_info=True)
        return first_line(error)
    return ""
