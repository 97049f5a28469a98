"""Undo logarithms of layers, and drop unusable moments."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from deepvelo import keys
from deepvelo.arrays import matrices
from deepvelo.arrays.layers import gene_blocks
from deepvelo.arrays.views import dense
from deepvelo.contents.count_kinds import logarithm_bases, undo_logarithm
from deepvelo.wording import number

if TYPE_CHECKING:
    from anndata import AnnData

_COUNTS = (keys.SPLICED, keys.UNSPLICED)
_MOMENTS = (keys.MS, keys.MU)
_MIN_CELLS, _MIN_GENES = 50, 20  # from which moments and counts can be compared
_MIN_TOTAL = 100.0  # counts of a gene whose mean says something
# The means of moments are proportional to the means of counts over genes.
_MIN_SLOPE, _LARGEST_SPREAD = 0.85, 0.3


def undo_logarithms(adata: AnnData) -> list[str]:
    """Convert layers with logarithms of counts to counts, in place."""
    if not _readable(adata, _COUNTS):
        return []
    notes = []
    for times in ("", " once more"):  # some files hold logarithms of logarithms
        bases = logarithm_bases(adata)
        if not bases:
            break
        for key, base in bases.items():
            adata.layers[key] = undo_logarithm(adata.layers[key], base)
        of_layers = f"(base {next(iter(bases.values()))}) of counts + 1 in {' and '.join(map(repr, bases))}"
        notes.append(f"The logarithms {of_layers} were undone{times}.")
    return notes


def drop_unusable_moments(adata: AnnData) -> list[str]:
    """Remove ``Ms`` and ``Mu`` if they are not means of the counts, in place; preparation recomputes them.

    Moments on disk are kept. Scaled moments are kept beside velocities, which have the same units.
    """
    notes = unusable_moments(adata, other_units=keys.VELOCITY not in adata.layers)
    for key in _MOMENTS if notes else ():
        del adata.layers[key]
    return notes


def unusable_moments(adata: AnnData, *, other_units: bool = True) -> list[str]:
    """A note if ``Ms`` and ``Mu`` cannot be used for a fit; changes nothing.

    Parameters
    ----------
    other_units
        Also reject moments in other units, scaled or logarithmic.
    """
    if not _readable(adata, _COUNTS + _MOMENTS) or min(adata.shape) < 2:
        return []
    if any(matrices.is_lazy(adata.layers[key]) for key in _MOMENTS) or not _can_be_counts(adata):
        return []
    reason = _why_unusable(adata, other_units=other_units)
    if reason is None:
        return []
    return [f"The moments in the file are not used, since {reason}; they are recomputed from the counts."]


def _why_unusable(adata: AnnData, *, other_units: bool) -> str | None:
    """Why the moments cannot be used; None if they can."""
    spliced, unspliced = (_summarize_genes(adata.layers[key]) for key in _MOMENTS)
    anywhere = (spliced.n_finite > 0) & (unspliced.n_finite > 0)
    everywhere = (spliced.n_finite == adata.n_obs) & (unspliced.n_finite == adata.n_obs)
    if not anywhere.any():
        return "they hold no finite value"
    if everywhere.sum() < 0.5 * anywhere.sum():  # otherwise only the genes with gaps are left out
        finite = [np.isfinite(matrices.as_dense(adata.layers[key])[:, anywhere]) for key in _MOMENTS]
        n_cells = int((~(finite[0] & finite[1])).any(axis=1).sum())
        return f"values are missing in {number(n_cells, 'cell')}"
    if any((genes.least[everywhere] < 0).any() for genes in (spliced, unspliced)):
        return "some are below zero"
    if not all((genes.most[everywhere] > 0).any() for genes in (spliced, unspliced)):
        return "they are zero everywhere"
    if not other_units:
        return None
    if all(_is_scaled(genes, everywhere) for genes in (spliced, unspliced)):
        return "they are scaled to 0..1 in each gene"
    for key, genes in zip(_COUNTS, (spliced, unspliced), strict=True):
        if not _follows(genes.mean[everywhere], adata.layers[key], everywhere):
            return f"they do not follow the {key} counts from gene to gene"
    return None


class _Genes(NamedTuple):
    """Number of finite values, minimum, maximum and mean of every gene, ignoring NaN."""

    n_finite: np.ndarray
    least: np.ndarray
    most: np.ndarray
    mean: np.ndarray


def _summarize_genes(layer: Any) -> _Genes:
    stored = dense(layer)
    parts = []
    for genes in gene_blocks(stored):
        block = np.asarray(stored[:, genes], dtype=np.float64)
        finite = np.isfinite(block)
        n_finite = finite.sum(axis=0)
        parts.append(
            (
                n_finite,
                np.where(finite, block, np.inf).min(axis=0),
                np.where(finite, block, -np.inf).max(axis=0),
                np.where(finite, block, 0).sum(axis=0) / np.maximum(n_finite, 1),
            )
        )
    return _Genes(*(np.concatenate(values) for values in zip(*parts, strict=True)))


def _is_scaled(moments: _Genes, genes: np.ndarray) -> bool:
    """Whether nearly every gene is scaled to 0 to 1, as in veloVI's preprocessing."""
    varies = genes & (moments.most > moments.least)
    scaled = (np.abs(moments.least) < 1e-3) & (np.abs(moments.most - 1) < 1e-3)
    return bool(varies.any()) and bool(scaled[varies].mean() > 0.8)


def _follows(means: np.ndarray, counts: Any, genes: np.ndarray) -> bool:
    """Whether the mean moments are proportional to the mean counts over genes, size-normalised or not."""
    totals = matrices.cell_totals(counts)
    scales = np.column_stack([np.where(totals > 0, 1 / np.maximum(totals, 1e-9), 0), np.ones(len(totals))])
    rows = matrices.stored_by_cells(counts)
    sums = np.zeros((int(genes.sum()), 2))
    start = 0
    for (cells,) in matrices.by_cells(rows):
        stop = start + cells.shape[0]
        sums += np.asarray(cells.T @ scales[start:stop])[genes]
        start = stop
    enough = (matrices.gene_totals(counts)[genes] >= _MIN_TOTAL) & (means > 0)
    if len(totals) < _MIN_CELLS or enough.sum() < _MIN_GENES:
        return True
    return any(_rise_together(np.log(x), np.log(means[enough])) for x in sums[enough].T)


def _rise_together(x: np.ndarray, y: np.ndarray) -> bool:
    spread = np.subtract(*np.percentile(y - x, [75, 25])) / 1.35
    slope = np.polyfit(x, y, 1)[0] if np.std(x) > 0.3 else 1.0
    return bool(spread < _LARGEST_SPREAD and slope > _MIN_SLOPE)


def _can_be_counts(adata: AnnData) -> bool:
    """Whether moments can be recomputed from the counts: finite, non-negative and not all zero."""
    looked = [matrices.look_at_values(adata.layers[key]) for key in _COUNTS]
    return not any(values.n_not_finite or values.n_negative or not values.largest > 0 for values in looked)


def _readable(adata: AnnData, layers: tuple[str, ...]) -> bool:
    """Whether all layers exist, are numeric and are not HDF5 or Zarr arrays."""
    found = [adata.layers.get(key) for key in layers]
    return all(
        layer is not None and matrices.is_numeric(layer) and not matrices.is_in_file(layer) for layer in found
    )
