"""Correlations of velocity with counts (eq. 7) from sums over cells, and the gradient of the direction loss."""

from __future__ import annotations

from torch import Tensor

from deepvelo.model.assignment.candidates import TINY
from deepvelo.model.large_data.parallel import SINGLE_PROCESS, ProcessGroup


class Correlation:
    r"""Correlation over cells of a velocity with an abundance, per gene, where the abundance is above zero.

    Both are centred over those cells. As in the released code, :math:`10^{-9}` inside each root keeps constant genes
    at 0. Everything is computed from sums over the cells.

    Parameters
    ----------
    velocity, abundance
        ds/dt, and ``Mu`` or ``Ms``; shape ``(n_cells, n_genes)``.
    mean
        Approximate mean abundance of each gene, ``(n_genes,)``: subtracted first, against rounding.
    group
        The process group whose cells are correlated; by default this process's cells alone.
    """

    def __init__(
        self, velocity: Tensor, abundance: Tensor, *, mean: Tensor, group: ProcessGroup = SINGLE_PROCESS
    ) -> None:
        # Numbers, not booleans: multiplying is twice as fast as selecting.
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
        """Gradient of each gene's correlation by its velocities, ``(n_cells, n_genes)``."""
        of_x, of_v = 1 / self._length, -self.value / self._square_v
        gradient = self._present * -(of_x * self._mean_x + of_v * self._mean_v)
        return gradient.addcmul_(self._x, of_x).addcmul_(self._v, of_v)


def direction_gradient(
    of_unspliced: Correlation, of_spliced: Correlation, weights: tuple[float, float]
) -> Tensor:
    """Gradient of `deepvelo.model.loss.direction` by the velocities of some genes, times the number of all genes.

    Returns
    -------
    Shape ``(n_cells, n_genes)`` of the two correlations.
    """
    weight_u, weight_s = weights
    return of_spliced.gradient().mul_(weight_s) - of_unspliced.gradient().mul_(weight_u)
