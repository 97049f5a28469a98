"""Properties of a cells x genes matrix, sparse or dense, computed without making it dense.

A Dask array lies in a file; a block of its cells is in memory at a time.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
from scipy import sparse

# Values checked at once: keeps temporary arrays at a few megabytes.
_BLOCK_VALUES = 1 << 20
# Cells read from a file and processed at once: some ten megabytes of counts.
BLOCK_CELLS = 2048


def is_lazy(matrix: Any) -> bool:
    """Whether it is a Dask array, whose values are still in a file."""
    return hasattr(matrix, "dask")


def is_in_file(matrix: Any) -> bool:
    """Whether it is an HDF5 or Zarr array, which is read in slices."""
    return not isinstance(matrix, np.ndarray) and hasattr(matrix, "chunks") and not is_lazy(matrix)


def is_sparse(matrix: Any) -> bool:
    """Whether it is sparse, in memory or in the file."""
    return sparse.issparse(matrix._meta if is_lazy(matrix) else matrix)


def stored_by_cells(matrix: Any) -> Any:
    """The matrix with fast access to rows: sparse formats as CSR, others unchanged."""
    return matrix.tocsr() if sparse.issparse(matrix) else matrix


def some_cells(matrix: Any, cells: slice) -> Any:
    """Those rows of a matrix, CSR or dense, in memory."""
    # In this thread: on a Dask worker, reads would become tasks that wait for this one.
    return matrix[cells].compute(scheduler="synchronous") if is_lazy(matrix) else matrix[cells]


def by_cells(*matrices: Any) -> Iterator[tuple[Any, ...]]:
    """Blocks of the same rows of several matrices, CSR or dense, in memory; one empty block if there are no rows."""
    ready = [stored_by_cells(matrix) for matrix in matrices]
    for start in range(0, max(1, ready[0].shape[0]), BLOCK_CELLS):
        yield tuple(some_cells(m, slice(start, start + BLOCK_CELLS)) for m in ready)


def as_csr(matrix: Any, *, genes: np.ndarray | slice = slice(None)) -> sparse.csr_matrix:
    """Genes of the matrix, by default all, as CSR of float32 with sorted indices; always a new matrix in memory."""
    if sparse.issparse(matrix):
        # Selecting genes copies already, even if all are selected.
        found = sparse.csr_matrix(stored_by_cells(matrix)[:, genes], dtype=np.float32)
        found.sum_duplicates()
        return found
    parts = [sparse.csr_matrix(cells[:, genes], dtype=np.float32) for (cells,) in by_cells(matrix)]
    return sparse.vstack(parts, format="csr")


def as_dense(matrix: Any) -> np.ndarray:
    """A matrix in memory as a dense array."""
    return np.asarray(matrix.toarray() if sparse.issparse(matrix) else matrix)


def blocks(matrix: Any) -> Iterator[np.ndarray]:
    """The stored values of a matrix in flat pieces, without the implicit zeros of a sparse matrix."""
    if is_lazy(matrix):
        for (cells,) in by_cells(matrix):
            yield from blocks(cells)
    elif sparse.issparse(matrix):
        values = matrix.data if hasattr(matrix, "data") else matrix.tocsr().data
        for start in range(0, values.size, _BLOCK_VALUES):
            yield values[start : start + _BLOCK_VALUES]
    else:
        dense = np.asarray(matrix)
        rows = max(1, _BLOCK_VALUES // max(1, dense.shape[1]))
        for start in range(0, dense.shape[0], rows):
            yield dense[start : start + rows].ravel()


def is_numeric(matrix: Any) -> bool:
    """Booleans, integers and floats are; text, objects and complex numbers are not."""
    return np.dtype(getattr(matrix, "dtype", object)).kind in "biuf"


def is_whole(matrix: Any) -> bool:
    """Whether all values are whole numbers, as counts are."""
    if np.dtype(matrix.dtype).kind in "biu":
        return True
    return all(np.array_equal(block, np.rint(block)) for block in blocks(matrix))


class Values(NamedTuple):
    """Summary of the values of a matrix."""

    n_not_finite: int
    """How many are NaN or infinite."""
    n_negative: int
    """How many are below zero."""
    largest: float
    """0 for a matrix without values; NaN where none is a number."""


def look_at_values(matrix: Any) -> Values:
    """Summary of the values in one pass over the matrix, which may be in a file."""
    n_not_finite, n_negative, highest = 0, 0, []
    for block in blocks(matrix):
        n_not_finite += int(np.count_nonzero(~np.isfinite(block)))
        n_negative += int(np.count_nonzero(block < 0))
        if block.size:
            highest.append(float(np.fmax.reduce(block)))
    return Values(n_not_finite, n_negative, float(np.fmax.reduce(highest)) if highest else 0.0)


def largest(matrix: Any) -> float:
    """The largest value; 0 for a matrix without values."""
    return max((float(np.nanmax(block)) for block in blocks(matrix) if block.size), default=0.0)


def same(a: Any, b: Any) -> bool:
    """Whether two matrices hold the same values in the same kind of storage."""
    if is_sparse(a) != is_sparse(b) or a.shape != b.shape:
        return False
    if is_sparse(a):
        return all((x != y).nnz == 0 for x, y in by_cells(a, b))
    return all(np.array_equal(x, y) for x, y in by_cells(a, b))


def cell_totals(matrix: Any) -> np.ndarray:
    """Sum over genes, shape ``(n_cells,)``, float64."""
    return np.concatenate([_summed(cells, axis=1) for (cells,) in by_cells(matrix)])


def gene_totals(matrix: Any) -> np.ndarray:
    """Sum over cells, shape ``(n_genes,)``, float64."""
    return np.sum([_summed(cells, axis=0) for (cells,) in by_cells(matrix)], axis=0)


def shared_counts(spliced: Any, unspliced: Any) -> np.ndarray:
    """Counts of each gene in the cells that have both its spliced and its unspliced form.

    The quantity behind scVelo's ``min_shared_counts``.

    Returns
    -------
    Shape ``(n_genes,)``, float64.
    """
    shared = np.zeros(spliced.shape[1])
    for cells in by_cells(spliced, unspliced):
        s, u = (sparse.csr_matrix(x) for x in cells)
        shared += _summed(s.multiply(u > 0), axis=0) + _summed(u.multiply(s > 0), axis=0)
    return shared


def _summed(matrix: Any, *, axis: int) -> np.ndarray:
    return np.asarray(matrix.sum(axis=axis, dtype=np.float64)).ravel()
