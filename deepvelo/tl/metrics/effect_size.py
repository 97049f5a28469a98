"""Whether one method's scores are above another's: how surely, and by how much."""

from __future__ import annotations

from typing import Final, NamedTuple

import numpy as np

SMALLEST_P: Final = 1e-300  # smaller ones lose their digits, then become 0


class MannWhitney(NamedTuple):
    """Result of `mann_whitney`; NaN, with ``u``, where one of the samples is empty.

    ``effect`` is the common-language effect size: how often a random cell of A beats one of B, ties counting half.
    0.5 is no difference. With thousands of cells ``p`` is tiny for differences that nobody would see.
    """

    u: float
    p: float
    effect: float


def mann_whitney(a: np.ndarray, b: np.ndarray) -> MannWhitney:
    """Two-sided Mann-Whitney U test of two samples of scores, and its effect size.

    The p-value is exact for at most 8 values in one of the samples without ties; else from the normal distribution,
    corrected for ties and continuity, as scipy does. Cells of one tissue are not independent, which p ignores.

    Parameters
    ----------
    a, b
        Scores of cells, shape ``(n,)``; NaN are left out.
    """
    from scipy.stats import mannwhitneyu

    a, b = a[np.isfinite(a)], b[np.isfinite(b)]
    if not (a.size and b.size):
        return MannWhitney(float("nan"), float("nan"), float("nan"))
    u, p = mannwhitneyu(a, b, alternative="two-sided")
    return MannWhitney(float(u), float(p), float(u) / (a.size * b.size))


def p_text(p: float) -> str:
    """A p-value in words: ``0.031``, ``2.1e-14``, ``< 1e-300``; ``none`` for NaN."""
    if np.isnan(p):
        return "none"
    return "< 1e-300" if p < SMALLEST_P else f"{p:.2g}"
