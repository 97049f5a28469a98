"""Phase portraits of one gene by several methods, with the same axes and scVelo's fitted curves."""

from __future__ import annotations

import dataclasses
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import plotly.graph_objects as go

from deepvelo.pl import theme
from deepvelo.pl.arrows import HALO_WIDTH
from deepvelo.pl.phase_portrait import Phase, phase_grid

HEIGHT = 400
MOST_PANELS = 4  # per row
LINE, INDUCTION, REPRESSION = "fit: steady state", "fit: induction", "fit: repression"
_WIDTH = 2.5
_FIT_COLOR = {False: "#7B1FA2", True: "#E1A7F5"}  # by dark; scVelo's purple, unlike any arrow or group


@dataclass(frozen=True, kw_only=True)
class Panel:
    """Phase portrait of one method.

    ``title``
        The method's name.
    ``line``
        Slope and intercept of the steady-state line, unspliced over spliced; None if the method has none.
    ``induction``, ``repression``
        Branches of the learned curve, each ``(n_points, 2)``, spliced and unspliced; None if the method has none.
    """

    title: str
    phase: Phase
    line: tuple[float, float] | None = None
    induction: np.ndarray | None = None
    repression: np.ndarray | None = None


def side_by_side(
    panels: Sequence[Panel],
    groups: Sequence[str] | np.ndarray,
    *,
    colors: Mapping[str, str],
    shown: Collection[str] | None = None,
    zoom: bool = True,
    drawn: np.ndarray | None = None,
    dark: bool = False,
) -> list[go.Figure]:
    """Draw phase portraits of one gene in rows of at most `MOST_PANELS`, one figure per row.

    Parameters
    ----------
    panels
        One panel per method, all of the same cells.
    groups, colors, shown, zoom, drawn
        As for `deepvelo.pl.phase_portrait.phase_portrait`. All panels have the same axis ranges, which
        contain the shown cells; curves are clipped to them.
    """
    columns = -(-len(panels) // -(-len(panels) // MOST_PANELS))  # five panels become rows of three and two
    rows = [panels[start : start + columns] for start in range(0, len(panels), columns)]
    figures = [
        phase_grid(
            [dataclasses.replace(panel.phase, gene=panel.title) for panel in row],
            groups, colors=colors, shown=shown, zoom=zoom, columns=columns, drawn=drawn, dark=dark,
        )
        for row in rows
    ]  # fmt: skip
    x, y = (_common_range(figures, letter) for letter in "xy")
    for fig, row in zip(figures, rows, strict=True):
        for col, panel in enumerate(row, start=1):
            _add_fit(fig, panel, x=x, col=col, dark=dark)
        fig.update_layout(height=HEIGHT)
        fig.data = sorted(fig.data, key=_depth)
        fig.update_xaxes(range=x)
        fig.update_yaxes(range=y)
    return figures


def _common_range(figures: Sequence[go.Figure], letter: str) -> tuple[float, float]:
    """The smallest range that contains the ranges of all panels."""
    ranges = np.array(
        [
            axis.range
            for fig in figures
            for axis in (fig.select_xaxes() if letter == "x" else fig.select_yaxes())
        ]
    )
    return float(ranges[:, 0].min()), float(ranges[:, 1].max())


def _depth(trace: go.Scattergl) -> int:
    """Drawing order: cells, fitted curves, arrows."""
    if trace.mode == "markers":
        return 0
    return 1 if trace.name in (LINE, INDUCTION, REPRESSION) else 2


def _add_fit(fig: go.Figure, panel: Panel, *, x: tuple[float, float], col: int, dark: bool) -> None:
    """Add the steady-state line across the panel, and the learned curve above it."""
    if panel.line is not None:
        slope, intercept = panel.line
        ends = np.array([[s, slope * s + intercept] for s in (max(x[0], 0.0), x[1])])
        _add_line(fig, ends, name=LINE, dash="dash", col=col, dark=dark)
    for name, branch, dash in ((INDUCTION, panel.induction, "solid"), (REPRESSION, panel.repression, "dot")):
        if branch is not None and len(branch):
            _add_line(fig, branch, name=name, dash=dash, col=col, dark=dark)


def _add_line(fig: go.Figure, points: np.ndarray, *, name: str, dash: str, col: int, dark: bool) -> None:
    """Add a line with a halo; WebGL like the cells, which would otherwise cover it."""
    at = points.astype(np.float32)
    named = not any(trace.name == name for trace in fig.data)
    color = _FIT_COLOR[dark]
    for line in (
        {"color": theme.halo(dark=dark), "width": HALO_WIDTH + 1},
        {"color": color, "width": _WIDTH, "dash": dash},
    ):
        trace = go.Scattergl(
            x=at[:, 0], y=at[:, 1], mode="lines", line=line, hoverinfo="skip",
            name=name, showlegend=named and "dash" in line,
        )  # fmt: skip
        fig.add_trace(trace, row=1, col=col)
