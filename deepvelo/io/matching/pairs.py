"""Pairs of cells of two files that have a barcode or name in common: one after the other, never all at once."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import pandas as pd

from deepvelo.io.matching.labels import Labels

# A barcode that more cells of one file have than this names none of them: plates share theirs, but are fewer.
_MAX_REPEATS = 100
_PAIRS_PER_BLOCK = 500_000  # pairs in memory, about


class CellPairs(NamedTuple):
    """Some pairs of cells, all of their barcodes."""

    i: np.ndarray
    """Positions among the processed, ``(n_pairs,)``."""
    j: np.ndarray
    """Positions among the counts, ``(n_pairs,)``."""


@dataclass(frozen=True)
class Pairs:
    """All pairs of cells with one barcode or name.

    Parameters
    ----------
    n_barcodes
        How many barcodes there are.
    cores
        Barcode of each processed cell and of each of the counts, as numbers from 0 that both files share; -1 where the
        other file lacks it or too many cells have it.
    unique
        The pairs whose barcode occurs once in both files.
    """

    n_barcodes: int
    cores: tuple[np.ndarray, np.ndarray]
    unique: CellPairs

    def is_unique(self) -> np.ndarray:
        """Of each barcode, whether it occurs once in both files, ``(n_barcodes,)``."""
        found = np.zeros(self.n_barcodes, dtype=bool)
        found[self.cores[0][self.unique.i]] = True
        return found

    def repeated(self) -> Iterator[CellPairs]:
        """The other pairs, some at a time; those of one barcode come together."""
        unique = self.is_unique()
        cells = [np.flatnonzero((core >= 0) & ~unique[core]) for core in self.cores]
        cells = [
            found[np.argsort(core[found], kind="stable")]
            for found, core in zip(cells, self.cores, strict=True)
        ]
        n_left, n_right = (
            np.bincount(core[found], minlength=self.n_barcodes)
            for found, core in zip(cells, self.cores, strict=True)
        )
        first_right = np.cumsum(n_right) - n_right
        ends = np.cumsum(n_left)
        n_pairs = np.cumsum(n_left * n_right)
        start = n_before = 0
        while start < len(cells[0]):
            # up to the barcode with which there are enough
            last = min(int(np.searchsorted(n_pairs, n_before + _PAIRS_PER_BLOCK)), self.n_barcodes - 1)
            left = cells[0][start : ends[last]]
            start, n_before = int(ends[last]), int(n_pairs[last])
            core = self.cores[0][left]
            times = n_right[core]
            within = np.arange(times.sum()) - np.repeat(np.cumsum(times) - times, times)
            yield CellPairs(np.repeat(left, times), cells[1][np.repeat(first_right[core], times) + within])


def pairs_of(a: Labels, b: Labels) -> Pairs:
    """The pairs of two ways of naming cells."""
    codes, names = pd.factorize(np.concatenate([[""], a.core, b.core]))  # the first, 0, is no barcode
    left, right = codes[1 : len(a.core) + 1], codes[len(a.core) + 1 :]
    n_left, n_right = (np.bincount(core, minlength=len(names)) for core in (left, right))
    usable = np.minimum(n_left, n_right) > 0
    usable &= np.maximum(n_left, n_right) <= _MAX_REPEATS
    usable[0] = False
    place = np.full(len(names), -1)
    place[right] = np.arange(len(right))
    i = np.flatnonzero((usable & (n_left == 1) & (n_right == 1))[left])
    cores = (np.where(usable[left], left, -1), np.where(usable[right], right, -1))
    return Pairs(len(names), cores, CellPairs(i, place[left[i]]))
