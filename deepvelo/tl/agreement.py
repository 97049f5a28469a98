r"""Where several methods' velocities agree, cell by cell, and which genes they disagree about.

With unit vectors :math:`e_m` of the m methods that move in a cell and their sum S, the mean cosine over all pairs of
methods is :math:`(|S|^2 - m) / (m (m - 1))`. Since :math:`1 - e_a \cdot e_b = \frac12 |e_a - e_b|^2`, what is missing
to 1 is a sum over genes, none of them below 0.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from deepvelo.tl.consistency import unit_rows


def agreement(velocities: Sequence[np.ndarray]) -> np.ndarray:
    """Mean cosine over all pairs of methods, over the genes for which all have velocities.

    Parameters
    ----------
    velocities
        One array of shape ``(n_cells, n_genes)`` a method, for the same cells and genes; NaN where a method has no
        velocity of a gene.

    Returns
    -------
    Shape ``(n_cells,)``, from 1, all the same direction, down to -1 for two methods that are opposite. A method at
    rest in a cell does not count there; NaN where fewer than two move, or no gene is common to all.
    """
    total, n_moving, _ = _sums(velocities)
    length = np.square(total).sum(axis=1, dtype=np.float64)
    return _divided(length - n_moving, n_moving)


def disagreement(velocities: Sequence[np.ndarray], *, cells: np.ndarray) -> np.ndarray:
    """How much each gene contributes to the disagreement in some cells.

    Half the squared difference of the methods' unit vectors in this gene, mean over pairs of methods, then over the
    cells. The contributions add up to 1 minus the mean of `agreement` over the same cells.

    Parameters
    ----------
    velocities
        As for `agreement`.
    cells
        Mask or indices of the cells.

    Returns
    -------
    Shape ``(n_genes,)``, 0 or more; NaN for a gene that a method has no velocity of, and for all genes where the
    methods can be compared in none of the cells.
    """
    genes = common_genes(velocities)
    total, n_moving, squares = _sums([velocity[cells][:, genes] for velocity in velocities])
    by_cell = _divided((n_moving[:, None] * squares - np.square(total)).T, n_moving).T
    compared = n_moving > 1
    found = np.full(len(genes), np.nan)
    if compared.any():
        found[genes] = by_cell[compared].mean(axis=0)
    return found


def common_genes(velocities: Sequence[np.ndarray]) -> np.ndarray:
    """Mask, shape ``(n_genes,)``, of the genes for which every method has a velocity in all cells."""
    return np.logical_and.reduce([np.isfinite(velocity).all(axis=0) for velocity in velocities])


def _sums(velocities: Sequence[np.ndarray]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Of the methods' unit vectors: their sum, how many there are in each cell, the sum of their squares."""
    genes = common_genes(velocities)
    shape = (len(velocities[0]), int(genes.sum()))
    total, squares, n_moving = np.zeros(shape, np.float32), np.zeros(shape, np.float32), np.zeros(shape[0])
    for velocity in velocities:
        unit = unit_rows(velocity[:, genes])
        n_moving += np.isfinite(unit).any(axis=1)
        unit = np.nan_to_num(unit)
        total += unit
        squares += unit**2
    return total, n_moving, squares


def _divided(above: np.ndarray, n_moving: np.ndarray) -> np.ndarray:
    """By the number of ordered pairs of methods, the last axis being cells; NaN where there is no pair."""
    pairs = n_moving * (n_moving - 1)
    return np.where(pairs > 0, above / np.maximum(pairs, 1), np.nan)
