"""Fate probabilities on the embedding."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from deepvelo.pl import theme
from deepvelo.pl.embedding import panels, scatter

_NONE = "no fate probabilities"
_HOVER = "%{marker.color:.0%}<extra></extra>"
_PANEL_HEIGHT = 330


def fate_map(
    points: np.ndarray,
    probability: np.ndarray,
    groups: Sequence[str] | np.ndarray,
    *,
    lineage: str,
    axis_name: str = "UMAP",
    drawn: np.ndarray | None = None,
    dark: bool = False,
    height: int = theme.HEIGHT,
) -> go.Figure:
    """Draw cells on an embedding, coloured by the probability of one fate.

    Parameters
    ----------
    points
        Embedding, shape ``(n_cells, 2)``.
    probability
        0 to 1, shape ``(n_cells,)``; a cell with NaN is grey.
    groups
        Group of each cell; names are written at the groups' medians.
    lineage
        Name of the fate.
    drawn
        As for `deepvelo.pl.embedding.scatter`.
    """
    fig = scatter(
        points, groups, values=probability, axis_name=axis_name, drawn=drawn, dark=dark, height=height
    )
    bar = {
        "title": {"text": f"fate probability: {theme.plain(lineage)}", "side": "top"},
        "orientation": "h",
        "y": 1.01,
        "yanchor": "bottom",
        "ypad": 0,
        "len": 0.6,
        "tickvals": [0, 0.25, 0.5, 0.75, 1],
    }
    # Bar above the figure, as in the agreement map. The scale always spans 0 to 1.
    fig.update_traces(
        selector={"marker.showscale": True},
        marker={"cmin": 0, "cmax": 1, "colorbar": bar, "colorscale": _scale(dark=dark)},
        hovertemplate=_HOVER,
    )
    return _without_values(fig).update_layout(margin_t=78)


def fate_maps(
    points: np.ndarray,
    probabilities: pd.DataFrame,
    *,
    columns: int = 3,
    drawn: np.ndarray | None = None,
    dark: bool = False,
) -> go.Figure:
    """Draw small multiples: every fate on the same embedding, with one colour scale.

    Parameters
    ----------
    points
        Embedding, shape ``(n_cells, 2)``.
    probabilities
        One row per cell, one column per fate; 0 to 1, NaN for cells without.
    drawn
        As for `deepvelo.pl.embedding.scatter`.
    """
    values = {str(name): probabilities[name].to_numpy(dtype=float) for name in probabilities}
    rows = -(-len(values) // columns)
    fig = panels(points, values, columns=columns, drawn=drawn, height=_PANEL_HEIGHT * rows + 60)
    fig.update_traces(
        selector={"marker.showscale": True}, marker={"coloraxis": "coloraxis", "showscale": None},
        hovertemplate=_HOVER,
    )  # fmt: skip
    bar = {
        "title": {"text": "fate probability", "side": "right"}, "thickness": 14, "len": 0.7, "outlinewidth": 0,
        "tickvals": [0, 0.25, 0.5, 0.75, 1],
    }  # fmt: skip
    fig.update_layout(
        coloraxis={"cmin": 0, "cmax": 1, "colorscale": _scale(dark=dark), "colorbar": bar}, margin_r=10
    )
    return _without_values(fig)


def _scale(*, dark: bool) -> list[str]:
    """Colour scale on which probabilities near 0 are visible."""
    return theme.SEQUENTIAL_ON_DARK if dark else theme.SEQUENTIAL


def _without_values(fig: go.Figure) -> go.Figure:
    """Replace the note for missing values by one about fates."""
    return fig.update_annotations(selector={"text": "no value for this gene"}, text=_NONE)
