"""Recognise the values of the spliced and unspliced layers: counts, estimated, normalised, logarithms or scaled."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from scipy import sparse

from deepvelo import keys
from deepvelo.arrays import matrices

if TYPE_CHECKING:
    from anndata import AnnData

CountKind = Literal["counts", "estimated", "normalized", "logged", "scaled"]
"""Whole counts; counts with fractions, as EM, CellBender, SoupX and decontX give them; size-normalised counts or TPM;
logarithms of one of these; values from 0 to 1."""

KIND_NAMES: dict[CountKind, str] = {
    "counts": "whole counts",
    "estimated": "counts with fractions",
    "normalized": "normalised values",
    "logged": "logarithms",
    "scaled": "scaled values",
}
BASES = {"e": np.e, "2": 2.0, "10": 10.0}
_LARGEST_COUNT = 1e9
_LARGEST_LOGARITHM = np.log2(_LARGEST_COUNT)
_MIN_LOGARITHM = 1.05  # of a cell's smallest value
_SAMPLED = 3, 400  # slices of the cells, and cells in each
_MIN_VALUES = 3  # different values of an informative cell
_MIN_INFORMATIVE_CELLS = 10
_MIN_AGREEING = 0.9  # share of the informative cells
_SAME_TOTAL = 0.01  # coefficient of variation of the totals of normalised cells
_SMALLEST_COUNTS = np.arange(1, 13)  # candidate counts of a cell's smallest value
_FEW_COUNTS = 1.5, 5.5
# Larger ratios cannot be distinguished from integers in single precision.
_LARGEST_RATIO, _TOLERANCE = 100.0, 0.01


def count_kind(adata: AnnData) -> CountKind:
    """The kind of values in the layers ``spliced`` and ``unspliced``.

    Integers are counts. Other values are judged by a sample of cells. In size-normalised data, the values of a cell are
    integer multiples of a unit that differs between cells, or all cells have the same total. Logarithms have these
    properties after exponentiation, or the smallest value of a cell is above 1 while the largest is small. Everything
    else is an estimated count.

    Parameters
    ----------
    adata
        Has both layers, finite and non-negative, possibly as Dask arrays.
    """
    layers = [adata.layers[key] for key in (keys.SPLICED, keys.UNSPLICED)]
    if all(matrices.is_whole(layer) for layer in layers):
        return "counts"
    if max(matrices.largest(layer) for layer in layers) <= 1:
        return "scaled"
    if logarithm_bases(adata):
        return "logged"
    samples = [_sample(layer) for layer in layers]
    if _same_totals(samples[0] + samples[1]) or any(_is_normalized(sample) for sample in samples):
        return "normalized"
    return "logged" if any(_looks_logged(sample) for sample in samples) else "estimated"


def logarithm_bases(adata: AnnData) -> dict[str, str]:
    """The key in `BASES` for each of the two layers that holds logarithms of 1 + counts or 1 + normalised counts.

    Judged by a sample of cells.
    """
    samples = {key: _sample(adata.layers[key]) for key in (keys.SPLICED, keys.UNSPLICED)}
    samples = {
        key: sample
        for key, sample in samples.items()
        if sample.nnz and not matrices.is_whole(sample) and not _is_normalized(sample)
    }
    found = {}
    for name, base in BASES.items():
        undone = {
            key: undo_logarithm(sample, name)
            for key, sample in samples.items()
            if sample.max() <= np.log(_LARGEST_COUNT) / np.log(base)
        }
        together = len(undone) == 2 and _same_totals(sum(undone.values()))
        for key, counts in undone.items():
            if key in found:
                continue
            # some files hold logarithms of logarithms
            twice = undo_logarithm(counts, name) if counts.max() <= _LARGEST_LOGARITHM else counts
            if together or _derives_from_counts(counts, samples[key]) or _derives_from_counts(twice, counts):
                found[key] = name
    return found


def undo_logarithm(layer: Any, base: str) -> Any:
    """``base ** x - 1`` of every value, rounded where close to an integer; sparse, dense or a Dask array."""
    if matrices.is_lazy(layer):
        return layer.map_blocks(undo_logarithm, base, dtype=np.float32, meta=layer._meta)
    if sparse.issparse(layer):
        undone = layer.copy()
        undone.data = _powers(layer.data, base)
        return undone
    return _powers(np.asarray(layer), base)


def _powers(values: np.ndarray, base: str) -> np.ndarray:
    powers = np.expm1(values.astype(np.float64) * np.log(BASES[base]))
    whole = np.rint(powers)
    # single precision keeps seven digits
    powers = np.where(np.abs(powers - whole) < 1e-4 * np.maximum(1, whole), whole, powers)
    return powers.astype(np.float32)


def _is_normalized(sample: sparse.csr_matrix) -> bool:
    multiples, of_fractions = _are_multiples(sample)
    return (multiples and not of_fractions) or _same_totals(sample)


def _derives_from_counts(undone: sparse.csr_matrix, logarithms: sparse.csr_matrix) -> bool:
    """Whether values were counts or normalised counts before taking logarithms."""
    return _are_multiples(undone)[0] or _same_totals(undone) or _mostly_whole(undone, logarithms)


def _mostly_whole(undone: sparse.csr_matrix, logarithms: sparse.csr_matrix) -> bool:
    """Whether fractions become the integers 2 to 5: estimated counts, or rounded logarithms."""
    few = (undone.data > _FEW_COUNTS[0]) & (undone.data < _FEW_COUNTS[1])
    values = undone.data[few & (logarithms.data != np.rint(logarithms.data))]
    near = np.abs(values - np.rint(values)) < 2 * _TOLERANCE
    different = np.unique(np.rint(values[near]))
    return len(different) >= _MIN_VALUES and float(near.mean()) >= 0.5


def _looks_logged(sample: sparse.csr_matrix) -> bool:
    """Whether values look like logarithms of continuous values, such as TPM of some genes."""
    cells = _values_per_cell(sample)
    least = np.median([values.min() for values in cells]) if cells else 0
    whole = np.mean(sample.data == np.rint(sample.data)) if sample.nnz else 1
    return bool(least > _MIN_LOGARITHM and sample.max() <= _LARGEST_LOGARITHM and whole < 0.05)


def _are_multiples(sample: sparse.csr_matrix) -> tuple[bool, bool]:
    """Whether the values of nearly every cell are multiples of a unit, and whether that unit is not a size factor.

    The unit of fractional counts is a simple fraction, or the same in most cells.
    """
    units, agree = [], []
    for values in _values_per_cell(sample):
        ratios = values / values.min()
        ratios = ratios[ratios <= _LARGEST_RATIO]
        if len(np.unique(np.round(ratios, 4))) < _MIN_VALUES:  # equal values are not informative
            continue
        counts = np.outer(_SMALLEST_COUNTS, ratios)
        fits = np.all(np.abs(counts - np.rint(counts)) < _TOLERANCE, axis=1)
        agree.append(bool(fits.any()))
        units.append(values.min() / _SMALLEST_COUNTS[np.argmax(fits)])
    if len(units) < _MIN_INFORMATIVE_CELLS:
        return False, False
    _, sizes = np.unique(np.round(units, 4), return_counts=True)
    twelfths = 12 * np.array(units)
    simple = np.mean(np.abs(twelfths - np.rint(twelfths)) < 2 * _TOLERANCE)
    return float(np.mean(agree)) >= _MIN_AGREEING, bool(max(simple, sizes.max() / len(units)) >= 0.5)


def _same_totals(sample: sparse.csr_matrix) -> bool:
    sums = np.asarray(sample.sum(axis=1, dtype=np.float64)).ravel()
    totals = sums[sums > 0]
    return len(totals) >= _MIN_INFORMATIVE_CELLS and float(np.std(totals) / np.mean(totals)) < _SAME_TOTAL


def _values_per_cell(sample: sparse.csr_matrix) -> list[np.ndarray]:
    values: list[np.ndarray] = np.split(sample.data.astype(np.float64), sample.indptr[1:-1])
    return [positive for cell in values if len(positive := cell[cell > 0])]


def _sample(layer: Any) -> sparse.csr_matrix:
    """Cells from the start, the middle and the end of a layer."""
    n_slices, n_cells = _SAMPLED
    rows = matrices.stored_by_cells(layer)
    if rows.shape[0] <= n_slices * n_cells:
        return sparse.csr_matrix(matrices.some_cells(rows, slice(None)))
    starts = np.linspace(0, rows.shape[0] - n_cells, n_slices).astype(int)
    parts = [matrices.some_cells(rows, slice(start, start + n_cells)) for start in starts]
    return sparse.vstack([sparse.csr_matrix(part) for part in parts], format="csr")
