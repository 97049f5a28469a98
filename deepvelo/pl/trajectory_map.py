"""Directed PAGA on the embedding: groups as pie charts, edges as arrows."""

from __future__ import annotations

import itertools
from collections.abc import Collection, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from deepvelo.pl import nodes, theme
from deepvelo.pl.embedding import scatter

_FAINT = {False: 0.22, True: 0.4}  # opacity of cells, by dark; cells are only context
_WIDTH = 700  # minimum width of the plot in pixels; affects only labels that nearly touch
_LETTER = 0.58  # width of a character, in font sizes
_ROOM = 6  # pixels between a node and its label


def trajectory_map(
    points: np.ndarray,
    groups: Sequence[str] | np.ndarray,
    *,
    edges: pd.DataFrame,
    shares: pd.DataFrame,
    part_colors: Mapping[str, str],
    shares_title: str,
    colors: Mapping[str, str] | None = None,
    root: str | None = None,
    ends: Collection[str] = (),
    least_cells: int = 0,
    axis_name: str = "UMAP",
    drawn: np.ndarray | None = None,
    dark: bool = False,
    height: int = theme.HEIGHT,
) -> go.Figure:
    """Draw a trajectory over the cells.

    Parameters
    ----------
    points
        Embedding, shape ``(n_cells, 2)``; nodes lie at the groups' medians.
    groups
        Group of each cell.
    edges
        As `deepvelo.tl.trajectory` returns them; edges are dashed if they touch a group of fewer than ``least_cells`` cells, or
        if most of their arrows leave undecided cells.
    shares
        One row per group, one column per slice of its pie, from `deepvelo.tl.lineage.group_shares`; NaN is grey.
    part_colors
        By column of ``shares``: `nodes.STAGE_COLORS`, or the colours of the terminal groups.
    shares_title
        Title of the slices in the legend.
    colors
        By group, from `theme.group_colors`; used for cells and rims of nodes.
    root, ends
        Root group and terminal groups; terminal groups have a second ring.
    drawn
        As for `deepvelo.pl.embedding.scatter`.

    Returns
    -------
    Cells have their row number in ``customdata``, nodes their group.
    """
    codes, names = theme.group_codes(groups)
    colors = theme.group_colors(names, colors)
    placed = {name: points[(codes == i) & np.isfinite(points).all(axis=1)] for i, name in enumerate(names)}
    present = [name for name in names if len(placed[name])]
    shares = shares.reindex(present)
    counts = pd.Series(np.bincount(codes), index=names)[present]
    low, high = np.nanmin(points, axis=0), np.nanmax(points, axis=0)
    pixel = float(max((high[1] - low[1]) / (height - 70), (high[0] - low[0]) / _WIDTH)) or 1.0
    usual = _radius(len(present)) * pixel
    radii = usual * np.clip((counts / counts.median()) ** 0.25, 0.8, 1.3).to_numpy()
    medians = np.array([np.median(placed[name], axis=0) for name in present])
    places = _apart(medians, radii)
    at = dict(zip(present, places, strict=True))
    size = dict(zip(present, radii, strict=True))

    fig = scatter(
        points, groups, colors=colors, labels=False, axis_name=axis_name, drawn=drawn, dark=dark, height=height,
    )  # fmt: skip
    fig.update_traces(
        marker_opacity=_FAINT[dark],
        marker_line_width=0,
        hoverinfo="skip",
        hovertemplate=None,
        showlegend=False,
    )
    edges = edges[edges["source"].isin(present) & edges["target"].isin(present)]
    edges = edges.sort_values("confidence", kind="stable")  # the widest arrow is drawn on top
    highest = float(edges["confidence"].max()) if len(edges) else None
    shapes, lines = [], []
    weak, dashes_mean = nodes.weak_edges(edges, least_cells)
    for source, target, confidence, dashed in zip(
        edges["source"], edges["target"], edges["confidence"], weak, strict=True
    ):
        lines.append(np.stack([at[source], at[target]]))
        width = nodes.arrow_width(confidence, highest=highest or 0.0, radius=usual)
        shapes.append(
            nodes.arrow(
                lines[-1], width=width, radius=usual, end_radius=size[target], dark=dark, weak=bool(dashed)
            )
        )
    for name in present:
        shapes += nodes.pie(
            at[name], shares.loc[name], radius=size[name], colors=part_colors, rim=colors[name]
        )
        if name in ends:
            shapes.append(nodes.ring(at[name], radius=size[name], dark=dark))
    labels = _labels(at, size, lines, root=root, ends=ends, pixel=pixel, dark=dark)
    fig.update_layout(shapes=[shape for shape in shapes if shape is not None], annotations=labels)
    nodes.add_arrow_targets(fig, [line.mean(axis=0) for line in lines], edges)
    more = {name: f"{count:,} cells" for name, count in counts.items()}
    nodes.add_targets(fig, places, shares, size=2 * _radius(len(present)), more=more)
    nodes.add_legend(
        fig, title=shares_title, colors=part_colors, unknown=bool(shares.isna().all(axis=1).any()),
        highest=highest, dashed=dashes_mean,
        dark=dark,
    )  # fmt: skip
    room = 3 * usual
    fig.update_xaxes(range=[low[0] - room, high[0] + room])
    fig.update_yaxes(
        range=[low[1] - room - 30 * pixel, high[1] + room]
    )  # space for a label of two lines below the lowest node
    return fig


def _radius(n_groups: int) -> float:
    """Radius of a typical node in pixels, smaller for many groups."""
    return float(np.clip(26 - 0.6 * n_groups, 13, 22))


def _apart(places: np.ndarray, radii: np.ndarray) -> np.ndarray:
    """Move overlapping nodes apart."""
    places = places.astype(float)
    for _ in range(100):
        moved = False
        for i, j in itertools.combinations(range(len(places)), 2):
            between, least = places[j] - places[i], 1.35 * (radii[i] + radii[j])
            distance = float(np.linalg.norm(between))
            if distance < 0.99 * least:
                direction = between / distance if distance > 0 else np.array([1.0, 0.0])
                places[i] -= direction * (least - distance) / 2
                places[j] += direction * (least - distance) / 2
                moved = True
        if not moved:
            break
    return places


def _labels(
    at: Mapping[str, np.ndarray],
    size: Mapping[str, float],
    lines: Sequence[np.ndarray],
    *,
    root: str | None,
    ends: Collection[str],
    pixel: float,
    dark: bool,
) -> list[dict[str, Any]]:
    """Place each label on the side of its node with the least overlap with nodes, labels and arrows."""
    on_arrows = [line[0] + share * (line[1] - line[0]) for line in lines for share in np.linspace(0, 1, 25)]
    marks = np.array(on_arrows).reshape(-1, 2)
    taken: list[np.ndarray] = []
    labels = []
    for name, middle in at.items():
        note = nodes.note(name, root=root, ends=ends)
        letters = max(min(len(name), theme.MOST_OF_A_NAME), len(note))
        extent = np.array([_LETTER * letters, 1.25 * (2 if note else 1)]) * theme.LABEL_SIZE * pixel
        reach = 1.25 * size[name] + _ROOM * pixel
        sides = {
            ("center", "top"): np.array([0, -reach]),
            ("center", "bottom"): np.array([0, reach]),
            ("left", "middle"): np.array([reach, 0]),
            ("right", "middle"): np.array([-reach, 0]),
            ("left", "top"): np.array([0.7, -0.7]) * reach,
            ("right", "top"): np.array([-0.7, -0.7]) * reach,
            ("left", "bottom"): np.array([0.7, 0.7]) * reach,
            ("right", "bottom"): np.array([-0.7, 0.7]) * reach,
        }
        boxes = {side: _box(middle + shift, extent, side) for side, shift in sides.items()}
        costs = {
            side: 10 * sum(_circle_in(box, at[other], size[other]) for other in at if other != name)
            + 10 * sum(_overlap(box, other) for other in taken)
            + ((marks > box[0]) & (marks < box[1])).all(axis=1).sum() / 5
            for side, box in boxes.items()
        }
        side = min(costs, key=lambda side: costs[side])  # ties: the first side, below
        taken.append(boxes[side])
        x, y = middle + sides[side]
        labels.append(
            nodes.label(
                theme.plain(name),
                (float(x), float(y)),
                note=note,
                xanchor=side[0],
                yanchor=side[1],
                dark=dark,
            )
        )
    return labels


def _box(anchor: np.ndarray, extent: np.ndarray, side: tuple[str, str]) -> np.ndarray:
    """Lower left and upper right corner of a label."""
    shift = {"center": 0.5, "middle": 0.5, "left": 0.0, "bottom": 0.0, "right": 1.0, "top": 1.0}
    corner = anchor - extent * np.array([shift[side[0]], shift[side[1]]])
    return np.stack([corner, corner + extent])


def _overlap(box: np.ndarray, other: np.ndarray) -> bool:
    return bool((box[0] < other[1]).all() and (other[0] < box[1]).all())


def _circle_in(box: np.ndarray, middle: np.ndarray, radius: float) -> bool:
    nearest = np.clip(middle, box[0], box[1])
    return bool(np.linalg.norm(nearest - middle) < 1.25 * radius)
