"""Where methods agree, on the embedding, and the region that a visitor chose there."""

from __future__ import annotations

from collections.abc import Collection, Sequence

import numpy as np
import plotly.graph_objects as go

from deepvelo.pl import theme
from deepvelo.pl.embedding import scatter

_UNSELECTED = 0.12  # opacity: what is not chosen stays in sight


def agreement_map(
    points: np.ndarray,
    agreement: np.ndarray,
    groups: Sequence[str] | np.ndarray,
    *,
    axis_name: str = "UMAP",
    dark: bool = False,
    height: int = theme.HEIGHT,
) -> go.Figure:
    """Cells on an embedding, coloured by how well methods agree in them.

    Parameters
    ----------
    points
        Embedding, shape ``(n_cells, 2)``.
    agreement
        Mean cosine between the methods, -1 to 1, shape ``(n_cells,)``; a cell with NaN is grey.
    groups
        Group of each cell; names are written at the groups' medians.
    """
    fig = scatter(
        points, groups, values=agreement, diverging=True, axis_name=axis_name, dark=dark, height=height
    )
    bar = {
        "title": {"text": ""},
        "orientation": "h",
        "y": 1.01,
        "yanchor": "bottom",
        "ypad": 0,
        "len": 0.8,
        "tickvals": [-1, -0.5, 0, 0.5, 1],
        "ticktext": ["−1 opposite", "−0.5", "0", "0.5", "1 same way"],
    }
    # Over the picture: an embedding is as high as it is wide, and a bar beside it would make it smaller.
    # Warm is where methods contradict each other. The scale is always the whole one: 1 must look like 1.
    marker = {"cmin": -1, "cmax": 1, "colorscale": theme.DIVERGING[::-1], "colorbar": bar}
    fig.update_traces(
        selector={"marker.showscale": True}, marker=marker, hovertemplate="%{marker.color:.2f}<extra></extra>"
    )
    return fig.update_layout(margin_t=56)


def mark_selected(fig: go.Figure, cells: Collection[int]) -> go.Figure:
    """Fade all cells but the chosen ones; for none chosen leave the figure as it is. Returns ``fig``.

    Parameters
    ----------
    cells
        Row numbers, as the traces carry them in ``customdata``.
    """
    if cells:
        chosen = np.fromiter(cells, dtype=int)
        for trace in fig.select_traces(selector={"mode": "markers"}):
            if trace.customdata is not None:
                trace.update(
                    selectedpoints=np.flatnonzero(np.isin(trace.customdata, chosen)),
                    selected={"marker": {"opacity": 0.95}},
                    unselected={"marker": {"opacity": _UNSELECTED}},
                )
    return fig
