"""Questions to a cells x genes matrix, sparse or dense, answered without ever making it dense."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from scipy import sparse

# Values looked at together: keeps the temporary arrays of a check at a few megabytes.
_BLOCK = 1 << 20


def as_csr(matrix: Any) -> sparse.csr_matrix:
    """The matrix as CSR of float32, shape unchanged; always a new matrix."""
    return sparse.csr_matrix(matrix, dtype=np.float32, copy=True)


def blocks(matrix: Any) -> Iterator[np.ndarray]:
    """The stored values of a matrix in flat pieces; the zeros a sparse matrix leaves out are not among them."""
    if sparse.issparse(matrix):
        values = matrix.data if hasattr(matrix, "data") else matrix.tocsr().data
        for start in range(0, values.size, _BLOCK):
            yield values[start : start + _BLOCK]
    else:
        dense = np.asarray(matrix)
        rows = max(1, _BLOCK // max(1, dense.shape[1]))
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


def n_not_finite(matrix: Any) -> int:
    """How many values are NaN or infinite."""
    return sum(int(np.count_nonzero(~np.isfinite(block))) for block in blocks(matrix))


def n_negative(matrix: Any) -> int:
    """How many values are below zero."""
    return sum(int(np.count_nonzero(block < 0)) for block in blocks(matrix))


def largest(matrix: Any) -> float:
    """The largest value; 0 for a matrix without values."""
    return max((float(np.nanmax(block)) for block in blocks(matrix) if block.size), default=0.0)


def cell_totals(matrix: Any) -> np.ndarray:
    """Sum over genes, shape ``(n_cells,)``, float64."""
    return np.asarray(matrix.sum(axis=1, dtype=np.float64)).ravel()


def gene_totals(matrix: Any) -> np.ndarray:
    """Sum over cells, shape ``(n_genes,)``, float64."""
    return np.asarray(matrix.sum(axis=0, dtype=np.float64)).ravel()


def shared_counts(spliced: Any, unspliced: Any) -> np.ndarray:
    """Counts of each gene in the cells that have both its spliced and its unspliced form.

    The quantity behind scVelo's ``min_shared_counts``.

    Returns
    -------
    Shape ``(n_genes,)``, float64.
    """
    s, u = sparse.csr_matrix(spliced), sparse.csr_matrix(unspliced)
    return gene_totals(s.multiply(u > 0)) + gene_totals(u.multiply(s > 0))
