"""Traces of cells on two or three axes, coloured by group or by a value.

Of ``points``, shape ``(n_cells, 2)`` or ``(n_cells, 3)``, the traces draw the ``rows``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from deepvelo.pl import theme
from deepvelo.pl.assembly import Part


def of_groups(
    points: np.ndarray,
    codes: np.ndarray,
    names: Sequence[str],
    rows: np.ndarray,
    *,
    colors: Mapping[str, str] | None = None,
    n_drawn: int | None = None,
) -> list[Part]:
    """One trace a group, in the order of ``colors``.

    Parameters
    ----------
    codes, names
        From `theme.group_codes`.
    n_drawn
        Number of cells that decides the size of points; by default that of ``rows``.
    """
    own = theme.group_colors(names, colors)
    return [
        colored(
            points,
            rows[codes[rows] == names.index(name)],
            n_drawn=n_drawn or len(rows),
            color=own[name],
            name=name,
        )
        for name in dict.fromkeys([*(colors or ()), *names])
        if name in own
    ]


def placed(points: np.ndarray, rows: np.ndarray) -> Part:
    """Type and coordinates of a trace of cells."""
    letters = "xyz"[: points.shape[1]]
    at = {letter: points[rows, i].astype(np.float32) for i, letter in enumerate(letters)}
    return {"type": "scatter3d" if "z" in at else "scattergl", "mode": "markers", **at}


def _cells(points: np.ndarray, rows: np.ndarray, **properties: Any) -> Part:
    return {**placed(points, rows), "customdata": rows.astype(np.int32), **properties}


def colored(points: np.ndarray, rows: np.ndarray, *, n_drawn: int, color: str, name: str = "") -> Part:
    """Trace of cells in one colour; ``n_drawn``, the number of cells in the figure, decides the size of points."""
    name = theme.plain(name)
    hover = {"hovertemplate": f"{name}<extra></extra>"} if name else {"hoverinfo": "skip"}
    return _cells(
        points,
        rows,
        name=name,
        legendgroup=name,
        showlegend=bool(name),
        **hover,
        marker={
            "size": theme.marker_size(n_drawn),
            "color": color,
            "opacity": 0.85,
            "line": theme.marker_outline(n_drawn),
        },
    )


def valued(
    points: np.ndarray,
    values: np.ndarray,
    rows: np.ndarray,
    *,
    diverging: bool,
    limits: tuple[float, float] | None = None,
    title: str = "",
    size: float = 1.0,
    n_drawn: int | None = None,
    bar: Part | None = None,
) -> tuple[list[Part], list[Part]]:
    """Traces of cells without and with a value, and a note if no cell has one; arguments as in `embedding.scatter`.

    ``size`` is relative, ``bar`` changes the colour bar, and ``n_drawn`` is as in `of_groups`.
    """
    low, high = limits or theme.color_range(values, diverging=diverging)
    known = np.isfinite(values[rows])
    missing, order = rows[~known], rows[known]
    diameter = size * theme.marker_size(n_drawn or len(rows))
    # Cells far from 0 are drawn last, so that silent cells do not cover the few expressing ones.
    order = order[np.argsort(np.abs(values[order]), kind="stable")]
    grey = {"size": diameter, "color": theme.GREY, "opacity": theme.GREY_OPACITY}
    traces = []
    if len(missing):
        template = "no value<extra></extra>"
        traces.append(_cells(points, missing, showlegend=False, hovertemplate=template, marker=grey))
    if not len(order):
        low, high = np.nanmin(points, axis=0), np.nanmax(points, axis=0)
        at = {"x": (low[0] + high[0]) / 2, "y": high[1], "yanchor": "bottom"}
        return traces, [at | {"text": "no value for this gene", "showarrow": False}]
    title = theme.plain(title, most=theme.MOST_OF_A_TITLE)
    marker = {
        "size": diameter,
        "color": values[order].astype(np.float32),
        "colorscale": theme.DIVERGING if diverging else theme.SEQUENTIAL,
        "cmin": low,
        "cmax": high,
        "opacity": 0.9,
        "showscale": True,
        "colorbar": {
            "title": {"text": title, "side": "right", "font": {"size": theme.FONT_SIZE}},
            "tickfont": {"size": theme.FONT_SIZE - 2},
            "thickness": 14,
            "len": 0.7,
            "outlinewidth": 0,
            "nticks": 5,
            **(bar or {}),
        },
    }
    template = f"{title + ' ' if title else ''}%{{marker.color:.3g}}<extra></extra>"
    return [*traces, _cells(points, order, showlegend=False, hovertemplate=template, marker=marker)], []
