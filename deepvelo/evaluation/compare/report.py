"""A comparison as JSON and CSV, for the download button and the command line."""

from __future__ import annotations

import json
from collections.abc import Mapping
from importlib.metadata import version
from typing import Any

import pandas as pd

from deepvelo.evaluation.compare.edges import edge_name
from deepvelo.evaluation.compare.scores import EFFECT_NOTE, SCORES, SMOOTHING_NOTE, Comparison
from deepvelo.io import spreadsheet


def to_json(comparison: Comparison, *, runs: Mapping[str, Mapping[str, str]] | None = None) -> str:
    """The comparison without the scores of single cells; undefined values are null.

    ``runs`` describes the origin of each method's result, such as run, data and settings.
    """
    facts = comparison.facts.drop(columns=comparison.table.columns, errors="ignore")
    contents = {
        "program": f"deepvelo-explorer {version('deepvelo-explorer')}",
        "cells_scored": comparison.n_cells,
        "cluster_key": comparison.cluster_key,
        "basis": comparison.basis,
        "edges": [edge_name(edge) for edge in comparison.edges],
        "smooth": "as fitted" if comparison.smooth is None else comparison.smooth,
        "runs": dict(runs or {}),
        "methods": _records(comparison.table.join(facts).reset_index()),
        "tests": _records(comparison.tests),
        "agreement": {
            "median": None if comparison.agreement.isna().all() else float(comparison.agreement.median()),
            "common_velocity_genes": comparison.n_common_genes,
        },
        "definitions": SCORES,
        "notes": [SMOOTHING_NOTE, EFFECT_NOTE],
        "warnings": comparison.warnings,
    }
    return json.dumps(contents, indent=1, ensure_ascii=False)


def to_csv(comparison: Comparison) -> str:
    """The table with one row per method and one column per score; undefined scores are empty."""
    return spreadsheet.to_csv(comparison.table, index=True)


def _records(frame: pd.DataFrame) -> list[dict[str, Any]]:
    # pandas' JSON writer rounds a p-value of 1e-20 to 0
    plain = frame.astype(object).where(frame.notna(), None)
    return [{str(key): value for key, value in row.items()} for row in plain.to_dict("records")]
