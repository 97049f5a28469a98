"""Training curves: the terms of the loss by epoch."""

from __future__ import annotations

from itertools import cycle

import pandas as pd
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from deepvelo.pl import theme

# Terms by panel: continuity and direction differ in scale, so each has its own axis.
KNOWN: dict[str, dict[str, tuple[str, str]]] = {
    "Total loss": {"total": ("total", "#0072B2")},
    "Continuity (Eq. 4 to 6)": {
        "continuity_future": ("future, L+", "#009E73"),
        "continuity_past": ("past, L−", "#CC79A7"),
    },
    "Direction (Eq. 7)": {
        "pearson_u": ("Pearson, unspliced", "#E69F00"),
        "pearson_s": ("Pearson, spliced", "#56B4E9"),
        "direction": ("direction term", "#D55E00"),
    },
}


def training_curve(history: pd.DataFrame, *, height: int = 320) -> go.Figure:
    """Draw one panel each for the total, continuity, direction and any other terms.

    Parameters
    ----------
    history
        One row an epoch: ``epoch`` and the terms. Known terms that are missing are not drawn; terms added to
        `deepvelo.model.loss.objective` appear by their name.
    """
    known = {"epoch", *(term for terms in KNOWN.values() for term in terms)}
    added = (term for term in history if term not in known)
    others = {term: (term, color) for term, color in zip(added, cycle(theme.PALETTE), strict=False)}
    panels = KNOWN | ({"Other terms": others} if others else {})
    fig = make_subplots(rows=1, cols=len(panels), subplot_titles=list(panels), horizontal_spacing=0.06)
    for col, terms in enumerate(panels.values(), start=1):
        for term, (name, color) in terms.items():
            if term not in history:
                continue
            line = go.Scatter(
                x=history["epoch"].to_numpy(),
                y=history[term].to_numpy(dtype=float),
                mode="lines" if len(history) > 1 else "markers",
                name=name,
                line={"color": color, "width": 2},
                hovertemplate=f"{name} %{{y:.4g}}<extra>epoch %{{x}}</extra>",
            )
            fig.add_trace(line, row=1, col=col)
    theme.style(fig, height=height)
    fig.update_layout(legend={"orientation": "h", "x": 0.5, "xanchor": "center", "y": -0.28}, hovermode="x")
    fig.update_xaxes(title="epoch", showgrid=False, zeroline=False, rangemode="nonnegative")
    fig.update_yaxes(zeroline=False, gridcolor="rgba(128,128,128,0.2)", nticks=5)
    return fig
