"""Volcano plot: effect and significance of every gene."""

from __future__ import annotations

from collections.abc import Collection

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from deepvelo.pl import theme
from deepvelo.pl.enrichment_bars import in_short

HIGHER, LOWER = "#D55E00", "#0072B2"
SIGNIFICANT = 0.05
_LEAST_P = 1e-300  # near the smallest float; smaller values are stored as 0
_MOST_LABELS = 12


def volcano(
    table: pd.DataFrame,
    *,
    axis_title: str = "log<sub>2</sub> ratio of medians",
    significant: float = SIGNIFICANT,
    marked: Collection[str] = (),
    n_labels: int = _MOST_LABELS,
    height: int = 520,
) -> go.Figure:
    """Draw one point per gene: its effect, and minus log10 of its p-value.

    Parameters
    ----------
    table
        ``gene``, ``effect``, ``p``, ``q``, as one quantity of `deepvelo.tl.differential_kinetics`; genes without p are left out.
    axis_title
        Of the effects; this package's own text, which may hold tags.
    significant
        Genes with a q below it are coloured: higher or lower in the selected cells.
    marked
        Genes with a ring and a name, such as the one chosen in a table.
    n_labels
        Number of significant genes with a name, the smallest p first.

    Returns
    -------
    Traces ``not significant``, ``higher`` and ``lower``; ``customdata`` has the gene's name as text for hover, q, and the
    gene itself.
    """
    known = table[np.isfinite(table["p"]) & np.isfinite(table["effect"])].sort_values("p", kind="stable")
    chosen = (known["q"] < significant).to_numpy()
    higher = (known["effect"] > 0).to_numpy()
    parts = {
        "not significant": (~chosen, theme.GREY),
        "higher": (chosen & higher, HIGHER),
        "lower": (chosen & ~higher, LOWER),
    }
    fig = go.Figure()
    for name, (rows, color) in parts.items():
        fig.add_trace(_points(known[rows], name=name, color=color))
    labelled = known[chosen].head(n_labels)
    rings = known[known["gene"].isin(set(marked))]
    fig.add_trace(_names(pd.concat([labelled, rings]).drop_duplicates("gene")))
    if len(rings):
        fig.add_trace(_rings(rings))
    theme.style(fig, height=height)
    reach = 1.08 * float(known["effect"].abs().max()) if len(known) else 1.0
    fig.add_vline(x=0, line={"color": theme.GREY, "width": 1})
    fig.update_xaxes(
        title=axis_title, range=[-reach or -1, reach or 1], zeroline=False, gridcolor="rgba(128,128,128,0.2)"
    )
    fig.update_yaxes(
        title="−log<sub>10</sub> p", rangemode="tozero", zeroline=False, gridcolor="rgba(128,128,128,0.2)"
    )
    fig.update_layout(
        hovermode="closest",
        legend={"orientation": "h", "x": 0, "y": 1.02, "yanchor": "bottom"},
        margin_t=56,
    )
    return fig


def _height(p: pd.Series) -> np.ndarray:
    return (-np.log10(np.maximum(p.to_numpy(dtype=float), _LEAST_P)) + 0.0).astype(np.float32)


def _points(genes: pd.DataFrame, *, name: str, color: str) -> go.Scattergl:
    names = genes["gene"].astype(str)
    return go.Scattergl(
        x=genes["effect"].to_numpy(dtype=np.float32),
        y=_height(genes["p"]),
        mode="markers",
        name=name,
        marker={"color": color, "size": 6, "opacity": 0.75},
        customdata=np.stack([[theme.plain(gene) for gene in names], [in_short(q) for q in genes["q"]], names], axis=1)
        if len(genes)
        else None,
        hovertemplate="<b>%{customdata[0]}</b><br>effect %{x:.2f}, q %{customdata[1]}<extra></extra>",
    )  # fmt: skip


def _names(genes: pd.DataFrame) -> go.Scatter:
    return go.Scatter(
        x=genes["effect"],
        y=_height(genes["p"]),
        mode="text",
        text=[theme.plain(gene) for gene in genes["gene"]],
        textposition="top center",
        textfont={"size": theme.FONT_SIZE - 2},
        showlegend=False,
        hoverinfo="skip",
    )


def _rings(genes: pd.DataFrame) -> go.Scatter:
    return go.Scatter(
        x=genes["effect"],
        y=_height(genes["p"]),
        mode="markers",
        marker={"color": "rgba(0,0,0,0)", "size": 13, "line": {"width": 2, "color": theme.PALETTE[2]}},
        showlegend=False,
        hoverinfo="skip",
    )
