"""Layout of groups in a tree drawn from left to right: lines of descent are lanes, packed to avoid overlaps."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

import numpy as np
import pandas as pd

RADIUS: Final = 19.0  # of a node; all lengths in pixels, the units of the axes
ROW: Final = 88.0
TURN: Final = 46.0  # length of the bend from one lane to another
SPAN: Final = 620.0  # width from the first to the last time

Interval = tuple[float, float]


@dataclass(frozen=True, kw_only=True)
class Names:
    """Widths of the groups' names, and groups with the name to the right of the node instead of below."""

    widths: Mapping[str, float]
    at_right: frozenset[str]

    def before(self, name: str) -> float:
        """Space that a node needs to its left, including an arrowhead."""
        return max(0.0 if name in self.at_right else self.widths[name] / 2, 2.4 * RADIUS)

    def after(self, name: str) -> float:
        """Space that a node needs to its right."""
        beside, below = 1.6 * RADIUS + self.widths[name], self.widths[name] / 2
        return beside if name in self.at_right else max(below, RADIUS)


def tree_places(edges: pd.DataFrame, times: pd.Series, *, names: Names) -> pd.DataFrame:
    """Arrange groups in lanes.

    Edges of highest confidence form lanes: each group has at most one successor and one predecessor. Every further lane
    branches from or joins a placed lane, in the nearest row where neither the lane nor its bend overlaps others.
    Connected components are stacked vertically.

    Parameters
    ----------
    edges
        ``source``, ``target``, ``confidence``. Edges to a group that is not later are ignored.
    times
        By group, 0 to 1; NaN counts as last.

    Returns
    -------
    By group: ``x``, which follows the time, with space for names and bends between a group and its successors;
    ``y``, at most 0; ``rank`` in time and ``lane``, both from 0.
    """
    order = [str(name) for name in times.sort_values(kind="stable").index]
    rank = {name: i for i, name in enumerate(order)}
    forward = edges[edges["source"].map(rank) < edges["target"].map(rank)]
    forward = forward.sort_values("confidence", ascending=False, kind="stable")
    pairs = list(zip(forward["source"].astype(str), forward["target"].astype(str), strict=True))
    lanes, links = _lanes(order, pairs)
    packing = _Packing(lanes=lanes, links=links, x=_across(order, pairs, times, names=names), names=names)
    rows = packing.rows()
    lane = {name: i for i, of_lane in enumerate(lanes) for name in of_lane}
    return pd.DataFrame(
        {
            "x": packing.x,
            "y": {name: -ROW * rows[lane[name]] + 0.0 for name in order},
            "rank": rank,
            "lane": lane,
        }
    ).reindex(times.index.astype(str))


def _lanes(
    order: Sequence[str], pairs: Sequence[tuple[str, str]]
) -> tuple[list[list[str]], list[tuple[str, str]]]:
    """Lanes formed by the pairs of highest confidence, the longest first, and the pairs between lanes."""
    follows: dict[str, str] = {}
    comes_from: dict[str, str] = {}
    links = []
    for source, target in pairs:
        if source in follows or target in comes_from:
            links.append((source, target))
        else:
            follows[source], comes_from[target] = target, source
    lanes = []
    for name in order:
        if name not in comes_from:
            lane = [name]
            while lane[-1] in follows:
                lane.append(follows[lane[-1]])
            lanes.append(lane)
    return sorted(lanes, key=len, reverse=True), links


def _across(
    order: Sequence[str], pairs: Sequence[tuple[str, str]], times: pd.Series, *, names: Names
) -> dict[str, float]:
    """Positions from left to right by time, with space between a group and its predecessors."""
    first, last = (0.0, 0.0) if times.isna().all() else (times.min(), times.max())
    x: dict[str, float] = {}
    for name in order:
        own = 0.0 if np.isnan(times[name]) else (times[name] - first) / ((last - first) or 1.0) * SPAN
        after = [
            x[source] + names.after(source) + TURN + names.before(name)
            for source, target in pairs
            if target == name
        ]
        x[name] = float(max([own, *after]))
    return x


@dataclass(kw_only=True)
class _Packing:
    """Rows of lanes, assigned one by one."""

    lanes: list[list[str]]
    links: list[tuple[str, str]]
    x: dict[str, float]
    names: Names
    row: dict[int, int] = field(default_factory=dict)
    taken: defaultdict[int, list[Interval]] = field(default_factory=lambda: defaultdict(list))
    bends: defaultdict[int, list[Interval]] = field(default_factory=lambda: defaultdict(list))

    def rows(self) -> dict[int, int]:
        """The row of every lane, from 0 at the top."""
        lane_of = {name: i for i, lane in enumerate(self.lanes) for name in lane}
        self._links = [(lane_of[source], lane_of[target], source, target) for source, target in self.links]
        found: dict[int, int] = {}
        linked = {lane for link in self._links for lane in link[:2]}
        for first, lane in enumerate(self.lanes):
            if first not in found and (first in linked or len(lane) > 1):
                self.row, self.taken, self.bends = {}, defaultdict(list), defaultdict(list)
                self._put(first, 0, self._extent(first))
                self._hang(first)
                above = 1 + max(found.values(), default=-1) - min(self.row.values())
                found |= {i: above + row for i, row in self.row.items()}
        self.taken = defaultdict(list)
        start = 1 + max(found.values(), default=-1)
        for alone in (i for i in range(len(self.lanes)) if i not in found):
            extent = self._extent(alone)
            found[alone] = next(
                row for row in range(start, start + len(self.lanes)) if _free(self.taken[row], extent)
            )
            self.taken[found[alone]].append(extent)
        return found

    def _extent(self, lane: int) -> Interval:
        first, last = self.lanes[lane][0], self.lanes[lane][-1]
        return self.x[first] - self.names.before(first), self.x[last] + self.names.after(last)

    def _put(self, lane: int, row: int, extent: Interval) -> None:
        self.row[lane] = row
        self.taken[row].append(extent)

    def _hang(self, on: int) -> None:
        """Place the lanes linked to a placed one; nearest are those that leave it last or join it first."""
        leaving = [link for link in self._links if link[0] == on]
        joining = [link for link in self._links if link[1] == on]
        leaving.sort(key=lambda link: -self.x[link[2]])
        joining.sort(key=lambda link: self.x[link[3]])
        for link in [*leaving, *joining]:
            lane = link[1] if link[0] == on else link[0]
            if lane in self.row:
                continue
            low, high = self._extent(lane)
            if link[0] == on:
                bend = bend_after(self.x[link[2]], link[2], names=self.names)
                low = min(low, bend[1])
            else:
                bend = bend_before(self.x[link[3]], link[3], names=self.names)
                high = max(high, bend[0])
            row = self._nearest(self.row[on], (low, high), bend)
            self._put(lane, row, (low, high))
            for between in range(min(row, self.row[on]) + 1, max(row, self.row[on])):
                self.bends[between].append(bend)
            self._hang(lane)

    def _nearest(self, start: int, extent: Interval, bend: Interval) -> int:
        n = len(self.lanes) + 1
        for step in range(1, n):
            for row in (start + step, start - step):
                between = range(min(start, row) + 1, max(start, row))
                if _free(self.taken[row] + self.bends[row], extent) and all(
                    _free(self.taken[other], bend) for other in between
                ):
                    return row
        return max(self.row.values()) + 1


def bend_after(x: float, name: str, *, names: Names) -> Interval:
    """Interval in which an arrow that leaves a node bends to another row."""
    return x + names.after(name), x + names.after(name) + TURN


def bend_before(x: float, name: str, *, names: Names) -> Interval:
    """Interval in which an arrow that reaches a node bends from another row."""
    return x - names.before(name) - TURN, x - names.before(name)


def _free(taken: Sequence[Interval], wanted: Interval) -> bool:
    return all(high <= wanted[0] or wanted[1] <= low for low, high in taken)
