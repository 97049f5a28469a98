"""Draw the RNA of a tissue's cells by its process: switches, network or factors."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from deepvelo.datasets.factors import N_OWN, OWN_SPREAD, draw_factors, integrate
from deepvelo.datasets.genes import BoolArray, draw_kinetics, from_origins
from deepvelo.datasets.kinetics import FloatArray, IntArray, Kinetics, States
from deepvelo.datasets.langevin import fluctuating
from deepvelo.datasets.network import draw_network, expected_states
from deepvelo.datasets.tissue import Tissue
from deepvelo.datasets.truth import Molecules

Streams = tuple[np.random.Generator, np.random.Generator]


@dataclass(frozen=True)
class Rna:
    """Rates and molecules of all cells; fields as in :class:`deepvelo.datasets.truth.Truth`."""

    kinetics: Kinetics | States
    rates_differ: BoolArray
    molecules: Molecules | None = None

    def scaled(self, factor: FloatArray) -> Rna:
        """The same with ``factor`` times the transcription and the molecules of each gene, shape ``(n_genes,)``."""
        molecules = self.molecules
        if molecules is not None:
            molecules = Molecules(u=molecules.u * factor, s=molecules.s * factor)
        names = ("alpha", "u0", "s0") if isinstance(self.kinetics, Kinetics) else ("alpha", "u", "s")
        changed = {name: getattr(self.kinetics, name) * factor for name in names}
        return replace(self, kinetics=replace(self.kinetics, **changed), molecules=molecules)


def draw_rna(
    tissue: Tissue,
    n_genes: int,
    lineage: IntArray,
    time: FloatArray,
    *,
    unspliceable: float,
    rngs: Streams,
) -> Rna:
    """Draw the genes of a tissue and the RNA of its cells.

    Parameters
    ----------
    lineage, time
        Index of each cell's lineage and its time, shape ``(n_cells,)``.
    unspliceable
        Share of transcripts that are never spliced. They are degraded at the gene's gamma, as spliced RNA is; alpha
        is the transcription of all others.
    rngs
        Chance in the genes, and in single cells.
    """
    ratio = unspliceable / (1 - unspliceable)
    match tissue.process:
        case "switches":
            return _switches(tissue, n_genes, lineage, time, ratio=ratio, rng=rngs[0])
        case "network":
            return _network(tissue, n_genes, lineage, time, ratio=ratio, rngs=rngs)
        case "factors":
            return _factors(tissue, n_genes, lineage, time, ratio=ratio, rngs=rngs)


def _switches(
    tissue: Tissue,
    n_genes: int,
    lineage: IntArray,
    time: FloatArray,
    *,
    ratio: float,
    rng: np.random.Generator,
) -> Rna:
    kinetics, differ = draw_kinetics(tissue, n_genes, rng=rng)
    if not ratio:
        return Rna(kinetics, differ)
    # degraded at gamma: the equation of unspliced RNA with gamma in the place of beta
    never = from_origins(
        tissue, knots=kinetics.knots, alpha=ratio * kinetics.alpha, beta=kinetics.gamma, gamma=kinetics.gamma
    )
    states = kinetics.at(lineage, time)
    return Rna(kinetics, differ, Molecules(u=states.u + never.at(lineage, time).u, s=states.s))


def _network(
    tissue: Tissue, n_genes: int, lineage: IntArray, time: FloatArray, *, ratio: float, rngs: Streams
) -> Rna:
    network = draw_network(tissue, n_genes, rng=rngs[0])
    states, never = expected_states(network, tissue, lineage, time, unspliceable=ratio)
    u, s = fluctuating(network, tissue, lineage, time, rng=rngs[1])
    return Rna(states, np.zeros(n_genes, dtype=bool), Molecules(u=u + never, s=s))


def _factors(
    tissue: Tissue, n_genes: int, lineage: IntArray, time: FloatArray, *, ratio: float, rngs: Streams
) -> Rna:
    factors = draw_factors(tissue, n_genes, rng=rngs[0])
    # Eq. 1 is linear: what acts on alpha alone, all a cell's life long, acts on u, s and their derivatives alike
    change = np.exp(rngs[1].normal(0.0, OWN_SPREAD, (len(time), N_OWN)) @ factors.own)
    states = factors.paths.at(lineage, time)
    states = replace(states, alpha=states.alpha * change, u=states.u * change, s=states.s * change)
    if not ratio:
        return Rna(states, factors.rates_differ)
    paths = factors.paths
    never = integrate(tissue, alpha=ratio * paths.alpha, beta=paths.gamma, gamma=paths.gamma)
    molecules = Molecules(u=states.u + never.at(lineage, time).u * change, s=states.s)
    return Rna(states, factors.rates_differ, molecules)
