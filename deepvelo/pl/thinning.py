"""Which cells a picture of very many draws: dense places thinned, sparse places and small groups whole."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from deepvelo.plan import MOST_DRAWN

_BOXES = 128  # along a side: a box is some 5 pixels of a picture, about two points wide


def drawn_cells(
    points: np.ndarray,
    groups: Sequence[str] | np.ndarray | None = None,
    *,
    most: int = MOST_DRAWN,
    seed: int = 0,
) -> np.ndarray | None:
    """Choose the cells that stand for all in pictures.

    A grid is laid over the embedding. A box keeps all its cells up to some number, the same for all boxes, and
    above it a share that falls with the square root of how many they are: what is denser still looks denser.
    Which of a box's cells is chance, fixed by the seed.

    Parameters
    ----------
    points
        Embedding, shape ``(n_cells, 2)``; cells without a place are thinned as if they shared a box.
    groups
        Group of each cell. Groups no larger than half an equal share of ``most`` are kept whole.
    most
        How many cells are drawn.

    Returns
    -------
    Row numbers, ascending, ``most`` of them, the same for the same cells; None where all can be drawn.
    """
    n_cells = len(points)
    if n_cells <= most:
        return None
    order = np.random.default_rng(seed).permutation(n_cells)
    by_box = pd.Series(_boxes(points)[order])
    place = by_box.groupby(by_box).cumcount().to_numpy() + 1  # of a cell in the random order of its box
    size = by_box.map(by_box.value_counts()).to_numpy()
    # A box of c cells keeps sqrt(k c) of them, and all where c <= k: its j-th cell is in as soon as k reaches j^2 / c.
    # So the cells with the lowest j^2 / c are those of the k that gives just `most`.
    needed = place**2 / size
    if groups is not None:
        codes, names = pd.factorize(np.asarray(groups, dtype=object), use_na_sentinel=False)
        small = np.bincount(codes) <= most // (2 * len(names))
        needed[small[codes[order]]] = 0
    return np.sort(order[np.argsort(needed, kind="stable")[:most]])


def _boxes(points: np.ndarray) -> np.ndarray:
    """Number of the box in which each point lies; -1 without a place."""
    known = np.isfinite(points).all(axis=1)
    boxes = np.full(len(points), -1)
    if known.any():
        at = points[known].astype(float)
        low, span = at.min(axis=0), np.ptp(at, axis=0)
        side = np.minimum((at - low) / np.where(span > 0, span, 1) * _BOXES, _BOXES - 1).astype(int)
        boxes[known] = side @ np.array([1, _BOXES])
    return boxes
