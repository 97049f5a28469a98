"""Groupings of cells made by hand. Every change returns a new grouping."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
import pandas as pd

from deepvelo.contents.groups import MAX_GROUPS, PALETTE, UNASSIGNED, colors_by_group, group_names
from deepvelo.errors import InputError
from deepvelo.selections.checked_file import LONGEST_NAME, plain_name, too_long
from deepvelo.wording import listed

_WHAT: Final = "group"


@dataclass(frozen=True)
class Group:
    """One group of a grouping."""

    name: str
    color: str
    """Hexadecimal, ``#0072b2``."""
    hidden: bool = False
    """Whether figures draw its cells in grey, or leave them out."""


@dataclass(frozen=True, eq=False)
class Grouping:
    """Groups in their order, and the group of each cell.

    Parameters
    ----------
    groups
        At most 100.
    cell_names
        Distinct names of the cells, ``(n_cells,)``; other runs of the data may have fewer or more cells.
    codes
        Position of each cell's group in ``groups``, -1 for none; int16 ``(n_cells,)``.

    Examples
    --------
    >>> cells = pd.Index(["a", "b", "c"])
    >>> grouping = Grouping.empty(cells).assign(["a", "b"], "tip").assign(["b"], "root")
    >>> grouping.column(pd.Index(["c", "b", "a"])).tolist()
    [nan, 'root', 'tip']
    >>> grouping.merge(["tip", "root"], "branch").sizes
    {'branch': 2}
    """

    groups: tuple[Group, ...]
    cell_names: pd.Index
    codes: np.ndarray

    @classmethod
    def empty(cls, cell_names: pd.Index) -> Grouping:
        """A grouping without groups."""
        return cls((), pd.Index(cell_names), np.full(len(cell_names), -1, dtype=np.int16))

    @classmethod
    def from_column(cls, column: pd.Series, colors: Mapping[str, str] | None = None) -> Grouping:
        """The groups of an annotation.

        Parameters
        ----------
        column
            A grouping in ``obs``, indexed by the names of the cells.
        colors
            Colour by group; others get colours of the palette.

        Raises
        ------
        InputError
            There are more than 100 groups, or the name of one has more than 200 characters.
        """
        groups = group_names(column)
        names = [name for name in groups.cat.categories if name != UNASSIGNED]
        groups = groups.cat.set_categories(names)
        _require_few(len(names))
        for name in names:
            if len(name) > LONGEST_NAME:
                raise too_long(name, _WHAT)
        given = dict(colors or {})
        found = (
            Group(name, given.get(name) or PALETTE[i % len(PALETTE)].lower()) for i, name in enumerate(names)
        )
        return cls(tuple(found), pd.Index(column.index), groups.cat.codes.to_numpy(dtype=np.int16))

    @property
    def names(self) -> list[str]:
        """Names of the groups in their order."""
        return [group.name for group in self.groups]

    @property
    def colors(self) -> dict[str, str]:
        """Colour by group."""
        return {group.name: group.color for group in self.groups}

    @property
    def hidden(self) -> list[str]:
        """Groups that figures draw in grey, or leave out."""
        return [group.name for group in self.groups if group.hidden]

    @property
    def sizes(self) -> dict[str, int]:
        """Number of cells by group."""
        counts = np.bincount(self.codes[self.codes >= 0], minlength=len(self.groups))
        return {name: int(n) for name, n in zip(self.names, counts, strict=True)}

    def column(self, index: pd.Index) -> pd.Categorical:
        """Group of each cell of a run, missing for cells without one; all groups are categories, in their order.

        Parameters
        ----------
        index
            Names of the cells, ``run.obs.index``.
        """
        rows = self.cell_names.get_indexer(index)
        codes = np.where(rows >= 0, self.codes[rows] if len(self.codes) else -1, -1)
        return pd.Categorical.from_codes(codes, categories=pd.Index(self.names, dtype=object))

    def assign(self, cells: Sequence[str] | pd.Index, group: str, *, color: str | None = None) -> Grouping:
        """Put cells into a group, which is new or gains them; they leave their earlier groups.

        Parameters
        ----------
        cells
            Names of cells, ``run.obs_names[selection]``. Those that no other run of the data had are added.
        group
            Name of the group.
        color
            Colour of a new group; by default the next one of the palette.

        Raises
        ------
        InputError
            No cell is selected, the name or colour is invalid, or there would be more than 100 groups.
        """
        if not len(cells):
            msg = "No cell is selected, so there is nothing to put into a group. Select cells first."
            raise InputError(msg)
        name = group if group in self.names else _group_name(group)
        groups = self.groups
        if name not in self.names:
            _require_few(len(groups) + 1)
            groups += (Group(name, _next_color(groups) if color is None else _hexadecimal(color)),)
        given = pd.Index(cells).unique()
        new = given[~given.isin(self.cell_names)]
        cell_names = self.cell_names.append(new) if len(new) else self.cell_names
        codes = np.concatenate([self.codes, np.full(len(new), -1, dtype=np.int16)])
        codes[cell_names.get_indexer(given)] = [one.name for one in groups].index(name)
        return Grouping(groups, cell_names, codes)

    def rename(self, group: str, name: str) -> Grouping:
        """Rename a group.

        Raises
        ------
        InputError
            There is no such group, or the new name is invalid or taken.
        """
        wanted = _group_name(name)
        if wanted in self.names and wanted != group:
            msg = f"There is a group {listed([wanted])} already. Merge the two, or choose another name."
            raise InputError(msg)
        return self._with(group, name=wanted)

    def recolor(self, group: str, color: str) -> Grouping:
        """Give a group another colour, in any format of matplotlib.

        Raises
        ------
        InputError
            There is no such group or no such colour.
        """
        return self._with(group, color=_hexadecimal(color))

    def hide(self, group: str, *, hidden: bool = True) -> Grouping:
        """Leave a group out of figures, or show it again.

        Raises
        ------
        InputError
            There is no such group.
        """
        return self._with(group, hidden=hidden)

    def merge(self, groups: Collection[str], into: str) -> Grouping:
        """Make one group of several, in the place and with the colour of the first of them.

        Parameters
        ----------
        into
            Name of the merged group: one of them or a new one.

        Raises
        ------
        InputError
            There is no such group, fewer than two are given, or the name is invalid or that of another group.
        """
        merged = sorted({self._position(group) for group in groups})
        if len(merged) < 2:
            msg = f"Merging takes two groups or more. Got {listed(list(groups))}. Choose others too."
            raise InputError(msg)
        position = np.arange(len(self.groups))
        position[merged] = merged[0]
        together = replace(self, codes=np.where(self.codes >= 0, position[self.codes], -1))
        return together._only([i for i in range(len(self.groups)) if i not in merged[1:]]).rename(
            self.names[merged[0]], into
        )

    def order(self, names: Sequence[str]) -> Grouping:
        """Put the groups into another order.

        Parameters
        ----------
        names
            All groups.

        Raises
        ------
        InputError
            A group is missing, given twice or unknown.
        """
        if sorted(names) != sorted(self.names):
            msg = f"The order names {listed(list(names))}. Found the groups {listed(self.names)}. Name each of them once."
            raise InputError(msg)
        return self._only([self._position(name) for name in names])

    def move(self, group: str, by: int) -> Grouping:
        """Move a group among the others.

        Parameters
        ----------
        by
            Number of places, negative towards the first one; the group stops at the first and the last place.

        Raises
        ------
        InputError
            There is no such group.
        """
        before = self._position(group)
        others = [i for i in range(len(self.groups)) if i != before]
        place = max(before + by, 0)
        return self._only([*others[:place], before, *others[place:]])

    def remove(self, group: str) -> Grouping:
        """Remove a group; its cells have none then.

        Raises
        ------
        InputError
            There is no such group.
        """
        gone = self._position(group)
        return self._only([i for i in range(len(self.groups)) if i != gone])

    def _only(self, positions: Sequence[int]) -> Grouping:
        """Some groups in another order; cells of others have none."""
        place = np.full(len(self.groups) + 1, -1, dtype=np.int16)  # the last is of code -1
        place[list(positions)] = np.arange(len(positions))
        return replace(self, groups=tuple(self.groups[i] for i in positions), codes=place[self.codes])

    def _with(self, group: str, **changes: str | bool) -> Grouping:
        position = self._position(group)
        changed = replace(self.groups[position], **changes)  # type: ignore[arg-type]
        return replace(self, groups=(*self.groups[:position], changed, *self.groups[position + 1 :]))

    def _position(self, group: str) -> int:
        if group not in self.names:
            msg = f"There is no group {listed([group])}. Found {listed(self.names)}. Choose among them."
            raise InputError(msg)
        return self.names.index(group)


def _group_name(name: str) -> str:
    plain = plain_name(name, _WHAT)
    if plain == UNASSIGNED:
        msg = f"Cells without a group are called {UNASSIGNED!r}, so no group can have this name. Choose another."
        raise InputError(msg)
    return plain


def _require_few(n_groups: int) -> None:
    if n_groups > MAX_GROUPS:
        msg = f"A grouping has at most {MAX_GROUPS} groups. Got {n_groups:,}. Merge some of them first."
        raise InputError(msg)


def _next_color(groups: Sequence[Group]) -> str:
    """The first colour of the palette that fewest groups have."""
    n_used = {color.lower(): 0 for color in PALETTE}
    for group in groups:
        n_used[group.color] = n_used.get(group.color, 0) + 1
    return min((color.lower() for color in PALETTE), key=n_used.__getitem__)


def _hexadecimal(color: str) -> str:
    found = colors_by_group([color], [""])
    if not found:
        msg = f"{color[:50]!r} is not a colour. Give one such as '#0072b2' or 'tab:blue'."
        raise InputError(msg)
    return found[""]
