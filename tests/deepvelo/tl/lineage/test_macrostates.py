"""Macrostates of chains whose slow movements are known, and the Schur vectors against pygpcca's own."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import sparse
from scipy.linalg import subspace_angles

from deepvelo.errors import InputError
from deepvelo.tl.graph.transitions import transition_matrix
from deepvelo.tl.lineage import macrostates as module
from deepvelo.tl.lineage.macrostates import evenness, leading_schur, macrostates
from tests.forked import fork


def blocks(*sizes: int, leak: float = 0.01) -> sparse.csr_matrix:
    """Sets of cells, in each of which a step goes anywhere alike, and with probability ``leak`` into the next."""
    n_cells = sum(sizes)
    state = np.repeat(np.arange(len(sizes)), sizes)
    matrix = np.zeros((n_cells, n_cells))
    for number, size in enumerate(sizes):
        inside, after = state == number, state == (number + 1) % len(sizes)
        matrix[np.ix_(inside, inside)] = (1 - leak) / size
        matrix[np.ix_(inside, after)] = leak / after.sum()
    return sparse.csr_matrix(matrix)


def drift(n_cells: int, *, right: float = 0.8) -> sparse.csr_matrix:
    """A row of cells through which a walk goes to the right with this probability, else to the left."""
    matrix = sparse.diags([right, 1 - right], [1, -1], shape=(n_cells, n_cells)).tolil()
    matrix[0, 0], matrix[-1, -1] = 1 - right, right
    return matrix.tocsr()


def ring(n_cells: int) -> sparse.csr_matrix:
    """Cells in a circle; a walk goes round, mostly one way."""
    ahead, back = np.roll(np.eye(n_cells), 1, axis=1), np.roll(np.eye(n_cells), -1, axis=1)
    return sparse.csr_matrix(0.6 * ahead + 0.2 * back + 0.2 * np.eye(n_cells))


@pytest.mark.parametrize("sizes", [(10, 20, 15), (60, 50, 40)], ids=["dense", "arpack"])
def test_blocks_are_found_with_their_stability(sizes):
    found = macrostates(blocks(*sizes))
    borders = np.cumsum((0, *sizes))
    blocks_found = {int(np.searchsorted(borders, state.cells[0], side="right")) - 1 for state in found}
    assert blocks_found == {0, 1, 2}
    for state in found:
        block = np.searchsorted(borders, state.cells, side="right") - 1
        assert len(set(block)) == 1
        assert len(state.cells) == min(30, sizes[block[0]] // 2)
        assert state.stability == pytest.approx(0.99, abs=0.003)


def test_a_chain_without_slow_movements_is_one_state_of_where_it_ends():
    (state,) = macrostates(drift(80, right=0.6))
    np.testing.assert_array_equal(state.cells, np.arange(50, 80))
    assert state.stability == 1


def test_cells_that_are_hardly_ever_visited_stand_for_nothing():
    (state,) = macrostates(drift(80, right=0.9))  # each is visited a ninth as often as the next
    np.testing.assert_array_equal(state.cells, np.arange(70, 80))


def test_states_can_be_asked_for():
    chain = blocks(60, 50, 40)
    assert len(macrostates(chain, n_states=1)) == 1
    assert len(macrostates(chain, n_states=2)) in (2, 3)  # three where the movements turn out a pair


def test_a_pair_of_movements_is_not_parted():
    chain = blocks(40, 40, 40, leak=0.05)  # round and round: the second and third eigenvalue are conjugates
    values, vectors = leading_schur(chain, n_vectors=2, seed=0)
    assert len(values) == vectors.shape[1] == 3
    assert values[1] == pytest.approx(np.conj(values[2]))
    assert len(macrostates(chain, n_states=2)) == 3


@pytest.mark.parametrize("n_cells", [90, 300], ids=["dense", "arpack"])
def test_schur_vectors_span_what_pygpccas_do(n_cells):
    import pygpcca

    chain = transition_matrix(fork(n_cells))
    values, vectors = leading_schur(chain, n_vectors=4, seed=0)
    theirs = pygpcca.GPCCA(chain.toarray(), z="LR", method="brandts")
    theirs.optimize(len(values))
    np.testing.assert_allclose(values, theirs.top_eigenvalues, atol=1e-8)
    assert subspace_angles(vectors, theirs.schur_vectors).max() < 1e-6
    np.testing.assert_allclose(vectors[:, 0], 1)
    np.testing.assert_allclose(vectors.T @ vectors / len(vectors), np.eye(len(values)), atol=1e-9)
    form = vectors.T @ (chain @ vectors) / len(vectors)
    np.testing.assert_allclose(chain @ vectors, vectors @ form, atol=1e-8)


def test_the_same_seed_gives_the_same_states():
    chain = transition_matrix(fork(300))
    first, second = (macrostates(chain, seed=3) for _ in range(2))
    for one, other in zip(first, second, strict=True):
        np.testing.assert_array_equal(one.cells, other.cells)
        assert one.stability == other.stability


def test_evenness_tells_a_circle_from_a_way_that_ends():
    assert evenness(ring(80)) == pytest.approx(1)
    assert evenness(drift(120, right=0.6)) < 0.1
    assert evenness(drift(20, right=0.5)) == pytest.approx(1)


def test_a_chain_too_hard_for_arpack_is_factorised_or_refused(monkeypatch):
    chain = ring(120)  # its slowest movements are nearly as slow as each other
    assert evenness(chain) == pytest.approx(1)
    monkeypatch.setattr(module, "MOST_FACTORED", 100)
    with pytest.raises(
        InputError, match=r"macrostates of 120 cells.*beyond 100 cells. Choose the terminal states by hand"
    ):
        evenness(chain)


def test_a_tiny_chain_is_one_state():
    (state,) = macrostates(drift(4))
    assert len(state.cells) == module.SMALLEST_STATE
