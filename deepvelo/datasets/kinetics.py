"""Eq. 1 integrated exactly: transcription switches between constant rates, so every piece has a closed form."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import exprel

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]


@dataclass(frozen=True)
class States:
    """Rates and RNA of cells at their time, each of shape ``(n_cells, n_genes)``.

    ``u`` and ``s`` are molecules per cell, ``alpha`` molecules per unit time, ``beta`` and ``gamma`` per
    unit time.
    """

    alpha: FloatArray
    beta: FloatArray
    gamma: FloatArray
    u: FloatArray
    s: FloatArray

    @property
    def du(self) -> FloatArray:
        """du/dt = alpha - beta u (Eq. 1), molecules per unit time."""
        return self.alpha - self.beta * self.u

    @property
    def ds(self) -> FloatArray:
        """ds/dt = beta u - gamma s (Eq. 1), molecules per unit time."""
        return self.beta * self.u - self.gamma * self.s


@dataclass(frozen=True)
class Kinetics:
    """The rates of every gene on every lineage, from which its RNA at any time follows.

    A lineage has up to ``n_pieces`` pieces of constant alpha; ``knots`` are the times they begin at.
    The first knot is the lineage's start, and infinity marks a piece that is not used.
    """

    knots: FloatArray
    """Shape ``(n_lineages, n_pieces, n_genes)``, ascending along the pieces."""
    alpha: FloatArray
    """Shape ``(n_lineages, n_pieces, n_genes)``."""
    beta: FloatArray
    """Shape ``(n_lineages, n_genes)``."""
    gamma: FloatArray
    """Shape ``(n_lineages, n_genes)``."""
    u0: FloatArray
    """Unspliced RNA at the lineage's start, shape ``(n_lineages, n_genes)``."""
    s0: FloatArray
    """Spliced RNA at the lineage's start, shape ``(n_lineages, n_genes)``."""

    def at(self, lineage: IntArray, time: FloatArray) -> States:
        """Rates and RNA of cells on given lineages at given times.

        Parameters
        ----------
        lineage, time
            Index of each cell's lineage and its time, shape ``(n_cells,)``. A time before the
            lineage's start gives the state at its start.
        """
        knots, alphas = self.knots[lineage], self.alpha[lineage]
        beta, gamma = self.beta[lineage], self.gamma[lineage]
        u, s, alpha = self.u0[lineage], self.s0[lineage], alphas[:, 0]
        moment = time[:, None]
        for piece in range(knots.shape[1]):
            begin = knots[:, piece]
            stop = knots[:, piece + 1] if piece + 1 < knots.shape[1] else np.inf
            # a piece not reached yet lasts no time, which leaves u and s as they are
            tau = np.clip(np.minimum(moment, stop) - begin, 0.0, None)
            u, s = advance(u, s, alpha=alphas[:, piece], beta=beta, gamma=gamma, tau=tau)
            alpha = np.where(moment >= begin, alphas[:, piece], alpha)
        return States(alpha=alpha, beta=beta, gamma=gamma, u=u, s=s)


def advance(
    u: FloatArray, s: FloatArray, *, alpha: FloatArray, beta: FloatArray, gamma: FloatArray, tau: FloatArray
) -> tuple[FloatArray, FloatArray]:
    r"""Unspliced and spliced RNA after ``tau`` at constant rates: the solution of Eq. 1.

    .. math::
        u(\tau) &= \alpha/\beta + (u - \alpha/\beta) e^{-\beta\tau} \\
        s(\tau) &= \alpha/\gamma + (s - \alpha/\gamma) e^{-\gamma\tau}
                   + (\alpha - \beta u) \frac{e^{-\gamma\tau} - e^{-\beta\tau}}{\gamma - \beta}

    All arguments broadcast to ``(n_cells, n_genes)``; the last fraction is taken so that ``beta = gamma``
    and long times are exact too.
    """
    slower, gap = np.minimum(beta, gamma), np.abs(beta - gamma)
    fraction = -tau * np.exp(-slower * tau) * exprel(-gap * tau)
    u_rest, s_rest = alpha / beta, alpha / gamma
    u_later = u_rest + (u - u_rest) * np.exp(-beta * tau)
    s_later = s_rest + (s - s_rest) * np.exp(-gamma * tau) + (alpha - beta * u) * fraction
    return u_later, s_later
