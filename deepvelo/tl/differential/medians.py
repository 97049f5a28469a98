"""Medians of two sides, and how far they would move had other neighbourhoods or samples been measured."""

from __future__ import annotations

from typing import Final, NamedTuple

import numpy as np

from deepvelo.tl.differential.units import Units

# Values within this many quartile distances of the median count by how far they lie from it, others by their side alone.
_WINDOW: Final = 0.375


class Side(NamedTuple):
    """Medians and quartile distances of genes, ``(n_genes,)``, and how each unit moves the median, ``(n_units, n_genes)``."""

    median: np.ndarray
    quartiles: np.ndarray
    shifts: np.ndarray


class Layout:
    """The cells of one side in the order of their units.

    Parameters
    ----------
    units
        Unit of each cell, ``(n_cells,)``.
    n_units
        Number of units; some may have no cell on this side.
    """

    def __init__(self, units: np.ndarray, n_units: int) -> None:
        self.order = np.argsort(units, kind="stable")
        self.sizes = np.bincount(units, minlength=n_units)
        self.n_effective = float(self.sizes.sum() ** 2 / (self.sizes.astype(float) ** 2).sum())

    def side(self, values: np.ndarray) -> Side:
        r"""Median of each gene, and its change by each unit.

        Without unit k, the mean of :math:`\psi(x) = \min(\max(x - m, -c), c)` around the median m changes by :math:`d_k`, and the
        median by about :math:`d_k / P(|x - m| < c)`, Huber's one-step estimate (Huber 1964, Annals of Mathematical
        Statistics 35:73). The narrower the window c, the nearer it is to the median's own change, and the noisier.

        Parameters
        ----------
        values
            ``(n_genes, n_cells)``, cells in the order of the units; changed in place.
        """
        n_cells = values.shape[1]
        first = (n_cells + 1) // 4
        lower, upper = (n_cells - 1) // 2, n_cells // 2
        ranked = np.partition(values, sorted({first, lower, upper, n_cells - 1 - first}), axis=1)
        median = (ranked[:, lower] + ranked[:, upper]) / 2
        quartiles = ranked[:, n_cells - 1 - first] - ranked[:, first]
        window = (_WINDOW * quartiles)[:, None]
        values -= median[:, None]
        np.clip(values, -window, window, out=values)
        inside = np.count_nonzero(np.abs(values) < window, axis=1) / n_cells
        ends = np.cumsum(self.sizes)
        sums = np.array(
            [
                values[:, end - size : end].sum(axis=1, dtype=np.float64)
                for size, end in zip(self.sizes, ends, strict=True)
            ]
        )
        total = sums.sum(axis=0)
        change = (total - sums) / (n_cells - self.sizes)[:, None] - total / n_cells
        jackknife = np.sqrt((self.n_effective - 1) / self.n_effective)
        with np.errstate(divide="ignore", invalid="ignore"):
            shifts = jackknife * change / inside
        return Side(median.astype(np.float64), quartiles.astype(np.float64), shifts)


def degrees_of_freedom(selected: Layout, reference: Layout, units: Units) -> float:
    """Of the difference between two sides: units less two where each lies on one side, less one where each lies on both."""
    apart = selected.n_effective + reference.n_effective - 2
    return max(1.0, min(apart, units.n - 1.0))
