from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from scipy.sparse import csr_matrix

from deepvelo.datasets.kinetics import advance
from deepvelo.datasets.network import (
    MOLECULES,
    Network,
    draw_network,
    expected_states,
    hill,
    schedule,
)
from deepvelo.datasets.tissue import Lineage, Stage, Tissue
from deepvelo.datasets.tissues import TISSUES

TISSUE = TISSUES["regulated"]
# 0 is the origin's programme; the root, then the early and the late stage of each branch have their own
PROGRAMMES = [[0, 1], [0, 1, 2, 3], [0, 1, 4, 5]]
LINE = Tissue((Lineage("Line", "main", (Stage("All", 1, (1.0, 8.0), "#000000"),), dynamic=0.0),))


@pytest.fixture(scope="module")
def drawn() -> Network:
    return draw_network(TISSUE, 200, rng=np.random.default_rng(0))


def chain() -> Network:
    """A master regulator M that activates A, which represses B: K = 6 and 8, half responses 10 and 4."""
    return Network(
        masters=np.array([[5.0], [20.0]]),
        half=np.array([10.0, 4.0]),
        strength=csr_matrix(np.array([[0.0, 0.0], [6.0, 0.0], [0.0, -8.0]])),
        beta=np.array([2.0, 4.0, 1.0]),
        gamma=np.array([0.5, 0.25, 2.0]),
    )


def test_a_hill_function_is_one_half_at_the_half_response():
    x = np.array([-3.0, 0.0, 5.0, 10.0, 30.0, 1e6])
    np.testing.assert_allclose(hill(x, np.array(10.0)), [0, 0, 1 / 5, 1 / 2, 9 / 10, 1], atol=1e-9)


def test_steady_state_of_a_chain_is_its_closed_form():
    # M = 5 / 0.5 is its half response, so A has half of 6 / 0.25; A = 12 is three times its own, so B keeps a tenth
    np.testing.assert_allclose(chain().steady_state(0), [10.0, 12.0, 8 / 10 / 2])
    a = 6 * 16 / 17 / 0.25
    np.testing.assert_allclose(chain().steady_state(1), [40.0, a, 8 * 16 / (16 + a**2) / 2])


def test_regulators_of_one_gene_add_up():
    network = Network(
        masters=np.array([[3.0, 1.0]]),
        half=np.array([3.0, 2.0]),
        strength=csr_matrix(np.array([[0.0, 0.0], [0.0, 0.0], [4.0, -10.0]])),
        beta=np.ones(3),
        gamma=np.ones(3),
    )
    assert network.steady_state(0)[2] == pytest.approx(4 / 2 + 10 * 4 / 5)


def test_cells_without_noise_follow_a_step_of_the_master_regulator():
    network = chain()
    time = np.array([8.0, 0.5, 3.0])
    states, never = expected_states(network, LINE, np.zeros(3, dtype=int), time, unspliceable=0.1)
    np.testing.assert_allclose(states.s[1], network.steady_state(0))
    np.testing.assert_allclose(states.ds[1], 0.0, atol=1e-9)
    u, s = advance(
        *(np.array(x) for x in (5 / 2, 5 / 0.5)),
        alpha=np.array(20.0), beta=np.array(2.0), gamma=np.array(0.5), tau=time[[0, 2]] - 1.0,
    )  # fmt: skip
    np.testing.assert_allclose(states.u[[0, 2], 0], u, rtol=1e-6)
    np.testing.assert_allclose(states.s[[0, 2], 0], s, rtol=1e-6)
    # what is never spliced relaxes at gamma from a tenth of the old level to a tenth of the new one
    np.testing.assert_allclose(never[:, 0], 4.0 - 3.0 * np.exp(-0.5 * np.maximum(time - 1, 0)), rtol=1e-6)


def test_stored_transcription_is_that_of_the_stored_regulators(drawn):
    time = np.array([3.0, 5.0, 10.0])
    states, _ = expected_states(drawn, TISSUE, np.array([0, 1, 2]), time)
    for cell, programme in enumerate((1, 2, 5)):
        alpha = drawn.transcription(states.s[cell][:, None], programme)[:, 0]
        np.testing.assert_allclose(states.alpha[cell], alpha)


@pytest.mark.parametrize("lineage", range(3))
def test_finite_differences_of_the_noise_free_path_are_its_velocity(drawn, lineage):
    step, begin = 1e-3, (0.6, 4.1, 4.1)[lineage]
    time = begin + np.array([0.0, 0.7, 2.8])
    before, now, after = (
        expected_states(drawn, TISSUE, np.full(3, lineage), time + shift)[0] for shift in (-step, 0.0, step)
    )
    scale = np.abs(now.ds).max()
    assert scale > 10
    np.testing.assert_allclose((after.s - before.s) / (2 * step), now.ds, atol=1e-3 * scale)
    np.testing.assert_allclose((after.u - before.u) / (2 * step), now.du, atol=1e-3 * scale)


def test_branches_start_with_the_rna_of_the_root(drawn):
    lineage = np.arange(3)
    states, never = expected_states(drawn, TISSUE, lineage, np.full(3, 4.0), unspliceable=0.05)
    for values in (states.u, states.s, never):
        np.testing.assert_allclose(values[1], values[0], rtol=1e-6)
        np.testing.assert_allclose(values[2], values[0], rtol=1e-6)
    assert (np.abs(states.alpha[1] - states.alpha[2]) > 1).sum() >= 3, "other master regulators at once"


def test_every_stage_has_a_programme_of_its_own_after_those_of_its_ancestors():
    assert [[programme for _, programme in schedule(TISSUE, i)] for i in range(3)] == PROGRAMMES
    assert [begin for begin, _ in schedule(TISSUE, 2)] == [-np.inf, 0.5, 4.0, 7.0]


def test_half_of_the_master_regulators_switch_with_every_programme(drawn):
    n_masters = drawn.masters.shape[1]
    assert n_masters == 10
    for programmes in PROGRAMMES:
        for before, after in pairwise(programmes):
            ratio = drawn.masters[after] / drawn.masters[before]
            switched = ratio != 1
            assert switched.sum() == n_masters / 2
            fold = np.abs(np.log(ratio[switched]))
            assert ((np.log(10 / 3) - 1e-9 < fold) & (fold < np.log(10) + 1e-9)).all()


def test_half_responses_are_the_means_of_regulators_over_the_steady_states(drawn):
    rest = np.array([drawn.steady_state(programme) for programme in range(6)])
    n_regulators = len(drawn.half)
    assert n_regulators == 25
    np.testing.assert_allclose(drawn.half, rest[:, :n_regulators].mean(axis=0))
    assert (np.ptp(rest, axis=0) > 0.2 * rest.mean(axis=0)).mean() > 0.5, "several steady states"
    regulated = rest[:, drawn.masters.shape[1] :].mean(axis=0)
    assert regulated.mean() == pytest.approx(MOLECULES, rel=0.2)


def test_a_drawn_network_has_no_loop_and_both_signs(drawn):
    edges = drawn.strength.tocoo()
    assert (edges.col < edges.row).all()
    number = np.diff(drawn.strength.indptr)
    assert (number[:10] == 0).all()
    assert set(number[10:]) == {1, 2, 3}
    assert 0.4 < (edges.data > 0).mean() < 0.6
    assert set(edges.col) > set(range(10, 20)), "regulators that are regulated themselves"
