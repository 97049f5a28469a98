"""Figures of cells that show the selection and change it: by lasso, box, or a click on a group's name."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from pandas import CategoricalDtype

from app.chart.message import Message, array_of, quantised, text_array
from app.selection import state
from app.shared import cached
from app.shared.cells import group_names
from app.shared.color_picker import color_values
from app.shared.grouping import groups_and_colors, has_grouping, shown_groups
from deepvelo import keys
from deepvelo.io.runs import Run
from deepvelo.pl import theme
from deepvelo.pl.phase_portrait import Phase
from deepvelo.selections.cells import cells_inside
from deepvelo.wording import in_one_line

_MOST_CORNERS = 5_000  # of an outline
_MOST_OF_A_NAME = 80  # characters, of a group under the pointer


@dataclass(frozen=True)
class Cells:
    """The cells behind a figure.

    Parameters
    ----------
    points
        Coordinates of all cells, shape ``(n_cells, 2)``, those that the figure does not draw too; by x axis (``x``, ``x2``)
        where panels differ.
    groups
        Group of each cell as the figure names them; None for the shown ones.
    rows
        Row in the run of each cell that the figure numbers; None where it numbers them as the run does.
    """

    run: Run
    points: np.ndarray | Mapping[str, np.ndarray]
    groups: np.ndarray | None = field(default=None, kw_only=True)
    rows: np.ndarray | None = field(default=None, kw_only=True)

    def points_of(self, axis: str) -> np.ndarray:
        """Coordinates in the panel with this x axis."""
        return self.points.get(axis, np.empty((0, 2))) if isinstance(self.points, Mapping) else self.points

    @property
    def all_groups(self) -> np.ndarray:
        """Group of each cell, shape ``(n_cells,)``."""
        return groups_and_colors(self.run)[0] if self.groups is None else self.groups


def on_embedding(run: Run, basis: str, *, color: str | None = None) -> Cells:
    """The cells of a figure on an embedding (``umap``), by the groups of a colouring if it has groups."""
    return on_map(run, keys.embedding(basis), color=color)


def on_map(run: Run, key: str, *, color: str | None = None) -> Cells:
    """The same on any map of the run (``X_rates_umap``)."""
    points = run.obsm[key][:, :2]
    if color is None or not (color in run.obs or has_grouping(run, color)):
        return Cells(run, points)
    values = color_values(run, color, gene="")
    is_grouped = isinstance(values.dtype, CategoricalDtype)
    return Cells(run, points, groups=group_names(values) if is_grouped else None)


def in_phase(run: Run, phases: Sequence[Phase], *, rows: np.ndarray | None = None) -> Cells:
    """The cells of phase portraits, one panel a gene or method; ``rows`` are their rows in the run, None for all."""
    axes = ["x", *(f"x{panel}" for panel in range(2, len(phases) + 1))]
    points = {axis: np.full((len(run.obs), 2), np.nan, dtype=np.float32) for axis in axes}
    for axis, phase in zip(axes, phases, strict=True):
        points[axis][slice(None) if rows is None else rows] = np.stack(
            [phase.spliced, phase.unspliced], axis=1
        )
    return Cells(run, points, rows=rows)


def described(cells: Cells, message: Message, *, taken: int) -> dict[str, Any]:
    """What the browser learns of the cells and of the selection; ``taken`` is the number of the last gesture taken."""
    run = cells.run
    table, groups = cached.cell_table(run.info.run_id), shown_groups(run)
    codes = groups.codes if table.rows is None else groups.codes[table.rows]
    chosen = state.selected(run)
    packed = None if chosen is None else message.named(array_of(state.bits(chosen)))
    names = message.named(text_array(table.names))
    return {
        "cells": {
            "rows": None if table.rows is None else message.named(array_of(table.rows.astype("<i4"))),
            "names": names,
            "codes": message.named(array_of(codes)),
            "groups": [in_one_line(name, most=_MOST_OF_A_NAME) for name in groups.colors],
            "columns": [
                {"title": title, "values": message.named(quantised(values))}
                for title, values in table.columns.items()
            ],
            "clickable": [theme.plain(name) for name in theme.group_order(cells.all_groups)],
        },
        "selection": {
            "key": f"{run.info.data_hash} {names['$']}",  # runs of the same cells in the same order share it
            "taken": taken,
            "size": len(run.obs),
            "id": None if packed is None else packed["$"],
            "bits": packed,
            "fresh": state.is_fresh(run),
            "how": state.how(),
            "only": state.only_selected(),
        },
    }


def take_gestures(cells: Cells, gestures: object, *, view: str, key: str, taken: int) -> int:
    """Change the selection by what was drawn or clicked; foreign values change nothing.

    Parameters
    ----------
    gestures
        Those that the browser does not know to be taken, each with a number.
    view, key
        What the axes of the figure show, and the key of its selection. Gestures on an earlier figure are ignored.
    taken
        Number of the last gesture taken before.

    Returns
    -------
    Number of the last gesture taken now.
    """
    for gesture in gestures if isinstance(gestures, list) else []:
        if not isinstance(gesture, Mapping) or not isinstance(gesture.get("number"), int):
            continue
        if gesture["number"] > taken:
            taken = gesture["number"]
            if (gesture.get("view"), gesture.get("key")) == (view, key):
                _take(cells, gesture)
    return taken


def _take(cells: Cells, gesture: Mapping[str, Any]) -> None:
    how = gesture.get("how")
    if how == "clear":
        state.clear(cells.run)
    elif how in state.HOWS:
        inside = _meant(cells, gesture)
        if inside is not None:
            state.change(cells.run, inside, how)


def _meant(cells: Cells, gesture: Mapping[str, Any]) -> np.ndarray | None:
    """Mask of the cells that a gesture means; None for a gesture that no figure of ours sends."""
    if isinstance(name := gesture.get("group"), str):
        groups = cells.all_groups
        meant = [group for group in theme.group_order(groups) if theme.plain(group) == name]
        return np.isin(groups, meant) if meant else None
    kind = "lasso" if "lasso" in gesture else "box"
    try:
        x, y = (np.asarray(side, dtype=float) for side in gesture[kind])
        axis = str(gesture["axes"][0])
    except (KeyError, IndexError, TypeError, ValueError, OverflowError):
        return None
    if x.ndim != 1 or x.shape != y.shape or len(x) > _MOST_CORNERS:
        return None
    outline = [{"x": x, "y": y}]
    inside = cells_inside(cells.points_of(axis), **{"lassos" if kind == "lasso" else "boxes": outline})
    return inside if len(inside) == len(cells.run.obs) else None
