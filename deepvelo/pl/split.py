"""The same map once for each part of the cells, side by side on shared axes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import plotly.graph_objects as go

from deepvelo.pl import theme
from deepvelo.pl.assembly import Grid, Part
from deepvelo.pl.cell_traces import of_groups, placed, valued
from deepvelo.pl.embedding import quiet_axes
from deepvelo.wording import number

MOST_PARTS = 6
_IN_A_ROW = 3
_ROW_HEIGHTS = {2: 440, 3: 360}  # pixels, by panels in a row
_MOST_OF_A_TITLE = 24  # characters
_TOP = 72  # pixels: titles stand below the toolbar
_BACKGROUND_OPACITY = 0.15


def split(
    points: np.ndarray,
    parts: Mapping[str, np.ndarray],
    groups: Sequence[str] | np.ndarray,
    *,
    colors: Mapping[str, str] | None = None,
    values: np.ndarray | None = None,
    value_title: str = "",
    diverging: bool = False,
    limits: tuple[float, float] | None = None,
    over: Mapping[str, Sequence[Part]] | None = None,
    axis_names: Sequence[str] = ("UMAP 1", "UMAP 2"),
    y_down: bool = False,
    drawn: np.ndarray | None = None,
) -> go.Figure:
    """Draw a panel for each part: its cells in colour over all cells in faint grey.

    Parameters
    ----------
    points
        Coordinates of all cells, shape ``(n_cells, 2)``.
    parts
        Mask of the cells of each panel by its title, shape ``(n_cells,)``; at most `MOST_PARTS`.
    groups, colors, values, value_title, diverging, limits, y_down, drawn
        As for `deepvelo.pl.embedding.scatter`; panels share the legend or the colour scale.
    over
        Traces over the cells of a panel, such as arrows, by title.

    Returns
    -------
    A figure whose panels have the same range and zoom together. Titles give the number of cells. Every point in colour
    carries its row number in ``customdata``.
    """
    rows = np.arange(len(points)) if drawn is None else drawn
    codes, names = theme.group_codes(groups)
    columns = panel_columns(len(parts))
    n_rows = -(-len(parts) // columns)
    grid = Grid(n_rows, columns, horizontal_spacing=0.02, vertical_spacing=0.1 if n_rows > 1 else 0)
    traces: list[Part] = []
    written: list[Part] = []
    background = _background(points, rows)
    for panel, (title, part) in enumerate(parts.items()):
        own = rows[part[rows]]
        if values is None:
            cells = of_groups(points, codes, names, own, colors=colors, n_drawn=len(rows))
        else:
            cells, notes = valued(
                points, values, own, title=value_title, diverging=diverging, limits=limits, n_drawn=len(rows)
            )
            written += [grid.noted(panel, note) for note in notes]
        of_panel = [background, *cells, *(over or {}).get(title, ())]
        traces += [grid.inside(panel, trace) for trace in of_panel if len(trace["x"])]
        heading = f"{theme.plain(title, most=_MOST_OF_A_TITLE)}<br>{number(int(part.sum()), 'cell')}"
        written.append(grid.title(panel, heading, size=theme.FONT_SIZE - 1))
    _show_once(traces)
    _share_axes(grid, axis_names, columns=columns, n_panels=len(parts), y_down=y_down)
    layout = theme.layout(height=_TOP + 40 + n_rows * _ROW_HEIGHTS[columns]) | {"annotations": written}
    layout["margin"]["t"] = _TOP
    return grid.assembled(traces, **layout)


def panel_columns(n_panels: int) -> int:
    """Number of panels in a row: four are two by two."""
    return 2 if n_panels == 4 else min(n_panels, _IN_A_ROW)


def axis_of(panel: int) -> str:
    """Name of the x axis of a panel, counted from 0."""
    return "x" if panel == 0 else f"x{panel + 1}"


def _background(points: np.ndarray, rows: np.ndarray) -> Part:
    """All cells, the same trace in each panel, so that it is sent once."""
    marker = {
        "size": 0.8 * theme.marker_size(len(rows)),
        "color": theme.GREY,
        "opacity": _BACKGROUND_OPACITY,
    }
    return placed(points, rows) | {"marker": marker, "hoverinfo": "skip", "showlegend": False}


def _show_once(traces: Sequence[Part]) -> None:
    """Let each group stand in the legend once, and one colour bar beside all panels."""
    shown: set[str] = set()
    for trace in traces:
        if "colorbar" in trace.get("marker", {}):
            trace["marker"]["showscale"] = "" not in shown
            shown.add("")
        elif trace["showlegend"]:
            trace["showlegend"] = trace["name"] not in shown
            shown.add(trace["name"])


def _share_axes(grid: Grid, names: Sequence[str], *, columns: int, n_panels: int, y_down: bool) -> None:
    """Let the axes of all panels match; a range of their own would take back a zoom when the colour changes."""
    for panel, axes in enumerate(grid.axes):
        for axis, letter, properties in zip(axes, "xy", quiet_axes(names), strict=True):
            is_outer = panel + columns >= n_panels if letter == "x" else panel % columns == 0
            axis.update(properties if is_outer else properties | {"title": {"text": ""}})
            axis["visible"] = panel < n_panels
            if panel:
                axis["matches"] = letter
        if y_down:
            axes[1]["autorange"] = "reversed"
    grid.axes[0][1]["scaleanchor"] = "x"
