"""How a quantity runs along the time of one lineage, smoothed over its cells."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from deepvelo.errors import InputError

LEAST_CELLS = 10  # that a lineage must be worth, see `effective_cells`; a curve through fewer says nothing
COVERED = (0.005, 0.995)  # of the lineage's weight: single cells of other lineages must not stretch the curve
LOCAL_SHARE = 0.2  # of the lineage that has a say at a time, so that bends show also where cells are few
LOCAL_CELLS = 60  # at least, so that noise does not
BAND = (0.1, 0.9)
SMOOTH_BAND = 0.03  # of the time


def trends(values: np.ndarray, time: np.ndarray, *, weights: np.ndarray, n_points: int = 100) -> pd.DataFrame:
    """Smooth one quantity along time, every cell counting as much as it belongs to the lineage.

    Local regression (Cleveland 1979): at each time a line through the nearest cells, with tricube weights, times fate
    probabilities as in CellRank's trends (Lange et al. 2022). Splines, tried first, swing below 0 beside a steep rise,
    and no installed LOWESS takes weights. The band is where eight of ten cells lie, not the error of the mean: values
    averaged over neighbouring cells are no independent samples, and such an error would be far too small.

    Parameters
    ----------
    values
        Of each cell, shape ``(n_cells,)``, for instance ``Ms`` or a rate of one gene; cells with NaN are left out.
    time
        Pseudotime or latent time, same shape; cells with NaN are left out.
    weights
        Probability of the lineage's fate, same shape, not negative; NaN is 0. Only their proportions matter.
    n_points
        Of the curve, at equal distances over the time that holds 99% of the weight.

    Returns
    -------
    ``time``; ``mean``; ``low`` and ``high``, the mean with the 10th and 90th weighted percentile of the cells'
    differences from it; all within the range of the values. No rows where the lineage is worth fewer than 10 cells
    (Kish's effective number of weighted samples) or all cells are at one time.

    Raises
    ------
    InputError
        Arrays of different lengths, or a negative weight.
    """
    from scipy.ndimage import gaussian_filter1d

    known = _known(time, weights, values)
    windows = _windows(time[known], weights[known], n_points=n_points)
    if not windows:
        return pd.DataFrame({"time": [], "mean": [], "low": [], "high": []}, dtype=float)
    kept = values[known].astype(np.float64)
    grid = np.array([window.time for window in windows])
    mean = np.array([window.line @ kept[window.cells] for window in windows]).clip(kept.min(), kept.max())
    off = kept - np.interp(time[known], grid, mean)
    spread = [
        np.quantile(off[window.cells], BAND, weights=window.weights, method="inverted_cdf")
        for window in windows
    ]
    # From one time to the next a percentile jumps where the mean does not.
    low, high = gaussian_filter1d(np.array(spread), SMOOTH_BAND * n_points, axis=0, mode="nearest").T
    curves = {"mean": mean, "low": mean + low, "high": mean + high}
    inside = {name: np.clip(curve, kept.min(), kept.max()) for name, curve in curves.items()}
    return pd.DataFrame({"time": grid} | inside)


def trend_table(
    values: np.ndarray,
    time: np.ndarray,
    *,
    weights: np.ndarray,
    genes: Sequence[str],
    n_points: int = 100,
) -> pd.DataFrame:
    """Means as `trends` gives them, of many genes at once.

    Parameters
    ----------
    values
        Shape ``(n_cells, n_genes)``; a gene with NaN in a cell that counts is NaN throughout.
    time, weights, n_points
        As for `trends`.
    genes
        Names, in the order of the columns.

    Returns
    -------
    A row a gene, a column a time; no columns where `trends` has no rows.
    """
    known = _known(time, weights, values)
    windows = _windows(time[known], weights[known], n_points=n_points)
    kept = values[known].astype(np.float64)
    means = [
        np.clip(window.line @ kept[window.cells], kept.min(axis=0), kept.max(axis=0)) for window in windows
    ]
    by_time = np.array(means).reshape(-1, len(genes))
    return pd.DataFrame(by_time.T, index=pd.Index(genes), columns=[window.time for window in windows])


def effective_cells(weights: np.ndarray) -> float:
    """How many cells of equal weight say as much: the square of the sum over the sum of squares (Kish 1965)."""
    squares = float(np.square(weights).sum())
    return float(weights.sum()) ** 2 / squares if squares else 0.0


def _known(time: np.ndarray, weights: np.ndarray, values: np.ndarray) -> np.ndarray:
    """Cells that count."""
    if not len(values) == len(time) == len(weights):
        msg = (
            f"Values, time and weights are of {len(values):,}, {len(time):,} and {len(weights):,} cells. "
            "Give all three of the same cells."
        )
        raise InputError(msg)
    if np.nanmin(weights, initial=0) < 0:
        msg = f"A cell's weight cannot be negative, and the least is {np.nanmin(weights):.3g}. Give probabilities."
        raise InputError(msg)
    known: np.ndarray = np.isfinite(time) & (np.nan_to_num(weights) > 0)
    return known & np.isfinite(values) if values.ndim == 1 else known


@dataclass(frozen=True, kw_only=True)
class _Window:
    """Cells that have a say at one time: their indices and weights, and what of each makes the local line."""

    time: float
    cells: np.ndarray
    weights: np.ndarray
    line: np.ndarray


def _windows(time: np.ndarray, weights: np.ndarray, *, n_points: int) -> list[_Window]:
    """One for each point of the curve; none where there is too little for a curve."""
    cells = effective_cells(weights)
    if cells < LEAST_CELLS:
        return []
    order = np.argsort(time, kind="stable")
    at, heavy = time[order].astype(np.float64), weights[order].astype(np.float64)
    upto = np.cumsum(heavy) / heavy.sum()
    first, last = np.interp(COVERED, upto, at)
    if first == last:
        return []
    share = min(max(LOCAL_SHARE, LOCAL_CELLS / cells), 1.0)
    windows = []
    for point in np.linspace(first, last, n_points):
        start = np.clip(np.interp(point, at, upto) - share / 2, 0, 1 - share)
        low, high = np.searchsorted(upto, [start, start + share])
        inside = slice(int(low), int(high) + 1)
        distance = at[inside] - point
        reach = 1.001 * np.abs(distance).max()
        local = heavy[inside] * (1 - np.abs(distance / reach) ** 3) ** 3 if reach else heavy[inside]
        windows.append(
            _Window(time=float(point), cells=order[inside], weights=local, line=_line(distance, local))
        )
    return windows


def _line(distance: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """What makes of values the value at distance 0 of the weighted least-squares line through them."""
    weights = weights / weights.sum()
    middle = weights @ distance
    around = weights @ (distance - middle) ** 2
    # Cells that are all at one time have no slope: their mean.
    slope = -middle * (distance - middle) / around if around > 0 else 0.0
    return np.asarray(weights * (1 + slope))
