"""Tables for spreadsheets, escaped so that no text is interpreted as a formula."""

from __future__ import annotations

import csv
import re
from typing import Final, TypeVar

import pandas as pd
from pandas.api.types import is_numeric_dtype

Values = TypeVar("Values", pd.Series, pd.Index)

# Formulas in Excel, LibreOffice and Google Sheets begin with these, also after blanks and quotes or as full-width signs.
_BEGINS: Final = re.compile(r"[\s\"'\x00-\x1f\u200b-\u200f\u2060\ufeff]*[=+\-@＝＋－＠]|[\t\r\n]")
_NUMBER: Final = re.compile(r"[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?")


def as_cell(text: str) -> str:
    """Text for a cell, with an apostrophe before a formula such as ``=1+1``; numbers stay numbers."""
    if not text or text[0].isalnum() or not _BEGINS.match(text) or _NUMBER.fullmatch(text):
        return text
    return f"'{text}" if any(sign.isalnum() for sign in text) else text  # `+/-` computes nothing


def in_cells(table: pd.DataFrame) -> pd.DataFrame:
    """A copy of a table with `as_cell` applied to all texts and to the names of rows and columns."""
    shown = table.copy(deep=False)
    for place in range(shown.shape[1]):
        shown.isetitem(place, _in_cells(shown.iloc[:, place]))
    return shown.set_axis(_in_cells(table.index), axis=0).set_axis(_in_cells(table.columns), axis=1)


def to_csv(table: pd.DataFrame, *, index: bool = False) -> str:
    """A table as CSV with text quoted and escaped by `as_cell`; missing values are empty.

    Parameters
    ----------
    table
        Column names, and row names with ``index``, are escaped too.
    """
    return str(in_cells(table).to_csv(index=index, quoting=csv.QUOTE_NONNUMERIC))


def _in_cells(values: Values) -> Values:
    found = values if is_numeric_dtype(values.dtype) else values.map(_cell)
    return found.rename(_cell(values.name))


def _cell(value: object) -> object:
    return as_cell(value) if isinstance(value, str) else value
