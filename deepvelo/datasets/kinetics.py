"""Exact solution of eq. 1 for transcription that switches between constant rates: a closed form for each piece."""

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
    """Rates of every gene on every lineage, which determine its RNA at any time.

    A lineage has up to ``n_pieces`` pieces of constant alpha; ``knots`` are their start times. The first
    knot is the start of the lineage, and infinity marks an unused piece.
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
        """Compute rates and RNA of cells on given lineages at given times.

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
            # tau is 0 for pieces not reached yet, which leaves u and s unchanged
            tau = np.clip(np.minimum(moment, stop) - begin, 0.0, None)
            u, s = advance(u, s, alpha=alphas[:, piece], beta=beta, gamma=gamma, tau=tau)
            alpha = np.where(moment >= begin, alphas[:, piece], alpha)
        return States(alpha=alpha, beta=beta, gamma=gamma, u=u, s=s)


def advance(
    u: FloatArray, s: FloatArray, *, alpha: FloatArray, beta: FloatArray, gamma: FloatArray, tau: FloatArray
) -> tuple[FloatArray, FloatArray]:
    r"""Compute unspliced and spliced RNA after ``tau`` at constant rates, the solution of eq. 1.

    .. math::
        u(\tau) &= \alpha/\beta + (u - \alpha/\beta) e^{-\beta\tau} \\
        s(\tau) &= \alpha/\gamma + (s - \alpha/\gamma) e^{-\gamma\tau}
                   + (\alpha - \beta u) \frac{e^{-\gamma\tau} - e^{-\beta\tau}}{\gamma - \beta}

    All arguments broadcast to ``(n_cells, n_genes)``; the last fraction is computed in a form that is also exact
    for ``beta = gamma`` and for long times.
    """
    slower, gap = np.minimum(beta, gamma), np.abs(beta - gamma)
    fraction = -tau * np.exp(-slower * tau) * exprel(-gap * tau)
    u_rest, s_rest = alpha / beta, alpha / gamma
    u_later = u_rest + (u - u_rest) * np.exp(-beta * tau)
    s_later = s_rest + (s - s_rest) * np.exp(-gamma * tau) + (alpha - beta * u) * fraction
    return u_later, s_later
