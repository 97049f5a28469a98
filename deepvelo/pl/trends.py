"""Gene trends along a lineage: expression and kinetic rates over pseudotime."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from deepvelo.pl import theme
from deepvelo.pl.rates import RATE_TITLES

QUANTITY_TITLES = {"expression": "expression<br>(normalised counts)"} | RATE_TITLES
ROW_HEIGHT = 190
_FILL_OPACITY = {False: 0.22, True: 0.32}  # by dark


def trend_grid(
    curves: Mapping[str, Mapping[str, pd.DataFrame]],
    *,
    color: str,
    time_title: str = "pseudotime",
    dark: bool = False,
) -> go.Figure:
    """Draw one column per gene and one row per quantity; a line shows the mean, a band the spread of cells.

    Parameters
    ----------
    curves
        By gene and quantity of `QUANTITY_TITLES`: ``time``, ``mean``, ``low``, ``high``, as
        `deepvelo.tl.lineage.trends.trends` returns them. A missing or empty quantity of a gene gives a panel with a note;
        quantities that no gene has get no row.
    color
        Colour of the lineage, ``#rrggbb``; adjusted if the contrast with the page is too low.
    time_title
        Title of the time axis.
    """
    rows = [name for name in QUANTITY_TITLES if any(name in of_gene for of_gene in curves.values())]
    genes = list(curves)
    color = theme.legible(color, dark=dark)
    fig = make_subplots(
        rows=len(rows), cols=len(genes), shared_xaxes=True, column_titles=[f"<b>{theme.plain(gene)}</b>" for gene in genes],
        horizontal_spacing=min(0.055, 0.3 / len(genes)), vertical_spacing=0.12 / len(rows),
    )  # fmt: skip
    times = [curve["time"] for of_gene in curves.values() for curve in of_gene.values() if len(curve)]
    window = [min(time.min() for time in times), max(time.max() for time in times)] if times else [0, 1]
    named = False
    for col, gene in enumerate(genes, start=1):
        for row, name in enumerate(rows, start=1):
            curve = curves[gene].get(name)
            if curve is None or not curve["mean"].notna().any():
                _say_nothing(fig, window, row=row, col=col)
            else:
                opacity = _FILL_OPACITY[dark]
                _add_curve(fig, curve, color=color, opacity=opacity, named=not named, row=row, col=col)
                named = True
    height = ROW_HEIGHT * len(rows)
    theme.style(fig, height=height + 130)
    small = {"size": theme.FONT_SIZE - 1}
    line = {"showline": True, "linecolor": theme.GREY, "zeroline": False}
    fig.update_xaxes(**line, showgrid=False, range=window, nticks=5)
    fig.update_yaxes(**line, gridcolor="rgba(128,128,128,0.2)", nticks=4, rangemode="tozero")
    fig.update_xaxes(title={"text": theme.plain(time_title), "standoff": 6, "font": small}, row=len(rows))
    for row, name in enumerate(rows, start=1):
        fig.update_yaxes(title={"text": QUANTITY_TITLES[name], "standoff": 8, "font": small}, row=row, col=1)
    return fig.update_layout(
        showlegend=True, hovermode="x unified", margin_t=66,
        legend={
            "orientation": "h", "x": 0, "y": 1 + 26 / height, "yanchor": "bottom", "traceorder": "reversed",
            "itemclick": False, "itemdoubleclick": False,
        },
    )  # fmt: skip


def _add_curve(
    fig: go.Figure, curve: pd.DataFrame, *, color: str, opacity: float, named: bool, row: int, col: int
) -> None:
    """Add the band and the line above it."""
    red, green, blue = (int(color[at : at + 2], 16) for at in (1, 3, 5))
    band = go.Scatter(
        x=np.concatenate([curve["time"], curve["time"][::-1]]).astype(np.float32),
        y=np.concatenate([curve["high"], curve["low"][::-1]]).astype(np.float32),
        mode="lines",
        line={"width": 0},
        fill="toself",
        fillcolor=f"rgba({red},{green},{blue},{opacity})",
        hoverinfo="skip",
        name="80% of cells",
        showlegend=named,
    )
    mean = go.Scatter(
        x=curve["time"].to_numpy(dtype=np.float32),
        y=curve["mean"].to_numpy(dtype=np.float32),
        customdata=curve[["low", "high"]].to_numpy(dtype=np.float32),
        mode="lines",
        line={"color": color, "width": 2.5},
        hovertemplate="%{y:.3g} (cells %{customdata[0]:.3g} to %{customdata[1]:.3g})<extra></extra>",
        name="mean",
        showlegend=named,
    )
    for trace in (band, mean):
        fig.add_trace(trace, row=row, col=col)


def _say_nothing(fig: go.Figure, window: list[float], *, row: int, col: int) -> None:
    fig.add_annotation(
        x=sum(window) / 2,
        y=0.5,
        text="no value",
        showarrow=False,
        font={"color": theme.GREY},
        row=row,
        col=col,
    )
    fig.update_yaxes(range=[0, 1], showticklabels=False, row=row, col=col)
