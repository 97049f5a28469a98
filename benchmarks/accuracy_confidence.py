"""Whether a stated probability that a cell's direction is right is one.

``confidence`` and ``cosine`` have shape ``(n_cells,)``; a direction is right where the cosine is above 0, and a NaN in
either leaves the cell out.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from benchmarks.accuracy_scores import mean

SURE = 0.9
N_BINS = 10


@dataclass(frozen=True)
class Reliability:
    """Cells in ten equally wide bins of confidence; those of several data sets add up."""

    cells: list[int]
    confidence: list[float]
    """Sum of the stated confidence in each bin."""
    right: list[int]
    """Cells whose direction is right."""

    @property
    def error(self) -> float:
        """Expected calibration error: share right against mean confidence by bin, weighted by cells; NaN of none."""
        apart = np.abs(np.subtract(self.right, self.confidence))
        return float(apart.sum() / sum(self.cells)) if sum(self.cells) else float("nan")


def reliability(confidence: np.ndarray, cosine: np.ndarray) -> Reliability:
    """Bin the cells whose confidence and cosine are known."""
    known = np.isfinite(confidence) & np.isfinite(cosine)
    confidence, right = confidence[known], cosine[known] > 0
    bins = np.clip((confidence * N_BINS).astype(int), 0, N_BINS - 1)  # a confidence of 1 is in the last
    cells, stated, correct = (
        np.bincount(bins, weights=weights, minlength=N_BINS)
        for weights in (np.ones(len(bins)), confidence, right.astype(float))
    )
    return Reliability(cells.astype(int).tolist(), stated.tolist(), correct.astype(int).tolist())


def pooled(found: Iterable[Reliability]) -> Reliability:
    """All cells of several data sets together."""
    parts = list(found)
    cells, confidence, right = (
        np.sum([getattr(part, name) for part in parts], axis=0) for name in ("cells", "confidence", "right")
    )
    return Reliability(cells.tolist(), confidence.tolist(), right.tolist())


def share_sure(confidence: np.ndarray) -> float:
    """Share of the cells given at least 0.9."""
    known = confidence[np.isfinite(confidence)]
    return mean((known >= SURE).astype(float))


def right_when_sure(confidence: np.ndarray, cosine: np.ndarray) -> float:
    """Share with a right direction among the cells given at least 0.9; NaN if none is."""
    sure = (confidence >= SURE) & np.isfinite(cosine)
    return mean((cosine[sure] > 0).astype(float))
