"""Display of some cells on a figure."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import plotly.graph_objects as go

_FADED = 0.12  # opacity of other cells, which stay visible


def fade_others(fig: go.Figure, cells: Sequence[int] | np.ndarray) -> go.Figure:
    """Fade all cells except these. Returns ``fig``.

    Parameters
    ----------
    cells
        Row numbers, as in ``customdata`` of the traces.
    """
    chosen = np.asarray(cells, dtype=int)
    for trace in fig.select_traces(selector={"mode": "markers"}):
        if trace.customdata is not None:
            opaque = np.isin(trace.customdata, chosen)
            trace.marker.opacity = np.where(opaque, trace.marker.opacity or 1, _FADED).astype(np.float32)
    return fig
