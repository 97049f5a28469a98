"""Annotation columns as text, independent of how they are stored."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd


def as_text(column: pd.Series) -> pd.Series:
    """Each value as text, independent of the dtype; missing and blank values are None.

    Whole numbers have no decimals (``1.0`` is ``"1"``) unless the column also holds fractions. Bytes are decoded.

    Returns
    -------
    Dtype object, missing values as None.
    """
    codes, values = pd.factorize(column)
    texts = np.array([*value_texts(list(values)), None], dtype=object)  # code -1, missing, is the last
    return pd.Series(texts[codes], index=column.index, name=column.name, dtype=object)


def value_texts(values: list[Any]) -> list[str | None]:
    """The distinct values of a column as text; see `as_text`."""
    decimals = [value for value in values if isinstance(value, float | np.floating)]
    whole = all(float(value).is_integer() for value in decimals)
    return [_text(value, whole=whole) for value in values]


def is_textual(column: pd.Series) -> bool:
    """Whether a column holds text: strings, bytes, or categories of these."""
    values = column.cat.categories if isinstance(column.dtype, pd.CategoricalDtype) else column.dropna()
    return pd.api.types.infer_dtype(values, skipna=True) in ("string", "bytes")


def _text(value: Any, *, whole: bool) -> str | None:
    if isinstance(value, bytes):
        value = value.decode(errors="replace")
    elif whole and isinstance(value, float | np.floating):
        value = int(value)
    text = str(value)
    return text if text.strip() else None
