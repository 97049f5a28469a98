"""Choice of cells to draw in large data: dense regions are subsampled, sparse regions and small groups kept."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from deepvelo.plan import MOST_DRAWN

_BOXES = 128  # along each axis; a box is about 5 pixels, the width of two points


def drawn_cells(
    points: np.ndarray,
    groups: Sequence[str] | np.ndarray | None = None,
    *,
    most: int = MOST_DRAWN,
    seed: int = 0,
) -> np.ndarray | None:
    """Choose a representative subset of cells to draw.

    A grid divides the embedding into boxes. A box keeps all cells up to a threshold shared by all boxes; above it, the
    number kept grows with the square root of the number of cells, so dense regions still look denser. Cells within a
    box are sampled at random, with a fixed seed.

    Parameters
    ----------
    points
        Embedding, shape ``(n_cells, 2)``; cells with NaN are sampled as one box.
    groups
        Group of each cell. Groups of at most half an equal share of ``most`` are kept completely.
    most
        Number of cells to draw.

    Returns
    -------
    ``most`` row numbers, ascending; None if all cells can be drawn.
    """
    n_cells = len(points)
    if n_cells <= most:
        return None
    order = np.random.default_rng(seed).permutation(n_cells)
    by_box = pd.Series(_boxes(points)[order])
    place = by_box.groupby(by_box).cumcount().to_numpy() + 1  # rank of a cell in the random order of its box
    size = by_box.map(by_box.value_counts()).to_numpy()
    # A box of c cells keeps sqrt(k c) cells, or all if c <= k: its j-th cell is kept if k >= j^2 / c.
    # Taking the lowest j^2 / c therefore selects exactly `most` cells.
    needed = place**2 / size
    if groups is not None:
        codes, names = pd.factorize(np.asarray(groups, dtype=object), use_na_sentinel=False)
        small = np.bincount(codes) <= most // (2 * len(names))
        needed[small[codes[order]]] = 0
    return np.sort(order[np.argsort(needed, kind="stable")[:most]])


def _boxes(points: np.ndarray) -> np.ndarray:
    """Index of the box of each point; -1 for points with NaN."""
    known = np.isfinite(points).all(axis=1)
    boxes = np.full(len(points), -1)
    if known.any():
        at = points[known].astype(float)
        low, span = at.min(axis=0), np.ptp(at, axis=0)
        side = np.minimum((at - low) / np.where(span > 0, span, 1) * _BOXES, _BOXES - 1).astype(int)
        boxes[known] = side @ np.array([1, _BOXES])
    return boxes
