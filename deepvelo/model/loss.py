r"""The loss as written in Cui et al. 2022, eq. 3 to 7: plain tensors, gradients by autograd. Read this file first.

To try a new term, set `AUTOGRAD` to True and add the term to `objective`; it then appears in the training curve.
With `AUTOGRAD` False, training minimises the same loss in blocks of genes, with the gradient written out by hand
(`deepvelo.model.large_data.blocks`). Tests compare values and gradients of both.
Rows are cells and columns are genes throughout.
"""

from __future__ import annotations

from math import sqrt

import torch
from torch import Tensor

from deepvelo.config import Variant
from deepvelo.model.assignment.candidates import TINY
from deepvelo.model.assignment.kinetics import spliced_velocity, unspliced_velocity
from deepvelo.model.assignment.targets import Displacements, Pair
from deepvelo.model.gcn import Rates

AUTOGRAD = False
"""Train on this file as it stands, with gradients by autograd: twice the time, and all genes in memory at once."""

ANNEALED_UNTIL = 0.5  # share of the training after which the annealed direction term has no weight

Terms = dict[str, float]
"""The terms of one step or epoch by name.

``continuity_future`` and ``continuity_past`` are L+ and L- (eq. 5 and 6), ``pearson_u`` and ``pearson_s`` the mean
correlations corr(v, u) and corr(v, -s) of eq. 7, ``direction`` is their loss and ``total`` what is minimised.
"""


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
    r"""Eq. 7 as a loss: 0 where velocity rises with unspliced and falls with spliced RNA in every gene.

    .. math:: \frac{\lambda_u (1 - r_u) + \lambda_s (1 - r_s)}{2}

    with :math:`r_u = corr(v, u)` and :math:`r_s = corr(v, -s)`. The published schedule divides by
    :math:`\lambda_u + \lambda_s` instead of 2, as the released code does.

    Parameters
    ----------
    weights
        Of both, divided already: `deepvelo.config.Settings.correlation_weights`.
    """
    return weights[0] * (1 - pearson_u) + weights[1] * (1 - pearson_s)


def direction_weight(direction: float, *, n_columns: int, share_done: float, variant: Variant) -> float:
    """Weight of the direction term against continuity in one step.

    Parameters
    ----------
    direction
        Value of the direction loss when targets were last assigned; the published schedule depends on it.
    n_columns
        Number of velocities a cell: genes, or twice as many with unspliced velocity.
    share_done
        Share of the training that is done, 0 to 1.
    """
    if variant.direction_schedule == "published":
        return variant.direction_weight * sqrt(n_columns) / min(0.5, max(0.01, 1 - direction))
    return variant.direction_weight * max(0.0, 1 - share_done / ANNEALED_UNTIL)


def objective(
    rates: Rates,
    unspliced: Tensor,
    spliced: Tensor,
    targets: Pair,
    *,
    weights: tuple[float, float],
    weight: float,
) -> dict[str, Tensor]:
    """The terms by name, `Terms` as tensors; ``total`` is minimised.

    Parameters
    ----------
    rates
        Of every cell and gene, per unit time.
    unspliced, spliced
        ``Mu`` and ``Ms``, normalised counts, ``(n_cells, n_genes)``.
    targets
        Mean displacements of spliced and of unspliced RNA. Rates whose alpha is NaN have no unspliced velocity, and
        displacements of unspliced RNA are then not used.
    weights
        Of both correlations, `deepvelo.config.Settings.correlation_weights`.
    weight
        Of the direction term, `direction_weight`.

    Examples
    --------
    One gene in two cells, of which the first moves to the second and stays:

    >>> u, s = torch.tensor([[2.0], [1.0]]), torch.tensor([[1.0], [2.0]])
    >>> rates = Rates(torch.full((2, 1), torch.nan), *torch.ones(2, 2, 1))
    >>> ahead = torch.tensor([[1.0], [0.0]])
    >>> sides = Displacements(ahead, -ahead)
    >>> terms = objective(rates, u, s, Pair(sides, sides), weights=(0.5, 0.5), weight=0.0)
    >>> float(terms["continuity_future"])
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
    terms = {
        "continuity_future": future,
        "continuity_past": past,
        "pearson_u": pearson_u,
        "pearson_s": pearson_s,
        "direction": direction(pearson_u, pearson_s, weights),
    }
    # A new term goes here: terms["name"] = ...; then add it to the total.
    return terms | {"total": future + past + weight * terms["direction"]}
