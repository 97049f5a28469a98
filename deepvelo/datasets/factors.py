"""Rates as functions of latent factors, after SymSim (Zhang et al. 2019) and VeloSim (Zhang & Zhang 2021).

Extrinsic variability factors (EVFs) describe a cell; a gene's kinetic parameters are functions of them with sparse
random weights. Factors that differ between cell types follow Brownian motion along the tree of lineages, and each cell
takes their values at its time. The other factors are drawn for each cell.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from deepvelo.datasets.genes import CELL_TOTAL, LEVEL_LIMIT, BoolArray, draw_splicing
from deepvelo.datasets.kinetics import FloatArray, IntArray, States, advance
from deepvelo.datasets.tissue import Tissue

N_FACTORS: Final = 10  # factors that diffuse along the tree
N_OWN: Final = 5  # factors drawn for each cell
STEP: Final = 0.1  # time during which rates are constant
EFFECT: Final = 0.3  # share of non-zero weights, as in SymSim
DIFFUSION: Final = 0.15  # variance of a factor per unit time
OWN_SPREAD: Final = 0.2  # standard deviation of a cell's own factors
OF_SPLICING: Final = 0.3  # weights for log beta and log gamma, relative to those for log alpha


@dataclass(frozen=True)
class Paths:
    """Exact solution of eq. 1 with piecewise constant rates, at any time.

    All lineages have the same number of steps; steps after the end of a lineage are unused.
    """

    start: FloatArray
    """Start time of every lineage, shape ``(n_lineages,)``."""
    alpha: FloatArray
    """Shape ``(n_lineages, n_steps, n_genes)``; beta and gamma likewise."""
    beta: FloatArray
    gamma: FloatArray
    u: FloatArray
    """Unspliced RNA at the start of every step, shape ``(n_lineages, n_steps, n_genes)``; s likewise."""
    s: FloatArray

    def at(self, lineage: IntArray, time: FloatArray) -> States:
        """Rates and RNA of cells on given lineages at given times, both ``(n_cells,)``."""
        since = time - self.start[lineage]
        step = np.clip(np.floor(since / STEP).astype(int), 0, self.alpha.shape[1] - 1)
        alpha, beta, gamma, u, s = (
            values[lineage, step] for values in (self.alpha, self.beta, self.gamma, self.u, self.s)
        )
        tau = np.maximum(since - step * STEP, 0.0)[:, None]
        u, s = advance(u, s, alpha=alpha, beta=beta, gamma=gamma, tau=tau)
        return States(alpha=alpha, beta=beta, gamma=gamma, u=u, s=s)


def integrate(tissue: Tissue, *, alpha: FloatArray, beta: FloatArray, gamma: FloatArray) -> Paths:
    """Integrate from the steady state at every root, and from the parent's RNA at every branch.

    Parameters
    ----------
    alpha, beta, gamma
        Shape ``(n_lineages, n_steps, n_genes)``.
    """
    u, s = np.empty_like(alpha), np.empty_like(alpha)
    names = [lineage.name for lineage in tissue.lineages]
    start = np.array([lineage.start for lineage in tissue.lineages])
    paths = Paths(start=start, alpha=alpha, beta=beta, gamma=gamma, u=u, s=s)
    for index, lineage in enumerate(tissue.lineages):
        if lineage.parent is None:
            u[index, 0], s[index, 0] = alpha[index, 0] / beta[index, 0], alpha[index, 0] / gamma[index, 0]
        else:
            # arrays are filled in place, so a branch reads the values of its parent set here
            parent = paths.at(np.array([names.index(lineage.parent)]), np.array([lineage.start]))
            u[index, 0], s[index, 0] = parent.u[0], parent.s[0]
        for step in range(alpha.shape[1] - 1):
            u[index, step + 1], s[index, step + 1] = advance(
                u[index, step], s[index, step], alpha=alpha[index, step], beta=beta[index, step],
                gamma=gamma[index, step], tau=np.array(STEP),
            )  # fmt: skip
    return paths


@dataclass(frozen=True)
class Factors:
    """Kinetics of the genes, as determined by the factors."""

    paths: Paths
    """Paths of a cell whose own factors are 0."""
    own: FloatArray
    """Weights of a cell's own factors for log alpha, shape ``(N_OWN, n_genes)``; constant in time."""
    rates_differ: BoolArray
    """Whether factors change the gene's beta or gamma, shape ``(n_genes,)``."""


def draw_factors(tissue: Tissue, n_genes: int, *, rng: np.random.Generator) -> Factors:
    """Draw factors along the tree and their weights.

    Log alpha, log beta and log gamma are linear in the factors. SymSim maps such sums to the quantiles of parameters
    fitted to real cells, so that every cell has the same distribution of parameters over genes. Here, half the variance
    is subtracted from log alpha, which preserves the mean of alpha.
    """
    base = np.minimum(rng.normal(0.0, 1.2, n_genes), LEVEL_LIMIT)
    level = np.exp(base) * CELL_TOTAL / np.exp(base).sum()
    betas, gammas, _ = draw_splicing(Tissue(tissue.lineages[:1]), base, rng=rng)
    factors, elapsed = diffuse(tissue, rng=rng)

    of_alpha = draw_weights(N_FACTORS, n_genes, rng=rng)
    differ = rng.random(n_genes) < 0.5
    of_beta, of_gamma = (
        np.where(differ, OF_SPLICING * draw_weights(N_FACTORS, n_genes, rng=rng), 0.0) for _ in range(2)
    )
    drift = DIFFUSION * elapsed[..., None] * (of_alpha**2).sum(axis=0) / 2
    paths = integrate(
        tissue,
        alpha=level * gammas[0] * np.exp(factors @ of_alpha - drift),
        beta=betas[0] * np.exp(factors @ of_beta),
        gamma=gammas[0] * np.exp(factors @ of_gamma),
    )
    changed = ((of_beta != 0) | (of_gamma != 0)).any(axis=0)
    return Factors(paths=paths, own=draw_weights(N_OWN, n_genes, rng=rng), rates_differ=changed)


def draw_weights(n_factors: int, n_genes: int, *, rng: np.random.Generator) -> FloatArray:
    """Draw the weights of factors for a parameter of each gene, ``(n_factors, n_genes)``; columns have norm 1 or 0.

    Unit norm gives the parameters of all genes the same spread over cells, as SymSim's quantile mapping does.
    """
    drawn = rng.normal(0.0, 1.0, (n_factors, n_genes))
    drawn = np.where(rng.random(drawn.shape) < EFFECT, drawn, 0.0)
    length = np.linalg.norm(drawn, axis=0)
    return np.divide(drawn, length, out=drawn, where=length > 0)


def diffuse(tissue: Tissue, *, rng: np.random.Generator) -> tuple[FloatArray, FloatArray]:
    """Simulate Brownian motion along the tree, from 0 at the start of a root and from the parent's value on a branch.

    Returns
    -------
    Factors at the steps of every lineage, shape ``(n_lineages, n_steps, N_FACTORS)``, and the time since the root's
    start, shape ``(n_lineages, n_steps)``.
    """
    n_steps = int(np.ceil(max(part.end - part.start for part in tissue.lineages) / STEP))
    shape = (len(tissue.lineages), n_steps, N_FACTORS)
    factors = np.cumsum(rng.normal(0.0, np.sqrt(DIFFUSION * STEP), shape), axis=1)
    names = [lineage.name for lineage in tissue.lineages]
    start = np.array([lineage.start for lineage in tissue.lineages])
    origin = start.copy()
    for index, lineage in enumerate(tissue.lineages):
        if lineage.parent is None:
            factors[index] -= factors[index, :1]
        else:
            parent = names.index(lineage.parent)
            factors[index] += factors[parent, round((lineage.start - start[parent]) / STEP) - 1]
            origin[index] = origin[parent]
    elapsed = (start - origin)[:, None] + STEP * np.arange(n_steps)
    return factors, elapsed
