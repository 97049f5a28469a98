"""Scores of an estimated velocity against the true one: arrays in, numbers out.

Everywhere ``estimate`` and ``truth`` have shape ``(n_cells, n_genes)``, and ``genes`` is a mask over genes. Where a
score is not defined it is NaN; where the truth moves and the estimate says nothing, it counts as 0 or as wrong.
"""

from __future__ import annotations

import itertools

import numpy as np
from scipy import sparse
from scipy.stats import rankdata, spearmanr
from sklearn.metrics import roc_auc_score

from deepvelo.tl.metrics import boundary

SMALL_GROUP = 40  # cells
STILL = 1e-6  # of a gene's highest transcription rate: below it, ds/dt is rounding
GENE_MOVES = 0.01  # of its highest transcription rate, reached by ds/dt in some cell
PAIR_MOVES = 0.05  # of the gene's fastest ds/dt


def without_rounding(velocity: np.ndarray, alpha: np.ndarray) -> np.ndarray:
    """The true velocity with exact zeros where a gene is at its steady state but for rounding."""
    return np.where(np.abs(velocity) > STILL * alpha.max(axis=0), velocity, 0.0)


def moving_genes(velocity: np.ndarray, alpha: np.ndarray) -> np.ndarray:
    """Genes whose ds/dt reaches 1% of their highest transcription rate in some cell, shape ``(n_genes,)``."""
    return np.abs(velocity).max(axis=0) > GENE_MOVES * alpha.max(axis=0)


def cosines(estimate: np.ndarray, truth: np.ndarray, *, genes: np.ndarray) -> np.ndarray:
    """Cosine over genes in every cell, shape ``(n_cells,)``; NaN in cells that truly rest in these genes."""
    v, w = np.nan_to_num(estimate[:, genes]), truth[:, genes]
    lengths = np.linalg.norm(v, axis=1), np.linalg.norm(w, axis=1)
    product = (v * w).sum(axis=1)
    with np.errstate(invalid="ignore", divide="ignore"):
        cosine = np.where(lengths[0] > 0, product / (lengths[0] * lengths[1]), 0.0)
    return np.where(lengths[1] > 0, cosine, np.nan)


def mean_by_group(values: np.ndarray, groups: np.ndarray) -> dict[str, float]:
    """Mean over the cells of every group that have a value."""
    known = np.isfinite(values)
    return {str(group): float(values[known & (groups == group)].mean()) for group in np.unique(groups[known])}


def small_and_large(values: np.ndarray, groups: np.ndarray) -> tuple[float, float]:
    """Mean over cells in groups of at most 40, and over the others."""
    names, sizes = np.unique(groups, return_counts=True)
    small = np.isin(groups, names[sizes <= SMALL_GROUP])
    return mean(values[small]), mean(values[~small])


def rank_correlation(estimate: np.ndarray, truth: np.ndarray, *, genes: np.ndarray) -> float:
    """Spearman correlation over cells, mean over genes."""
    v, w = np.nan_to_num(estimate[:, genes]), truth[:, genes]
    return mean(correlations(rankdata(v, axis=0), rankdata(w, axis=0)))


def correlations(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Pearson correlation column by column; 0 where ``x`` is constant, NaN where ``y`` is."""
    x, y = x - x.mean(axis=0), y - y.mean(axis=0)
    spread = np.linalg.norm(x, axis=0), np.linalg.norm(y, axis=0)
    with np.errstate(invalid="ignore", divide="ignore"):
        found = np.where(spread[0] > 0, (x * y).sum(axis=0) / (spread[0] * spread[1]), 0.0)
    return np.where(spread[1] > 0, found, np.nan)


def right_signs(estimate: np.ndarray, truth: np.ndarray, *, genes: np.ndarray) -> float:
    """Share of right signs among cells and genes where ds/dt exceeds 5% of the gene's fastest.

    Slower ones are left out: the sign of next to nothing is chance. ``genes`` should be moving ones.
    """
    v, w = estimate[:, genes], truth[:, genes]
    moving = np.abs(w) > PAIR_MOVES * np.abs(w).max(axis=0, initial=0.0)
    return mean(np.sign(v[moving]) == np.sign(w[moving]))


def boundary_correctness(
    estimate: np.ndarray,
    spliced: np.ndarray,
    neighbors: sparse.csr_matrix,
    groups: np.ndarray,
    *,
    edges: list[tuple[str, str]],
    genes: np.ndarray,
) -> float:
    """`deepvelo.tl.metrics.boundary.boundary_correctness` in gene space, mean over the cells of an edge, then over the true edges.

    Parameters
    ----------
    spliced
        Moments, shape ``(n_cells, n_genes)``.
    neighbors
        Stored entries of a row are the cell's neighbours.
    edges
        Pairs of source and target group.
    """
    v, s = np.nan_to_num(estimate[:, genes]), spliced[:, genes]
    of_edges = [
        boundary.boundary_correctness(
            v, s, graph=neighbors, groups=groups, source=source, target=target, zero_velocity_score=0.0
        )
        for source, target in edges
    ]
    return mean(np.array([mean(scores) for scores in of_edges]))


def group_log_ratios(
    beta: np.ndarray, gamma: np.ndarray, unspliced: np.ndarray, spliced: np.ndarray, *, groups: np.ndarray
) -> np.ndarray:
    """log(gamma / beta) of every group, shape ``(n_groups, n_genes)``, groups in alphabetical order.

    A group's rate is the mean over its cells weighing by the RNA it acts on, as in `deepvelo.tl.rates.multikinetic.multikinetic_score`.
    NaN where there is none, or a mean rate is not above 0.
    """
    rows = []
    with np.errstate(invalid="ignore", divide="ignore"):
        for group in np.unique(groups):
            here = groups == group
            rates = [
                (rate[here] * rna[here]).sum(axis=0) / rna[here].sum(axis=0)
                for rate, rna in ((gamma, spliced), (beta, unspliced))
            ]
            positive = (rates[0] > 0) & (rates[1] > 0)
            rows.append(np.where(positive, np.log(rates[0] / rates[1]), np.nan))
    return np.array(rows)


def difference_correlation(estimate: np.ndarray, truth: np.ndarray) -> float:
    """Pearson correlation over genes of the differences between two groups, mean over the pairs of groups.

    Parameters
    ----------
    estimate, truth
        A value for each group and gene, shape ``(n_groups, n_genes)``; genes with a NaN in a pair are left out of it.
    """
    found = []
    for a, b in itertools.combinations(range(len(truth)), 2):
        x, y = estimate[a] - estimate[b], truth[a] - truth[b]
        known = np.isfinite(x) & np.isfinite(y)
        if known.sum() > 2 and np.ptp(y[known]) > 1e-5:  # rates are stored in single precision
            found.append(correlations(x[known, None], y[known, None])[0])
    return mean(np.array(found))


def area_under_curve(score: np.ndarray, label: np.ndarray) -> float:
    """Chance that a gene with the label scores higher than one without; NaN without both sorts."""
    known = np.isfinite(score)
    if len(np.unique(label[known])) < 2:
        return float("nan")
    return float(roc_auc_score(label[known], score[known]))


def rank_agreement(x: np.ndarray, y: np.ndarray) -> float:
    """Spearman correlation over the cells in which both are known; NaN where one of them is constant."""
    known = np.isfinite(x) & np.isfinite(y)
    if known.sum() < 3 or np.ptp(x[known]) == 0 or np.ptp(y[known]) == 0:
        return float("nan")
    return float(spearmanr(x[known], y[known]).statistic)


def mean_rank_agreement(x: np.ndarray, y: np.ndarray, *, groups: np.ndarray) -> float:
    """`rank_agreement` within each group, mean over the groups."""
    return mean(np.array([rank_agreement(x[groups == g], y[groups == g]) for g in np.unique(groups)]))


def mean(values: np.ndarray) -> float:
    """Mean of what is known; NaN, without a warning, if nothing is."""
    known = values[np.isfinite(values)]
    return float(known.mean()) if known.size else float("nan")
