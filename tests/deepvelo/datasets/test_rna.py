from __future__ import annotations

import numpy as np
import pytest

from deepvelo.datasets.kinetics import States
from deepvelo.datasets.rna import Rna, draw_rna
from deepvelo.datasets.tissue import Kind
from deepvelo.datasets.tissues import TISSUES
from deepvelo.datasets.truth import Molecules

LINEAGE, TIME = np.array([0, 0, 1, 2]), np.array([0.5, 3.7, 9.1, 10.9])


def drawn(
    kind: Kind, *, unspliceable: float = 0.0, lineage: np.ndarray = LINEAGE, time: np.ndarray = TIME
) -> tuple[Rna, States]:
    """The RNA of 40 genes in cells, and the states that their rates give."""
    rngs = np.random.default_rng(0), np.random.default_rng(1)
    rna = draw_rna(TISSUES[kind], 40, lineage, time, unspliceable=unspliceable, rngs=rngs)
    return rna, rna.kinetics if isinstance(rna.kinetics, States) else rna.kinetics.at(lineage, time)


def never_spliced(rna: Rna, states: States) -> np.ndarray:
    assert rna.molecules is not None
    return rna.molecules.u - states.u


def test_at_rest_transcripts_that_are_never_spliced_are_degraded_as_spliced_rna_is():
    rna, states = drawn("static", unspliceable=0.05)
    transcription = never_spliced(rna, states) * states.gamma
    np.testing.assert_allclose(transcription / (states.alpha + transcription), 0.05)
    assert isinstance(rna.molecules, Molecules)
    np.testing.assert_array_equal(rna.molecules.s, states.s)


@pytest.mark.parametrize("kind", ["branch_rates", "cycle", "factors"])
def test_the_number_of_those_transcripts_follows_transcription(kind):
    lineage, time = (np.zeros(4, dtype=int) if kind == "cycle" else LINEAGE), TIME - 0.25
    before, now, after = (
        drawn(kind, unspliceable=0.05, lineage=lineage, time=time + shift) for shift in (-1e-5, 0.0, 1e-5)
    )
    change = (never_spliced(*after) - never_spliced(*before)) / 2e-5
    states = now[1]
    expected = 0.05 / 0.95 * states.alpha - states.gamma * never_spliced(*now)
    assert np.abs(expected).max() > 1
    np.testing.assert_allclose(change, expected, atol=1e-3 * np.abs(expected).max())


def test_those_transcripts_too_come_back_after_a_cycle():
    ends = np.array([0.0, TISSUES["cycle"].lineages[0].end])
    found = never_spliced(*drawn("cycle", unspliceable=0.05, lineage=np.zeros(2, dtype=int), time=ends))
    np.testing.assert_allclose(found[1], found[0])


@pytest.mark.parametrize("kind", ["branch_rates", "regulated", "factors"])
def test_those_transcripts_are_unspliced_counts_and_change_nothing_else(kind):
    (rna, states), (plain, plain_states) = drawn(kind, unspliceable=0.05), drawn(kind)
    for name in ("alpha", "beta", "gamma", "u", "s"):
        np.testing.assert_allclose(getattr(states, name), getattr(plain_states, name), rtol=1e-5)
    held = plain.molecules or plain_states
    assert rna.molecules is not None
    np.testing.assert_allclose(rna.molecules.s, held.s, rtol=1e-6)
    assert (rna.molecules.u > held.u).all()


def test_a_cell_s_own_factors_change_alpha_and_all_that_follows_by_one_factor():
    _, states = drawn("factors")
    rngs = np.random.default_rng(0), np.random.default_rng(2)
    other = draw_rna(TISSUES["factors"], 40, LINEAGE, TIME, unspliceable=0.0, rngs=rngs).kinetics
    assert isinstance(other, States)
    change = other.alpha / states.alpha
    assert 0.1 < np.log(change).std() < 0.4
    for name in ("u", "s", "ds", "du"):
        np.testing.assert_allclose(getattr(other, name), change * getattr(states, name), rtol=1e-6, atol=1e-6)
    np.testing.assert_array_equal(other.gamma, states.gamma)


@pytest.mark.parametrize("kind", ["branch", "regulated", "factors"])
def test_more_abundant_genes_have_more_of_everything(kind):
    rna, states = drawn(kind, unspliceable=0.05)
    factor = np.exp(np.random.default_rng(3).normal(0, 1, 40))
    scaled = rna.scaled(factor)
    after = scaled.kinetics if isinstance(scaled.kinetics, States) else scaled.kinetics.at(LINEAGE, TIME)
    for name in ("alpha", "u", "s", "ds", "du"):
        np.testing.assert_allclose(getattr(after, name), factor * getattr(states, name), rtol=1e-9, atol=1e-9)
    assert rna.molecules is not None
    assert scaled.molecules is not None
    np.testing.assert_allclose(scaled.molecules.u, factor * rna.molecules.u)
    np.testing.assert_allclose(scaled.molecules.s, factor * rna.molecules.s)
    np.testing.assert_array_equal(after.beta, states.beta)
