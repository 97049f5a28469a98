"""Tables on pages and their downloads; text from outside never becomes a formula in a spreadsheet."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import pandas as pd
import streamlit as st

from app import session
from app.shared.charts import file_name
from deepvelo.io.spreadsheet import as_cell, in_cells
from deepvelo.wording import in_one_line

_MOST: Final = 300  # characters of a cell
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
    rows = [genes.index(shown)] if shown in genes else []
    session.fill({key: {"selection": {"rows": rows, "columns": [], "cells": []}}})
    show_table(
        table, key=key, hide_index=True, selection_mode="single-row", on_select=lambda: _choose(key, genes), **options
    )  # fmt: skip


def _choose(key: str, genes: Sequence[str]) -> None:
    rows = session.widget_value(key)["selection"]["rows"]
    if rows:
        session.set_gene(genes[rows[0]])


def download(title: str, text: str, *, name: str, help: str | None = None) -> None:
    """A button that saves a text, ``.csv`` or ``.json``, under a portable file name."""
    stem, _, ending = name.rpartition(".")
    st.download_button(
        title, text, file_name=f"{file_name(stem)}.{ending}", mime=_MIMES[ending], on_click="ignore",
        icon=":material/download:", help=help,
    )  # fmt: skip
