"""Which genes are spliced and degraded differently in different groups of cells."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from deepvelo.arrays.layers import gene_blocks, known_genes

if TYPE_CHECKING:
    from deepvelo.arrays.layers import Layer

# The mean of fewer cells is chance.
SMALLEST_GROUP = 5
# Bounds of gamma / beta, those of the steady-state start: outside them a group's sums are mostly noise.
LOWEST, HIGHEST = 0.01, 20.0


def multikinetic_score(unspliced: Layer, spliced: Layer, velocity: Layer, *, groups: pd.Series) -> np.ndarray:
    r"""How much a gene's ratio of degradation to splicing differs between cell groups.

    With the sums U, S, V of a group's unspliced and spliced RNA and velocities, Eq. 3 gives the group's ratio

    .. math:: r_k = \gamma_k / \beta_k = (U_k - c V_k) / S_k, \qquad c = 1 / \beta,

    where c is one number for all genes, since time has no unit: the one that leaves the least difference
    between groups, as a weighted median over genes. The score is the standard deviation over groups of
    :math:`\log r_k`, groups weighing by S, beyond what counting noise explains (variance :math:`1/U_k + 1/S_k`).
    alpha is left out: transcription changes along every lineage, which does not make a gene multi-kinetic.

    Parameters
    ----------
    unspliced, spliced
        Moments, about as large as counts, shape ``(n_cells, n_genes)``, in memory or on disk.
    velocity
        ds/dt, same shape; a gene without velocity is NaN.
    groups
        Group of every cell; groups of fewer than 5 cells are left out.

    Returns
    -------
    Shape ``(n_genes,)``, 0 or more; 0 with fewer than two groups, NaN for a gene without velocity.
    """
    sizes = groups.value_counts()
    members = pd.get_dummies(groups[groups.isin(sizes.index[sizes >= SMALLEST_GROUP])]).reindex(
        groups.index, fill_value=False
    )
    members = members.to_numpy(dtype=np.float32).T
    known = known_genes(velocity)
    if len(members) < 2:
        return np.where(known, 0.0, np.nan)
    u, s, v = (_sums(members, layer, known) for layer in (unspliced, spliced, velocity))
    weight = s / np.maximum(s.sum(axis=0), np.finfo(np.float32).tiny)
    s_positive = np.maximum(s, np.finfo(np.float32).tiny)
    flow, ratio = (np.where(s > 0, x / s_positive, 0.0) for x in (v, u))
    log_ratio = np.log(np.clip(ratio - _time_unit(flow, ratio, weight) * flow, LOWEST, HIGHEST))
    noise = 1 / np.maximum(u, 1) + 1 / np.maximum(s, 1)
    variance = _variance(log_ratio, weight) - (weight * noise).sum(axis=0)
    return np.where(known, np.sqrt(np.maximum(variance, 0.0)), np.nan)


def _sums(members: np.ndarray, layer: Layer, known: np.ndarray) -> np.ndarray:
    """Sums over the cells of each group, ``(n_groups, n_genes)``; 0 in genes without velocity."""
    sums = np.empty((len(members), layer.shape[1]), dtype=np.result_type(members, layer.dtype))
    for genes in gene_blocks(layer):
        sums[:, genes] = members @ np.where(known[genes], layer[:, genes], 0)
    return sums


def _variance(values: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """Weighted variance over the groups, the first axis."""
    return np.asarray((weight * (values - (weight * values).sum(axis=0)) ** 2).sum(axis=0))


def _time_unit(flow: np.ndarray, ratio: np.ndarray, weight: np.ndarray) -> float:
    """The factor of V / S that explains best how U / S differs between groups, the median over genes; 0 or more."""
    flow, ratio = (values - (weight * values).sum(axis=0) for values in (flow, ratio))
    spread = (weight * flow**2).sum(axis=0)
    moving = spread > 0
    if not moving.any():
        return 0.0
    slope = (weight * flow * ratio).sum(axis=0)[moving] / spread[moving]
    order = np.argsort(slope)
    cumulated = np.cumsum(spread[moving][order])
    return max(0.0, float(slope[order][np.searchsorted(cumulated, cumulated[-1] / 2)]))
