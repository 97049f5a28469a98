"""Molecules of single cells under a regulatory network: the chemical Langevin equation (Gillespie 2000)."""

from __future__ import annotations

import itertools
from typing import Final

import numpy as np

from deepvelo.datasets.kinetics import FloatArray, IntArray, advance
from deepvelo.datasets.network import Network, schedule
from deepvelo.datasets.tissue import Tissue

BURST: Final = 1.0  # mean transcripts per burst; steady-state variance of u is 1 + BURST times its mean
STEP: Final = 0.2  # time between evaluations of the network
BURN_IN: Final = 8.0  # time at the steady state of the origin before the first stage
_CELLS_PER_BLOCK: Final = 64  # a block of 2,000 genes fits into the CPU cache


def fluctuating(
    network: Network, tissue: Tissue, lineage: IntArray, time: FloatArray, *, rng: np.random.Generator
) -> tuple[FloatArray, FloatArray]:
    r"""Simulate unspliced and spliced molecules of cells with stochastic transcription, splicing and degradation.

    Every cell is simulated separately from the origin. With :math:`x_+ = \max(x, 0)`,

    .. math::
        du &= (\alpha(s) - \beta u) dt + \sqrt{(1 + 2b) \alpha} dW_1 - \sqrt{\beta u_+} dW_2 \\
        ds &= (\beta u - \gamma s) dt + \sqrt{\beta u_+} dW_2 - \sqrt{\gamma s_+} dW_3

    Transcripts are produced in geometric bursts of mean b = ``BURST``, hence the factor 1 + 2b. SERGIO's noise has
    b = 0 and an independent :math:`W_2` in each equation.

    Parameters
    ----------
    lineage, time
        Index of each cell's lineage and its time, shape ``(n_cells,)``.

    Returns
    -------
    u and s, each ``(n_cells, n_genes)``, non-negative.
    """
    u, s = (np.empty((len(time), len(network.beta))) for _ in range(2))
    for index in range(len(tissue.lineages)):
        cells = np.flatnonzero(lineage == index)
        cells = cells[np.argsort(-time[cells], kind="stable")]
        for first in range(0, len(cells), _CELLS_PER_BLOCK):
            block = cells[first : first + _CELLS_PER_BLOCK]
            u[block], s[block] = _simulate(network, schedule(tissue, index), time[block], rng=rng)
    return np.maximum(u, 0.0), np.maximum(s, 0.0)


def _simulate(
    network: Network, programmes: list[tuple[float, int]], time: FloatArray, *, rng: np.random.Generator
) -> tuple[FloatArray, FloatArray]:
    """Simulate molecules of cells on one lineage at descending times, each ``(n_cells, n_genes)``."""
    s = np.tile(network.steady_state(programmes[0][1])[:, None], len(time))
    u = s * (network.gamma / network.beta)[:, None]
    begins = [programmes[1][0] - BURN_IN] + [begin for begin, _ in programmes[1:]]
    ends = [*begins[1:], max(begins[-1], time[0])]
    for (_, programme), begin, end in zip(programmes, begins, ends, strict=True):
        n_steps = max(1, int(np.ceil((end - begin) / STEP)))
        moments = np.linspace(begin, end, n_steps + 1)
        before = None
        for now, later in itertools.pairwise(moments):
            n_running, n_whole = np.searchsorted(
                -time, [-now, -later]
            )  # cells with times after `now`, and after `later`
            alpha = network.transcription(s[:, :n_running], programme)
            # extrapolated to mid-step: the value at the start would delay regulation by half a step
            middle = alpha if before is None else np.maximum(1.5 * alpha - 0.5 * before[:, :n_running], 0.0)
            before = alpha
            for cells, tau in (
                (slice(n_whole), later - now),
                (slice(n_whole, n_running), (time[n_whole:n_running] - now)),
            ):
                u[:, cells], s[:, cells] = _step(
                    network, u[:, cells], s[:, cells], alpha=middle[:, cells], tau=tau, rng=rng
                )
    return u.T, s.T


def _step(
    network: Network,
    u: FloatArray,
    s: FloatArray,
    *,
    alpha: FloatArray,
    tau: FloatArray,
    rng: np.random.Generator,
) -> tuple[FloatArray, FloatArray]:
    """Advance u and s by ``tau``, with exact means and with noise from the rates at the start of the step.

    The noise in u has the width of an Ornstein-Uhlenbeck process over ``tau``, so the variance of u is right even for
    steps longer than 1 / beta. Transcription noise that no longer remains in u has been spliced into s.
    """
    beta, gamma = (rate[:, None] for rate in (network.beta, network.gamma))
    later_u, later_s = advance(u, s, alpha=alpha, beta=beta, gamma=gamma, tau=tau)
    made, spliced, degraded = rng.standard_normal((3, *u.shape))
    made *= np.sqrt((1 + 2 * BURST) * alpha)
    spliced *= np.sqrt(beta * np.maximum(u, 0.0))
    degraded *= np.sqrt(gamma * np.maximum(s, 0.0))
    width_u, width_s = (np.sqrt(-np.expm1(-2 * rate * tau) / (2 * rate)) for rate in (beta, gamma))
    later_u += width_u * (made - spliced)
    later_s += (np.sqrt(tau) - width_u) * made + width_u * spliced - width_s * degraded
    return later_u, later_s
