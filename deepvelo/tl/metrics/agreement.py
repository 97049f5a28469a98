r"""Where several methods' velocities agree, cell by cell, and which genes they disagree about.

With unit vectors :math:`e_m` of the m methods that move in a cell and their sum S, the mean cosine over all pairs of
methods is :math:`(|S|^2 - m) / (m (m - 1))`. Since :math:`1 - e_a \cdot e_b = \frac12 |e_a - e_b|^2`, what is missing
to 1 is a sum over genes, none of them below 0.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from deepvelo.arrays.layers import gene_blocks
from deepvelo.tl.metrics.consistency import scaled

if TYPE_CHECKING:
    from deepvelo.arrays.layers import Layer


class UnitBlock(NamedTuple):
    """Some of the genes for which all methods have velocities: their indices, and a unit vector's part a method."""

    genes: np.ndarray
    units: list[np.ndarray]


def agreement(velocities: Sequence[Layer]) -> np.ndarray:
    """Mean cosine over all pairs of methods, over the genes for which all have velocities.

    Parameters
    ----------
    velocities
        One layer of shape ``(n_cells, n_genes)`` a method, in memory or on disk, for the same cells and genes; NaN
        where a method has no velocity of a gene.

    Returns
    -------
    Shape ``(n_cells,)``, from 1, all the same direction, down to -1 for two methods that are opposite. A method whose
    velocity is zero in a cell does not count there; NaN where fewer than two move, or no gene is common to all.
    """
    lengths = common_lengths(velocities)
    length = np.zeros(velocities[0].shape[0])
    for _, units in unit_blocks(velocities, lengths):
        total = np.sum(units, axis=0)
        length += np.einsum("ij,ij->i", total, total, dtype=np.float64)
    n_moving = _n_moving(lengths)
    return _divided(length - n_moving, n_moving)


def disagreement(velocities: Sequence[Layer], *, cells: np.ndarray) -> np.ndarray:
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
    lengths = common_lengths(velocities)
    n_moving = _n_moving(lengths)[cells]
    compared = n_moving > 1
    found = np.full(velocities[0].shape[1], np.nan)
    if not compared.any():
        return found
    for genes, units in unit_blocks(velocities, lengths, cells=cells):
        squares = np.sum([unit**2 for unit in units], axis=0)
        of_pairs = n_moving[:, None] * squares - np.sum(units, axis=0) ** 2
        found[genes] = _divided(of_pairs[compared].T, n_moving[compared]).mean(axis=1)
    return found


def common_genes(velocities: Sequence[Layer]) -> np.ndarray:
    """Mask, shape ``(n_genes,)``, of the genes for which every method has a velocity in all cells."""
    common = np.zeros(velocities[0].shape[1], dtype=bool)
    for genes, _ in _common_blocks(velocities):
        common[genes] = True
    return common


def common_lengths(velocities: Sequence[Layer]) -> list[np.ndarray]:
    """Length of each method's velocities over the genes for which all have one, ``(n_cells,)`` each, 0 for zero velocity."""
    squares = [np.zeros(velocities[0].shape[0]) for _ in velocities]
    for _, blocks in _common_blocks(velocities):
        for square, block in zip(squares, blocks, strict=True):
            square += np.einsum("ij,ij->i", block, block, dtype=np.float64)
    return [np.sqrt(square) for square in squares]


def unit_blocks(
    velocities: Sequence[Layer], lengths: Sequence[np.ndarray], *, cells: np.ndarray | slice = slice(None)
) -> Iterator[UnitBlock]:
    """Block after block of the methods' unit vectors, 0 where a method's velocity is zero.

    Parameters
    ----------
    velocities
        As for `agreement`.
    lengths
        Of the velocities in all cells, from `common_lengths`.
    cells
        Mask or indices of the cells that are given; by default all.
    """
    for genes, blocks in _common_blocks(velocities):
        yield UnitBlock(
            genes,
            [scaled(block[cells], length[cells]) for block, length in zip(blocks, lengths, strict=True)],
        )


def _common_blocks(velocities: Sequence[Layer]) -> Iterator[tuple[np.ndarray, list[np.ndarray]]]:
    """Genes for which all methods have velocities, by index, and these velocities in all cells."""
    # As they are, scaled, and stacked to be summed.
    for genes in gene_blocks(velocities[0], n_layers=3 * len(velocities)):
        blocks = [np.asarray(velocity[:, genes]) for velocity in velocities]
        common = np.logical_and.reduce([np.isfinite(block).all(axis=0) for block in blocks])
        yield genes.start + np.flatnonzero(common), [block[:, common] for block in blocks]


def _n_moving(lengths: Sequence[np.ndarray]) -> np.ndarray:
    """How many methods move, cell by cell."""
    return np.sum([length > 0 for length in lengths], axis=0)


def _divided(above: np.ndarray, n_moving: np.ndarray) -> np.ndarray:
    """By the number of ordered pairs of methods, the last axis being cells; NaN where there is no pair."""
    pairs = n_moving * (n_moving - 1)
    return np.where(pairs > 0, above / np.maximum(pairs, 1), np.nan)
