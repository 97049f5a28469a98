"""Selection of cells on a figure by lasso or box, and its display."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import plotly.graph_objects as go

_UNSELECTED = 0.12  # opacity of other cells, which stay visible


def cells_inside(
    points: np.ndarray, *, lassos: Sequence[Mapping[str, Any]] = (), boxes: Sequence[Mapping[str, Any]] = ()
) -> np.ndarray:
    """Find all cells inside any lasso or box, including cells that the figure does not draw.

    Parameters
    ----------
    points
        Embedding, shape ``(n_cells, 2)``; cells with NaN are never inside.
    lassos
        Corners in data coordinates, ``x`` and ``y``, as Plotly reports them.
    boxes
        Two opposite corners in the same format.

    Returns
    -------
    Row numbers, ascending.
    """
    from matplotlib.path import Path

    inside = np.zeros(len(points), dtype=bool)
    for lasso in lassos:
        if len(lasso["x"]) > 2:  # fewer corners enclose nothing
            inside |= Path(np.column_stack([lasso["x"], lasso["y"]])).contains_points(points)
    for box in boxes:
        low, high = (edge(np.column_stack([box["x"], box["y"]]), axis=0) for edge in (np.min, np.max))
        inside |= ((points >= low) & (points <= high)).all(axis=1)
    return np.flatnonzero(inside & np.isfinite(points).all(axis=1))


def mark_selected(fig: go.Figure, cells: Sequence[int] | np.ndarray) -> go.Figure:
    """Fade all cells except the selected ones; does nothing if none is selected. Returns ``fig``.

    Parameters
    ----------
    cells
        Row numbers, as in ``customdata`` of the traces.
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
