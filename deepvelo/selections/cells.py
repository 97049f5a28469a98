"""Select cells by outlines on a map and by a number, and combine selections."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal

import numpy as np

from deepvelo.errors import InputError

How = Literal["and", "or", "and not"]


def cells_inside(
    points: np.ndarray, *, lassos: Sequence[Mapping[str, Any]] = (), boxes: Sequence[Mapping[str, Any]] = ()
) -> np.ndarray:
    """Select all cells inside any lasso or box, including cells that the figure does not draw.

    Parameters
    ----------
    points
        Embedding, shape ``(n_cells, 2)``; cells with NaN are never inside.
    lassos
        Corners in data coordinates, ``x`` and ``y``, as Plotly reports them.
    boxes
        Two opposite corners in the same format.

    Returns
    -------
    Whether each cell is inside, shape ``(n_cells,)``.

    Examples
    --------
    >>> square = {"x": [0, 2, 2, 0], "y": [0, 0, 2, 2]}
    >>> cells_inside(np.array([[1, 1], [3, 1]]), lassos=[square]).tolist()
    [True, False]
    """
    from matplotlib.path import Path

    inside = np.zeros(len(points), dtype=bool)
    for lasso in lassos:
        if len(lasso["x"]) > 2:  # fewer corners enclose nothing
            inside |= Path(np.column_stack([lasso["x"], lasso["y"]])).contains_points(points)
    for box in boxes:
        low, high = (edge(np.column_stack([box["x"], box["y"]]), axis=0) for edge in (np.min, np.max))
        inside |= ((points >= low) & (points <= high)).all(axis=1)
    return inside & np.isfinite(points).all(axis=1)


def within(values: np.ndarray, *, low: float | None = None, high: float | None = None) -> np.ndarray:
    """Select the cells whose value lies between two bounds, which belong to the range.

    Parameters
    ----------
    values
        Expression of a gene or a number of ``obs``, shape ``(n_cells,)``; cells with NaN are never selected.
    low, high
        Bounds in the unit of the values; None for no bound.

    Returns
    -------
    Whether each cell is selected, shape ``(n_cells,)``.

    Raises
    ------
    InputError
        The lower bound is above the upper one, or a bound is not a number.

    Examples
    --------
    >>> within(np.array([0.0, 1.0, np.nan]), low=0.5).tolist()
    [False, True, False]
    """
    bounds = (-np.inf if low is None else float(low), np.inf if high is None else float(high))
    if not bounds[0] <= bounds[1]:
        msg = f"The range of values starts at {bounds[0]:g} and ends at {bounds[1]:g}. Give a lower bound that is not above the upper one."
        raise InputError(msg)
    numbers = np.asarray(values, dtype=float)
    return (numbers >= bounds[0]) & (numbers <= bounds[1])


def combine(first: np.ndarray, how: How, second: np.ndarray) -> np.ndarray:
    """Combine two selections of the same run.

    Parameters
    ----------
    first, second
        Whether each cell is selected, shape ``(n_cells,)``.
    how
        ``"and"`` keeps the cells of both, ``"or"`` those of either, ``"and not"`` those of the first that are not in
        the second.

    Returns
    -------
    A new array, shape ``(n_cells,)``.

    Raises
    ------
    InputError
        The selections have different numbers of cells, or ``how`` is none of the three.

    Examples
    --------
    >>> combine(np.array([True, True]), "and not", np.array([True, False])).tolist()
    [False, True]
    """
    if first.shape != second.shape:
        msg = f"Two selections of different runs cannot be combined: one is of {len(first):,} cells, the other of {len(second):,}. Find the cells of one in the other run first."
        raise InputError(msg)
    match how:
        case "and":
            return first & second
        case "or":
            return first | second
        case "and not":
            return first & ~second
    msg = f"Selections are combined by 'and', 'or' or 'and not'. Got {how!r}. Choose one of them."
    raise InputError(msg)
