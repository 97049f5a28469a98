"""Findings on the counts and genes of a run. A fit finds arrows in any data."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np
import pandas as pd
from scipy.stats import kruskal

from deepvelo import checks, keys
from deepvelo.arrays import matrices
from deepvelo.arrays.layers import known_genes
from deepvelo.contents.count_kinds import KIND_NAMES, count_kind
from deepvelo.evaluation.gate.finding import GateFinding, Level, graded
from deepvelo.findings import PLAUSIBLE_UNSPLICED
from deepvelo.wording import number

if TYPE_CHECKING:
    from anndata import AnnData

SMALLEST_GROUP: Final = 10  # cells; the mean over fewer is too noisy
EQUAL_P: Final = 0.01
FEW_GENES, VERY_FEW_GENES = 50, 20


def unspliced_fraction(adata: AnnData) -> GateFinding:
    """Whether the share of unspliced counts is plausible."""
    low, high = PLAUSIBLE_UNSPLICED
    finding = {
        "title": "Unspliced fraction",
        "threshold": f"red outside {low:.0%} to {high:.0%}",
        "why": "10 to 25% are usual, up to about 60% in nuclei. Far outside, layers are swapped or introns were not counted.",
    }
    fractions = checks.unspliced_fractions(adata, group_key=None)
    if fractions.empty:
        return GateFinding(
            level="not checked", evidence="The layers are not counts, so the share is unknown.", **finding
        )
    fraction = float(fractions["unspliced"].iloc[0])
    level: Level = "green" if low <= fraction <= high else "red"
    return GateFinding(level=level, evidence=f"{fraction:.1%} of the counts are unspliced.", **finding)


def unspliced_by_group(adata: AnnData, *, cluster_key: str) -> GateFinding:
    """Whether groups differ in their share of unspliced counts by more than chance."""
    finding = {
        "title": "Unspliced fraction by group",
        "threshold": f"amber where the groups differ no more than by chance (Kruskal-Wallis p above {EQUAL_P:g})",
        "why": (
            "Groups that induce genes have more unspliced RNA than others. An equal share everywhere points to "
            "contamination, wrongly counted introns or tissue at steady state, or to too few or too shallow cells."
        ),
    }
    shares = _unspliced_shares(adata)
    if shares is None:
        return GateFinding(
            level="not checked", evidence="The layers are not counts, so the share is unknown.", **finding
        )
    by_group = {
        str(group): values.dropna().to_numpy()
        for group, values in shares.groupby(adata.obs[cluster_key].astype(str).to_numpy())
    }
    large = {group: values for group, values in by_group.items() if len(values) >= SMALLEST_GROUP}
    if len(large) < 2:
        evidence = f"Fewer than two groups of '{cluster_key}' have {SMALLEST_GROUP} cells."
        return GateFinding(level="not checked", evidence=evidence, **finding)
    means = {group: float(values.mean()) for group, values in large.items()}
    constant = np.ptp(np.concatenate(list(large.values()))) == 0
    p = 1.0 if constant else float(kruskal(*large.values()).pvalue)
    lowest, highest = min(means, key=means.__getitem__), max(means, key=means.__getitem__)
    evidence = f"{means[lowest]:.1%} in '{lowest}' to {means[highest]:.1%} in '{highest}'; p {p:.1g}."
    return GateFinding(level="amber" if p > EQUAL_P else "green", evidence=evidence, **finding)


def layers_are_counts(adata: AnnData) -> GateFinding:
    """Whether both layers hold counts."""
    finding = {
        "title": "Kind of the layers",
        "threshold": "amber if a layer does not hold counts, whole or estimated",
        "why": (
            "Velocity compares amounts of RNA. Scaled, corrected or logarithmic values are not amounts, and the file does "
            "not state how they were computed."
        ),
    }
    if checks.has_counts(adata):
        evidence = f"Spliced and unspliced are {KIND_NAMES[count_kind(adata)]}."
        return GateFinding(level="green", evidence=evidence, **finding)
    highest = max(matrices.largest(adata.layers[key]) for key in (keys.SPLICED, keys.UNSPLICED))
    evidence = f"Spliced or unspliced values are not counts; the largest value is {highest:.4g}."
    return GateFinding(level="amber", evidence=evidence, **finding)


def enough_genes(adata: AnnData) -> GateFinding:
    """Whether enough genes contribute to a direction."""
    n = int((adata.var[keys.VELOCITY_GENES] & known_genes(adata.layers[keys.VELOCITY])).sum())
    return GateFinding(
        level=graded(n, amber=FEW_GENES, red=VERY_FEW_GENES),
        title="Velocity genes",
        evidence=f"{number(n, 'gene')} of {adata.n_vars:,} have a velocity.",
        threshold=f"amber below {FEW_GENES}, red below {VERY_FEW_GENES}",
        why=(
            f"A direction is a mean over genes. Below {VERY_FEW_GENES}, a single gene can dominate the principal components "
            f"in which cells are compared; below {FEW_GENES}, one misfitted gene in ten can reverse it."
        ),
    )


def _unspliced_shares(adata: AnnData) -> pd.Series | None:
    """Share of unspliced counts of every cell, NaN for empty cells; None if the layers are not counts."""
    if not checks.has_counts(adata):
        return None
    spliced, unspliced = (matrices.cell_totals(adata.layers[key]) for key in (keys.SPLICED, keys.UNSPLICED))
    total = spliced + unspliced
    return pd.Series(np.divide(unspliced, total, out=np.full(len(total), np.nan), where=total > 0))
