"""Cells on an embedding, coloured by group or by a value."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import plotly.graph_objects as go

from deepvelo.pl import theme
from deepvelo.pl.assembly import Grid, Part, assembled
from deepvelo.pl.cell_traces import colored, of_groups, valued

_PICTURE_PIXELS = 400  # approximate size of a drawn embedding; affects only labels that nearly touch


def scatter(
    points: np.ndarray,
    groups: Sequence[str] | np.ndarray | None = None,
    *,
    colors: Mapping[str, str] | None = None,
    values: np.ndarray | None = None,
    value_title: str = "",
    diverging: bool = False,
    limits: tuple[float, float] | None = None,
    axis_name: str | Sequence[str] = "UMAP",
    y_down: bool = False,
    labels: bool = True,
    drawn: np.ndarray | None = None,
    dark: bool = False,
    height: int = theme.HEIGHT,
) -> go.Figure:
    """Draw cells, with one trace per group, so the legend can toggle groups.

    Parameters
    ----------
    points
        Embedding, shape ``(n_cells, 2)``.
    groups
        Group of each cell; names are written at the groups' medians. None draws all cells in one colour.
    colors
        From `theme.group_colors`; also determines the order of groups.
    values
        Values that colour the cells instead of groups, shape ``(n_cells,)``; NaN is grey. ``value_title`` gives name and
        unit.
    diverging
        Whether the colour scale is centred at 0.
    limits
        Limits of the colour scale; by default those of `theme.color_range`.
    axis_name
        Name of the embedding, which is numbered on each axis, or the names of both axes.
    y_down
        Whether y increases downwards, as in images.
    drawn
        Rows of the cells to draw, from `deepvelo.pl.thinning.drawn_cells`; None for all. Labels and colour scales
        follow all cells.

    Returns
    -------
    Every point carries its row number in ``customdata``.
    """
    rows = np.arange(len(points)) if drawn is None else drawn
    codes, names = (None, []) if groups is None else theme.group_codes(groups)
    written: list[Part] = []
    if values is not None:
        traces, written = valued(points, values, rows, title=value_title, diverging=diverging, limits=limits)
    elif codes is not None:
        traces = of_groups(points, codes, names, rows, colors=colors)
    else:
        traces = [colored(points, rows, n_drawn=len(rows), color=theme.PALETTE[0])]
    if labels and codes is not None:
        written += _labels(points, codes, names, dark=dark)
    x, y = quiet_axes(axis_name)
    if y_down:
        y["autorange"] = "reversed"
    layout = theme.layout(height=height) | {"xaxis": x, "yaxis": y | {"scaleanchor": "x"}}
    if written:
        layout["annotations"] = written
    return assembled(traces, **layout)


def panels(
    points: np.ndarray,
    values: Mapping[str, np.ndarray],
    *,
    diverging: Sequence[str] = (),
    columns: int = 3,
    drawn: np.ndarray | None = None,
    height: int = theme.HEIGHT,
) -> go.Figure:
    """Draw small multiples: the same embedding once per set of values, each with its own colour bar.

    Parameters
    ----------
    points
        Embedding, shape ``(n_cells, 2)``.
    values
        Values by title of the panel, shape ``(n_cells,)``; a panel with only NaN shows a note.
    diverging
        Titles of panels with a colour scale centred at 0.
    drawn
        As for `scatter`.
    """
    cells = np.arange(len(points)) if drawn is None else drawn
    columns = min(columns, len(values))
    rows = -(-len(values) // columns)
    grid = Grid(rows, columns, horizontal_spacing=0.09, vertical_spacing=0.06 if rows > 1 else 0)
    traces: list[Part] = []
    written = [
        grid.title(panel, theme.plain(title), size=theme.FONT_SIZE) for panel, title in enumerate(values)
    ]
    for panel, (title, cell_values) in enumerate(values.items()):
        x, y = (axis["domain"] for axis in grid.axes[panel])
        bar = {
            "x": x[1] + 0.003,
            "y": sum(y) / 2,
            "len": 0.7 * (y[1] - y[0]),
            "thickness": 8,
            "nticks": 4,
            "tickfont": {"size": theme.FONT_SIZE - 3},
        }
        own, missing = valued(points, cell_values, cells, diverging=title in diverging, size=0.6, bar=bar)
        traces += [grid.inside(panel, trace) for trace in own]
        written += [grid.noted(panel, note) for note in missing]
    hidden = quiet_axes("")
    for axes in grid.axes:
        for axis, properties in zip(axes, hidden, strict=True):
            axis.update(properties)
        axes[1]["scaleanchor"] = axes[1]["anchor"]
    layout = theme.layout(height=height) | {"annotations": written, "showlegend": False}
    layout["margin"]["r"] = 44  # the last column's colour bars
    return grid.assembled(traces, **layout)


def quiet_axes(name: str | Sequence[str]) -> tuple[Part, Part]:
    """Axes without ticks or grid, because coordinates of an embedding have no meaning."""
    hidden = {"showgrid": False, "zeroline": False, "showticklabels": False, "ticks": "", "showline": False}
    titles = [f"{name} {number}" if name else "" for number in (1, 2)] if isinstance(name, str) else name
    x, y = (
        {
            **hidden,
            "title": {"text": theme.plain(title), "font": {"size": theme.FONT_SIZE - 1}, "standoff": 4},
        }
        for title in titles
    )
    return x, y


def _labels(points: np.ndarray, codes: np.ndarray, names: Sequence[str], *, dark: bool) -> list[Part]:
    """Labels with group names at the medians of the groups."""
    known = np.isfinite(points).all(axis=1)
    if not known.any():
        return []
    at, codes = points[known], codes[known]
    texts = [name for i, name in enumerate(names) if (codes == i).any()]
    of_group = [at[codes == names.index(text)] for text in texts]
    medians = np.array([np.median(cells, axis=0) for cells in of_group])
    bottoms, tops = np.array([np.quantile(cells[:, 1], [0.05, 0.95]) for cells in of_group]).T
    pixel = float(np.ptp(at, axis=0).max()) / _PICTURE_PIXELS
    small = tops - bottoms < 2 * theme.LABEL_SIZE * pixel
    medians[small, 1] = tops[small] + theme.LABEL_SIZE * pixel  # labels must not cover small groups
    glow = ",".join([f"0 0 3px {'#111' if dark else '#fff'}"] * 5)
    font = {"size": theme.LABEL_SIZE, "color": theme.ink(dark=dark), "weight": 600, "shadow": glow}
    return [
        {"x": float(x), "y": float(y), "text": theme.plain(text), "showarrow": False, "font": font}
        for text, (x, y) in zip(texts, _spread(medians, texts, pixel=pixel), strict=True)
    ]


def _spread(places: np.ndarray, texts: Sequence[str], *, pixel: float) -> np.ndarray:
    """Move overlapping labels apart vertically; ``pixel`` is the size of a pixel in data units."""
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
