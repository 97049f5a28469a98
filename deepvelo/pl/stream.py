"""Velocity as stream lines over an embedding."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import plotly.graph_objects as go

from deepvelo.pl.arrows import line_traces

HEAD = 0.013  # length of an arrowhead, as a share of the picture


def add_stream(
    fig: go.Figure,
    lines: Sequence[np.ndarray],
    *,
    arrow_xy: np.ndarray,
    arrow_direction: np.ndarray,
    dark: bool = False,
) -> None:
    """Draw stream lines with a filled arrowhead on each.

    Parameters
    ----------
    fig
        An embedding from `deepvelo.pl.embedding.scatter`.
    lines
        Each of shape ``(n_points, 2)``.
    arrow_xy, arrow_direction
        Where the arrowheads sit and point, shape ``(n_arrows, 2)``.
    """
    if not len(lines):
        return
    gap = np.full((1, 2), np.nan)
    path = np.concatenate([part for line in lines for part in (line, gap)]).astype(np.float32)
    size = HEAD * float(np.nanmax(np.nanmax(path, axis=0) - np.nanmin(path, axis=0)))
    heads = line_traces(_triangles(arrow_xy, arrow_direction, size=size), dark=dark, filled=True)
    fig.add_traces([*line_traces(path, dark=dark), *heads])


def _triangles(middles: np.ndarray, directions: np.ndarray, *, size: float) -> np.ndarray:
    lengths = np.linalg.norm(directions, axis=1, keepdims=True)
    along = np.divide(directions, lengths, out=np.zeros_like(directions), where=lengths > 0) * size
    across = np.stack([-along[:, 1], along[:, 0]], axis=1)
    tips, backs = middles + along / 2, middles - along / 2
    corners = [tips, backs + across / 2, backs - across / 2, tips, np.full_like(tips, np.nan)]
    return np.stack(corners, axis=1).reshape(-1, 2).astype(np.float32)
