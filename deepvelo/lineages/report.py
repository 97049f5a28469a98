"""Write a lineage analysis as CSV and JSON files."""

from __future__ import annotations

import json
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from deepvelo.io.spreadsheet import to_csv
from deepvelo.io.write import write_text
from deepvelo.lineages.analysis import Lineages
from deepvelo.lineages.settings import to_dict

if TYPE_CHECKING:
    from deepvelo.tl.gene_sets.table_one import TableOne


def write_tables(found: Lineages, folder: Path, *, table_one: TableOne | None = None) -> list[str]:
    """Write every table; each file appears only once it is complete.

    Returns
    -------
    The names of the files: ``cells.csv`` (times, macrostate, fate probabilities), ``edges.csv`` (PAGA), ``drivers.csv``,
    ``lineages.json`` (settings, root, lineages, warnings); with ``table_one`` also ``table_one.csv`` and, with gene
    sets, ``enrichment.csv``.

    Raises
    ------
    InputError
        The folder is missing or may not be written, or the disk is full.
    """
    texts = {
        "cells.csv": to_csv(found.cells.rename_axis("cell"), index=True),
        "edges.csv": to_csv(found.edges),
        "drivers.csv": to_csv(found.drivers),
    }
    if table_one is not None:
        texts["table_one.csv"] = to_csv(table_one.rows)
        if table_one.pathways is not None:
            texts["enrichment.csv"] = to_csv(table_one.pathways)
    texts["lineages.json"] = to_json(found, table_one=table_one)
    for name, text in texts.items():
        write_text(text, folder / name)
    return list(texts)


def to_json(found: Lineages, *, table_one: TableOne | None = None) -> str:
    """The analysis without the tables of cells and drivers; undefined values are null."""
    contents: dict[str, Any] = {
        "program": f"deepvelo-explorer {version('deepvelo-explorer')}",
        "settings": to_dict(found.settings),
        "root": found.root,
        "last_groups": list(found.last_groups),
        "lineages": found.lineages,
        "edges": _records(found.edges),
        "warnings": list(found.warnings),
        "seconds": found.seconds,
    }
    if table_one is not None:
        contents["table_one"] = {
            "rows": _records(table_one.rows),
            "ends": {run: list(names) for run, names in table_one.ends.items()},
            "top": table_one.top,
            "q": table_one.q,
            "keywords": list(table_one.keywords),
        }
    return json.dumps(contents, indent=1, ensure_ascii=False)


def _records(frame: pd.DataFrame) -> list[dict[str, Any]]:
    plain = frame.astype(object).where(frame.notna(), None)
    return [{str(key): value for key, value in row.items()} for row in plain.to_dict("records")]
