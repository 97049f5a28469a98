"""How a gene's rates change along a lineage: what only cell-specific rates can tell of a driver."""

from __future__ import annotations

from typing import Final

import numpy as np

# Beginning and end of a lineage are thirds of its cells: enough to even out noise, and a middle apart from both.
SHARE: Final = 1 / 3
# A rate below this share of the gene's mean counts as it: the ratio of two that are nearly 0 says nothing.
_FLOOR: Final = 0.01


def rate_change(rates: np.ndarray, *, pseudotime: np.ndarray, weights: np.ndarray) -> np.ndarray:
    r"""By what factor, as a power of 2, a rate is higher at the end of a lineage than at its beginning.

    .. math:: \log_2 (\bar r_{late} / \bar r_{early}),

    means weighted by the cells' probability of the lineage's fate, over the cells with the latest and the
    earliest third of the weight. Weighing leaves no threshold to choose of who belongs to the lineage; thirds depend
    on the order of the cells in time alone, as a slope would not. 1 is twice as fast; -1, half.

    Parameters
    ----------
    rates
        Of one kind, shape ``(n_cells, n_genes)``.
    pseudotime
        Shape ``(n_cells,)``; only the order counts. A cell without, NaN, is left out.
    weights
        Fate probabilities, shape ``(n_cells,)``; NaN is left out.

    Returns
    -------
    Shape ``(n_genes,)``; NaN for a gene whose rate is unknown in a cell that counts or not positive on average,
    and for all genes where fewer than 3 cells count. At most :math:`\log_2 300` either way.
    """
    counts = np.isfinite(pseudotime) & (np.nan_to_num(weights) > 0)
    if counts.sum() < 3:
        return np.full(rates.shape[1], np.nan)
    order = np.argsort(pseudotime[counts], kind="stable")
    rates, weights = rates[counts][order].astype(np.float64), weights[counts][order]
    early, late = _ends(weights)
    mean = weights @ rates / weights.sum()
    with np.errstate(invalid="ignore", divide="ignore"):
        first, last = (np.maximum(part @ rates / part.sum(), _FLOOR * mean) for part in (early, late))
        change = np.log2(last / first)
    return np.where(mean > 0, change, np.nan)


def _ends(weights: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Weights of the first and the last third; a cell on the border counts in part."""
    third = SHARE * weights.sum()
    before = np.cumsum(weights) - weights
    after = weights.sum() - before - weights
    return np.clip(third - before, 0, weights), np.clip(third - after, 0, weights)
