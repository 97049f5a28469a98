"""Cells and arrows on three axes, which the mouse turns."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

import numpy as np
import plotly.graph_objects as go

from deepvelo.pl import theme
from deepvelo.pl.arrows import drawn_lengths, thin
from deepvelo.pl.assembly import Part, assembled
from deepvelo.pl.cell_traces import of_groups, valued

_POINT: Final = 0.75  # size of points by those on two axes: points near the eye cover others
_MOST_ROUND: Final = 5000  # cells: Plotly draws a circle as dozens of triangles, a square as two
_MARGIN: Final = 0.03  # of each axis, around the cells
_BOXES: Final = 12  # along each axis, with one arrow each
_LONGEST: Final = 0.06  # of the longest axis
_HEAD: Final = 0.3  # of the longest arrow
_EYE: Final = 1.0  # distance of the eye, along each axis, from a cube of side 1
_FADED: Final = 0.35  # opacity


def scatter_3d(
    points: np.ndarray,
    groups: Sequence[str] | np.ndarray,
    *,
    colors: Mapping[str, str] | None = None,
    values: np.ndarray | None = None,
    value_title: str = "",
    diverging: bool = False,
    limits: tuple[float, float] | None = None,
    over: Sequence[Part] = (),
    axis_names: Sequence[str],
    drawn: np.ndarray | None = None,
    dark: bool = False,
    height: int = theme.HEIGHT,
) -> go.Figure:
    """Draw cells on three axes of equal scale.

    Parameters
    ----------
    points
        Shape ``(n_cells, 3)``.
    groups, colors, values, value_title, diverging, limits, drawn
        As for `deepvelo.pl.embedding.scatter`.
    over
        Traces beside the cells, from `arrows_3d`.
    axis_names
        Three names.

    Returns
    -------
    Every point carries its row number in ``customdata``.
    """
    rows = np.arange(len(points)) if drawn is None else drawn
    codes, names = theme.group_codes(groups)
    notes: list[Part] = []
    if values is None:
        traces = of_groups(points, codes, names, rows, colors=colors)
    else:
        traces, notes = valued(points, values, rows, title=value_title, diverging=diverging, limits=limits)
    symbol = "square" if len(rows) > _MOST_ROUND else "circle"
    for trace in traces:
        trace["marker"] |= {"size": _POINT * trace["marker"]["size"], "line": {"width": 0}, "symbol": symbol}
    known = np.isfinite(points).all(axis=1)
    low, high = (
        (points[known].min(axis=0), points[known].max(axis=0)) if known.any() else (-np.ones(3), np.ones(3))
    )
    # Fixed, because a selection takes cells out of the traces.
    room = np.maximum(_MARGIN * (high - low), 1e-9)
    span = high - low + 2 * room
    eye = _EYE * float(span.max() / np.cbrt(span.prod()))  # Plotly draws a box of volume 1
    scene = {
        f"{letter}axis": _quiet_axis(name, (float(start), float(stop)))
        for letter, name, start, stop in zip("xyz", axis_names, low - room, high + room, strict=True)
    }
    layout = theme.layout(height=height) | {
        "scene": scene | {
            "aspectmode": "data", "camera": {"eye": {"x": eye, "y": eye, "z": 0.8 * eye}}, "dragmode": "orbit", "hovermode": False,
            "annotations": _labels(points[known], codes[known], names, dark=dark),
        },
        "annotations": [note | {"x": 0.5, "y": 1, "xref": "paper", "yref": "paper"} for note in notes],
    }  # fmt: skip
    return assembled([*traces, *over], **layout)


def arrows_3d(
    points: np.ndarray,
    vectors: np.ndarray,
    *,
    density: float = 1.0,
    faded: np.ndarray | None = None,
    dark: bool = False,
) -> list[Part]:
    """Traces of the arrows of some cells: one in each box of a grid.

    Parameters
    ----------
    points, vectors
        Cells and their arrows, shape ``(n_cells, 3)``; cells with a NaN in either are left out.
    density
        1 lays 12 boxes along each axis.
    faded
        Mask of the cells whose arrows are faded, shape ``(n_cells,)``. None fades none.

    Returns
    -------
    Lines with cones as heads, of relative length; none where nothing moves.
    """
    rows = np.flatnonzero(np.isfinite(points).all(axis=1) & np.isfinite(vectors).all(axis=1))
    boxes = max(int(_BOXES * density), 1)
    rows = rows[thin(points[rows], boxes=(boxes,) * 3)]
    if not len(rows):
        return []
    longest = _LONGEST * float(np.ptp(points[rows], axis=0).max())
    along = drawn_lengths(vectors[rows].astype(float), longest=longest)
    is_faded = np.zeros(len(rows), dtype=bool) if faded is None else faded[rows]
    traces: list[Part] = []
    for some, opacity in ((~is_faded, 1.0), (is_faded, _FADED)):
        moving = some & along.any(axis=1)
        if moving.any():
            traces += _arrows(
                points[rows[moving]], along[moving], head=_HEAD * longest, opacity=opacity, dark=dark
            )
    return traces


def _arrows(tails: np.ndarray, along: np.ndarray, *, head: float, opacity: float, dark: bool) -> list[Part]:
    lengths = np.linalg.norm(along, axis=1, keepdims=True)
    heads = along / lengths * np.minimum(head, lengths)
    tips = tails + along
    lines = np.stack([tails, tips - heads / 2, np.full_like(tips, np.nan)], axis=1).reshape(-1, 3)
    ink = theme.ink(dark=dark)
    of_cones = {**_columns("xyz", tips), **_columns("uvw", heads)}
    return [
        {
            "type": "scatter3d", "mode": "lines", **_columns("xyz", lines), "line": {"color": ink, "width": 2.5},
            "opacity": opacity, "hoverinfo": "skip", "showlegend": False,
        },
        {
            "type": "cone", **of_cones, "anchor": "tip", "sizemode": "raw", "sizeref": 1, "showscale": False,
            "colorscale": [[0, ink], [1, ink]], "opacity": opacity, "hoverinfo": "skip", "showlegend": False,
            "lighting": {"ambient": 0.9, "diffuse": 0.2, "specular": 0},
        },
    ]  # fmt: skip


def _columns(letters: str, values: np.ndarray) -> Part:
    return {letter: values[:, i].astype(np.float32) for i, letter in enumerate(letters)}


def _quiet_axis(name: str, ends: tuple[float, float]) -> Part:
    """An axis without ticks: coordinates of an embedding have no meaning."""
    return {
        "title": {"text": theme.plain(name), "font": {"size": theme.FONT_SIZE - 1}}, "range": list(ends),
        "showticklabels": False, "ticks": "", "showbackground": False, "zeroline": False, "showspikes": False,
    }  # fmt: skip


def _labels(points: np.ndarray, codes: np.ndarray, names: Sequence[str], *, dark: bool) -> list[Part]:
    """Names of the groups at their medians."""
    glow = ",".join([f"0 0 3px {'#111' if dark else '#fff'}"] * 5)
    font = {"size": theme.LABEL_SIZE - 2, "color": theme.ink(dark=dark), "weight": 600, "shadow": glow}
    return [
        dict(zip("xyz", map(float, np.median(points[codes == code], axis=0)), strict=True))
        | {"text": theme.plain(name), "showarrow": False, "font": font}
        for code, name in enumerate(names)
        if (codes == code).any()
    ]
