"""Link the samples of two files by the barcodes that occur once in each.

A suffix such as ``-0`` numbers files in the order of their concatenation, so it may mean different samples in two files.
*Witnesses*, pairs of cells whose barcode occurs once in each file, show which samples correspond.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import chain

import numpy as np
import pandas as pd

from deepvelo.io.matching.labels import Grouping, words_of
from deepvelo.io.matching.pairs import CellPairs, Pairs

# Fewer shared barcodes may be chance.
_MIN_WITNESSES, _MIN_WITNESSES_OF_FEW = 5, 10
# A processed sample is not linked to a sample of the counts if its rate is below this share of the best rate there:
# nearly all cells of a processed sample should have counts.
_MIN_PROCESSED = 0.7
# Minimum share of a processed sample found in its counts; unrelated samples share less.
MIN_RATE = 0.5
# As `_MIN_PROCESSED`, for samples of the counts; lower, because processing filters samples differently.
_MIN_COUNTS = 0.1
# Accepted share of witnesses against a link.
_MAX_AGAINST = 0.01
# Number of cells from which unique barcodes within samples are evidence and not chance.
_MIN_TESTED = 50
# Stricter for columns, most of which do not name samples.
_MAX_AGAINST_COLUMN = 0.005


@dataclass(frozen=True)
class Verdict:
    """Evidence of one grouping of each file about pairs of cells."""

    samples: tuple[np.ndarray, np.ndarray]
    """Sample code of each processed cell and of each cell of the counts, -1 for unknown."""
    against: np.ndarray
    """Whether two samples differ, bool ``(n_samples, n_samples_of_counts)``."""
    decisive: np.ndarray
    """Whether two samples are the same and distinct from all others."""

    def apply(self, pairs: CellPairs) -> tuple[np.ndarray, np.ndarray]:
        """``against`` and ``decisive`` at pairs of cells, each ``(n_pairs,)``; False if a sample is unknown."""
        a, b = self.samples[0][pairs.i], self.samples[1][pairs.j]
        return _at_pairs(self.against, a, b), _at_pairs(self.decisive, a, b)


def verdict(
    pairs: Pairs, processed: Grouping, counts: Grouping, *, own_words: bool, few_barcodes: bool
) -> Verdict | None:
    """Compare the samples of two files.

    Parameters
    ----------
    pairs
        Pairs of cells with the same barcode.
    processed, counts
        Candidate samples of either file.
    own_words
        Whether both groupings are the words around the compared barcodes. Other groupings may not be samples and count
        only if their values correspond one to one.
    few_barcodes
        Whether samples share many barcodes, as plates do. A barcode that occurs once in each file may then belong to
        different cells, and only samples that correspond one to one are linked.

    Returns
    -------
    None if the two groupings do not correspond.
    """
    (a_of_cell, a_names), (b_of_cell, b_names) = processed.coded, counts.coded
    shape = (len(a_names), len(b_names))
    if max(shape) < 2 or not min(shape):
        return None
    witnesses = _count_pairs(a_of_cell[pairs.unique.i], b_of_cell[pairs.unique.j], shape)
    n_a, n_b = np.bincount(a_of_cell[a_of_cell >= 0]), np.bincount(b_of_cell[b_of_cell >= 0])
    linked = _links(witnesses, n_a, n_b)
    # names are compared only for groupings that are meant as samples
    named = all(one.called_sample or one.labels is not None for one in (processed, counts))
    alike, unlike = _compare_words(list(a_names), list(b_names)) if named else (np.zeros_like(linked),) * 2
    if few_barcodes:
        linked &= ~unlike
        linked &= _one_to_one(linked) & _certain(witnesses, linked) & (witnesses >= _MIN_WITNESSES_OF_FEW)
        if linked.sum() < 2:  # may be chance
            linked[:], witnesses[:] = False, 0
    if not own_words and (not (named or linked.any()) or (linked != _one_to_one(linked)).any()):
        return None
    possible = linked | ~linked.any(axis=1, keepdims=True)
    there = _found_in_possible_sample(pairs, possible, a_of_cell, b_of_cell)
    absent = np.bincount(a_of_cell[there & (a_of_cell >= 0)], minlength=shape[0]) < MIN_RATE * n_a
    linked[absent] = False
    in_doubt = _ambiguous_targets(pairs, a_of_cell, b_of_cell, linked)
    linked[:, in_doubt] = False
    once_a, once_b = (
        _occur_once(pairs.cores[0], a_of_cell, shape[0]),
        _occur_once(pairs.cores[1], b_of_cell, shape[1]),
    )
    tested = _n_tested(pairs, a_of_cell, b_of_cell) >= _MIN_TESTED
    if own_words or (tested and once_a.all() and once_b.all()):
        linked |= _linked_by_name(alike, witnesses, linked, in_doubt)
    single = _one_to_one(linked)
    contradicting = np.where(linked | absent[:, None], 0, witnesses).sum()
    if not own_words and not (
        linked.any() and (linked == single).all() and contradicting <= _MAX_AGAINST_COLUMN * witnesses.sum()
    ):
        return None

    elsewhere = linked.any(axis=1, keepdims=True) | linked.any(axis=0, keepdims=True) | in_doubt[None, :]
    against = ~linked & (elsewhere | absent[:, None] | (witnesses >= _MIN_WITNESSES))
    if few_barcodes:
        against |= unlike
    sure = _certain(witnesses, linked) | _one_to_one(alike)
    decisive = single & sure & once_a[:, None] & once_b[None, :]
    return Verdict((a_of_cell, b_of_cell), against, decisive)


def _count_pairs(a: np.ndarray, b: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    """Number of pairs of cells for each pair of samples."""
    known = (a >= 0) & (b >= 0)
    flat = np.bincount(a[known] * shape[1] + b[known], minlength=shape[0] * shape[1])
    return flat.reshape(shape)


def _at_pairs(table: np.ndarray, a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Entry of the table for each pair of cells; False if a sample is unknown."""
    found: np.ndarray = table[a, b] & (a >= 0) & (b >= 0)
    return found


def _found_in_possible_sample(pairs: Pairs, possible: np.ndarray, a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Mask of the processed cells whose barcode occurs in a possible sample of the counts, bool ``(n_cells,)``."""
    found = np.zeros(len(a), dtype=bool)
    for some in chain((pairs.unique,), pairs.repeated()):
        found[some.i[_at_pairs(possible, a[some.i], b[some.j])]] = True
    return found


def _n_tested(pairs: Pairs, a: np.ndarray, b: np.ndarray) -> int:
    """Number of cells of the counts with a repeated barcode, where both samples are known."""
    core_a, core_b = pairs.cores
    known = np.zeros(pairs.n_barcodes, dtype=bool)
    known[core_a[(core_a >= 0) & (a >= 0)]] = True
    known &= ~pairs.is_unique()
    cells = core_b[(core_b >= 0) & (b >= 0)]
    return int(known[cells].sum())


def _links(witnesses: np.ndarray, n_a: np.ndarray, n_b: np.ndarray) -> np.ndarray:
    """Samples that share more barcodes than expected by chance, relative to the other samples."""
    enough = np.where(witnesses >= _MIN_WITNESSES, witnesses, 0)
    of_a, of_b = enough / n_a[:, None], enough / n_b[None, :]
    best_in_b, best_in_a = of_a.max(axis=0, initial=0), of_b.max(axis=1, initial=0)
    return (
        (enough > 0)
        & (of_a >= _MIN_PROCESSED * best_in_b[None, :])
        & (of_b >= _MIN_COUNTS * best_in_a[:, None])
    )


def _one_to_one(linked: np.ndarray) -> np.ndarray:
    """Links between samples without any other link."""
    return linked & (linked.sum(axis=0) == 1)[None, :] & (linked.sum(axis=1) == 1)[:, None]


def _certain(witnesses: np.ndarray, linked: np.ndarray) -> np.ndarray:
    """Pairs of samples whose witnesses agree with the links, up to `_MAX_AGAINST`."""
    otherwise = np.where(linked, 0, witnesses)
    of_a = otherwise.sum(axis=1) <= _MAX_AGAINST * witnesses.sum(axis=1)
    of_b = otherwise.sum(axis=0) <= _MAX_AGAINST * witnesses.sum(axis=0)
    return of_a[:, None] & of_b[None, :]


def _ambiguous_targets(pairs: Pairs, a: np.ndarray, b: np.ndarray, linked: np.ndarray) -> np.ndarray:
    """Samples of the counts linked to several processed samples that share barcodes occurring once there.

    A barcode occurs once per sample, so at most one of the links can be right.
    """
    several = linked.sum(axis=0) > 1
    n_shared, n_once = np.zeros((2, linked.shape[1]), dtype=int)
    for some in pairs.repeated() if several.any() else ():
        left, right = a[some.i], b[some.j]
        chosen = _at_pairs(linked & several[None, :], left, right)
        table = pd.DataFrame({"core": pairs.cores[0][some.i], "a": left, "b": right, "j": some.j})[chosen]
        per_core = table.groupby(["b", "core"])[["a", "j"]].nunique().reset_index()
        shared = per_core[per_core["a"] > 1]
        n_shared += np.bincount(shared["b"], minlength=len(n_shared))
        n_once += np.bincount(shared["b"][shared["j"] == 1], minlength=len(n_once))
    return (n_once >= 3) & (2 * n_once > n_shared)


def _occur_once(core: np.ndarray, sample: np.ndarray, n_samples: int) -> np.ndarray:
    """Whether no shared barcode is repeated within a sample; shape ``(n_samples,)``."""
    table = pd.DataFrame({"core": core, "sample": sample})[(core >= 0) & (sample >= 0)]
    once = np.ones(n_samples, dtype=bool)
    once[table["sample"][table.duplicated()]] = False
    return once


def _compare_words(a_names: list[str], b_names: list[str]) -> tuple[np.ndarray, np.ndarray]:
    """Pairs of samples whose names agree in all words of one, and, if any do, pairs without a common word."""
    a_words, b_words = [words_of(x) for x in a_names], [words_of(x) for x in b_names]
    distinguishing = _distinguishing(a_words) | _distinguishing(b_words)
    a_words, b_words = [x & distinguishing for x in a_words], [x & distinguishing for x in b_words]
    alike = np.array([[bool(x and y) and (x <= y or y <= x) for y in b_words] for x in a_words], dtype=bool)
    unlike = np.array([[bool(x and y) and not x & y for y in b_words] for x in a_words], dtype=bool)
    return alike, unlike & alike.any()


def _linked_by_name(
    alike: np.ndarray, witnesses: np.ndarray, linked: np.ndarray, in_doubt: np.ndarray
) -> np.ndarray:
    """Samples without links whose names match only each other, unless witnesses contradict."""
    free = ~linked.any(axis=1, keepdims=True) & ~linked.any(axis=0, keepdims=True) & ~in_doubt[None, :]
    otherwise = witnesses.sum(axis=1)[:, None] + witnesses.sum(axis=0)[None, :] - 2 * witnesses
    found: np.ndarray = _one_to_one(alike) & free & (otherwise == 0)
    return found


def _distinguishing(words: list[frozenset[str]]) -> frozenset[str]:
    """Words that some but not all samples of a file have."""
    return frozenset().union(*words) - frozenset.intersection(*words) if words else frozenset()
