"""Which genes are spliced and degraded differently in different groups of cells."""

from __future__ import annotations

import numpy as np
import pandas as pd

# The mean rate of fewer cells is chance.
SMALLEST_GROUP = 5


def multikinetic_score(
    beta: np.ndarray, gamma: np.ndarray, unspliced: np.ndarray, spliced: np.ndarray, *, groups: pd.Series
) -> np.ndarray:
    r"""How much a gene's splicing and degradation rates differ between cell groups.

    Every group has its mean rates, cells weighing by the RNA the rate acts on:

    .. math:: \beta_k = \frac{\sum_{i \in k} \beta_i u_i}{\sum_{i \in k} u_i}, \qquad
              \gamma_k = \frac{\sum_{i \in k} \gamma_i s_i}{\sum_{i \in k} s_i}

    The score is :math:`\sqrt{CV^2(\beta_k) + CV^2(\gamma_k)}`, the coefficients of variation taken over the
    groups, each weighing by its RNA, so groups that hardly express the gene do not decide. alpha is left out:
    transcription changes along every lineage, which does not make a gene multi-kinetic.

    Parameters
    ----------
    beta, gamma, unspliced, spliced
        Rates and moments, shape ``(n_cells, n_genes)``.
    groups
        Group of every cell; groups of fewer than 5 cells are left out.

    Returns
    -------
    Shape ``(n_genes,)``, 0 or more; 0 with fewer than two groups, NaN for a gene without rates.
    """
    sizes = groups.value_counts()
    members = pd.get_dummies(groups[groups.isin(sizes.index[sizes >= SMALLEST_GROUP])]).reindex(
        groups.index, fill_value=False
    )
    members = members.to_numpy(dtype=np.float32).T
    squares = [_squared_variation(members, rate, rna) for rate, rna in ((beta, unspliced), (gamma, spliced))]
    return np.sqrt(sum(squares))


def _squared_variation(members: np.ndarray, rate: np.ndarray, rna: np.ndarray) -> np.ndarray:
    """Squared coefficient of variation of the groups' mean rates; ``members`` has shape ``(n_groups, n_cells)``."""
    total = members @ rna
    weight = np.divide(total, total.sum(axis=0), out=np.zeros_like(total), where=total.sum(axis=0) > 0)
    mean = np.divide(members @ (rate * rna), total, out=np.zeros_like(total), where=total > 0)
    overall = (weight * mean).sum(axis=0)
    variance = (weight * (mean - overall) ** 2).sum(axis=0)
    # Rates of the published preset can be negative: their size, not their mean, sets the scale.
    scale = (weight * np.abs(mean)).sum(axis=0)
    variation = np.divide(variance, scale**2, out=np.zeros_like(variance), where=scale > 0)
    return np.where(np.isfinite(rate).all(axis=0), variation, np.nan)
