"""Scores of a sweep as a heat map, with one row per run and one column per score."""

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
    """Draw a table of cosines, coloured by their closeness to 1.

    Parameters
    ----------
    table
        One row per run; cosines, -1 to 1, NaN if missing. As `deepvelo.evaluation.controls.sensitivity_table` returns it.
    titles
        Titles by column, which may contain line breaks; other columns keep their names.
    shares
        Columns with a share of cells, 0 to 1, for which low is good: 0 is coloured like a cosine of 1.

    Returns
    -------
    A heat map with the values as text; the first row of the table is on top.
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
