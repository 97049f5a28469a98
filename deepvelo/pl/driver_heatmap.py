"""Expression of driver genes over the time of a lineage, ordered by peak."""

from __future__ import annotations

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from deepvelo.pl import theme

ROW_HEIGHT = 17  # pixels; the name of a gene needs 13


def driver_heatmap(table: pd.DataFrame, *, time_title: str = "pseudotime") -> go.Figure:
    """Draw one row per gene, scaled from its minimum to its maximum; the first to peak on top.

    Parameters
    ----------
    table
        One row per gene, one column per time, ascending, as `deepvelo.tl.lineage.trends.trend_table` returns it. Genes
        without values are left out; constant genes are 0 throughout.
    time_title
        Title of the time axis.

    Returns
    -------
    Every field has an invisible point with the gene in ``customdata``, because Streamlit cannot select fields of a heat
    map.
    """
    known = table.dropna(how="all")
    if known.empty:
        fig = theme.style(go.Figure(), height=160)
        place = {"x": 0.5, "y": 0.5, "xref": "paper", "yref": "paper", "showarrow": False}
        fig.add_annotation(text="no gene has a value along this lineage", **place)
        return fig.update_xaxes(visible=False).update_yaxes(visible=False)
    values, times = known.to_numpy(dtype=float), known.columns.to_numpy(dtype=float)
    low, high = (np.nan_to_num(reduce(values, axis=1, keepdims=True)) for reduce in (np.nanmin, np.nanmax))
    scaled = (values - low) / np.where(high > low, high - low, 1)
    filled = np.nan_to_num(scaled, nan=-1)
    # Many drivers peak at the very end; these are ordered by the time of half maximum.
    order = np.lexsort([np.argmax(filled >= 0.5, axis=1), np.argmax(filled, axis=1)])
    genes = [str(gene) for gene in known.index[order]]
    rows, shown = np.arange(len(genes)), [theme.plain(gene) for gene in genes]
    fig = go.Figure(
        go.Heatmap(
            z=scaled[order].astype(np.float32), x=times, y=rows, colorscale=theme.SEQUENTIAL, zmin=0, zmax=1,
            hoverinfo="skip",
            # On the right: above the figure, Plotly 7.1 draws the axis title over the ticks.
            colorbar={
                "thickness": 12, "len": 0.5, "outlinewidth": 0, "tickvals": [0, 1],
                "ticktext": ["gene's<br>minimum", "gene's<br>maximum"],
            },
        )
    )  # fmt: skip
    hidden = {"marker": {"opacity": 0}}
    fig.add_trace(
        go.Scattergl(
            x=np.tile(times, len(genes)).astype(np.float32),
            y=np.repeat(rows, len(times)).astype(np.float32),
            customdata=np.repeat(genes, len(times)),
            text=values[order].ravel().astype(np.float32),
            hovertext=np.repeat(shown, len(times)),
            mode="markers",
            marker={"opacity": 0, "size": ROW_HEIGHT, "color": theme.GREY},
            selected=hidden,
            unselected=hidden,
            hovertemplate=f"<b>%{{hovertext}}</b><br>{theme.plain(time_title)}"
            " %{x:.2f}: %{text:.3g}<extra></extra>",
            showlegend=False,
        )
    )
    theme.style(fig, height=ROW_HEIGHT * len(genes) + 90)
    fig.update_xaxes(
        title=theme.plain(time_title),
        range=[times[0], times[-1]],
        showgrid=False,
        zeroline=False,
        nticks=8,
        automargin=True,
    )
    fig.update_yaxes(
        tickvals=rows, ticktext=shown, tickfont={"size": theme.FONT_SIZE - 2}, range=[len(genes) - 0.5, -0.5],
        showgrid=False, zeroline=False, automargin=True, fixedrange=True,
    )  # fmt: skip
    return fig.update_layout(dragmode=False, hovermode="closest")
