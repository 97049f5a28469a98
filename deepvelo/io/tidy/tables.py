"""Make ``obs`` and ``var`` storable in every file format."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress
from decimal import Decimal
from numbers import Real
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import pandas as pd
from anndata.utils import make_index_unique

from deepvelo.io.stored_names import restored_names
from deepvelo.wording import in_one_line, number

if TYPE_CHECKING:
    from anndata import AnnData

_RESERVED = "_index"  # AnnData stores the row names under it
_LONGEST = 200  # bytes; folder names are limited to 255
_SHOWN = 5
# Descriptions of the types that pandas infers.
_KINDS = {
    "datetime64": "dates", "datetime": "dates", "date": "dates", "time": "times of day", "timedelta64": "durations",
    "timedelta": "durations", "period": "periods", "interval": "intervals", "integer": "very large numbers",
    "mixed": "values of several kinds", "mixed-integer": "values of several kinds",
}  # fmt: skip


class Tidied(NamedTuple):
    """A storable column."""

    values: Any
    """The column itself, or an array with one value per row; None if it cannot be stored."""
    original: str = ""
    """Description of the original values, if they became text or were left out."""


def tidy_tables(adata: AnnData) -> list[str]:
    """Make ``obs`` and ``var`` storable, in place.

    Row and column names become text, and column names unique. Columns become numbers, booleans, text or categoricals.
    Missing values stay missing.

    Returns
    -------
    Notes on columns that were renamed, converted to text or left out.
    """
    notes = []
    for name in ("obs", "var"):
        table = getattr(adata, name)
        tidy, found = tidy_table(table, name)
        if tidy is not table:
            setattr(adata, name, tidy)
        notes += found
    return notes


def tidy_table(table: pd.DataFrame, name: str, *, numbered: bool = False) -> tuple[pd.DataFrame, list[str]]:
    """A storable table and notes; the same table if nothing changes.

    Parameters
    ----------
    name
        Name of the table in the notes.
    numbered
        Keep numeric row names; otherwise they become text.
    """
    rows = table.index if numbered and _are_numbers(table.index.dtype) else text_index(table.index)
    names, notes = _column_names(table.columns, name)
    if rows.name is not None:
        rows_name = _restored(as_name(rows.name))
        rows = rows if rows_name == rows.name else rows.rename(rows_name)
        rows = rows.rename(None) if rows_name in names else rows
    columns = [table.iloc[:, i] for i in range(table.shape[1])]
    found = [tidy_column(column) for column in columns]
    changed = [tidy.values is not column for tidy, column in zip(found, columns, strict=True)]
    if not any(changed) and rows is table.index and names is table.columns and type(table) is pd.DataFrame:
        return table, notes
    by_name = dict(zip(names, found, strict=True))
    for what, left_out in (("left out: files cannot hold the values of", True), ("made text:", False)):
        told = [
            f"'{key}' ({t.original})"
            for key, t in by_name.items()
            if t.original and (t.values is None) == left_out
        ]
        if told:
            notes.append(f"{number(len(told), 'column')} of {name} {what} {first_names(told)}.")
    # arrays, because pandas would align columns by their old index
    kept = {
        key: t.values.array if isinstance(t.values, pd.Series) else t.values
        for key, t in by_name.items()
        if t.values is not None
    }
    return pd.DataFrame(kept, index=rows, columns=pd.Index(list(kept), dtype=object)), notes


def tidy_column(column: pd.Series) -> Tidied:
    """Storable values of a column, unchanged if possible; missing values stay missing."""
    dtype, values = column.dtype, column.array
    if isinstance(dtype, pd.CategoricalDtype):
        return _categories(column)
    if isinstance(values, pd.arrays.IntegerArray | pd.arrays.BooleanArray):
        return Tidied(column)
    if isinstance(values, pd.arrays.FloatingArray):
        return Tidied(values.to_numpy(dtype=dtype.numpy_dtype, na_value=np.nan))
    if isinstance(dtype, pd.SparseDtype):
        dense = np.asarray(values)
        tidy = tidy_column(pd.Series(dense))
        return tidy._replace(values=dense) if isinstance(tidy.values, pd.Series) else tidy
    if _are_numbers(dtype):
        numbers = column.to_numpy()
        plain = plain_numbers(numbers)
        return Tidied(column if plain is numbers else plain)
    return _objects(column)


def text_index(index: pd.Index) -> pd.Index:
    """Names as plain text; the same index if they are already."""
    if index.dtype == object and not isinstance(index, pd.MultiIndex) and is_clean(index):
        return index
    return pd.Index(
        [as_name(name) for name in index], dtype=object, name=None if index.nlevels > 1 else index.name
    )


def as_name(name: Any) -> str:
    """A name as storable text."""
    if isinstance(name, tuple):
        return "_".join(as_name(part) for part in name if part != "")
    return "nan" if pd.api.types.is_scalar(name) and pd.isna(name) else as_text(name)


def short_name(name: str) -> str:
    """A name truncated to the length of folder names."""
    return name.encode()[:_LONGEST].decode(errors="ignore")


def as_text(value: Any) -> str:
    """One value as storable text; dates and durations in ISO 8601."""
    if isinstance(value, bytes):
        return clean(value.decode("utf-8", "replace"))
    return clean(value.isoformat() if hasattr(value, "isoformat") else str(value))


def clean(text: str) -> str:
    """Storable text: without NUL, which ends a text in HDF5, and without unpaired surrogates."""
    return text.rstrip("\0").replace("\0", "\N{SYMBOL FOR NULL}").encode("utf-8", "replace").decode()


def is_clean(values: Iterable[Any]) -> bool:
    """Whether all values are storable text."""
    try:
        joined = "".join(values)
        joined.encode()
    except (TypeError, UnicodeEncodeError):
        return False
    return "\0" not in joined


def plain_numbers(values: np.ndarray) -> np.ndarray:
    """Numbers of at most 8 bytes in native byte order; the same array if they are already."""
    if values.dtype.kind == "f" and values.dtype.itemsize > 8:
        return values.astype(np.float64)
    return values if values.dtype.isnative else values.astype(values.dtype.newbyteorder("="))


def first_names(names: list[str]) -> str:
    """The first of many names, for a note."""
    return ", ".join(names[:_SHOWN]) + (", ..." if len(names) > _SHOWN else "")


def _objects(column: pd.Series) -> Tidied:
    """Convert columns of Python objects: text, bytes, dates and others."""
    values = column.astype(object)
    missing = values.isna().to_numpy()
    if not len(values):
        return Tidied(column if column.dtype == object else values.to_numpy())
    if missing.all():
        return Tidied(np.full(len(values), np.nan))
    known = values[~missing].tolist()
    kind = pd.api.types.infer_dtype(known, skipna=False)
    match kind:
        case "string" if is_clean(known):
            return (
                Tidied(column)
                if column.dtype == object and not missing.any()
                else Tidied(_texts(values, missing))
            )
        case "string":
            return Tidied(_texts(values, missing), "characters that files cannot hold")
        case "bytes":
            return Tidied(_texts(values, missing))
        case "boolean":
            return Tidied(
                pd.array(values, dtype="boolean") if missing.any() else values.to_numpy().astype(bool)
            )
        case "integer" if all(-(2**63) <= value < 2**63 for value in known):
            return Tidied(
                pd.array(values, dtype="Int64") if missing.any() else values.to_numpy().astype(np.int64)
            )
        case "complex":
            return Tidied(None, "complex numbers")
    if kind != "integer" and all(isinstance(value, Real | Decimal) for value in known):
        with suppress(OverflowError):  # integers may exceed the range of floats
            numbers = [np.nan if gone else float(v) for v, gone in zip(values, missing, strict=True)]
            return Tidied(np.array(numbers))
    other = next((value for value in known if not pd.api.types.is_scalar(value)), None)
    if other is not None:
        return Tidied(None, f"holds {type(other).__name__}")
    return Tidied(_texts(values, missing), _KINDS.get(kind, kind))


def _texts(values: pd.Series, missing: np.ndarray) -> np.ndarray | pd.Categorical:
    """Plain text, or categories if values are missing, which plain text in a file cannot be."""
    texts = np.array(
        [None if gone else as_text(v) for v, gone in zip(values, missing, strict=True)], dtype=object
    )
    return pd.Categorical(texts) if missing.any() else texts


def _categories(column: pd.Series) -> Tidied:
    before = column.cat.categories
    if is_clean(before) and before.dtype == object:
        return Tidied(column)
    if _are_numbers(before.dtype) and plain_numbers(before.to_numpy()).dtype == before.dtype:
        return Tidied(column)
    values, original = _objects(pd.Series(before, dtype=object))
    if values is None:
        values = [as_text(category) for category in before]
    codes, categories = pd.factorize(np.asarray(values))  # categories may have become the same text
    codes = np.append(codes, -1)[column.cat.codes]  # -1 is missing
    return Tidied(pd.Categorical.from_codes(codes, categories, ordered=column.cat.ordered), original)


def _column_names(columns: pd.Index, table: str) -> tuple[pd.Index, list[str]]:
    """Unique text names and a note on renamed ones; the same index if nothing changes."""
    texts = [as_name(name) for name in columns]
    before = restored_names(texts)
    given = [before[name] for name in texts]
    names = [short_name(name) for name in given]
    reserved = "index"
    while reserved in names:
        reserved += "_"
    names = [reserved if name == _RESERVED else name for name in names]
    if len(set(names)) < len(names):
        names = list(make_index_unique(pd.Index(names, dtype=object)))
    if columns.dtype == object and columns.nlevels == 1 and list(columns) == names:
        return columns, []
    shown = [old if len(old) <= 2 * _LONGEST else in_one_line(old, most=2 * _LONGEST) for old in given]
    renamed = [
        f"'{name}' to '{new}'" for name, old, new in zip(shown, given, names, strict=True) if old != new
    ]
    note = f"{number(len(renamed), 'column')} of {table} renamed: {first_names(renamed)}."
    return pd.Index(names, dtype=object), [note] if renamed else []


def _restored(name: str) -> str:
    return restored_names([name])[name]


def _are_numbers(dtype: Any) -> bool:
    return isinstance(dtype, np.dtype) and dtype.kind in "biuf"
