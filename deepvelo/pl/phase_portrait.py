"""Phase portraits: a gene's unspliced against its spliced RNA, with the velocity of both as arrows."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from deepvelo.pl import theme
from deepvelo.pl.arrows import add_arrows, thin

SPLICED_TITLE = "spliced, normalised counts (smoothed)"
UNSPLICED_TITLE = "unspliced, normalised counts (smoothed)"
GRID_HEIGHT = 270  # of one panel among several
_MARGIN = 0.08  # empty share of the window around the cells
_LONGEST = 0.07  # arrow, as a share of the panel's width


@dataclass(frozen=True, kw_only=True)
class Phase:
    """One gene in all cells, each array of shape ``(n_cells,)``.

    ``spliced`` and ``unspliced`` are ``Ms`` and ``Mu``, normalised counts; ``velocity`` (ds/dt) and
    ``velocity_u`` (du/dt), normalised counts per unit time, are NaN where the method gives none.
    ``velocity_u`` is None in a run that fitted no du/dt; its arrows are horizontal.
    """

    gene: str
    spliced: np.ndarray
    unspliced: np.ndarray
    velocity: np.ndarray
    velocity_u: np.ndarray | None

    @property
    def vectors(self) -> np.ndarray:
        """Arrows along spliced and unspliced, shape ``(n_cells, 2)``; NaN in cells without."""
        up = np.zeros_like(self.velocity) if self.velocity_u is None else self.velocity_u
        return np.stack([self.velocity, up], axis=1)


def phase_portrait(
    phase: Phase,
    groups: Sequence[str] | np.ndarray,
    *,
    colors: Mapping[str, str],
    shown: Collection[str] | None = None,
    zoom: bool = True,
    drawn: np.ndarray | None = None,
    dark: bool = False,
    height: int = theme.HEIGHT,
) -> go.Figure:
    """One gene, one trace a group, so that the legend toggles groups.

    Parameters
    ----------
    groups
        Group of each cell, shape ``(n_cells,)``.
    colors
        From `theme.group_colors`.
    shown
        Groups drawn in colour and with arrows; all other cells are grey behind them. None: every group.
    zoom
        Show only the window around the cells in colour.
    drawn
        Rows of the cells to draw, from `deepvelo.pl.thinning.drawn_cells`; None for all. Window and arrows are
        those of all cells.
    """
    codes, names = theme.group_codes(groups)
    front = _front(codes, names, shown)
    cells = np.arange(len(front)) if drawn is None else drawn
    fig = make_subplots(rows=1, cols=1)
    _add_background(fig, phase, front, cells)
    in_front = cells[front[cells]]
    for name, color in colors.items():
        rows = in_front[codes[in_front] == names.index(name)] if name in names else in_front[:0]
        if len(rows):
            trace = _points(phase, rows, n_drawn=len(in_front))
            trace.update(
                name=theme.plain(name), marker_color=color, hovertemplate=f"{theme.plain(name)}<br>{_HOVER}"
            )
            fig.add_trace(trace, row=1, col=1)
    _finish_panel(fig, phase, front, zoom=zoom, boxes=(26, 20), aspect=1.3, dark=dark)
    theme.style(fig, height=height)
    fig.update_xaxes(title=SPLICED_TITLE)
    fig.update_yaxes(title=UNSPLICED_TITLE)
    fig.update_layout(title={"text": theme.plain(phase.gene), "x": 0.02, "font": {"size": 20}}, margin_t=44)
    theme.legend_below(fig, height=height)
    return fig


def phase_grid(
    phases: Sequence[Phase],
    groups: Sequence[str] | np.ndarray,
    *,
    colors: Mapping[str, str],
    shown: Collection[str] | None = None,
    zoom: bool = True,
    columns: int = 4,
    drawn: np.ndarray | None = None,
    dark: bool = False,
) -> go.Figure:
    """Several genes as panels of one figure, one trace of cells each; arguments as in `phase_portrait`."""
    codes, names = theme.group_codes(groups)
    front = _front(codes, names, shown)
    cells = np.arange(len(front)) if drawn is None else drawn
    in_front = cells[front[cells]]
    columns = min(columns, len(phases))
    rows = -(-len(phases) // columns)
    fig = make_subplots(
        rows=rows, cols=columns, subplot_titles=[theme.plain(phase.gene) for phase in phases],
        horizontal_spacing=0.045, vertical_spacing=0.32 / rows if rows > 1 else 0,
    )  # fmt: skip
    place = {name: i for i, name in enumerate(colors)}
    color_of = np.array([place[name] for name in names], dtype=np.float32)[codes]
    for i, phase in enumerate(phases):
        row, col = i // columns + 1, i % columns + 1
        _add_background(fig, phase, front, cells, row=row, col=col)
        trace = _points(phase, in_front, n_drawn=3 * len(in_front))
        trace.update(
            showlegend=False,
            marker={
                "color": color_of[in_front],
                "colorscale": _steps(list(colors.values())),
                "cmin": -0.5,
                "cmax": len(colors) - 0.5,
            },
            hovertemplate=_HOVER,
        )
        fig.add_trace(trace, row=row, col=col)
        _finish_panel(fig, phase, front, zoom=zoom, boxes=(14, 11), aspect=1.3, dark=dark, row=row, col=col)
    present = {names[code] for code in np.unique(codes[front])}
    for name in (name for name in colors if name in present):
        marker = {"color": colors[name], "size": 8}
        fig.add_trace(go.Scatter(x=[None], y=[None], mode="markers", name=theme.plain(name), marker=marker))
    height = GRID_HEIGHT * rows + 110
    theme.style(fig, height=height)
    theme.legend_below(fig, height=height - 110)
    fig.update_layout(legend={"itemclick": False, "itemdoubleclick": False})
    fig.update_xaxes(title={"text": "spliced", "standoff": 2})
    fig.update_yaxes(title={"text": "unspliced", "standoff": 2}, col=1)
    return fig


_HOVER = "spliced %{x:.3g}<br>unspliced %{y:.3g}<extra></extra>"


def _front(codes: np.ndarray, names: Sequence[str], shown: Collection[str] | None) -> np.ndarray:
    if shown is None:
        return np.ones(len(codes), dtype=bool)
    return np.isin(codes, [i for i, name in enumerate(names) if name in shown])


def _points(phase: Phase, rows: np.ndarray, *, n_drawn: int) -> go.Scattergl:
    return go.Scattergl(
        x=phase.spliced[rows].astype(np.float32),
        y=phase.unspliced[rows].astype(np.float32),
        customdata=rows.astype(np.int32),
        mode="markers",
        marker={"size": theme.marker_size(n_drawn), "opacity": 0.85, "line": theme.marker_outline(n_drawn)},
    )


def _add_background(
    fig: go.Figure, phase: Phase, front: np.ndarray, cells: np.ndarray, *, row: int = 1, col: int = 1
) -> None:
    if front.all():
        return
    trace = _points(phase, cells[~front[cells]], n_drawn=len(cells))
    trace.update(name="other cells", showlegend=False, hoverinfo="skip")
    trace.marker.update(color=theme.GREY, opacity=theme.GREY_OPACITY)
    fig.add_trace(trace, row=row, col=col)


def _finish_panel(
    fig: go.Figure,
    phase: Phase,
    front: np.ndarray,
    *,
    zoom: bool,
    boxes: tuple[int, int],
    aspect: float,
    dark: bool,
    row: int = 1,
    col: int = 1,
) -> None:
    """Window, arrows, and a word where there are none."""
    low, high = _window(phase, front if zoom and front.any() else np.ones_like(front))
    line = {"showline": True, "linecolor": theme.GREY, "linewidth": 1, "zeroline": False}
    grid = {"gridcolor": "rgba(128,128,128,0.15)", "nticks": 6, "ticks": "outside", "tickcolor": theme.GREY}
    fig.update_xaxes(range=[low[0], high[0]], **line, **grid, row=row, col=col)
    fig.update_yaxes(range=[low[1], high[1]], **line, **grid, row=row, col=col)
    moving = np.isfinite(phase.vectors).all(axis=1)
    if not moving.any():
        fig.add_annotation(
            x=(low[0] + high[0]) / 2, y=high[1], yanchor="top", showarrow=False, row=row, col=col,
            text="no velocity for this gene", font={"color": theme.ink(dark=dark)},
        )  # fmt: skip
        return
    moving &= front
    at, vectors = np.stack([phase.spliced, phase.unspliced], axis=1)[moving], phase.vectors[moving]
    chosen = thin(at, boxes=boxes)
    # Panels are wider than high: equal on screen is more of the y range than of the x range.
    unit = (high - low) * np.array([1.0, aspect])
    add_arrows(fig, at[chosen], vectors[chosen], longest=_LONGEST, unit=unit, dark=dark, row=row, col=col)


def _window(phase: Phase, cells: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    at = np.stack([phase.spliced[cells], phase.unspliced[cells]], axis=1)
    low, high = np.nanmin(at, axis=0), np.nanmax(at, axis=0)
    room = _MARGIN * np.where(high > low, high - low, 1.0)
    return low - room, high + room


def _steps(colors: Sequence[str]) -> list[list[float | str]]:
    """A colour scale that shows whole numbers as given colours."""
    n = len(colors)
    return [[edge / n, color] for i, color in enumerate(colors) for edge in (i, i + 1)]
