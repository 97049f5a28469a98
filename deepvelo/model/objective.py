"""The objective: continuity along the candidates (eq. 4 to 6) and direction by correlation (eq. 7).

Both are sums over genes, so they can be computed, and differentiated, one block of genes after another.
"""

from __future__ import annotations

from math import sqrt

import torch
from torch import Tensor

from deepvelo.config import ObjectiveConfig
from deepvelo.model.candidates import TINY


def squared_misses(velocity: Tensor, ahead: Tensor, behind: Tensor) -> Tensor:
    r"""How far the extrapolated cell lands from its future and, run backwards, from its past.

    .. math:: \sum (v - d^+)^2, \qquad \sum (v + d^-)^2

    Cui et al. 2022, eq. 4 to 6.

    Parameters
    ----------
    velocity, ahead, behind
        Velocity and mean differences to the future and past candidates, shape ``(n_cells, n_genes)``.

    Returns
    -------
    Both, summed over cells and genes; shape ``(2,)``.
    """
    return torch.stack([(velocity - ahead).square().sum(), (velocity + behind).square().sum()])


class Correlation:
    r"""Correlation over cells of a velocity with a fixed abundance, per gene, where the abundance is above zero.

    Both are centred on those cells; :math:`10^{-9}` inside each root, as in the released code, keeps constant
    genes at 0.

    Parameters
    ----------
    abundance
        ``Mu`` or ``Ms``, shape ``(n_cells, n_genes)``.
    """

    def __init__(self, abundance: Tensor) -> None:
        # Numbers, not booleans: multiplying is twice as fast as choosing.
        self._present = (abundance > 0).to(abundance.dtype)
        self._n_present = self._present.sum(0).clamp_min(1)
        centred = self._centred(abundance)
        self._unit = centred / (centred.square().sum(0) + TINY).sqrt()

    def __call__(self, velocity: Tensor) -> Tensor:
        """Correlations, shape ``(n_genes,)``, for a velocity of shape ``(n_cells, n_genes)``."""
        centred = self._centred(velocity)
        return (centred * self._unit).sum(0) / (centred.square().sum(0) + TINY).sqrt()

    def _centred(self, values: Tensor) -> Tensor:
        values = values * self._present
        return values - values.sum(0) / self._n_present * self._present


def direction_loss(pearson: Tensor, config: ObjectiveConfig) -> Tensor:
    r"""Eq. 7, scaled to lie between 0 and 2.

    .. math:: \frac{\lambda_u (1 - r_u) + \lambda_s (1 - r_s)}{\lambda_u + \lambda_s}

    with :math:`r_u = corr(v, u)` and :math:`r_s = corr(v, -s)`, means over genes. With both weights 0, it is 0.

    Parameters
    ----------
    pearson
        :math:`(r_u, r_s)`, shape ``(2,)``.
    """
    weights = torch.tensor([config.lambda_u, config.lambda_s]).to(pearson)
    return (weights * (1 - pearson)).sum() / weights.sum().clamp_min(TINY)


def direction_weight(
    direction: float, *, n_columns: int, share_done: float, config: ObjectiveConfig
) -> float:
    """Weight of the direction term against continuity in one epoch.

    Parameters
    ----------
    direction
        This epoch's `direction_loss`; the published schedule depends on it.
    n_columns
        Columns of the state: genes, or twice as many with unspliced velocity.
    share_done
        Share of the epochs that lie behind, 0 to 1.
    """
    if config.direction_schedule == "published":
        return config.direction_weight * sqrt(n_columns) / min(0.5, max(0.01, 1 - direction))
    return config.direction_weight * max(0.0, 1 - share_done / config.direction_until)
