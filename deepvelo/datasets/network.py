"""A gene regulatory network after SERGIO (Dibaeinia & Sinha 2020, Cell Systems 11:252)."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Final

import numpy as np
from scipy.integrate import solve_ivp
from scipy.sparse import csr_matrix

from deepvelo.datasets.genes import LEVEL_LIMIT, draw_splicing
from deepvelo.datasets.kinetics import FloatArray, IntArray, States
from deepvelo.datasets.tissue import Tissue

HILL: Final = 2.0  # coefficient of all Hill functions, the usual value in SERGIO
MOLECULES: Final = 200.0  # mean spliced molecules per gene in a typical cell
_MAX_REGULATORS: Final = 3
_MAX_MASTERS: Final = 10


@dataclass(frozen=True)
class Network:
    """A gene regulatory network; genes are ordered with regulators before targets, master regulators first.

    A master regulator is transcribed at the rate set by the cell's programme. Every other gene is transcribed at the sum
    over its regulators of ``K h(x)`` (activation) or ``K (1 - h(x))`` (repression), with the Hill function
    ``h(x) = x^n / (k^n + x^n)`` of the regulator's spliced RNA x. RNA is counted in molecules per cell.
    """

    masters: FloatArray
    """Transcription of the master regulators by programme, shape ``(n_programmes, n_masters)``."""
    half: FloatArray
    """Half response k of every regulator, shape ``(n_regulators,)``: the mean of its steady states."""
    strength: csr_matrix
    """K, negative for repression, shape ``(n_genes, n_regulators)``; rows of master regulators are empty."""
    beta: FloatArray
    """Shape ``(n_genes,)``."""
    gamma: FloatArray
    """Shape ``(n_genes,)``."""

    @cached_property
    def _unrepressed(self) -> FloatArray:
        """Sum of K over a gene's repressors, shape ``(n_genes, 1)``."""
        return np.asarray(-self.strength.minimum(0).sum(axis=1))

    def transcription(self, s: FloatArray, programme: int) -> FloatArray:
        """Compute alpha of every gene, shape ``(n_genes, n_cells)``, for cells with the same programme.

        Parameters
        ----------
        s
            Spliced RNA, shape ``(n_genes, n_cells)``; below 0 counts as 0.
        programme
            Row of ``masters``.
        """
        alpha = self.strength @ hill(s[: len(self.half)], self.half[:, None]) + self._unrepressed
        n_masters = self.masters.shape[1]
        alpha[:n_masters] = self.masters[programme][:, None]
        return alpha

    def steady_state(self, programme: int) -> FloatArray:
        """Compute the steady-state spliced RNA alpha / gamma of a programme, shape ``(n_genes,)``.

        The network is acyclic, so the iteration converges after at most as many rounds as the longest chain of regulators.
        """
        s: FloatArray = np.zeros((len(self.gamma), 1))
        while True:
            later = self.transcription(s, programme) / self.gamma[:, None]
            if np.array_equal(later, s):
                return s[:, 0]
            s = later


def hill(x: FloatArray, half: FloatArray) -> FloatArray:
    """``x^n / (k^n + x^n)``, with negative x taken as 0; one half if x equals the half response k."""
    power = np.maximum(x, 0.0) ** HILL
    return power / (half**HILL + power)


def schedule(tissue: Tissue, index: int) -> list[tuple[float, int]]:
    """Start times and programmes of a lineage: those of its ancestors' stages first, then its own.

    Programme 0 belongs to the origin, whose steady state cells start from; programme ``1 + i`` belongs to stage i of
    the tissue and starts at the stage's earliest time.
    """
    names = [lineage.name for lineage in tissue.lineages]
    lineage = tissue.lineages[index]
    if lineage.parent is None:
        before = [(-np.inf, 0)]
    else:
        before = [
            entry for entry in schedule(tissue, names.index(lineage.parent)) if entry[0] < lineage.start
        ]
    first = 1 + sum(len(part.stages) for part in tissue.lineages[:index])
    return before + [(stage.time[0], first + number) for number, stage in enumerate(lineage.stages)]


def draw_network(tissue: Tissue, n_genes: int, *, rng: np.random.Generator) -> Network:
    """Draw a random network and its programmes along the tissue's lineages.

    One gene in twenty (3 to 10) is a master regulator and one in eight a regulator. Every other gene has one to three
    regulators, half of them repressors, drawn from preceding regulators. As in SERGIO, K is uniform from 1 to 5 times a
    gene-specific factor, and the half response of a regulator is its mean over the steady states of all programmes. At
    every change of programme, half of the master regulators switch between a high and a low rate.
    """
    n_masters = int(np.clip(n_genes // 20, 3, _MAX_MASTERS))
    n_regulators = max(n_masters, n_genes // 8)
    base = np.minimum(rng.normal(0.0, 1.2, n_genes), LEVEL_LIMIT)
    base[:n_regulators] = np.maximum(base[:n_regulators], 0.0)  # few molecules would regulate by noise
    betas, gammas, _ = draw_splicing(Tissue(tissue.lineages[:1]), base, rng=rng)
    level = np.exp(base) * MOLECULES / np.exp(base).mean()
    masters = _draw_programmes(tissue, level[:n_masters] * gammas[0, :n_masters], rng=rng)
    strength, half = _draw_edges(
        masters, level * gammas[0], gamma=gammas[0], n_regulators=n_regulators, rng=rng
    )
    return Network(masters=masters, half=half, strength=strength, beta=betas[0], gamma=gammas[0])


def _draw_programmes(tissue: Tissue, high: FloatArray, *, rng: np.random.Generator) -> FloatArray:
    """Draw transcription of master regulators, ``(n_programmes, n_masters)``; ``high`` is the rate when on."""
    on = np.zeros((1 + len(tissue.stages), len(high)), dtype=bool)
    on[0] = rng.random(len(high)) < 0.5
    for index in range(len(tissue.lineages)):
        chain = [programme for _, programme in schedule(tissue, index)]
        n_own = len(tissue.lineages[index].stages)
        for before, programme in zip(chain[-n_own - 1 : -1], chain[-n_own:], strict=True):
            switched = rng.permutation(len(high))[: (len(high) + 1) // 2]
            on[programme] = on[before]
            on[programme, switched] ^= True
    low = high * rng.uniform(0.1, 0.3, len(high))
    return np.where(on, high, low)


def _draw_edges(
    masters: FloatArray,
    alpha: FloatArray,
    *,
    gamma: FloatArray,
    n_regulators: int,
    rng: np.random.Generator,
) -> tuple[csr_matrix, FloatArray]:
    """Draw strengths and half responses; ``alpha`` is each gene's mean transcription over the programmes."""
    n_programmes, n_masters = masters.shape
    n_genes = len(alpha)
    rest = np.empty((n_programmes, n_regulators))
    rest[:, :n_masters] = masters / gamma[:n_masters]
    rows, columns, values = [], [], []
    for gene in range(n_masters, n_genes):
        candidates = min(gene, n_regulators)
        regulators = rng.permutation(candidates)[: rng.integers(1, _MAX_REGULATORS + 1)]
        k = rng.uniform(1.0, 5.0, len(regulators))
        activates = rng.random(len(regulators)) < 0.5
        response = hill(rest[:, regulators], rest[:, regulators].mean(axis=0))
        total = np.where(activates, response, 1 - response) @ k
        k *= alpha[gene] / total.mean()
        if gene < n_regulators:
            rest[:, gene] = total * alpha[gene] / total.mean() / gamma[gene]
        rows += [gene] * len(regulators)
        columns += regulators.tolist()
        values += np.where(activates, k, -k).tolist()
    strength = csr_matrix((values, (rows, columns)), shape=(n_genes, n_regulators))
    return strength, rest.mean(axis=0)


def expected_states(
    network: Network, tissue: Tissue, lineage: IntArray, time: FloatArray, *, unspliceable: float = 0.0
) -> tuple[States, FloatArray]:
    """Solve the noise-free system du/dt = alpha(s) - beta u, ds/dt = beta u - gamma s at every cell's time.

    Parameters
    ----------
    lineage, time
        Index of each cell's lineage and its time, shape ``(n_cells,)``.
    unspliceable
        Ratio of never spliced to spliced transcripts; the former are degraded at gamma.

    Returns
    -------
    The states, and the never spliced molecules, shape ``(n_cells, n_genes)``.
    """
    n_genes = len(network.beta)
    found = np.empty((4, len(time), n_genes))  # u, s, unspliceable, alpha
    for index in range(len(tissue.lineages)):
        cells = np.flatnonzero(lineage == index)
        cells = cells[np.argsort(time[cells], kind="stable")]
        found[:, cells] = _integrate(network, schedule(tissue, index), time[cells], unspliceable)
    u, s, never, alpha = found
    gamma, beta = (np.broadcast_to(rate, u.shape) for rate in (network.gamma, network.beta))
    return States(alpha=alpha, beta=beta, gamma=gamma, u=u, s=s), never


def _integrate(
    network: Network, programmes: list[tuple[float, int]], time: FloatArray, unspliceable: float
) -> FloatArray:
    """U, s, unspliceable RNA and alpha at ascending times, shape ``(4, n_times, n_genes)``."""
    beta, gamma = network.beta, network.gamma
    s = network.steady_state(programmes[0][1])
    state = np.concatenate([s * gamma / beta, s, unspliceable * s])

    def drift(_: float, y: FloatArray, programme: int) -> FloatArray:
        u, s, never = y.reshape(3, -1)
        alpha = network.transcription(s[:, None], programme)[:, 0]
        return np.concatenate([alpha - beta * u, beta * u - gamma * s, unspliceable * alpha - gamma * never])

    found = np.empty((4, len(time), len(beta)))
    ends = [begin for begin, _ in programmes[1:]] + [np.inf]
    for (begin, programme), end in zip(programmes, ends, strict=True):
        here = (time >= begin) & (time < end)
        if np.isinf(begin):
            found[:3, here] = state.reshape(3, 1, -1)
        elif here.any() or np.isfinite(end):
            last = end if np.isfinite(end) else time[-1]
            moments, place = np.unique(np.append(time[here], last), return_inverse=True)
            solved = solve_ivp(
                drift, (begin, last), state, method="DOP853", t_eval=moments, rtol=1e-7, atol=1e-6,
                args=(programme,),
            )  # fmt: skip
            found[:3, here] = solved.y[:, place[:-1]].reshape(3, len(beta), -1).swapaxes(1, 2)
            state = solved.y[:, -1]
        found[3, here] = network.transcription(found[1, here].T, programme).T
    return found
