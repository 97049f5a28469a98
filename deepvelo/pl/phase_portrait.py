"""Phase portraits: a gene's unspliced against spliced RNA, with the velocity of both as arrows."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import plotly.graph_objects as go

from deepvelo.pl import theme
from deepvelo.pl.arrows import arrow_traces, thin
from deepvelo.pl.assembly import Grid, Part

SPLICED_TITLE = "spliced, normalised counts (smoothed)"
UNSPLICED_TITLE = "unspliced, normalised counts (smoothed)"
GRID_HEIGHT = 270  # pixels, of one panel of a grid
_MARGIN = 0.08  # margin around the cells, as a share of their range
_LONGEST = 0.07  # longest arrow, as a share of the panel's width


@dataclass(frozen=True, kw_only=True)
class Phase:
    """One gene in all cells, each array of shape ``(n_cells,)``.

    ``spliced`` and ``unspliced`` are ``Ms`` and ``Mu``, normalised counts; ``velocity`` (ds/dt) and
    ``velocity_u`` (du/dt), normalised counts per unit time, are NaN where the method has none.
    ``velocity_u`` is None if du/dt was not fitted; arrows are then horizontal. ``undecided`` marks the cells
    whose arrows are faded; None fades none.
    """

    gene: str
    spliced: np.ndarray
    unspliced: np.ndarray
    velocity: np.ndarray
    velocity_u: np.ndarray | None
    undecided: np.ndarray | None = None

    @property
    def vectors(self) -> np.ndarray:
        """Velocities of spliced and unspliced RNA, shape ``(n_cells, 2)``; NaN in cells without."""
        up = np.zeros_like(self.velocity) if self.velocity_u is None else self.velocity_u
        return np.stack([self.velocity, up], axis=1)


def phase_portrait(
    phase: Phase,
    groups: Sequence[str] | np.ndarray,
    *,
    colors: Mapping[str, str],
    shown: Collection[str] | None = None,
    cells: np.ndarray | None = None,
    zoom: bool = True,
    drawn: np.ndarray | None = None,
    dark: bool = False,
    height: int = theme.HEIGHT,
) -> go.Figure:
    """Draw one gene, with one trace per group, so the legend can toggle groups.

    Parameters
    ----------
    groups
        Group of each cell, shape ``(n_cells,)``.
    colors
        From `theme.group_colors`.
    shown
        Groups drawn in colour and with arrows; all other cells are grey in the background. None shows all groups in colour.
    cells
        Of these groups only these cells, shape ``(n_cells,)``, boolean; None for all.
    zoom
        Restrict the axes to the cells in colour.
    drawn
        Rows of the cells to draw, from `deepvelo.pl.thinning.drawn_cells`; None for all. Axis ranges and
        arrows follow all cells.
    """
    codes, names = theme.group_codes(groups)
    front = _front(codes, names, shown, cells)
    rows_drawn = np.arange(len(front)) if drawn is None else drawn
    grid = Grid(1, 1)
    traces = _background(phase, front, rows_drawn)
    in_front = rows_drawn[front[rows_drawn]]
    for name, color in colors.items():
        rows = in_front[codes[in_front] == names.index(name)] if name in names else in_front[:0]
        if len(rows):
            trace = _points(phase, rows, n_drawn=len(in_front))
            shown_name = theme.plain(name)
            trace["marker"]["color"] = color
            traces.append(trace | {"name": shown_name, "hovertemplate": f"{shown_name}<br>{_HOVER}"})
    notes = _finish_panel(
        grid.axes[0], traces, phase, front, zoom=zoom, boxes=(26, 20), aspect=1.3, dark=dark
    )  # fmt: skip
    x, y = grid.axes[0]
    x["title"], y["title"] = {"text": SPLICED_TITLE}, {"text": UNSPLICED_TITLE}
    layout = theme.layout(height=height)
    layout["legend"] |= theme.legend_below(colors, height=height)
    layout["margin"]["t"] = 44
    title = {"text": theme.plain(phase.gene), "x": 0.02, "font": {"size": 20}}
    if notes:
        layout["annotations"] = [grid.noted(0, note) for note in notes]
    return grid.assembled(
        [grid.inside(0, trace) for trace in traces], **layout, title=title, showlegend=True
    )  # fmt: skip


def phase_grid(
    phases: Sequence[Phase],
    groups: Sequence[str] | np.ndarray,
    *,
    colors: Mapping[str, str],
    shown: Collection[str] | None = None,
    cells: np.ndarray | None = None,
    zoom: bool = True,
    columns: int = 4,
    drawn: np.ndarray | None = None,
    dark: bool = False,
) -> go.Figure:
    """Draw several genes as panels of one figure, one trace of cells each; arguments as in `phase_portrait`."""
    codes, names = theme.group_codes(groups)
    front = _front(codes, names, shown, cells)
    rows_drawn = np.arange(len(front)) if drawn is None else drawn
    in_front = rows_drawn[front[rows_drawn]]
    columns = min(columns, len(phases))
    rows = -(-len(phases) // columns)
    grid = Grid(
        rows, columns, horizontal_spacing=0.045, vertical_spacing=0.32 / rows if rows > 1 else 0
    )  # fmt: skip
    place = {name: i for i, name in enumerate(colors)}
    color_of = np.array([place[name] for name in names], dtype=np.float32)[codes]
    scale = {"colorscale": _steps(list(colors.values())), "cmin": -0.5, "cmax": len(colors) - 0.5}
    traces: list[Part] = []
    written = [grid.title(panel, theme.plain(phase.gene)) for panel, phase in enumerate(phases)]
    for panel, phase in enumerate(phases):
        own = _background(phase, front, rows_drawn)
        trace = _points(phase, in_front, n_drawn=3 * len(in_front))
        trace["marker"] |= {"color": color_of[in_front], **scale}
        own.append(trace | {"showlegend": False, "hovertemplate": _HOVER})
        notes = _finish_panel(
            grid.axes[panel], own, phase, front, zoom=zoom, boxes=(14, 11), aspect=1.3, dark=dark
        )  # fmt: skip
        traces += [grid.inside(panel, trace) for trace in own]
        written += [grid.noted(panel, note) for note in notes]
    for panel, (x, y) in enumerate(grid.axes):
        x["title"] = {"text": "spliced", "standoff": 2}
        if panel % columns == 0:
            y["title"] = {"text": "unspliced", "standoff": 2}
    present = {names[code] for code in np.unique(codes[front])}
    traces += [
        {
            "type": "scatter", "x": [None], "y": [None], "mode": "markers", "name": theme.plain(name),
            "marker": {"color": color, "size": 8},
        }
        for name, color in colors.items()
        if name in present
    ]  # fmt: skip
    height = GRID_HEIGHT * rows + 110
    layout = theme.layout(height=height) | {"annotations": written, "showlegend": True}
    layout["legend"] |= theme.legend_below(colors, height=height - 110) | {
        "itemclick": False,
        "itemdoubleclick": False,
    }
    return grid.assembled(traces, **layout)


_HOVER = "spliced %{x:.3g}<br>unspliced %{y:.3g}<extra></extra>"


def _front(
    codes: np.ndarray, names: Sequence[str], shown: Collection[str] | None, cells: np.ndarray | None
) -> np.ndarray:
    front = np.ones(len(codes), dtype=bool) if cells is None else cells
    return (
        front
        if shown is None
        else front & np.isin(codes, [i for i, name in enumerate(names) if name in shown])
    )


def _points(phase: Phase, rows: np.ndarray, *, n_drawn: int) -> Part:
    return {
        "type": "scattergl",
        "x": phase.spliced[rows].astype(np.float32),
        "y": phase.unspliced[rows].astype(np.float32),
        "customdata": rows.astype(np.int32),
        "mode": "markers",
        "marker": {
            "size": theme.marker_size(n_drawn),
            "opacity": 0.85,
            "line": theme.marker_outline(n_drawn),
        },
    }


def _background(phase: Phase, front: np.ndarray, cells: np.ndarray) -> list[Part]:
    if front.all():
        return []
    trace = _points(phase, cells[~front[cells]], n_drawn=len(cells))
    trace["marker"] |= {"color": theme.GREY, "opacity": theme.GREY_OPACITY}
    return [trace | {"name": "other cells", "showlegend": False, "hoverinfo": "skip"}]


def _finish_panel(
    axes: tuple[Part, Part],
    traces: list[Part],
    phase: Phase,
    front: np.ndarray,
    *,
    zoom: bool,
    boxes: tuple[int, int],
    aspect: float,
    dark: bool,
) -> list[Part]:
    """Set axis ranges and add arrows; returns a note if the gene has no velocity."""
    low, high = _window(phase, front if zoom and front.any() else np.ones_like(front))
    line = {"showline": True, "linecolor": theme.GREY, "linewidth": 1, "zeroline": False}
    ticks = {"gridcolor": "rgba(128,128,128,0.15)", "nticks": 6, "ticks": "outside", "tickcolor": theme.GREY}
    for i, axis in enumerate(axes):
        axis.update({"range": [low[i], high[i]], **line, **ticks})
    moving = np.isfinite(phase.vectors).all(axis=1)
    if not moving.any():
        at = {"x": (low[0] + high[0]) / 2, "y": high[1], "yanchor": "top", "showarrow": False}
        return [at | {"text": "no velocity for this gene", "font": {"color": theme.ink(dark=dark)}}]
    moving &= front
    at, vectors = np.stack([phase.spliced, phase.unspliced], axis=1)[moving], phase.vectors[moving]
    chosen = thin(at, boxes=boxes)
    # Panels are wider than high, so equal screen lengths span a larger share of the y range.
    unit = (high - low) * np.array([1.0, aspect])
    faded = None if phase.undecided is None else phase.undecided[moving][chosen]
    traces += arrow_traces(
        at[chosen], vectors[chosen], longest=_LONGEST, unit=unit, dark=dark, faded=faded
    )  # fmt: skip
    return []


def _window(phase: Phase, cells: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    at = np.stack([phase.spliced[cells], phase.unspliced[cells]], axis=1)
    low, high = np.nanmin(at, axis=0), np.nanmax(at, axis=0)
    room = _MARGIN * np.where(high > low, high - low, 1.0)
    return low - room, high + room


def _steps(colors: Sequence[str]) -> list[list[float | str]]:
    """A colour scale that maps whole numbers to given colours."""
    n = len(colors)
    return [[edge / n, color] for i, color in enumerate(colors) for edge in (i, i + 1)]
