"""Random rates of every gene on every lineage of a tissue."""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from deepvelo.datasets.kinetics import FloatArray, Kinetics
from deepvelo.datasets.tissue import Boost, Lineage, Tissue

N_PIECES: Final = 3  # a gene starts at steady state, may switch, and may switch back
SHOWCASE: Final = "SimTmsb10"
LEVEL_LIMIT: Final = 2.5  # maximum log level at the start of a root, relative to a median gene
CELL_TOTAL: Final = 20_000.0  # spliced molecules of a typical cell; 2,000 counts capture a tenth

BoolArray = NDArray[np.bool_]


def gene_names(tissue: Tissue, n_genes: int) -> list[str]:
    """``Sim001``, ``Sim002``, ..., unlike any measured gene; the showcase gene comes first."""
    width = max(3, len(str(n_genes)))
    names = [f"Sim{number:0{width}d}" for number in range(1, n_genes + 1)]
    return [SHOWCASE, *names[:-1]] if tissue.showcase else names


def draw_kinetics(tissue: Tissue, n_genes: int, *, rng: np.random.Generator) -> tuple[Kinetics, BoolArray]:
    """Draw the rates of ``n_genes`` genes on every lineage.

    Levels (steady-state spliced RNA, alpha / gamma) are heavy-tailed over genes and similar within a
    family of lineages, and step up or down at times drawn for each gene.

    Returns
    -------
    The kinetics, and a mask of the genes whose beta and gamma differ between lineages.
    """
    base = rng.normal(0.0, 1.2, n_genes)
    beta, gamma, differ = draw_splicing(tissue, base, rng=rng)
    level, knots = _draw_levels(tissue, base, rng=rng)
    for index, lineage in enumerate(tissue.lineages):
        if lineage.boost is not None:
            level, knots = _add_boost(lineage.boost, index, level=level, knots=knots, rng=rng)
    level *= CELL_TOTAL / np.median(level.sum(axis=-1))
    if tissue.showcase:
        _set_showcase(tissue, level=level, knots=knots, beta=beta, gamma=gamma)
        differ[0] = True

    return from_origins(tissue, knots=knots, alpha=level * gamma[:, None], beta=beta, gamma=gamma), differ


def from_origins(
    tissue: Tissue, *, knots: FloatArray, alpha: FloatArray, beta: FloatArray, gamma: FloatArray
) -> Kinetics:
    """Complete kinetics by the initial RNA of every lineage: steady state, parent's RNA, or end of the cycle.

    Rates have the shapes of :class:`~deepvelo.datasets.kinetics.Kinetics`.
    """
    u0, s0 = alpha[:, 0] / beta, alpha[:, 0] / gamma
    kinetics = Kinetics(knots=knots, alpha=alpha, beta=beta, gamma=gamma, u0=u0, s0=s0)
    names = [lineage.name for lineage in tissue.lineages]
    for index, lineage in enumerate(tissue.lineages):
        if lineage.parent is not None:
            # arrays are filled in place, so a branch reads the values of its parent set here
            parent = np.array([names.index(lineage.parent)])
            state = kinetics.at(parent, np.array([lineage.start]))
            u0[index], s0[index] = state.u[0], state.s[0]
        if lineage.cycle:
            _close_cycle(lineage, index, kinetics=kinetics)
    return kinetics


def draw_splicing(
    tissue: Tissue, base: FloatArray, *, rng: np.random.Generator
) -> tuple[FloatArray, FloatArray, BoolArray]:
    """Draw beta and gamma, ``(n_lineages, n_genes)``; equal on all lineages unless the gene's rates differ."""
    n_lineages, n_genes = len(tissue.lineages), len(base)
    gamma = np.exp(rng.normal(np.log(0.45), 0.4, n_genes))
    beta = gamma / np.exp(rng.uniform(np.log(0.1), np.log(0.4), n_genes))
    gammas, betas = np.tile(gamma, (n_lineages, 1)), np.tile(beta, (n_lineages, 1))

    differ = np.zeros(n_genes, dtype=bool)
    # only well expressed genes, whose differences are visible in the counts
    candidates = np.flatnonzero(base >= np.quantile(base, 0.3))
    differ[rng.permutation(candidates)[: round(tissue.rates_differ * n_genes)]] = True
    own = rng.random((n_lineages, n_genes)) < 0.7
    own[0] = False  # the first lineage keeps the common rates of the gene
    own[rng.integers(1, n_lineages, n_genes) if n_lineages > 1 else 0, np.arange(n_genes)] = True
    own &= differ
    retains = np.array([[lineage.retains] for lineage in tissue.lineages])
    sign = np.where(rng.random((n_lineages, n_genes)) < retains, 1.0, -1.0)
    gammas *= np.where(own, np.exp(sign * rng.uniform(np.log(1.6), np.log(3.0), own.shape)), 1.0)
    betas *= np.where(own, np.exp(-sign * rng.uniform(0.0, np.log(2.0), own.shape)), 1.0)
    return betas, gammas, differ


def _draw_levels(
    tissue: Tissue, base: FloatArray, *, rng: np.random.Generator
) -> tuple[FloatArray, FloatArray]:
    """Draw the levels and start times of the pieces, both ``(n_lineages, n_pieces, n_genes)``."""
    n_genes = len(base)
    families = {lineage.family for lineage in tissue.lineages}
    of_family = {family: rng.normal(0.0, 0.4, n_genes) for family in sorted(families)}
    names = [lineage.name for lineage in tissue.lineages]
    log_level = np.empty((len(names), N_PIECES, n_genes))
    knots = np.full_like(log_level, np.inf)
    for index, lineage in enumerate(tissue.lineages):
        draw = _draw_turns if lineage.cycle else _draw_switches
        steps, knots[index] = draw(lineage, n_genes, rng=rng)
        if lineage.parent is None:
            marker = np.where(rng.random(n_genes) < 0.05, rng.uniform(1.0, 2.5, n_genes), 0.0)
            begin = base + of_family[lineage.family] + rng.normal(0.0, 0.4, n_genes) + marker
            # limits each gene to a few percent of the RNA; rising and falling genes have the same mean level
            # over the lineage
            begin = np.minimum(begin, LEVEL_LIMIT) - steps[1] / 2
        else:
            parent = names.index(lineage.parent)
            last = (knots[parent] <= lineage.start).sum(axis=0) - 1
            begin = log_level[parent, last, np.arange(n_genes)]
            # high genes tend to fall and low genes to rise, which keeps total RNA about constant: if it grew,
            # size normalisation would make steady genes appear to fall
            rises = begin + rng.normal(0.0, 1.0, n_genes) < 0
            steps = np.where(rises, 1.0, -1.0) * np.abs(steps)
        log_level[index] = begin + steps
    return np.exp(log_level), knots


def _draw_switches(
    lineage: Lineage, n_genes: int, *, rng: np.random.Generator
) -> tuple[FloatArray, FloatArray]:
    """Draw log steps relative to the first piece and start times of the pieces, both ``(n_pieces, n_genes)``."""
    span = lineage.end - lineage.start
    moves = rng.random(n_genes) < lineage.dynamic
    returns = moves & (rng.random(n_genes) < 0.35)
    first = lineage.start + rng.uniform(0.0, 0.75, n_genes) * span
    second = first + rng.uniform(0.15, 0.3, n_genes) * span
    fold = rng.choice([-1.0, 1.0], n_genes) * rng.uniform(np.log(3.0), np.log(10.0), n_genes)

    knots = np.full((N_PIECES, n_genes), np.inf)
    knots[0] = lineage.start
    knots[1, moves] = first[moves]
    knots[2, returns] = second[returns]
    steps = np.zeros((N_PIECES, n_genes))
    steps[1] = np.where(moves, fold, 0.0)
    steps[2] = np.where(returns, 0.0, steps[1])
    return steps, knots


def _draw_turns(lineage: Lineage, n_genes: int, *, rng: np.random.Generator) -> tuple[FloatArray, FloatArray]:
    """As :func:`_draw_switches`, for a cycle: each dynamic gene is on during an interval of the period drawn for it."""
    period = lineage.end - lineage.start
    moves = rng.random(n_genes) < lineage.dynamic
    on = rng.uniform(0.0, period, n_genes)
    off = (on + rng.uniform(0.2, 0.6, n_genes) * period) % period
    # a gene that is on across the end of the period has its low piece in the middle
    fold = np.sign(off - on) * rng.uniform(np.log(3.0), np.log(10.0), n_genes)

    knots = np.full((N_PIECES, n_genes), np.inf)
    knots[0] = lineage.start
    knots[1, moves] = lineage.start + np.minimum(on, off)[moves]
    knots[2, moves] = lineage.start + np.maximum(on, off)[moves]
    steps = np.zeros((N_PIECES, n_genes))
    steps[1] = np.where(moves, fold, 0.0)
    return steps, knots


def _add_boost(
    boost: Boost, index: int, *, level: FloatArray, knots: FloatArray, rng: np.random.Generator
) -> tuple[FloatArray, FloatArray]:
    """Add one piece to levels and knots for the boosted genes of lineage ``index``.

    In all lineages, boosted genes start lower by the factor of their rise. They thus reach the level of
    other genes, and total RNA changes little.
    """
    n_genes, n_pieces = level.shape[2], level.shape[1]
    fold, time = np.ones(n_genes), np.full(n_genes, np.inf)
    genes = rng.permutation(n_genes)[: round(boost.share * n_genes)]
    least, greatest = boost.fold
    fold[genes] = np.exp(rng.uniform(np.log(least), np.log(greatest), len(genes)))
    time[genes] = rng.uniform(*boost.time, len(genes))

    unused = np.full_like(knots[:, :1], np.inf)
    knots = np.concatenate([knots, unused], axis=1)
    level = np.concatenate([level, level[:, -1:]], axis=1) / fold
    piece = np.arange(n_pieces + 1)[:, None]
    boosted = piece >= (knots[index] <= time).sum(axis=0)  # pieces that start at the boost or later
    level[index] = np.take_along_axis(level[index], piece - boosted, axis=0) * np.where(boosted, fold, 1.0)
    knots[index, -1] = time
    knots[index].sort(axis=0)
    return level, knots


def _close_cycle(lineage: Lineage, index: int, *, kinetics: Kinetics) -> None:
    """Set the initial RNA of a cycle, in place, to the RNA at its end.

    One period maps u to ``exp(-beta period) u + c``, where the constant c is the result for u = 0. The
    fixed point is ``u = c / (1 - exp(-beta period))``. The same holds for s once u is known.
    """
    here, end = np.array([index]), np.array([lineage.end])
    period = lineage.end - lineage.start
    kinetics.u0[index], kinetics.s0[index] = 0.0, 0.0
    kinetics.u0[index] = kinetics.at(here, end).u[0] / -np.expm1(-kinetics.beta[index] * period)
    kinetics.s0[index] = kinetics.at(here, end).s[0] / -np.expm1(-kinetics.gamma[index] * period)


def _set_showcase(
    tissue: Tissue, *, level: FloatArray, knots: FloatArray, beta: FloatArray, gamma: FloatArray
) -> None:
    """Give the first gene the regimes of Tmsb10 in the dentate gyrus, in place.

    On the granule lineage, it is induced and then repressed: a loop in the phase portrait. In endothelial
    cells, it rises throughout, with a gamma / beta so low that a steady-state line shared by all cells
    would make it fall. In other cells, it is at steady state.
    """
    names = [lineage.name for lineage in tissue.lineages]
    level[:, :, 0], knots[:, 1:, 0] = 60.0, np.inf
    beta[:, 0], gamma[:, 0] = 1.2, 0.5
    granule, endothelial = names.index("Granule"), names.index("Endothelial")
    level[granule, :, 0], knots[granule, 1:, 0] = (40.0, 420.0, 50.0), (1.5, 6.0)
    level[endothelial, :, 0], knots[endothelial, 1:, 0] = (240.0, 620.0, 620.0), (0.5, np.inf)
    beta[endothelial, 0], gamma[endothelial, 0] = 5.0, 0.35
