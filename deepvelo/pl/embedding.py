"""Cells on an embedding, coloured by group or by a value."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from deepvelo.pl import theme

_PICTURE_PIXELS = 400  # about how large an embedding is drawn; only labels that nearly touch depend on it


def scatter(
    points: np.ndarray,
    groups: Sequence[str] | np.ndarray | None = None,
    *,
    colors: Mapping[str, str] | None = None,
    values: np.ndarray | None = None,
    value_title: str = "",
    diverging: bool = False,
    axis_name: str = "UMAP",
    labels: bool = True,
    drawn: np.ndarray | None = None,
    dark: bool = False,
    height: int = theme.HEIGHT,
) -> go.Figure:
    """Draw cells; one trace a group, so that the legend toggles groups.

    Parameters
    ----------
    points
        Embedding, shape ``(n_cells, 2)``.
    groups
        Group of each cell; names are written at the groups' medians. None draws all cells alike.
    colors
        From `theme.group_colors`.
    values
        Shape ``(n_cells,)``: colours by these instead; NaN is grey. ``value_title`` names them with unit.
    diverging
        The colour scale is centred at 0.
    drawn
        Rows of the cells to draw, from `deepvelo.pl.thinning.drawn_cells`; None for all. Names and colour scales
        are those of all cells.

    Returns
    -------
    Every point carries its row number in ``customdata``.
    """
    fig = go.Figure()
    rows = np.arange(len(points)) if drawn is None else drawn
    codes, names = (None, []) if groups is None else theme.group_codes(groups)
    if values is not None:
        _add_values(fig, points, values, rows, title=value_title, diverging=diverging)
    elif codes is not None:
        own = theme.group_colors(names, colors)
        of_group = [rows[codes[rows] == i] for i in range(len(names))]
        fig.add_traces(
            [
                _points(points, cells, n_drawn=len(rows), color=own[name], name=name)
                for name, cells in zip(names, of_group, strict=True)
            ]
        )
    else:
        fig.add_trace(_points(points, rows, n_drawn=len(rows), color=theme.PALETTE[0]))
    if labels and codes is not None:
        _add_labels(fig, points, codes, names, dark=dark)
    theme.style(fig, height=height)
    quiet_axes(fig, axis_name=axis_name)
    return fig


def panels(
    points: np.ndarray,
    values: Mapping[str, np.ndarray],
    *,
    diverging: Sequence[str] = (),
    columns: int = 3,
    drawn: np.ndarray | None = None,
    height: int = theme.HEIGHT,
) -> go.Figure:
    """Small multiples: the same embedding once for each set of values, each with its own colour bar.

    Parameters
    ----------
    points
        Embedding, shape ``(n_cells, 2)``.
    values
        Title to values, shape ``(n_cells,)``; a panel whose values are all NaN says so.
    diverging
        Titles whose scale is centred at 0.
    drawn
        As for `scatter`.
    """
    cells = np.arange(len(points)) if drawn is None else drawn
    columns = min(columns, len(values))
    rows = -(-len(values) // columns)
    fig = make_subplots(
        rows=rows, cols=columns, subplot_titles=[theme.plain(title) for title in values],
        horizontal_spacing=0.09, vertical_spacing=0.06 if rows > 1 else 0,
    )  # fmt: skip
    for i, (title, cell_values) in enumerate(values.items()):
        row, col = i // columns + 1, i % columns + 1
        _add_values(
            fig, points, cell_values, cells, title="", diverging=title in diverging, row=row, col=col, size=0.6,
        )  # fmt: skip
        x, y = (fig.get_subplot(row, col).xaxis.domain, fig.get_subplot(row, col).yaxis.domain)
        bar = {
            "x": x[1] + 0.003,
            "y": sum(y) / 2,
            "len": 0.7 * (y[1] - y[0]),
            "thickness": 8,
            "nticks": 4,
            "tickfont": {"size": theme.FONT_SIZE - 3},
        }
        fig.update_traces(selector={"marker.showscale": True}, row=row, col=col, marker_colorbar=bar)
    theme.style(fig, height=height)
    quiet_axes(fig, axis_name="")
    fig.update_layout(margin_r=44)  # the last column's colour bars
    fig.update_annotations(selector={"yref": "paper"}, font_size=theme.FONT_SIZE)
    fig.update_layout(showlegend=False)
    return fig


def quiet_axes(fig: go.Figure, *, axis_name: str) -> None:
    """Equal aspect, no ticks or grid: the coordinates of an embedding mean nothing by themselves."""
    hidden = {"showgrid": False, "zeroline": False, "showticklabels": False, "ticks": "", "showline": False}
    small, axis_name = {"size": theme.FONT_SIZE - 1}, theme.plain(axis_name)
    fig.update_xaxes(
        **hidden, title={"text": f"{axis_name} 1" if axis_name else "", "font": small, "standoff": 4}
    )
    fig.update_yaxes(
        **hidden, title={"text": f"{axis_name} 2" if axis_name else "", "font": small, "standoff": 4}
    )
    for axis in fig.select_yaxes():
        axis.scaleanchor = axis.anchor or "x"


def _points(
    points: np.ndarray, rows: np.ndarray, *, n_drawn: int, color: str, name: str = ""
) -> go.Scattergl:
    name = theme.plain(name)
    return go.Scattergl(
        x=points[rows, 0].astype(np.float32),
        y=points[rows, 1].astype(np.float32),
        customdata=rows.astype(np.int32),
        mode="markers",
        name=name,
        legendgroup=name,
        showlegend=bool(name),
        hovertemplate=f"{name}<extra></extra>" if name else None,
        hoverinfo=None if name else "skip",
        marker={
            "size": theme.marker_size(n_drawn),
            "color": color,
            "opacity": 0.85,
            "line": theme.marker_outline(n_drawn),
        },
    )


def _add_values(
    fig: go.Figure,
    points: np.ndarray,
    values: np.ndarray,
    rows: np.ndarray,
    *,
    title: str,
    diverging: bool,
    row: int | None = None,
    col: int | None = None,
    size: float = 1.0,
) -> None:
    low, high = theme.color_range(values, diverging=diverging)
    known = np.isfinite(values[rows])
    missing, order = rows[~known], rows[known]
    diameter = size * theme.marker_size(len(rows))
    # Cells far from 0 are drawn last: a few expressing cells must not hide under many silent ones.
    order = order[np.argsort(np.abs(values[order]), kind="stable")]
    if len(missing):
        fig.add_trace(
            go.Scattergl(
                x=points[missing, 0].astype(np.float32),
                y=points[missing, 1].astype(np.float32),
                customdata=missing.astype(np.int32),
                mode="markers",
                showlegend=False,
                hovertemplate="no value<extra></extra>",
                marker={"size": diameter, "color": theme.GREY, "opacity": theme.GREY_OPACITY},
            ),
            row=row,
            col=col,
        )
    if not len(order):
        low, high = np.nanmin(points, axis=0), np.nanmax(points, axis=0)
        fig.add_annotation(
            x=(low[0] + high[0]) / 2, y=high[1], yanchor="bottom", text="no value for this gene",
            showarrow=False, **({} if row is None else {"row": row, "col": col}),
        )  # fmt: skip
        return
    fig.add_trace(
        go.Scattergl(
            x=points[order, 0].astype(np.float32),
            y=points[order, 1].astype(np.float32),
            customdata=order.astype(np.int32),
            mode="markers",
            showlegend=False,
            hovertemplate="%{marker.color:.3g}<extra></extra>",
            marker={
                "size": diameter,
                "color": values[order].astype(np.float32),
                "colorscale": theme.DIVERGING if diverging else theme.SEQUENTIAL,
                "cmin": low,
                "cmax": high,
                "opacity": 0.9,
                "showscale": True,
                "colorbar": {
                    "title": {
                        "text": theme.plain(title, most=theme.MOST_OF_A_TITLE),
                        "side": "right",
                        "font": {"size": theme.FONT_SIZE},
                    },
                    "tickfont": {"size": theme.FONT_SIZE - 2},
                    "thickness": 14,
                    "len": 0.7,
                    "outlinewidth": 0,
                    "nticks": 5,
                },
            },
        ),
        row=row,
        col=col,
    )


def _add_labels(
    fig: go.Figure, points: np.ndarray, codes: np.ndarray, names: Sequence[str], *, dark: bool
) -> None:
    known = np.isfinite(points).all(axis=1)
    if not known.any():
        return
    at, codes = points[known], codes[known]
    texts = [name for i, name in enumerate(names) if (codes == i).any()]
    of_group = [at[codes == names.index(text)] for text in texts]
    medians = np.array([np.median(cells, axis=0) for cells in of_group])
    bottoms, tops = np.array([np.quantile(cells[:, 1], [0.05, 0.95]) for cells in of_group]).T
    pixel = float(np.ptp(at, axis=0).max()) / _PICTURE_PIXELS
    small = tops - bottoms < 2 * theme.LABEL_SIZE * pixel
    medians[small, 1] = tops[small] + theme.LABEL_SIZE * pixel  # a name must not cover the cells it names
    glow = ",".join([f"0 0 3px {'#111' if dark else '#fff'}"] * 5)
    font = {"size": theme.LABEL_SIZE, "color": theme.ink(dark=dark), "weight": 600, "shadow": glow}
    labels = [
        {"x": float(x), "y": float(y), "text": theme.plain(text), "showarrow": False, "font": font}
        for text, (x, y) in zip(texts, _spread(medians, texts, pixel=pixel), strict=True)
    ]
    # at once: one by one, Plotly checks those that are there again with each
    fig.update_layout(annotations=[*fig.layout.annotations, *labels])


def _spread(places: np.ndarray, texts: Sequence[str], *, pixel: float) -> np.ndarray:
    """Push labels that would cover each other apart, up and down; ``pixel`` is one in data units."""
    places, height = places.astype(float), 1.25 * theme.LABEL_SIZE * pixel
    widths = (
        np.array([min(len(text), theme.MOST_OF_A_NAME) for text in texts]) * 0.55 * theme.LABEL_SIZE * pixel
    )
    for _ in range(60):
        moved = False
        for i in range(len(places)):
            for j in range(i):
                (dx, dy) = places[i] - places[j]
                if abs(dx) < (widths[i] + widths[j]) / 2 and abs(dy) < 0.99 * height:
                    push = (height - abs(dy)) / 2 * (1 if dy >= 0 else -1)
                    places[i, 1] += push
                    places[j, 1] -= push
                    moved = True
        if not moved:
            break
    return places
