"""Histograms of single-cell scores of several methods."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import plotly.graph_objects as go

from deepvelo.pl import theme

N_BINS = 40
_FILL_OPACITY = 0.18  # keeps four overlaid methods visible
_HALF_A_LINE = 36  # characters in half the width of a page


def score_histogram(
    scores: Mapping[str, np.ndarray],
    medians: Mapping[str, float],
    *,
    colors: Mapping[str, str],
    title: str,
    height: int = 300,
) -> go.Figure:
    """Draw outlines of the methods' histograms in the same bins, and a dashed line at each median.

    Parameters
    ----------
    scores
        Cosines of the cells by method, -1 to 1, shape ``(n_cells,)``; NaN and methods with only NaN are left out.
    medians
        Median by method, as in the table.
    colors
        Colour by method.
    title
        Title of the x axis.
    """
    known = {name: values[np.isfinite(values)] for name, values in scores.items()}
    known = {name: values for name, values in known.items() if values.size}
    lowest = min((float(values.min()) for values in known.values()), default=-1.0)
    edges = np.linspace(np.clip(np.floor(lowest * 10) / 10, -1, 0.9), 1, N_BINS + 1)
    fig = go.Figure()
    top = 0.0
    for name, values in known.items():
        counts, _ = np.histogram(np.clip(values, edges[0], 1), edges)
        share = counts / values.size
        top = max(top, share.max())
        shown = f"{theme.plain(name)}, median {medians[name]:.3f}"
        fig.add_trace(_outline(edges, share, name=shown, color=colors[name]))
    for name in known:
        fig.add_trace(_median(medians[name], top, name=theme.plain(name), color=colors[name]))
    theme.style(fig, height=height)
    longest = max((len(f"{name}, median 0.000") for name in known), default=0)
    fig.update_layout(
        hovermode="closest",
        legend={
            "orientation": "h", "x": 0, "y": 1.02, "yanchor": "bottom", "font": {"size": theme.FONT_SIZE - 2},
            "entrywidthmode": "fraction", "entrywidth": 0.5 if longest <= _HALF_A_LINE else 1,
        },
    )  # fmt: skip
    fig.update_xaxes(
        title=theme.plain(title, most=theme.MOST_OF_A_TITLE),
        range=[edges[0], 1],
        showgrid=False,
        zeroline=False,
    )
    fig.update_yaxes(
        title="share of cells", tickformat=".0%", range=[0, 1.05 * top or 1], nticks=5,
        gridcolor="rgba(128,128,128,0.2)", zeroline=False,
    )  # fmt: skip
    return fig


def _outline(edges: np.ndarray, share: np.ndarray, *, name: str, color: str) -> go.Scatter:
    """Steps over the bins, closed at both ends."""
    red, green, blue = (int(color[at : at + 2], 16) for at in (1, 3, 5))
    return go.Scatter(
        x=edges.astype(np.float32),
        y=np.append(share, share[-1]).astype(np.float32),
        mode="lines",
        line={"color": color, "width": 2, "shape": "hv"},
        fill="tozeroy",
        fillcolor=f"rgba({red},{green},{blue},{_FILL_OPACITY})",
        name=name,
        hovertemplate="%{y:.1%} of cells in the bin from %{x:.2f}<extra>" + name + "</extra>",
    )


def _median(median: float, top: float, *, name: str, color: str) -> go.Scatter:
    return go.Scatter(
        x=[median, median],
        y=[0, 1.05 * top],
        mode="lines",
        line={"color": color, "width": 2, "dash": "dash"},
        name=name,
        showlegend=False,
        hovertemplate=f"median %{{x:.3f}}<extra>{name}</extra>",
    )
