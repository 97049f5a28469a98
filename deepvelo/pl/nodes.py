"""Groups as pie charts and edges as arrows, shared by the map and the tree of a trajectory.

Plotly cannot place pie charts at data coordinates. They are drawn as shapes, which lie above WebGL traces and stay
circular if both axes have the same scale.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any, Final

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from deepvelo.pl import theme

STAGE_COLORS: Final = {
    "early": theme.SEQUENTIAL[0], "middle": theme.SEQUENTIAL[6], "late": theme.SEQUENTIAL[-1],
}  # fmt: skip
NO_SHARE: Final = "unknown"
_STEP = np.pi / 36  # angle between points of a circle
_WIDEST = 0.5  # arrow, in radii of a node
_NARROWEST = 0.06
_DASH = 0.7  # length of a dash with its gap, in radii of a node
WEAK_OPACITY: Final = 0.55
_GAP = 1.3  # from the centre of a node to an arrow's tip, in its radii: outside the second ring of a terminal group

Shape = dict[str, Any]


def pie(
    at: np.ndarray, shares: pd.Series, *, radius: float, colors: Mapping[str, str], rim: str
) -> list[Shape]:
    """A pie chart with a rim in the group's colour, clockwise from the top; grey if shares are NaN.

    Parameters
    ----------
    at
        Centre, shape ``(2,)``.
    shares
        By name of the slice; normalised to sum to 1.
    colors
        By name of the slice.
    """
    shapes = []
    parts = (shares / shares.sum()).dropna()
    ends = np.append(0, parts.cumsum()) * 2 * np.pi
    for part, start, end in zip(parts.index, ends[:-1], ends[1:], strict=True):
        if end - start > 1e-6:
            arc = _arc(at, radius, start, end)
            points = arc if end - start > 2 * np.pi - 1e-6 else np.vstack([at, arc])
            shapes.append(_shape(points, fillcolor=colors[str(part)], line_width=0))
    if not shapes:
        shapes.append(_shape(_arc(at, radius), fillcolor=theme.GREY, line_width=0))
    return [*shapes, _shape(_arc(at, radius), line_color=rim, line_width=3.5)]


def ring(at: np.ndarray, *, radius: float, dark: bool) -> Shape:
    """A second ring, which marks a terminal group."""
    return _shape(_arc(at, 1.25 * radius), line_color=theme.ink(dark=dark), line_width=2)


def arrow_width(confidence: float, *, highest: float, radius: float) -> float:
    """Width proportional to the confidence, with a visible minimum; in the units of ``radius``."""
    share = confidence / highest if highest > 0 else 0.0
    return radius * max(_WIDEST * share, _NARROWEST)


def arrow(
    line: np.ndarray,
    *,
    width: float,
    radius: float,
    end_radius: float,
    dark: bool,
    color: str | None = None,
    weak: bool = False,
) -> Shape | None:
    """A filled arrow along a line.

    Parameters
    ----------
    line
        From the centre of one node to the centre of another, shape ``(n_points, 2)``.
    radius, end_radius
        Radius of a typical node, which sets the size of the head, and of the target node, which must not be covered.
    color
        Colour; by default the ink of the theme.
    weak
        Draw the arrow dashed and lighter.

    Returns
    -------
    The shape, or None if the nodes touch.
    """
    line = _until(line, np.linalg.norm(line - line[-1], axis=1) >= _GAP * end_radius, _GAP * end_radius)
    steps = np.linalg.norm(np.diff(line, axis=0), axis=1)
    length = steps.sum()
    if len(line) < 2 or length <= 0:
        return None
    head = min(max(1.6 * width, 0.5 * radius), 0.7 * length)
    left_over = length - np.append(0, np.cumsum(steps))
    # Starts of the dashes, as lengths left to the tip; the last dash has the head.
    *starts, nearest = np.arange(length, head, -_DASH * radius) if weak else [length]
    outlines = [
        _band(line, left_over, start=start, end=start - _DASH * radius / 2, width=width) for start in starts
    ]
    last = _band(line, left_over, start=nearest, end=head, width=width)
    base, tip = _resample(line, left_over, np.array([head]))[0], line[-1]
    direction = (tip - base) / np.linalg.norm(tip - base)
    barb = np.array([-direction[1], direction[0]]) * max(1.1 * width, 0.28 * radius)
    half = len(last) // 2
    outlines.append(np.vstack([last[:half], base + barb, tip, base - barb, last[half:]]))
    shape = _shape(
        *outlines,
        fillcolor=color or theme.ink(dark=dark),
        line_color=theme.halo(dark=dark),
        line_width=0 if weak else 1,  # an outline would hide narrow dashes
    )
    return shape | {"opacity": WEAK_OPACITY} if weak else shape


def _band(line: np.ndarray, left_over: np.ndarray, *, start: float, end: float, width: float) -> np.ndarray:
    """Outline of a piece of the line, along one side and back along the other."""
    between = left_over[(left_over < start) & (left_over > end)]
    middle = _resample(line, left_over, np.concatenate([[start], between, [end]]))
    along = np.gradient(middle, axis=0)
    along /= np.linalg.norm(along, axis=1, keepdims=True)
    across = np.stack([-along[:, 1], along[:, 0]], axis=1) * width / 2
    return np.vstack([middle + across, (middle - across)[::-1]])


def label(
    name: str,
    at: tuple[float, float],
    *,
    note: str = "",
    xanchor: str = "center",
    yanchor: str = "middle",
    dark: bool,
) -> dict[str, Any]:
    """A node's name, as `theme.plain` returns it, with its role in a second line, as a Plotly annotation."""
    glow = ",".join([f"0 0 3px {'#111' if dark else '#fff'}"] * 5)
    small = f"<br><span style='font-size:{theme.FONT_SIZE - 2}px;font-weight:400'>{note}</span>"
    return {
        "x": at[0],
        "y": at[1],
        "xanchor": xanchor,
        "yanchor": yanchor,
        "align": {"left": "left", "right": "right"}.get(xanchor, "center"),
        "text": name + (small if note else ""),
        "showarrow": False,
        "borderpad": 0,
        "font": {
            "size": theme.LABEL_SIZE - 1, "color": theme.ink(dark=dark), "weight": 600, "shadow": glow,
        },
    }  # fmt: skip


def note(group: str, *, root: str | None, ends: Collection[str]) -> str:
    """Role of a group: ``root``, ``terminal``, both or nothing."""
    return ", ".join(["root"] * (group == root) + ["terminal"] * (group in ends))


def add_targets(
    fig: go.Figure, places: np.ndarray, shares: pd.DataFrame, *, size: float, more: Mapping[str, str]
) -> None:
    """Add invisible points with hover texts over nodes; a click returns the group in ``customdata``.

    Parameters
    ----------
    shares
        One row per node, in the order of ``places``.
    size
        Diameter in pixels.
    more
        A line of hover text by group.
    """
    texts = []
    for group, of_group in shares.iterrows():
        known = [f"{theme.plain(part)}: {share:.0%}" for part, share in of_group.dropna().items()]
        texts.append("<br>".join([f"<b>{theme.plain(group)}</b>", more[str(group)], *(known or [NO_SHARE])]))
    fig.add_trace(
        go.Scatter(
            x=places[:, 0],
            y=places[:, 1],
            mode="markers",
            marker={"size": size, "opacity": 0, "color": theme.GREY},  # of the hover text
            selected={"marker": {"opacity": 0}},
            unselected={"marker": {"opacity": 0}},
            customdata=[str(group) for group in shares.index],
            text=texts,
            hovertemplate="%{text}<extra></extra>",
            showlegend=False,
        )
    )


def weak_edges(edges: pd.DataFrame, least_cells: int) -> tuple[np.ndarray, str | None]:
    """Find edges to draw dashed: those of groups with few cells, or with arrows mostly from undecided cells.

    Returns
    -------
    Mask of the edges, ``(n_edges,)``, and the legend text of dashed edges; None if no edge is dashed.
    """
    few = (edges[["source_cells", "target_cells"]] < least_cells).any(axis=1).to_numpy(dtype=bool)
    undecided = _undecided(edges)
    words = [f"group of fewer than {least_cells} cells"] if few.any() else []
    words += ["direction undecided"] if undecided.any() else []
    return few | undecided, ",<br>or ".join(words) or None


def _undecided(edges: pd.DataFrame) -> np.ndarray:
    """Mask of undecided edges, ``(n_edges,)``; all False for analyses of earlier versions, which lack the column."""
    if "undecided" not in edges:
        return np.zeros(len(edges), dtype=bool)
    return (edges["undecided"] > 0.5).to_numpy(dtype=bool)


def add_arrow_targets(fig: go.Figure, middles: Sequence[np.ndarray], edges: pd.DataFrame) -> None:
    """Add hover texts at the middle of edges: source, target, connectivity and numbers of cells."""
    texts = [
        f"{theme.plain(edge.source)} → {theme.plain(edge.target)}<br>PAGA connectivity {edge.confidence:.2f}<br>"
        f"{edge.source_cells:,} → {edge.target_cells:,} cells{'<br>direction undecided' if undecided else ''}"
        for edge, undecided in zip(edges.itertuples(), _undecided(edges), strict=True)
    ]
    at = np.array(middles).reshape(-1, 2)
    fig.add_trace(
        go.Scatter(
            x=at[:, 0], y=at[:, 1], mode="markers", marker={"size": 14, "opacity": 0, "color": theme.GREY}, text=texts,
            hovertemplate="%{text}<extra></extra>", showlegend=False,
        )
    )  # fmt: skip


def add_legend(
    fig: go.Figure,
    *,
    title: str,
    colors: Mapping[str, str],
    unknown: bool,
    highest: float | None,
    against: str | None = None,
    dashed: str | None = None,
    dark: bool,
) -> None:
    """Add the legend: slices of pies, the widest arrow, arrows against time, and dashed arrows."""
    parts = dict(colors) | ({NO_SHARE: theme.GREY} if unknown else {})
    for i, (name, color) in enumerate(parts.items()):
        marker = {"color": color, "size": 11}
        _add_entry(
            fig, theme.plain(name), group=theme.lines(title), first=i == 0, mode="markers", marker=marker
        )
    lines = {} if highest is None else {f"widest: {highest:.2f}": {"color": theme.ink(dark=dark), "width": 8}}
    if against is not None:
        lines["against time"] = {"color": against, "width": 8}
    if dashed is not None:
        lines[dashed] = {"color": theme.GREY, "width": 4, "dash": "6px,5px"}
    for i, (name, line) in enumerate(lines.items()):
        _add_entry(fig, name, group="edges, by<br>PAGA connectivity", first=i == 0, mode="lines", line=line)
    fig.update_layout(legend={"itemclick": False, "itemdoubleclick": False, "tracegroupgap": 14})


def _add_entry(fig: go.Figure, name: str, *, group: str, first: bool, **look: Any) -> None:
    title = {"text": group} if first else None
    fig.add_trace(
        go.Scatter(x=[None], y=[None], name=name, legendgroup=group, legendgrouptitle=title, **look)
    )


def _arc(at: np.ndarray, radius: float, start: float = 0.0, end: float = 2 * np.pi) -> np.ndarray:
    angles = np.linspace(start, end, max(2, int(np.ceil((end - start) / _STEP)) + 1))
    return at + radius * np.stack([np.sin(angles), np.cos(angles)], axis=1)


def _until(line: np.ndarray, outside: np.ndarray, distance: float) -> np.ndarray:
    """The line up to the point at ``distance`` from its end, that point included."""
    last = int(np.flatnonzero(outside)[-1]) if outside.any() else -1
    if last < 0:
        return line[:0]
    inner, outer = (np.linalg.norm(line[i] - line[-1]) for i in (last + 1, last))
    share = (outer - distance) / (outer - inner) if outer > inner else 0.0
    return np.vstack([line[: last + 1], line[last] + share * (line[last + 1] - line[last])])


def _resample(line: np.ndarray, left_over: np.ndarray, wanted: np.ndarray) -> np.ndarray:
    """Points of a line at given lengths before its end."""
    return np.stack([np.interp(-wanted, -left_over, line[:, axis]) for axis in (0, 1)], axis=1)


def _shape(
    *outlines: np.ndarray, fillcolor: str = "rgba(0,0,0,0)", line_color: str | None = None, line_width: float
) -> Shape:
    path = "".join("M" + "L".join(f"{x:.5g},{y:.5g}" for x, y in points) + "Z" for points in outlines)
    return {
        "type": "path",
        "path": path,
        "xref": "x",
        "yref": "y",
        "layer": "above",
        "fillcolor": fillcolor,
        "line": {"color": line_color or fillcolor, "width": line_width},
    }
