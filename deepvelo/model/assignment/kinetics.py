"""Eq. 1 and 3: velocities from rates, rates from velocities, and steady-state slopes."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from deepvelo.arrays.on_disk import Columns

# Relative to the product of mean squares; regularises nearly proportional u and s, also against float32 rounding.
RIDGE = 1e-5
_BLOCK_GENES, _BLOCK_NUMBERS = 128, 2**24  # block sizes of the search for extreme cells


def spliced_velocity(unspliced: Tensor, spliced: Tensor, *, beta: Tensor, gamma: Tensor) -> Tensor:
    r"""Velocity of spliced RNA in every cell and gene.

    .. math:: v = \beta u - \gamma s

    Cui et al. 2022 (ICML Workshop on Computational Biology), eq. 3.

    Parameters
    ----------
    unspliced, spliced
        ``Mu`` and ``Ms``, shape ``(n_cells, n_genes)``, normalised counts.
    beta, gamma
        Rates, same shape, per unit time. Time has no physical unit.

    Returns
    -------
    Shape ``(n_cells, n_genes)``, normalised counts per unit time.
    """
    return beta * unspliced - gamma * spliced


def unspliced_velocity(unspliced: Tensor, *, alpha: Tensor, beta: Tensor) -> Tensor:
    r"""Velocity of unspliced RNA, :math:`\alpha - \beta u` (eq. 1); shapes and units as in `spliced_velocity`."""
    return alpha - beta * unspliced


def steady_state_slope(unspliced: Columns, spliced: Columns, *, extreme: float = 0.05) -> Tensor:
    r"""Compute the slope of u on s through the origin, over each gene's extreme cells: its :math:`\gamma / \beta`.

    Extreme cells, in the top and bottom 5% of ``s / max s + u / max u``, are most likely to be at steady state
    (La Manno et al. 2018, Nature; Bergen et al. 2020, Nature Biotechnology).

    Parameters
    ----------
    unspliced, spliced
        Shape ``(n_cells, n_genes)``.
    extreme
        Share of the cells taken at each extreme; at least one cell.

    Returns
    -------
    Shape ``(n_genes,)``, clipped to 0.01 .. 20.
    """
    n_extreme = max(1, round(extreme * len(spliced)))
    tiny = torch.finfo(spliced.dtype).tiny
    slopes = []
    n_genes = min(_BLOCK_GENES, max(1, _BLOCK_NUMBERS // len(spliced)))
    # In blocks of genes, with genes in rows, so that the cells of a gene are contiguous in memory.
    for start in range(0, spliced.shape[1], n_genes):
        s, u = (x[:, start : start + n_genes].T.contiguous() for x in (spliced, unspliced))
        scale_s, scale_u = (x.amax(1, keepdim=True).clamp_min(tiny) for x in (s, u))
        expression = s / scale_s + u / scale_u
        cells = torch.cat(
            [expression.topk(n_extreme, largest=top, sorted=False).indices for top in (False, True)], dim=1
        )
        s, u = s.gather(1, cells), u.gather(1, cells)
        slopes.append((s * u).sum(1) / (s * s).sum(1).clamp_min(tiny))
    return torch.cat(slopes).clamp(0.01, 20.0)


Squares = tuple[Tensor, ...]  # means of u u, u s and s s


class SharedRates:
    r"""Non-negative beta and gamma that best fit the velocities in each cell's neighbourhood.

    .. math:: \min_{\beta, \gamma \ge 0} \sum_{j \in S(i)} (v_j - \beta u_j + \gamma s_j)^2

    for the neighbourhood S(i) of every cell and separately for every gene: eq. 3 with neighbourhood rates. Computed in
    double precision: u and s are nearly proportional, and only their small difference separates beta from gamma.

    Parameters
    ----------
    velocity, unspliced, spliced
        Shape ``(n_cells, n_genes)``.
    mean
        Function that returns the mean over the neighbourhood of every cell, float64 of that shape.
    squares
        Results of the method `squares`, if already known.
    """

    def __init__(
        self,
        velocity: Tensor,
        unspliced: Tensor,
        spliced: Tensor,
        *,
        mean: Callable[[Tensor], Tensor],
        squares: Squares | None = None,
    ) -> None:
        velocity, unspliced, spliced = velocity.double(), unspliced.double(), spliced.double()
        self._uu, self._us, self._ss = squares or self.squares(unspliced, spliced, mean=mean)
        self._uv, self._sv = mean(unspliced * velocity), -mean(spliced * velocity)

    @staticmethod
    def squares(unspliced: Tensor, spliced: Tensor, *, mean: Callable[[Tensor], Tensor]) -> Squares:
        """Means of u u, u s and s s, which do not depend on velocities."""
        unspliced, spliced = unspliced.double(), spliced.double()
        return mean(unspliced * unspliced), mean(unspliced * spliced), mean(spliced * spliced)

    def rates(self) -> tuple[Tensor, Tensor]:
        """Beta and gamma, float64, shape ``(n_cells, n_genes)`` each."""
        return non_negative_fit(self._uu, -self._us, self._ss, self._uv, self._sv)


def non_negative_fit(xx: Tensor, xy: Tensor, yy: Tensor, xv: Tensor, yv: Tensor) -> tuple[Tensor, Tensor]:
    r"""The a and b of :math:`\min_{a, b \ge 0} \sum (v - a x - b y)^2`, from sums or means of products; any shape.

    Needs double precision, because x and y are nearly proportional.
    """
    tiny = torch.finfo(xv.dtype).tiny
    # The ridge keeps the system solvable if x and y are nearly proportional.
    determinant = (1 + RIDGE) * xx * yy - xy * xy + tiny
    a, b = (xv * yy - yv * xy) / determinant, (yv * xx - xv * xy) / determinant
    # If one would be negative, it is 0 and the other is fitted alone; the better fit is kept.
    a_alone, b_alone = xv.clamp_min(0) / (xx + tiny), yv.clamp_min(0) / (yy + tiny)
    first = a_alone * xv >= b_alone * yv
    both = (a >= 0) & (b >= 0)
    a = torch.where(both, a, torch.where(first, a_alone, 0))
    b = torch.where(both, b, torch.where(first, 0, b_alone))
    return a, b
