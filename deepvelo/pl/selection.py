"""Cells chosen on a picture: which lie inside what was drawn, and how they are marked."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import plotly.graph_objects as go

_UNSELECTED = 0.12  # opacity: what is not chosen stays in sight


def cells_inside(
    points: np.ndarray, *, lassos: Sequence[Mapping[str, Any]] = (), boxes: Sequence[Mapping[str, Any]] = ()
) -> np.ndarray:
    """Cells inside any lasso or box, drawn or not: a picture of many cells draws only some of them.

    Parameters
    ----------
    points
        Embedding, shape ``(n_cells, 2)``; a cell without a place is in none.
    lassos
        Corners in data coordinates as ``x`` and ``y``, as Plotly reports them.
    boxes
        Two opposite corners in the same way.

    Returns
    -------
    Row numbers, ascending.
    """
    from matplotlib.path import Path

    inside = np.zeros(len(points), dtype=bool)
    for lasso in lassos:
        if len(lasso["x"]) > 2:  # fewer corners have no inside
            inside |= Path(np.column_stack([lasso["x"], lasso["y"]])).contains_points(points)
    for box in boxes:
        low, high = (edge(np.column_stack([box["x"], box["y"]]), axis=0) for edge in (np.min, np.max))
        inside |= ((points >= low) & (points <= high)).all(axis=1)
    return np.flatnonzero(inside & np.isfinite(points).all(axis=1))


def mark_selected(fig: go.Figure, cells: Sequence[int] | np.ndarray) -> go.Figure:
    """Fade all cells but the chosen ones; for none chosen leave the figure as it is. Returns ``fig``.

    Parameters
    ----------
    cells
        Row numbers, as the traces carry them in ``customdata``.
    """
    if len(cells):
        chosen = np.asarray(cells, dtype=int)
        for trace in fig.select_traces(selector={"mode": "markers"}):
            if trace.customdata is not None:
                trace.update(
                    selectedpoints=np.flatnonzero(np.isin(trace.customdata, chosen)).astype(np.int32),
                    selected={"marker": {"opacity": 0.95}},
                    unselected={"marker": {"opacity": _UNSELECTED}},
                )
    return fig
