"""Units of a comparison: neighbourhoods or samples, whose values are taken for independent; cells are not."""

from __future__ import annotations

from typing import Final, Literal, NamedTuple

import numpy as np
import pandas as pd

from deepvelo.contents.groups import group_names
from deepvelo.tl.differential.sides import Sides

FEWEST, MOST = 8, 32  # neighbourhoods
_NEIGHBORHOOD_CELLS: Final = 30  # as many as a moment averages over
_SAMPLE_CELLS: Final = 10  # fewer of a sample are no replicate


class Units(NamedTuple):
    """Unit of each cell on both sides, numbers from 0 to ``n - 1``, and what the units are."""

    kind: Literal["neighbourhoods", "samples"]
    selected: np.ndarray
    reference: np.ndarray
    n: int


def sample_units(samples: pd.Series, sides: Sides) -> Units | None:
    """Samples as units; None unless each side has cells of two samples, at least 10 of each.

    Parameters
    ----------
    samples
        Sample of each cell, ``(n_cells,)``; cells without one are a sample of their own.
    """
    codes = group_names(samples).cat.codes.to_numpy()
    of_side = [codes[rows] for rows in sides]
    for side in of_side:
        if np.count_nonzero(np.bincount(side[side >= 0]) >= _SAMPLE_CELLS) < 2:
            return None
    used, labels = np.unique(np.concatenate(of_side), return_inverse=True)
    n_selected = len(sides.selected)
    return Units("samples", labels[:n_selected], labels[n_selected:], len(used))


def neighborhood_units(coordinates: np.ndarray, sides: Sides) -> Units:
    """Neighbourhoods as units: the cells of both sides, halved along their principal axis again and again.

    Each side is centred first, so that a neighbourhood pairs cells from the same part of a lineage that both sides cover.
    Both sides have equal weight, so that few selected cells among many others are divided as finely.

    Parameters
    ----------
    coordinates
        In which the neighbours of cells were found, such as principal components, ``(n_cells, n_dimensions)``.

    Returns
    -------
    8, 16 or 32 neighbourhoods, of 30 cells and more where there are as many.
    """
    n_selected = len(sides.selected)
    of_side = [np.asarray(coordinates[rows], dtype=np.float64) for rows in sides]
    points = np.concatenate([some - some.mean(axis=0) for some in of_side])
    weights = np.concatenate([np.full(len(rows), 1 / len(rows)) for rows in sides])
    fits = 2 * min(map(len, sides)) // _NEIGHBORHOOD_CELLS
    parts = [np.arange(len(points))]
    while len(parts) < FEWEST or 2 * len(parts) <= min(MOST, fits):
        parts = [half for part in parts for half in _halves(part, points, weights)]
    labels = np.empty(len(points), dtype=np.int64)
    for number, part in enumerate(parts):
        labels[part] = number
    return Units("neighbourhoods", labels[:n_selected], labels[n_selected:], len(parts))


def _halves(part: np.ndarray, points: np.ndarray, weights: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    weight = weights[part] / weights[part].sum()
    centred = points[part] - weight @ points[part]
    axis = np.linalg.eigh((centred * weight[:, None]).T @ centred)[1][:, -1]
    order = np.argsort(centred @ axis, kind="stable")
    ranks = np.cumsum(weight[order]) - weight[order] / 2  # of a cell's middle, so that rounding moves no cell
    middle = np.clip(np.searchsorted(ranks, 0.5), 1, len(part) - 1)
    return part[order[:middle]], part[order[middle:]]
