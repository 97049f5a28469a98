"""Display of selected cells on a figure."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import plotly.graph_objects as go

_UNSELECTED = 0.12  # opacity of other cells, which stay visible


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
