"""Make ``obsm``, ``varm``, ``obsp``, ``varp`` and ``uns`` storable."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence, Set, ValuesView
from decimal import Decimal
from fractions import Fraction
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from scipy import sparse

from deepvelo.io.stored_names import restored_names
from deepvelo.io.tidy.tables import (
    as_name,
    as_text,
    clean,
    first_names,
    is_clean,
    plain_numbers,
    short_name,
    tidy_column,
    tidy_table,
)

if TYPE_CHECKING:
    from anndata import AnnData

_DEEPEST = 20  # nested dictionaries
_MAX_PARTS = 100  # items of a list that are stored one by one
_LARGEST_INT = 2**63
_LEFT_OUT = object()


def tidy_elements(adata: AnnData) -> list[str]:
    """Make ``obsm``, ``varm``, ``obsp``, ``varp`` and ``uns`` storable in place, and names of layers text.

    Tables of coordinates become arrays. In ``uns``, tuples and sets become lists, dates become text, and types of other
    packages become plain ones. Elements that files cannot hold are left out.

    Returns
    -------
    Notes on changed tables, and one that lists what was left out.
    """
    notes: list[str] = []
    left_out: list[str] = []
    for group in ("obsm", "varm", "obsp", "varp"):
        names = adata.obs_names if group.startswith("obs") else adata.var_names
        elements = dict(getattr(adata, group))
        found = _tidy_each(elements, group, partial(_matrix, names=names, notes=notes), left_out)
        if found is not elements:
            setattr(adata, group, found)
    texts = {name: as_name(name) for name in adata.layers}
    restored = restored_names(texts.values())
    for name, text in texts.items():
        if restored[text] != name:
            adata.layers[restored[text]] = adata.layers.pop(name)
    uns = dict(adata.uns)
    found = _tidy_each(uns, "uns", lambda x, at: _tidy_value(x, at, (), notes, left_out), left_out)
    if found is not uns:
        adata.uns = found
    if left_out:
        notes.append(f"Left out, because files cannot hold it: {first_names(left_out)}.")
    return notes


def _tidy_each(
    elements: Mapping[Any, Any], where: str, tidy: Callable[[Any, str], Any], left_out: list[str]
) -> Mapping[Any, Any]:
    """All elements made storable, under text names; the same object if nothing changes."""
    texts = {key: as_name(key) for key in elements}
    restored = restored_names(texts.values())
    found: dict[str, Any] = {}
    same = type(elements) is dict
    for key, value in elements.items():
        name = short_name(restored[texts[key]])
        while name in found:
            name += "_"
        at = f"{where}['{name}']"
        tidied = tidy(value, at)
        same &= tidied is value and name == key
        if tidied is _LEFT_OUT:
            left_out.append(f"{at} ({type(value).__name__})")
        else:
            found[name] = tidied
    return elements if same else found


def _matrix(matrix: Any, where: str, *, names: pd.Index, notes: list[str]) -> Any:
    """A numeric array, a CSR or CSC matrix, or a table."""
    if isinstance(matrix, pd.DataFrame):
        table, found = tidy_table(matrix, where)
        notes += found
        numeric = all(pd.api.types.is_numeric_dtype(dtype) for dtype in table.dtypes)
        if numeric and table.shape[1] and ("['X_" in where or table.shape[1] <= 3):
            plain = all(isinstance(dtype, np.dtype) for dtype in table.dtypes)
            return table.to_numpy() if plain else table.to_numpy(dtype=np.float64, na_value=np.nan)
        return table if table.index.equals(names) else table.set_axis(names, axis=0)
    if sparse.issparse(matrix):
        return _sparse(matrix)
    if isinstance(matrix, np.ndarray):
        array = _array(matrix)
        return _LEFT_OUT if array is None else array
    return matrix  # an array on disk


def _sparse(matrix: Any) -> Any:
    if matrix.dtype.kind not in "biufc":
        return _LEFT_OUT
    compressed = matrix if matrix.format in ("csr", "csc") else matrix.tocsr()
    plain = plain_numbers(compressed.data)
    return compressed if plain is compressed.data else compressed.astype(plain.dtype)


def _array(array: np.ndarray) -> np.ndarray | None:
    """A numeric, text or record array; None for anything else."""
    if isinstance(array, np.ma.MaskedArray):
        array = np.ma.filled(array.astype(np.float64), np.nan) if array.mask.any() else array.data
    if type(array) not in (np.ndarray, np.recarray):
        array = np.asarray(array)
    kind = array.dtype.kind
    if kind in "biufc":
        return plain_numbers(array)
    if kind == "V":
        return array if array.dtype.names else None
    if kind in "UO" and is_clean(array.ravel().tolist()):
        return array
    flat = _flat(pd.Series(array.ravel().astype(object), dtype=object))
    return None if flat is None else flat.reshape(array.shape)


def _flat(values: pd.Series) -> np.ndarray | None:
    """Numbers or text with missing values as NaN or ``nan``; None for anything else."""
    tidy = tidy_column(values).values
    if isinstance(tidy, pd.Categorical):
        return np.array([as_name(value) for value in tidy], dtype=object)
    if isinstance(tidy, pd.arrays.IntegerArray | pd.arrays.BooleanArray):
        return tidy.to_numpy(dtype=np.float64, na_value=np.nan)
    return None if tidy is None else np.asarray(tidy)


def _tidy_value(value: Any, where: str, above: tuple[Any, ...], notes: list[str], left_out: list[str]) -> Any:
    """A storable value of ``uns``, unchanged if possible; ``above`` are the enclosing containers."""
    from anndata import AnnData

    if value is None or isinstance(value, AnnData):
        return value
    if value is pd.NA or value is pd.NaT:
        return None
    if any(value is other for other in above) or len(above) > _DEEPEST:
        return _LEFT_OUT
    inside = (*above, value)

    def plain(inner: Any, at: str) -> Any:
        return _tidy_value(inner, at, inside, notes, left_out)

    if isinstance(value, Mapping):
        return _tidy_each(value, where, plain, left_out)
    if isinstance(value, str):
        return value if type(value) is str and is_clean([value]) else clean(str.__str__(value))
    if isinstance(value, np.generic | int | float | complex | bytes | Decimal | Fraction):
        return _scalar(value)
    if hasattr(value, "isoformat") or isinstance(value, os.PathLike | pd.Period | pd.Interval):
        return as_text(value)
    if isinstance(value, pd.Series):
        value = value.to_frame("value" if value.name is None else value.name)
    if isinstance(value, pd.DataFrame):
        table, told = tidy_table(value, where, numbered=True)
        notes += told
        return table
    if isinstance(value, pd.api.extensions.ExtensionArray):
        tidy = tidy_column(pd.Series(value)).values
        return _LEFT_OUT if tidy is None else value if isinstance(tidy, pd.Series) else tidy
    if sparse.issparse(value):
        return _sparse(value)
    if isinstance(value, Sequence | Set | ValuesView):
        return _sequence(value, where, plain, left_out)
    if hasattr(value, "__array__"):  # also tensors and arrays of other packages
        array = value if isinstance(value, np.ndarray) else np.asarray(value)
        if array.ndim == 0:
            return plain(array.item(), where)
        found = _array(array)
        if found is None and array.dtype == object:
            return _sequence(array.tolist(), where, plain, left_out)
        return _LEFT_OUT if found is None else found
    return _LEFT_OUT


def _sequence(value: Any, where: str, plain: Callable[[Any, str], Any], left_out: list[str]) -> Any:
    """A list of numbers or of text unchanged, a mixed list as text, anything else as a dictionary by position."""
    items = sorted(value, key=str) if isinstance(value, Set) else list(value)
    numbers = all(type(item) in (bool, int, float) and abs(item) < _LARGEST_INT for item in items)
    if numbers or is_clean(items):
        return value if type(value) is list else items
    if all(pd.api.types.is_scalar(item) for item in items):
        flat = _flat(pd.Series(items, dtype=object))
        return _LEFT_OUT if flat is None else flat
    try:
        array = np.array(items)
    except ValueError:  # rows of different lengths
        array = np.array([])
    if array.ndim > 1 and (found := _array(array)) is not None:
        return found
    if len(items) > _MAX_PARTS:
        return _LEFT_OUT
    return _tidy_each({str(i): item for i, item in enumerate(items)}, where, plain, left_out)


def _scalar(value: Any) -> Any:
    """A plain Python or NumPy number, or text."""
    if isinstance(value, bytes):
        return as_text(value)
    if isinstance(value, Decimal | Fraction):
        return float(value)
    if isinstance(value, np.generic):
        if value.dtype.kind not in "biufc":
            return as_text(value)
        return value if value.dtype.kind == "c" else plain_numbers(np.asarray(value))[()]
    if type(value) is bool or type(value) is float:
        return value
    if isinstance(value, float):
        return float(value)
    if isinstance(value, complex):
        return np.complex128(value)
    return int(value) if abs(value) < _LARGEST_INT else str(int(value))
