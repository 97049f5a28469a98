r"""The objective as it is written, in plain tensors with gradients by autograd (Cui et al. 2022, eq. 3 to 7).

Read this file first, and try a new term here. Training minimises the same objective in blocks of genes, with its gradient
written out (`deepvelo.model.large_data.blocks`); the tests of both hold their values and gradients together.
Cells are rows and genes are columns throughout.
"""

from __future__ import annotations

from math import sqrt
from typing import NamedTuple

import torch
from torch import Tensor

from deepvelo.model.assignment.candidates import TINY
from deepvelo.model.assignment.kinetics import spliced_velocity, unspliced_velocity
from deepvelo.model.assignment.targets import Displacements, Pair
from deepvelo.model.gcn import Rates


class Terms(NamedTuple):
    """The terms of one step or epoch.

    continuity_future and continuity_past are L+ and L- (eq. 5 and 6), pearson_u and pearson_s the mean
    correlations corr(v, u) and corr(v, -s) of eq. 7, direction their loss, total what was minimised.
    """

    continuity_future: float
    continuity_past: float
    pearson_u: float
    pearson_s: float
    direction: float
    total: float


def continuity(velocity: Tensor, sides: Displacements) -> tuple[Tensor, Tensor]:
    r"""How far cells land from their future, and run backwards from their past: means of squares (eq. 5 and 6).

    .. math:: L^\pm = \mathrm{mean} (v \mp d^\pm)^2

    with the mean displacements :math:`d^+` ahead and :math:`d^-` behind.
    """
    return (velocity - sides.ahead).square().mean(), (velocity + sides.behind).square().mean()


def correlation(velocity: Tensor, abundance: Tensor) -> Tensor:
    """Pearson correlation over the cells that have the transcript, mean over genes."""
    present = abundance > 0
    n = present.sum(0).clamp_min(1)
    x, y = ((values - (values * present).sum(0) / n) * present for values in (abundance, velocity))
    lengths = ((x.square().sum(0) + TINY) * (y.square().sum(0) + TINY)).sqrt()
    return ((x * y).sum(0) / lengths).mean()


def direction(pearson_u: Tensor, pearson_s: Tensor, weights: tuple[float, float]) -> Tensor:
    """Eq. 7 as a loss: 0 where velocity rises with unspliced and falls with spliced RNA in every gene."""
    return weights[0] * (1 - pearson_u) + weights[1] * (1 - pearson_s)


def objective(
    rates: Rates,
    unspliced: Tensor,
    spliced: Tensor,
    targets: Pair,
    *,
    weights: tuple[float, float],
    weight: float,
) -> tuple[Tensor, Terms]:
    """The total, which has a gradient, and its terms.

    Parameters
    ----------
    rates
        Of every cell and gene, per unit time.
    unspliced, spliced
        ``Mu`` and ``Ms``, normalised counts, ``(n_cells, n_genes)``.
    targets
        Mean displacements of spliced and of unspliced RNA. Rates whose alpha is NaN have no unspliced velocity, and the
        latter are left out.
    weights
        Of both correlations, `deepvelo.config.Settings.correlation_weights`.
    weight
        Of the direction term, `deepvelo.model.large_data.objective.direction_weight`.

    Examples
    --------
    One gene in two cells, of which the first moves to the second and stays:

    >>> u, s = torch.tensor([[2.0], [1.0]]), torch.tensor([[1.0], [2.0]])
    >>> rates = Rates(torch.full((2, 1), torch.nan), *torch.ones(2, 2, 1))
    >>> ahead = torch.tensor([[1.0], [0.0]])
    >>> sides = Displacements(ahead, -ahead)
    >>> total, terms = objective(rates, u, s, Pair(sides, sides), weights=(0.5, 0.5), weight=0.0)
    >>> terms.continuity_future
    0.25
    """
    velocity = spliced_velocity(unspliced, spliced, beta=rates.beta, gamma=rates.gamma)
    velocities, sides = velocity, targets.spliced
    if not rates.alpha.isnan().all():
        of_unspliced = unspliced_velocity(unspliced, alpha=rates.alpha, beta=rates.beta)
        velocities = torch.cat([velocity, of_unspliced], dim=1)
        sides = Displacements(*(torch.cat(both, dim=1) for both in zip(*targets, strict=True)))
    scale = sqrt(velocity.shape[1]) / 2  # the released code's
    future, past = (scale * term for term in continuity(velocities, sides))
    pearson_u, pearson_s = correlation(velocity, unspliced), -correlation(velocity, spliced)
    of_direction = direction(pearson_u, pearson_s, weights)
    total = future + past + weight * of_direction
    return total, Terms(*(x.item() for x in (future, past, pearson_u, pearson_s, of_direction, total)))
