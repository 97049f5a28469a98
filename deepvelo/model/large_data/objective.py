"""The part of the objective that gives velocity its direction, by correlation with the counts (eq. 7)."""

from __future__ import annotations

from math import sqrt

import torch
from torch import Tensor

from deepvelo.config import Variant
from deepvelo.model.assignment.candidates import TINY
from deepvelo.model.large_data.parallel import SINGLE_PROCESS, ProcessGroup

ANNEALED_UNTIL = 0.5  # of the training: the annealed direction term is 0 from there


class Correlation:
    r"""Correlation over cells of a velocity with an abundance, per gene, where the abundance is above zero.

    Both are centred on those cells; :math:`10^{-9}` inside each root, as in the released code, keeps constant
    genes at 0. Everything comes from sums over the cells.

    Parameters
    ----------
    velocity, abundance
        ds/dt, and ``Mu`` or ``Ms``; shape ``(n_cells, n_genes)``.
    mean
        About the mean abundance of each gene, ``(n_genes,)``: taken off first, so that little is lost in rounding.
    group
        The process group whose cells are correlated; by default this process's cells alone.
    """

    def __init__(
        self, velocity: Tensor, abundance: Tensor, *, mean: Tensor, group: ProcessGroup = SINGLE_PROCESS
    ) -> None:
        # Numbers, not booleans: multiplying is twice as fast as choosing.
        self._present = (abundance > 0).to(abundance.dtype)
        self._x = (abundance - mean).mul_(self._present)
        self._v = velocity * self._present
        pairs = (self._x, self._x), (self._v, self._v), (self._x, self._v)
        sums = [x.sum(0) for x in (self._present, self._x, self._v)] + [(a * b).sum(0) for a, b in pairs]
        group.all_reduce(*sums)
        n = sums[0].clamp_min(1)
        self._mean_x, self._mean_v = sums[1] / n, sums[2] / n
        square_x, square_v, product = (
            total - n * mean_a * mean_b
            for total, mean_a, mean_b in zip(
                sums[3:],
                (self._mean_x, self._mean_v, self._mean_x),
                (self._mean_x, self._mean_v, self._mean_v),
                strict=True,
            )
        )
        self._square_v = square_v.clamp_min(0) + TINY
        self._length = ((square_x.clamp_min(0) + TINY) * self._square_v).sqrt()
        self.value = product / self._length

    def gradient(self) -> Tensor:
        """Of each gene's correlation by its velocities, ``(n_cells, n_genes)``."""
        of_x, of_v = 1 / self._length, -self.value / self._square_v
        gradient = self._present * -(of_x * self._mean_x + of_v * self._mean_v)
        return gradient.addcmul_(self._x, of_x).addcmul_(self._v, of_v)


def direction_loss(pearson: Tensor, weights: tuple[float, float]) -> Tensor:
    r"""Eq. 7 as a loss: 0 at perfect correlations, 1 at none, with both weights at their default.

    .. math:: \frac{\lambda_u (1 - r_u) + \lambda_s (1 - r_s)}{2}

    with :math:`r_u = corr(v, u)` and :math:`r_s = corr(v, -s)`, means over genes. The published schedule divides by
    :math:`\lambda_u + \lambda_s` instead of 2, as the released code does.

    Parameters
    ----------
    pearson
        :math:`(r_u, r_s)`, shape ``(2,)``.
    weights
        Of both, `deepvelo.config.Settings.correlation_weights`.
    """
    return (torch.tensor(weights).to(pearson) * (1 - pearson)).sum()


def direction_gradient(
    of_unspliced: Correlation, of_spliced: Correlation, weights: tuple[float, float]
) -> Tensor:
    """Gradient of the `direction_loss` by the velocities of some genes, times the number of all genes.

    Returns
    -------
    Shape ``(n_cells, n_genes)`` of the two correlations.
    """
    weight_u, weight_s = weights
    return of_spliced.gradient().mul_(weight_s) - of_unspliced.gradient().mul_(weight_u)


def direction_weight(direction: float, *, n_columns: int, share_done: float, variant: Variant) -> float:
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
    if variant.direction_schedule == "published":
        return variant.direction_weight * sqrt(n_columns) / min(0.5, max(0.01, 1 - direction))
    return variant.direction_weight * max(0.0, 1 - share_done / ANNEALED_UNTIL)
