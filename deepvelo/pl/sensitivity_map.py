"""Scores of a sweep as a heat map: a row a run, a column a score."""

from __future__ import annotations

from collections.abc import Mapping

import pandas as pd
import plotly.graph_objects as go

from deepvelo.pl import theme
from deepvelo.wording import decimal

ROW_HEIGHT = 34


def sensitivity_map(
    table: pd.DataFrame, *, titles: Mapping[str, str], shares: tuple[str, ...] = ()
) -> go.Figure:
    """Colour a table of cosines by how near they are to 1.

    Parameters
    ----------
    table
        One row a run; cosines, -1 to 1, NaN where there is none. As `deepvelo.evaluation.controls.sensitivity_table` gives it.
    titles
        What columns are called, with a line break where the text has one; others keep their name.
    shares
        Columns with a share of cells, 0 to 1, that is bad when high: 0 is coloured as a cosine of 1.

    Returns
    -------
    One heat map with the values written in it; the first row of the table on top.
    """
    shade = table.astype(float).copy()
    text = shade.map(_decimal)
    for column in shares:
        text[column] = [_percent(value) for value in shade[column]]
        shade[column] = 1 - 2 * shade[column]
    names = [theme.lines(titles.get(str(column), str(column))) for column in table]
    fig = go.Figure(
        go.Heatmap(
            z=shade.to_numpy(), x=names, y=theme.plain_names(table.index), text=text.to_numpy(),
            texttemplate="%{text}", hovertemplate="%{y}<br>%{x}: %{text}<extra></extra>", hoverongaps=False,
            zmin=-1, zmax=1, colorscale=theme.DIVERGING[::-1], xgap=2, ygap=2, showscale=False,
        )
    )  # fmt: skip
    theme.style(fig, height=ROW_HEIGHT * len(table) + 90)
    font = {"size": theme.FONT_SIZE - 1}
    fig.update_xaxes(side="top", tickfont=font, showgrid=False, tickangle=0, automargin=True, type="category")
    fig.update_yaxes(autorange="reversed", tickfont=font, showgrid=False, automargin=True, type="category")
    return fig.update_layout(margin_t=60, dragmode=False)


def _decimal(value: float) -> str:
    return "–" if pd.isna(value) else decimal(value)


def _percent(value: float) -> str:
    return "–" if pd.isna(value) else f"{value:.0%}"
