"""Tables on pages and their downloads; text from outside never becomes a formula in a spreadsheet."""

from __future__ import annotations

import time
from functools import partial
from hashlib import blake2b
from typing import Any, Final

import pandas as pd
import streamlit as st

from app import session
from app.shared.charts import file_name
from deepvelo.io.spreadsheet import as_cell, in_cells
from deepvelo.wording import in_one_line

_MOST: Final = 300  # characters of a cell
_STALE: Final = 4.0  # seconds, until a busy browser has drawn
_MIMES: Final = {"csv": "text/csv", "json": "application/json"}


def show_table(table: pd.DataFrame, *, column_config: dict[str, Any] | None = None, **options: Any) -> Any:
    """Draw a table with `st.dataframe`, whose cells visitors can copy into a spreadsheet safely."""
    shown = table.map(lambda value: in_one_line(value, most=_MOST) if isinstance(value, str) else value)
    config = {as_cell(name): column for name, column in (column_config or {}).items()}
    return st.dataframe(in_cells(shown), column_config=config or None, **options)


def show_genes(table: pd.DataFrame, *, key: str, gene: str | None = None, **options: Any) -> None:
    """Draw a table whose rows choose genes; the row of the chosen gene is selected.

    Parameters
    ----------
    table
        With a column ``Gene``.
    gene
        The gene that the page shows, by default that of the URL.
    options
        As of `show_table`.
    """
    genes = [str(name) for name in table["Gene"]]
    shown = session.gene() if gene is None else gene
    row = genes.index(shown) if shown in genes else None
    # Another table is another widget: the row that was selected in the table before means another gene.
    of_table = f"{key}.{blake2b(chr(10).join(genes).encode(), digest_size=8).hexdigest()}"
    moved = [
        (at, old)
        for at, old in session.widget_value(f"{of_table}.moved") or []
        if time.monotonic() - at < _STALE
    ]
    if (before := session.widget_value(f"{of_table}.row")) != row:
        moved.append((time.monotonic(), before))
    session.fill(
        {
            of_table: {"selection": {"rows": [] if row is None else [row], "columns": [], "cells": []}},
            f"{of_table}.row": row,
            f"{of_table}.moved": moved,
            f"{key}.names": genes,
        }
    )
    show_table(
        table, key=of_table, hide_index=True, selection_mode="single-row",
        on_select=partial(_choose, of_table, f"{key}.names"), **options,
    )  # fmt: skip


def _choose(of_table: str, names: str) -> None:
    """Choose the gene of the selected row.

    Until a browser has drawn that another row is selected, it sends the row of before along with anything else: that row
    chooses nothing for a moment.
    """
    rows, genes = session.widget_value(of_table)["selection"]["rows"], session.widget_value(names)
    stale = {
        old for at, old in session.widget_value(f"{of_table}.moved") or [] if time.monotonic() - at < _STALE
    }
    if rows and rows[0] < len(genes) and rows[0] not in stale:
        session.set_gene(genes[rows[0]])
        session.fill({f"{of_table}.row": rows[0]})  # the browser knows this one


def download(title: str, text: str, *, name: str, help: str | None = None) -> None:
    """A button that saves a text, ``.csv`` or ``.json``, under a portable file name."""
    stem, _, ending = name.rpartition(".")
    st.download_button(
        title, text, file_name=f"{file_name(stem)}.{ending}", mime=_MIMES[ending], on_click="ignore",
        icon=":material/download:", help=help,
    )  # fmt: skip
