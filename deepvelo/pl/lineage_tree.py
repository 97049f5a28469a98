"""Transitions between groups, as a tree drawn from left to right."""

from __future__ import annotations

import textwrap
from collections.abc import Collection, Mapping

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from deepvelo.pl import nodes, theme
from deepvelo.pl.lanes import RADIUS, Names, bend_after, bend_before, tree_places
from deepvelo.wording import in_one_line

AGAINST = "#D55E00"  # colour of arrows to a group that is not later
_LETTER = 0.58 * theme.LABEL_SIZE
_LINE = 24  # characters per line of a name


def lineage_tree(
    edges: pd.DataFrame,
    shares: pd.DataFrame,
    *,
    times: pd.Series,
    part_colors: Mapping[str, str],
    shares_title: str,
    colors: Mapping[str, str] | None = None,
    root: str | None = None,
    ends: Collection[str] = (),
    least_cells: int = 0,
    dark: bool = False,
) -> go.Figure:
    """Draw groups from early to late, and all edges between them.

    Parameters
    ----------
    edges
        As `deepvelo.tl.trajectory` returns them. Edges to a group that is not later, as in every cycle, have another
        colour; edges are dashed as in `deepvelo.pl.trajectory_map.trajectory_map`.
    shares, part_colors, shares_title, colors, root, ends
        As for `deepvelo.pl.trajectory_map.trajectory_map`.
    times
        Mean latent time by group; NaN for a group without.

    Returns
    -------
    A figure with the height of the tree; nodes have their group in ``customdata``.
    """
    present = theme.group_order(shares.index)
    shares = shares.set_axis(shares.index.astype(str)).loc[present]
    times = times.set_axis(times.index.astype(str)).reindex(present)
    colors = theme.group_colors(present, colors)
    texts = {name: _wrapped(name) for name in present}
    names = Names(
        widths={name: max(map(len, text.split("\n"))) * _LETTER for name, text in texts.items()},
        at_right=frozenset(present) - set(edges["source"].astype(str)),
    )
    places = tree_places(edges, times, names=names)
    at = {name: places.loc[name, ["x", "y"]].to_numpy(dtype=float) for name in present}
    edges = edges.sort_values("confidence", kind="stable")  # the widest arrow is drawn on top
    highest = float(edges["confidence"].max()) if len(edges) else None

    fig = go.Figure()
    shapes, middles, any_back = [], [], False
    weak, dashes_mean = nodes.weak_edges(edges, least_cells)
    for source, target, confidence, dashed in zip(
        edges["source"].astype(str), edges["target"].astype(str), edges["confidence"], weak, strict=True
    ):
        back = bool(places.loc[source, "rank"] >= places.loc[target, "rank"])
        any_back |= back
        line = _back(at[source], at[target]) if back else _forward(source, target, places, names=names)
        width = nodes.arrow_width(confidence, highest=highest or 0.0, radius=RADIUS)
        color = AGAINST if back else None
        shapes.append(
            nodes.arrow(
                line, width=width, radius=RADIUS, end_radius=RADIUS, dark=dark, color=color, weak=bool(dashed)
            )
        )
        middles.append(line[len(line) // 2])
    labels = []
    for name in present:
        shapes += nodes.pie(at[name], shares.loc[name], radius=RADIUS, colors=part_colors, rim=colors[name])
        if name in ends:
            shapes.append(nodes.ring(at[name], radius=RADIUS, dark=dark))
        beside = name in names.at_right
        x, y = at[name] + np.array([1.6 * RADIUS, 0] if beside else [0, -1.35 * RADIUS])
        labels.append(
            nodes.label(
                theme.lines(texts[name]),
                (float(x), float(y)),
                note=nodes.note(name, root=root, ends=ends),
                xanchor="left" if beside else "center",
                yanchor="middle" if beside else "top",
                dark=dark,
            )
        )
    fig.update_layout(shapes=[shape for shape in shapes if shape is not None], annotations=labels)
    nodes.add_arrow_targets(fig, middles, edges)
    more = {
        name: "no latent time" if np.isnan(time) else f"mean latent time {time:.2f}"
        for name, time in times.items()
    }
    nodes.add_targets(fig, np.array(list(at.values())), shares, size=2 * RADIUS, more=more)
    _finish(fig, places, names=names)
    nodes.add_legend(
        fig, title=shares_title, colors=part_colors, unknown=bool(shares.isna().all(axis=1).any()),
        highest=highest, against=AGAINST if any_back else None, dashed=dashes_mean,
        dark=dark,
    )  # fmt: skip
    return fig


def _wrapped(name: str) -> str:
    """A name broken into lines."""
    return "\n".join(
        textwrap.wrap(in_one_line(name, most=theme.MOST_OF_A_NAME), _LINE, break_long_words=False)
    )


def _forward(source: str, target: str, places: pd.DataFrame, *, names: Names) -> np.ndarray:
    """Line along one row, with a bend to the other; of three possible bends, the first that meets no node."""
    xy = places[["x", "y"]]
    start, end = (xy.loc[name].to_numpy(dtype=float) for name in (source, target))
    after = bend_after(start[0], source, names=names)
    before = bend_before(end[0], target, names=names)
    wide = (after[0], before[1])
    begins = places.loc[places["lane"] == places.loc[target, "lane"], "x"].min() >= end[0]
    ends = places.loc[places["lane"] == places.loc[source, "lane"], "x"].max() <= start[0]
    bends = [after, before, wide] if begins else [before, after, wide] if ends else [wide, before, after]
    others = xy.drop(index=[source, target]).to_numpy(dtype=float)
    turn = np.linspace(0, 1, 24)
    y = start[1] + (end[1] - start[1]) * (1 - np.cos(np.pi * turn)) / 2
    lines = [
        np.vstack([start, np.stack([first + turn * (last - first), y], axis=1), end]) for first, last in bends
    ]
    return max(lines, key=lambda line: min(_clearance(line, others), 1.5 * RADIUS))


def _clearance(line: np.ndarray, others: np.ndarray) -> float:
    """Distance from a line to the nearest of other nodes."""
    steps = np.append(0, np.cumsum(np.linalg.norm(np.diff(line, axis=0), axis=1)))
    along = np.linspace(0, steps[-1], 100)
    points = np.stack([np.interp(along, steps, line[:, axis]) for axis in (0, 1)], axis=1)
    return float(np.linalg.norm(points[:, None] - others, axis=2).min(initial=np.inf))


def _back(source: np.ndarray, target: np.ndarray) -> np.ndarray:
    """An arc above the nodes between two groups."""
    share = np.linspace(0, 1, 40)[:, None]
    rise = np.array([0, 3 * RADIUS]) * 4 * share * (1 - share)
    return np.asarray(source + share * (target - source) + rise)


def _finish(fig: go.Figure, places: pd.DataFrame, *, names: Names) -> None:
    left = min(places.loc[name, "x"] - names.before(name) for name in names.widths)
    right = max(places.loc[name, "x"] + names.after(name) for name in names.widths)
    bottom, top = places["y"].min() - 3.4 * RADIUS, places["y"].max() + 3.2 * RADIUS
    margin = 46
    theme.style(fig, height=max(round(top - bottom) + 2 * margin, 260))
    hidden = {"showgrid": False, "zeroline": False, "showticklabels": False, "ticks": ""}
    title = {"text": "early → late, by mean latent time of the group", "font": {"size": theme.FONT_SIZE - 1}}
    fig.update_xaxes(range=[left, right], title=title, **hidden)
    fig.update_yaxes(range=[bottom, top], scaleanchor="x", **hidden)
    fig.update_layout(margin={"t": margin, "b": margin})
