"""Proportions of spliced and unspliced counts."""

from __future__ import annotations

import pandas as pd
import plotly.graph_objects as go

from deepvelo.pl import theme
from deepvelo.wording import number

SPLICED_COLOR = "#0072B2"
UNSPLICED_COLOR = "#E69F00"


def proportions(fractions: pd.DataFrame) -> go.Figure:
    """Draw one bar per group, split into spliced and unspliced counts.

    Parameters
    ----------
    fractions
        Index: group; columns ``spliced`` and ``unspliced`` (adding up to 1) and ``n_cells``, as
        `deepvelo.checks.unspliced_fractions` returns them.
    """
    table = fractions.loc[theme.group_order(fractions.index.astype(str))[::-1]]
    names = theme.plain_names(table.index)
    labels = [f"{name} ({number(int(n), 'cell')})" for name, n in zip(names, table["n_cells"], strict=True)]
    fig = go.Figure()
    for part, color, ink in (
        ("unspliced", UNSPLICED_COLOR, "#1A1A1A"),
        ("spliced", SPLICED_COLOR, "#FFFFFF"),
    ):
        fig.add_trace(
            go.Bar(
                y=labels,
                x=table[part].to_numpy(dtype=float),
                name=part,
                orientation="h",
                marker_color=color,
                texttemplate="%{x:.0%}",
                textposition="inside",
                insidetextanchor="middle",
                textangle=0,  # prevents rotated text in narrow bars
                constraintext="none",  # prevents unreadably small text
                textfont={"color": ink, "size": theme.FONT_SIZE - 3},
                hovertemplate="%{y}<br>" + part + " %{x:.1%}<extra></extra>",
            )
        )
    theme.style(fig, height=90 + 26 * max(len(table), 2))
    fig.update_layout(
        barmode="stack",
        bargap=0.2,
        uniformtext={"minsize": theme.FONT_SIZE - 4, "mode": "hide"},  # hides text that does not fit its bar
        legend={"orientation": "h", "x": 0, "y": 1.01, "yanchor": "bottom", "traceorder": "normal"},
    )
    fig.update_xaxes(title="share of counts", tickformat=".0%", range=[0, 1], showgrid=False, zeroline=False)
    fig.update_yaxes(showgrid=False, automargin=True)
    return fig
