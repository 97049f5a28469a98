from __future__ import annotations

import dask.array as da
import numpy as np
import pytest
from scipy import sparse

from deepvelo.arrays import matrices

VALUES = np.array([[0.0, 2.0, 3.0], [4.0, 0.0, 0.0]], dtype="float32")


def from_file(values: np.ndarray, *, storage=sparse.csr_matrix) -> da.Array:
    """As anndata gives a matrix in a file: blocks of cells, sparse or not."""
    return da.from_array(values, chunks=(1, -1)).map_blocks(storage)


def dense_from_file(values: np.ndarray) -> da.Array:
    return from_file(values, storage=np.asarray)


STORAGES = [np.asarray, sparse.csr_matrix, sparse.csc_matrix, sparse.coo_matrix, from_file, dense_from_file]


@pytest.mark.parametrize("storage", STORAGES)
def test_every_storage_gives_the_same_answers(storage, monkeypatch):
    monkeypatch.setattr(matrices, "_BLOCK_VALUES", 2)  # several blocks even here
    monkeypatch.setattr(matrices, "BLOCK_CELLS", 1)
    matrix = storage(VALUES)
    assert matrices.is_whole(matrix)
    assert not matrices.is_whole(storage(VALUES / 4))
    assert matrices.largest(matrix) == 4
    assert matrices.look_at_values(storage(-VALUES)) == (0, 3, pytest.approx(0, abs=2))
    assert matrices.look_at_values(storage(np.where(VALUES == 3, np.nan, VALUES))) == (1, 0, 4)
    np.testing.assert_array_equal(matrices.cell_totals(matrix), [5, 4])
    np.testing.assert_array_equal(matrices.gene_totals(matrix), [4, 2, 3])
    np.testing.assert_array_equal(matrices.as_csr(matrix).toarray(), VALUES)
    np.testing.assert_array_equal(
        matrices.as_csr(matrix, genes=np.array([0, 2])).toarray(), VALUES[:, [0, 2]]
    )
    np.testing.assert_array_equal(matrices.shared_counts(matrix, storage(VALUES > 2)), [5, 0, 4])
    assert matrices.same(matrix, storage(VALUES))
    assert not matrices.same(matrix, storage(VALUES[::-1].copy()))
    assert not matrices.same(matrix, storage(VALUES[:, :2]))
    dense_ones = (np.asarray, dense_from_file)
    assert matrices.is_sparse(matrix) == (storage not in dense_ones)
    assert matrices.is_lazy(matrix) == (storage in (from_file, dense_from_file))


def test_csr_is_a_new_matrix():
    original = sparse.csr_matrix(VALUES)
    matrices.as_csr(original).data[:] = 0
    assert original.sum() == 9


@pytest.mark.parametrize(
    ("dtype", "numeric"), [("bool", 1), ("int8", 1), ("float16", 1), ("complex64", 0), ("U3", 0)]
)
def test_numbers_are_told_from_the_rest(dtype, numeric):
    assert matrices.is_numeric(np.zeros((2, 2), dtype=dtype)) == bool(numeric)


def test_shared_counts_by_hand():
    spliced = np.array([[1, 5, 0], [2, 0, 0]])
    unspliced = np.array([[3, 0, 1], [4, 7, 0]])
    np.testing.assert_array_equal(matrices.shared_counts(spliced, unspliced), [1 + 3 + 2 + 4, 0, 0])


@pytest.mark.parametrize("make", [np.asarray, sparse.csr_matrix])
def test_a_matrix_without_cells_has_totals_of_nothing(make):
    nothing = make(np.zeros((0, 3), dtype=np.float32))
    assert matrices.cell_totals(nothing).shape == (0,)
    assert matrices.gene_totals(nothing).tolist() == [0, 0, 0]
