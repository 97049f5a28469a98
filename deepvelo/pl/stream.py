"""Stream lines of velocity on an embedding."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import numpy as np
import plotly.graph_objects as go

from deepvelo.pl.arrows import faded_traces, line_traces
from deepvelo.pl.assembly import Part

HEAD = 0.013  # length of an arrowhead, as a share of the picture


def stream_traces(
    lines: Sequence[np.ndarray],
    *,
    arrow_xy: np.ndarray,
    arrow_direction: np.ndarray,
    span: float | None = None,
    faded: Sequence[np.ndarray] | None = None,
    faded_arrows: np.ndarray | None = None,
    dark: bool = False,
) -> list[Part]:
    """Traces of stream lines, each with a filled arrowhead.

    Parameters
    ----------
    lines
        Each of shape ``(n_points, 2)``.
    arrow_xy, arrow_direction
        Positions and directions of the arrowheads, shape ``(n_arrows, 2)``.
    span
        Width of the picture in data units, which decides the size of arrowheads; by default that of the lines.
    faded
        Mask of the points of each line, ``(n_points,)``: segments between two of them are faded. None fades none.
    faded_arrows
        Mask of the arrowheads to fade, shape ``(n_arrows,)``. None fades none.
    """
    if not len(lines):
        return []
    size = HEAD * (float(np.ptp(np.concatenate(lines), axis=0).max()) if span is None else span)
    if faded is None:
        faded = [np.zeros(len(line), dtype=bool) for line in lines]
    if faded_arrows is None:
        faded_arrows = np.zeros(len(arrow_xy), dtype=bool)
    pieces = [piece for line, mask in zip(lines, faded, strict=True) for piece in _pieces(line, mask)]
    traces = []
    for is_faded, draw in ((True, faded_traces), (False, line_traces)):
        path = _path([piece for piece, of_piece in pieces if of_piece == is_faded])
        heads = faded_arrows == is_faded
        outline = _triangles(arrow_xy[heads], arrow_direction[heads], size=size)
        traces += [*draw(path, dark=dark), *draw(outline, dark=dark, filled=True)]
    return traces


def add_stream(
    fig: go.Figure,
    lines: Sequence[np.ndarray],
    *,
    arrow_xy: np.ndarray,
    arrow_direction: np.ndarray,
    faded: Sequence[np.ndarray] | None = None,
    faded_arrows: np.ndarray | None = None,
    dark: bool = False,
) -> None:
    """Draw stream lines over an embedding from `deepvelo.pl.embedding.scatter`; arguments as in `stream_traces`."""
    fig.add_traces(
        stream_traces(
            lines,
            arrow_xy=arrow_xy,
            arrow_direction=arrow_direction,
            faded=faded,
            faded_arrows=faded_arrows,
            dark=dark,
        )
    )


def _pieces(line: np.ndarray, faded: np.ndarray) -> list[tuple[np.ndarray, bool]]:
    """Split a line into faded and other pieces, each with its flag."""
    between = faded[:-1] & faded[1:]
    cuts = np.flatnonzero(between[1:] != between[:-1]) + 1
    ends = [0, *cuts, len(between)]
    return [(line[start : stop + 1], bool(between[start])) for start, stop in itertools.pairwise(ends)]


def _path(pieces: Sequence[np.ndarray]) -> np.ndarray:
    """One path of all pieces, separated by rows of NaN."""
    gap = np.full((1, 2), np.nan)
    parts = [part for piece in pieces for part in (piece, gap)]
    return np.concatenate([np.empty((0, 2)), *parts]).astype(np.float32)


def _triangles(middles: np.ndarray, directions: np.ndarray, *, size: float) -> np.ndarray:
    lengths = np.linalg.norm(directions, axis=1, keepdims=True)
    along = np.divide(directions, lengths, out=np.zeros_like(directions), where=lengths > 0) * size
    across = np.stack([-along[:, 1], along[:, 0]], axis=1)
    tips, backs = middles + along / 2, middles - along / 2
    corners = [tips, backs + across / 2, backs - across / 2, tips, np.full_like(tips, np.nan)]
    return np.stack(corners, axis=1).reshape(-1, 2).astype(np.float32)
