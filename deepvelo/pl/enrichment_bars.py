"""Bar chart of enriched gene sets."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from deepvelo.pl import theme

RELEVANT, OTHER = "#D55E00", "#7A8CA3"
SIGNIFICANT = 0.05
_LEAST_Q = 1e-300  # near the smallest float; smaller values are stored as 0
_LETTERS = 46
_MOST = 300  # characters of a set's name in the hover text
_ROW_HEIGHT = 26


def enrichment_bars(
    table: pd.DataFrame, *, relevant: Sequence[bool] | np.ndarray | None = None, top: int = 20
) -> go.Figure:
    """Draw the most enriched sets, the smallest q on top.

    Parameters
    ----------
    table
        ``term``, ``q``, ``overlap``, ``size``, ``genes``, as `deepvelo.tl.gene_sets.enrichment.over_representation` returns it.
    relevant
        Mask of the relevant rows, from `deepvelo.tl.gene_sets.enrichment.is_relevant`; None uses one colour.
    top
        Maximum number of sets.

    Returns
    -------
    Every bar has the full name of its set in ``customdata``; the hover text shows it with the genes.
    """
    mask = np.ones(len(table), dtype=bool) if relevant is None else np.asarray(relevant, dtype=bool)
    rows = table.assign(relevant=mask).sort_values("q", kind="stable").head(top).reset_index(drop=True)
    fig = go.Figure()
    parts = {"relevant": (rows["relevant"], RELEVANT), "not relevant": (~rows["relevant"], OTHER)}
    for name, (chosen, color) in parts.items():
        of_part = rows[chosen]
        if len(of_part):
            fig.add_trace(
                _bars(of_part, name=name, color=color if relevant is not None else theme.PALETTE[0])
            )
    plot_height = _ROW_HEIGHT * max(len(rows), 3)
    theme.style(fig, height=plot_height + 110)
    if rows.empty:
        note = {"x": 0.5, "y": 0.5, "xref": "paper", "yref": "paper", "showarrow": False}
        fig.add_annotation(text="no gene set contains any of the drivers", **note)
        fig.update_xaxes(visible=False)
        return fig.update_yaxes(visible=False)
    longest = float(_height(rows["q"]).max())
    room = 1.4 if rows["q"].min() < _LEAST_Q else 1.18  # space for the text right of the longest bar
    edge = -np.log10(SIGNIFICANT)
    fig.add_vline(
        x=edge, line={"color": theme.GREY, "dash": "dash", "width": 1.5}, annotation_text=f"q = {SIGNIFICANT}",
        annotation_position="top", annotation_font={"size": theme.FONT_SIZE - 2},
    )  # fmt: skip
    fig.update_xaxes(
        title="−log<sub>10</sub> q", range=[0, room * max(longest, 1.5 * edge)], zeroline=False,
        gridcolor="rgba(128,128,128,0.2)",
    )  # fmt: skip
    # Rows are numbered, because long names may coincide once shortened.
    fig.update_yaxes(
        tickvals=list(rows.index), ticktext=[theme.plain(_short(str(term))) for term in rows["term"]],
        range=[len(rows) - 0.4, -0.6], showgrid=False, zeroline=False, automargin=True,
        tickfont={"size": theme.FONT_SIZE - 1},
    )  # fmt: skip
    fig.update_layout(
        bargap=0.25, barmode="overlay", showlegend=relevant is not None,
        legend={"orientation": "h", "x": 0, "y": 1 + 22 / plot_height, "yanchor": "bottom"}, margin_t=62,
    )  # fmt: skip
    return fig


def _bars(rows: pd.DataFrame, *, name: str, color: str) -> go.Bar:
    q = [in_short(value) for value in rows["q"]]
    counts = [f"{overlap} of {size}" for overlap, size in zip(rows["overlap"], rows["size"], strict=True)]
    text = [
        f"{count}, q < 1e-300" if value < _LEAST_Q else count
        for count, value in zip(counts, rows["q"], strict=True)
    ]
    genes = [_wrapped(str(listed).replace(";", ", ")) for listed in rows["genes"]]
    return go.Bar(
        x=_height(rows["q"]),
        y=rows.index,
        orientation="h",
        name=name,
        marker_color=color,
        text=text,
        textposition="outside",
        cliponaxis=False,
        textfont={"size": theme.FONT_SIZE - 2},
        customdata=np.stack(
            [[theme.plain(term, most=_MOST) for term in rows["term"]], counts, q, genes], axis=1
        ),
        hovertemplate="<b>%{customdata[0]}</b><br>%{customdata[1]} genes, q %{customdata[2]}<br>"
        "%{customdata[3]}<extra></extra>",
    )


def in_short(p: float) -> str:
    """Format a p- or q-value with one digit: ``0.03``, ``2e-14``, ``< 1e-16``."""
    return "< 1e-16" if p < 1e-16 else f"{p:.1g}"


def _height(q: pd.Series) -> np.ndarray:
    return -np.log10(np.maximum(q.to_numpy(dtype=float), _LEAST_Q)) + 0.0


def _short(term: str) -> str:
    return term if len(term) <= _LETTERS else f"{term[: _LETTERS - 1].rstrip(' _')}…"


def _wrapped(genes: str) -> str:
    """Genes in at most four lines of hover text."""
    return theme.lines("\n".join(textwrap.wrap(genes, 70, max_lines=4, placeholder=" …")))
