"""Arrows as one WebGL line trace: Plotly draws WebGL above SVG, so cells would cover SVG arrows."""

from __future__ import annotations

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from deepvelo.pl import theme
from deepvelo.pl.assembly import Part

LINE_WIDTH = 1.5
HALO_WIDTH = 4.0
FADED_WIDTH = 1.0


def thin(points: np.ndarray, *, boxes: tuple[int, ...]) -> np.ndarray:
    """Select one point per box of a grid, the one nearest the centre of the box.

    Parameters
    ----------
    points
        Positions, shape ``(n_points, n_axes)``, all finite.
    boxes
        Number of boxes along each axis.

    Returns
    -------
    Row numbers, ascending.
    """
    if not len(points):
        return np.array([], dtype=int)
    low, span = points.min(axis=0), np.ptp(points, axis=0)
    place = (points - low) / np.where(span > 0, span, 1) * np.asarray(boxes)
    box = np.minimum(place.astype(int), np.asarray(boxes) - 1)
    off_middle = pd.Series(np.abs(place - box - 0.5).max(axis=1))
    return np.sort(off_middle.groupby(box @ np.cumprod([1, *boxes[:-1]])).idxmin().to_numpy())


def drawn_lengths(vectors: np.ndarray, *, longest: float) -> np.ndarray:
    """Scale vectors for drawing, in proportion; the longest 5% are clipped to ``longest``."""
    lengths = np.linalg.norm(vectors, axis=1)
    typical = np.quantile(lengths, 0.95) if len(lengths) else 0.0
    if typical == 0:
        return np.zeros_like(vectors)
    scaled: np.ndarray = vectors * (longest / np.maximum(lengths, typical))[:, None]
    return scaled


def shafts_and_barbs(tails: np.ndarray, vectors: np.ndarray, *, head: float) -> np.ndarray:
    """Lines of open arrows, shape ``(6 * n_arrows, 2)``, separated by rows of NaN.

    Each has tail, tip, left barb, tip, right barb, NaN; barbs have length ``head``, at most half of the arrow.
    """
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    along = np.divide(vectors, lengths, out=np.zeros_like(vectors), where=lengths > 0)
    across = np.stack([-along[:, 1], along[:, 0]], axis=1)
    reach = np.minimum(head, 0.5 * lengths)
    tips = tails + vectors
    left, right = tips - reach * (along - 0.5 * across), tips - reach * (along + 0.5 * across)
    lines = np.stack([tails, tips, left, tips, right, np.full_like(tips, np.nan)], axis=1)
    return lines.reshape(-1, 2).astype(np.float32)


def line_traces(lines: np.ndarray, *, dark: bool, filled: bool = False) -> list[Part]:
    """Traces of NaN-separated lines over the cells, with a halo; ``filled`` closes them to shapes."""
    if not len(lines):
        return []
    looks = ((theme.halo(dark=dark), HALO_WIDTH), (theme.ink(dark=dark), LINE_WIDTH))
    return [_trace(lines, color=color, width=width, filled=filled) for color, width in looks]


def faded_traces(lines: np.ndarray, *, dark: bool, filled: bool = False) -> list[Part]:
    """As `line_traces`, but thinner, lighter and without halo."""
    if not len(lines):
        return []
    return [_trace(lines, color=theme.faded_ink(dark=dark), width=FADED_WIDTH, filled=filled)]


def _trace(lines: np.ndarray, *, color: str, width: float, filled: bool) -> Part:
    return {
        "type": "scattergl",
        "x": lines[:, 0],
        "y": lines[:, 1],
        "mode": "lines",
        "line": {"color": color, "width": width},
        "hoverinfo": "skip",
        "showlegend": False,
        **({"fill": "toself", "fillcolor": color} if filled else {}),
    }


def arrow_traces(
    tails: np.ndarray,
    vectors: np.ndarray,
    *,
    longest: float,
    dark: bool = False,
    unit: np.ndarray | None = None,
    faded: np.ndarray | None = None,
) -> list[Part]:
    """Traces of arrows with relative lengths.

    Parameters
    ----------
    tails, vectors
        Positions and directions, shape ``(n_arrows, 2)``, data units.
    longest
        Length of the longest arrows in units of ``unit``.
    unit
        Lengths along x and y that look equal on screen, in data units; needed if the axes differ in scale, to
        avoid skewed arrowheads.
    faded
        Mask of the arrows to fade, shape ``(n_arrows,)``; they are drawn below the others. None fades no arrow.
    """
    scale = np.ones(2) if unit is None else unit
    vectors = drawn_lengths(vectors / scale, longest=longest)
    lines = shafts_and_barbs(tails / scale, vectors, head=0.35 * longest) * scale.astype(np.float32)
    if faded is None:
        return line_traces(lines, dark=dark)
    of_point = np.repeat(faded, len(lines) // max(len(faded), 1))
    return [*faded_traces(lines[of_point], dark=dark), *line_traces(lines[~of_point], dark=dark)]


def add_arrows(
    fig: go.Figure,
    tails: np.ndarray,
    vectors: np.ndarray,
    *,
    longest: float,
    dark: bool = False,
    unit: np.ndarray | None = None,
    faded: np.ndarray | None = None,
) -> None:
    """Draw arrows over a figure; arguments as in `arrow_traces`."""
    fig.add_traces(arrow_traces(tails, vectors, longest=longest, dark=dark, unit=unit, faded=faded))
