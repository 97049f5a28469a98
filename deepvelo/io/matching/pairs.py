"""Pairs of cells of two files with the same barcode or name, in blocks that fit into memory."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import pandas as pd

from deepvelo.io.matching.labels import Labels

# Barcodes of more cells of one file are ignored; plates share barcodes, but there are fewer plates.
_MAX_REPEATS = 100
_PAIRS_PER_BLOCK = 500_000  # approximately


class CellPairs(NamedTuple):
    """A block of pairs of cells; the pairs of one barcode are in the same block."""

    i: np.ndarray
    """Positions among the processed cells, ``(n_pairs,)``."""
    j: np.ndarray
    """Positions among the counts, ``(n_pairs,)``."""


@dataclass(frozen=True)
class Pairs:
    """All pairs of cells with the same barcode or name.

    Parameters
    ----------
    n_barcodes
        Number of different barcodes.
    cores
        Barcode code of each processed cell and of each cell of the counts; -1 if the other file lacks the barcode or too
        many cells have it.
    unique
        Pairs whose barcode occurs once in both files.
    """

    n_barcodes: int
    cores: tuple[np.ndarray, np.ndarray]
    unique: CellPairs

    def is_unique(self) -> np.ndarray:
        """Whether each barcode occurs once in both files, ``(n_barcodes,)``."""
        found = np.zeros(self.n_barcodes, dtype=bool)
        found[self.cores[0][self.unique.i]] = True
        return found

    def repeated(self) -> Iterator[CellPairs]:
        """The other pairs in blocks, with the pairs of one barcode in the same block."""
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
            # up to the barcode that fills the block
            last = min(int(np.searchsorted(n_pairs, n_before + _PAIRS_PER_BLOCK)), self.n_barcodes - 1)
            left = cells[0][start : ends[last]]
            start, n_before = int(ends[last]), int(n_pairs[last])
            core = self.cores[0][left]
            times = n_right[core]
            within = np.arange(times.sum()) - np.repeat(np.cumsum(times) - times, times)
            yield CellPairs(np.repeat(left, times), cells[1][np.repeat(first_right[core], times) + within])


def pairs_of(a: Labels, b: Labels) -> Pairs:
    """Pairs of cells by the labels of two files."""
    codes, names = pd.factorize(np.concatenate([[""], a.core, b.core]))  # code 0 means no barcode
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
