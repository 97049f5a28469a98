from __future__ import annotations

import numpy as np
import pytest
from scipy.sparse import csr_matrix

from deepvelo.datasets.langevin import BURST, fluctuating
from deepvelo.datasets.network import Network, draw_network, expected_states
from deepvelo.datasets.tissue import Lineage, Stage, Tissue
from deepvelo.datasets.tissues import TISSUES

LINE = Tissue((Lineage("Line", "main", (Stage("All", 1, (0.5, 8.0), "#000000"),), dynamic=0.0),))


def unregulated(*, level: float) -> Network:
    """Three genes of constant transcription, the splicing of one slow and of one much faster than a step."""
    beta, gamma = np.array([1.0, 3.0, 12.0]), np.array([0.5, 0.4, 0.6])
    return Network(
        masters=np.tile(level * gamma, (2, 1)),
        half=np.full(3, level),
        strength=csr_matrix((3, 3)),
        beta=beta,
        gamma=gamma,
    )


def test_molecules_at_rest_have_the_mean_and_spread_of_bursts():
    network, n_cells = unregulated(level=400.0), 1500
    u, s = fluctuating(
        network, LINE, np.zeros(n_cells, dtype=int), np.full(n_cells, 2.0), rng=np.random.default_rng(0)
    )
    mean_u, mean_s = 400 * network.gamma / network.beta, np.full(3, 400.0)
    np.testing.assert_allclose(u.mean(axis=0), mean_u, rtol=0.03)
    np.testing.assert_allclose(s.mean(axis=0), mean_s, rtol=0.01)
    # bursts of mean size b: var u = (1 + b) mean u, var s = (1 + b beta / (beta + gamma)) mean s
    np.testing.assert_allclose(u.var(axis=0) / mean_u, 1 + BURST, rtol=0.12)
    of_s = 1 + BURST * network.beta / (network.beta + network.gamma)
    np.testing.assert_allclose(s.var(axis=0) / mean_s, of_s, rtol=0.12)


def test_the_mean_of_noisy_cells_is_the_noise_free_path():
    tissue, n_cells = TISSUES["regulated"], 400
    network = draw_network(tissue, 60, rng=np.random.default_rng(0))
    for lineage, time in ((0, 3.05), (1, 9.3)):
        cells = np.full(n_cells, lineage), np.full(n_cells, time)
        u, s = fluctuating(network, tissue, *cells, rng=np.random.default_rng(1))
        states, _ = expected_states(network, tissue, cells[0][:1], cells[1][:1])
        for found, expected in ((u, states.u[0]), (s, states.s[0])):
            abundant = expected > 15  # few molecules are cut off at 0
            assert abundant.sum() > 20
            error = found.std(axis=0) / np.sqrt(n_cells)
            assert (np.abs(found.mean(axis=0) - expected) < 4.5 * error + 0.02 * expected)[abundant].all()
        assert (np.abs(states.s[0] - network.steady_state(0)) > 0.1 * states.s[0]).sum() > 10, "it has moved"


def test_cells_have_histories_of_their_own_and_regulators_pass_their_noise_on():
    tissue = TISSUES["regulated"]
    network = draw_network(tissue, 40, rng=np.random.default_rng(0))
    _, s = fluctuating(
        network, tissue, np.zeros(600, dtype=int), np.full(600, 0.4), rng=np.random.default_rng(2)
    )
    between_cells = np.corrcoef((s - s.mean(axis=0)) / s.std(axis=0))[np.triu_indices(600, 1)]
    assert abs(between_cells.mean()) < 0.01
    edges = network.strength.tocoo()
    of_genes = np.corrcoef(s.T)
    along = np.sign(edges.data) * of_genes[edges.row, edges.col]
    assert along.mean() > 0.05
    assert (s >= 0).all()


@pytest.mark.parametrize("time", [0.35, 0.5, 4.0, 7.93])
def test_cells_of_any_time_end_at_it(time):
    """One gene that grows linearly for so long after it was switched on, whatever the grid of steps."""
    network = Network(
        masters=np.array([[1e-9], [1e6]]),
        half=np.ones(1),
        strength=csr_matrix((1, 1)),
        beta=np.array([1e-6]),
        gamma=np.array([1e-3]),
    )
    u, _ = fluctuating(network, LINE, np.zeros(5, dtype=int), np.full(5, time), rng=np.random.default_rng(0))
    np.testing.assert_allclose(u, 1e6 * max(time - 0.5, 0.0), rtol=0.02, atol=1)
