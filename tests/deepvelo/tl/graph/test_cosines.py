import numpy as np
import psutil
import pytest
import torch
from scipy import sparse

from deepvelo.memory import MemoryMeter
from deepvelo.tl.graph import cosines as module
from deepvelo.tl.graph.cosines import displacement_cosines

# Two directions that are each 0 on average over three genes, so that taking the mean off changes nothing.
PLANE = np.array([[1, -1, 0], [1, 1, -2]]) / np.sqrt([[2], [6]])


def chain(n_cells: int) -> sparse.csr_matrix:
    """Cells in a row: each is one step from itself and those beside it."""
    return sparse.csr_matrix(sparse.diags([1, 1, 1], [-1, 0, 1], shape=(n_cells, n_cells)).astype(bool))


def on_plane(places, directions, *, near=None, n_at_once=2) -> np.ndarray:
    """Cosines, dense, of cells at these places of the plane; genes come in blocks."""
    state, velocity = np.asarray(places, dtype=float) @ PLANE, np.asarray(directions, dtype=float) @ PLANE

    def blocks():
        for start in range(0, state.shape[1], n_at_once):
            genes = slice(start, start + n_at_once)
            yield state[:, genes], velocity[:, genes]

    return displacement_cosines(chain(len(state)) if near is None else near, blocks).toarray()


def test_in_a_row_of_cells_what_lies_ahead_gets_one_and_what_lies_behind_minus_one():
    found = on_plane([[0, 0], [1, 0], [2, 0], [3, 0], [4, 0]], [[1, 0]] * 5)
    expected = np.array(  # as far as two steps
        [[0, 1, 1, 0, 0], [-1, 0, 1, 1, 0], [-1, -1, 0, 1, 1], [0, -1, -1, 0, 1], [0, 0, -1, -1, 0]]
    )
    np.testing.assert_allclose(found, expected, atol=1e-6)


def test_angles_are_those_of_the_plane():
    corners = [[0, 0], [1, 0], [1, 1], [0, 2]]
    found = on_plane(corners, [[1, 0]] * 4, near=sparse.csr_matrix(np.ones((4, 4), dtype=bool)))
    half, fifth = np.sqrt(0.5), np.sqrt(0.2)
    expected = [[0, 1, half, 0], [-1, 0, 0, -fifth], [-half, 0, 0, -half], [0, fifth, half, 0]]
    np.testing.assert_allclose(found, expected, atol=1e-6)


def test_what_is_the_same_in_all_genes_of_a_cell_counts_for_nothing():
    rng = np.random.default_rng(0)
    state, velocity = rng.normal(size=(2, 6, 5))
    shifts = rng.normal(size=(2, 6, 1))
    one = displacement_cosines(chain(6), lambda: [(state, velocity)])
    other = displacement_cosines(chain(6), lambda: [(state + shifts[0], velocity + shifts[1])])
    np.testing.assert_allclose(one.toarray(), other.toarray(), atol=1e-6)


def test_equal_cells_and_cells_without_velocity_have_no_cosine():
    found = on_plane([[0, 0], [1, 0], [1, 0], [2, 0]], [[1, 0], [1, 0], [1, 0], [0, 0]])
    assert found[1, 2] == found[2, 1] == 0
    assert not found[3].any()
    assert found[2, 3] == pytest.approx(1)
    alike = displacement_cosines(chain(3), lambda: [(np.eye(3) / 3, np.full((3, 3), 0.1))])
    assert alike.nnz == 0


def test_cells_far_from_nought_lose_no_digits():
    rng = np.random.default_rng(0)
    near_nought, velocity = np.round(rng.normal(size=(2, 200, 50)) * 64).astype(np.float32) / 64
    far = near_nought + np.float32(2**12) * np.arange(1, 51, dtype=np.float32)  # exact in float32
    near = chain(200)
    one, other = (
        displacement_cosines(near, lambda x=x: [(x, velocity)]).toarray() for x in (near_nought, far)
    )
    np.testing.assert_allclose(one, other, atol=1e-6)


def test_cells_in_batches_give_the_same(monkeypatch):
    rng = np.random.default_rng(1)
    places, directions = rng.normal(size=(2, 40, 2))
    near = sparse.csr_matrix((rng.uniform(size=(40, 40)) < 0.1) | np.eye(40, dtype=bool))
    whole = on_plane(places, directions, near=near)
    monkeypatch.setattr(module, "_BLOCK_CELLS", 7)
    monkeypatch.setattr(module, "_BLOCK_FINISHED", 3)
    np.testing.assert_allclose(on_plane(places, directions, near=near, n_at_once=1), whole, atol=1e-7)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU here")
def test_a_gpu_gives_the_same():
    rng = np.random.default_rng(2)
    state, velocity = rng.normal(size=(2, 300, 60)).astype(np.float32)
    there, here = (
        displacement_cosines(chain(300), lambda: [(state, velocity)], device=device).toarray()
        for device in ("cuda", "cpu")
    )
    np.testing.assert_allclose(there, here, atol=1e-6)


def test_memory_stays_far_below_pairs_times_genes():
    n_cells, n_genes = 4000, 600
    rng = np.random.default_rng(0)
    state, velocity = rng.normal(size=(2, n_cells, n_genes)).astype(np.float32)
    steps = list(range(-15, 16))
    near = sparse.csr_matrix(sparse.diags([1] * 31, steps, shape=(n_cells, n_cells)).astype(bool))

    def blocks():
        for start in range(0, n_genes, 100):
            yield state[:, start : start + 100], velocity[:, start : start + 100]

    on_plane(rng.normal(size=(50, 2)), rng.normal(size=(50, 2)))  # torch's own memory, once
    before = psutil.Process().memory_info().rss
    with MemoryMeter() as memory:
        found = displacement_cosines(near, blocks)
    pairs_times_genes = 4 * found.nnz * n_genes
    assert pairs_times_genes > 500e6
    assert memory.peak - before < pairs_times_genes / 5
