"""Agreement of methods on the embedding."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import plotly.graph_objects as go

from deepvelo.pl import theme
from deepvelo.pl.embedding import scatter


def agreement_map(
    points: np.ndarray,
    agreement: np.ndarray,
    groups: Sequence[str] | np.ndarray,
    *,
    axis_name: str = "UMAP",
    drawn: np.ndarray | None = None,
    dark: bool = False,
    height: int = theme.HEIGHT,
) -> go.Figure:
    """Draw cells on an embedding, coloured by the agreement between methods.

    Parameters
    ----------
    points
        Embedding, shape ``(n_cells, 2)``.
    agreement
        Mean cosine between the methods, -1 to 1, shape ``(n_cells,)``; a cell with NaN is grey.
    groups
        Group of each cell; names are written at the groups' medians.
    drawn
        As for `deepvelo.pl.embedding.scatter`.
    """
    fig = scatter(
        points, groups, values=agreement, diverging=True, axis_name=axis_name, drawn=drawn, dark=dark,
        height=height,
    )  # fmt: skip
    bar = {
        "title": {"text": ""},
        "orientation": "h",
        "y": 1.01,
        "yanchor": "bottom",
        "ypad": 0,
        "len": 0.8,
        "tickvals": [-1, -0.5, 0, 0.5, 1],
        "ticktext": ["−1 opposite", "−0.5", "0", "0.5", "1 same direction"],
    }
    # A horizontal bar above keeps the square embedding as large as possible.
    # Warm colours mark disagreement. The scale always spans -1 to 1, so colours are comparable between figures.
    marker = {"cmin": -1, "cmax": 1, "colorscale": theme.DIVERGING[::-1], "colorbar": bar}
    fig.update_traces(
        selector={"marker.showscale": True}, marker=marker, hovertemplate="%{marker.color:.2f}<extra></extra>"
    )
    return fig.update_layout(margin_t=56)
