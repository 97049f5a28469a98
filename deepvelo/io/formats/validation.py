"""Validate sparse matrices and tables of a file before they are used.

Out-of-range indices of a sparse matrix make compiled code read and write foreign memory.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import Any

import numpy as np
from scipy import sparse

from deepvelo.errors import InputError

_SPARSE = {"csr_matrix": 0, "csc_matrix": 1, "csr": 0, "csc": 1}  # axis of `indptr` by encoding


def read_element(element: Any, name: str) -> Any:
    """Read an element of an h5ad file or Zarr folder with anndata, validating all its sparse matrices and tables.

    Raises
    ------
    InputError
        A sparse matrix or a table is invalid.
    """
    from anndata.experimental import read_dispatched

    def checked(read: Any, place: str, part: Any, iospec: Any) -> Any:
        if iospec.encoding_type == "dataframe":
            require_own_columns(part, name)
        if iospec.encoding_type == "anndata" and not {"obs", "var"} <= set(part):
            what = f"{name} is damaged: in {_label(part)}"
            raise _damaged(what, "cells or genes have no names")
        if sparse_axis(part) is None:
            return read(part)
        _require_declared(part, name)
        matrix = read(part)
        require_valid_sparse(matrix, f"{name} is damaged: in {_label(part)}")
        matrix.indices, matrix.indptr = map(_signed, (matrix.indices, matrix.indptr))
        return matrix

    return read_dispatched(element, checked)


def read_lazily(element: Any, name: str, *, cells: int) -> Any:
    """A matrix as a Dask array of blocks of cells, each validated when it is read."""
    from anndata.experimental import read_elem_lazy

    lazy = read_elem_lazy(element, chunks=(cells, -1))
    if sparse_axis(element) is None:
        return lazy
    _require_declared(element, name)
    what = f"{name} is damaged: in {_label(element)}"
    _require_pointers(element["indptr"][...], element["indices"].shape[0], what)
    return lazy.map_blocks(partial(_validated, what=what), dtype=lazy.dtype, meta=lazy._meta)


def require_valid_parts(group: Any, name: str) -> None:
    """Validate all sparse matrices and tables of a group, for readers that do not."""
    for part in _groups(group):
        if "column-order" in part.attrs:
            require_own_columns(part, name)
        if sparse_axis(part) is not None:
            _require_declared(part, name)
            axis, shape = sparse_axis(part), declared_shape(part)
            assert axis is not None
            what = f"{name} is damaged: in {_label(part)}"
            _require_pointers(part["indptr"][...], part["indices"].shape[0], what)
            _require_places(part["indices"][...], shape[1 - axis], what)


def require_valid_sparse(matrix: Any, what: str) -> None:
    """Validate a CSR or CSC matrix; ``what`` starts the message.

    Raises
    ------
    InputError
        Its pointers or indices do not fit its shape.
    """
    major, minor = matrix.shape if matrix.format == "csr" else matrix.shape[::-1]
    if len(matrix.data) != len(matrix.indices) or len(matrix.indptr) != major + 1:
        raise _damaged(what, "the lengths of its parts differ")
    _require_pointers(matrix.indptr, len(matrix.indices), what)
    _require_places(matrix.indices, minor, what)


def csr_from_parts(
    data: Any, indices: Any, indptr: Any, *, shape: tuple[int, int], what: str
) -> sparse.csr_matrix:
    """Build a CSR matrix from its parts, validated first."""
    if data.ndim != 1 or len(data) != len(indices) or len(indptr) != shape[0] + 1:
        raise _damaged(what, "the lengths of its parts differ")
    _require_pointers(indptr, len(indices), what)
    _require_places(indices, shape[1], what)
    return sparse.csr_matrix((data, indices, indptr), shape=shape)


def require_own_columns(frame: Any, name: str) -> None:
    """Check that a table lists each column once and no element outside the table."""
    columns = [str(column) for column in np.ravel(frame.attrs["column-order"])]
    index = str(frame.attrs.get("_index", "_index"))
    elsewhere = any({"", ".", ".."} & set(column.split("/")) for column in (*columns, index))
    if len(set(columns)) < len(columns) or elsewhere:
        msg = (
            f"{name} is damaged: the table {_label(frame)} lists a column twice or one outside the table. "
            "Save it again with anndata."
        )
        raise InputError(msg)


def sparse_axis(element: Any) -> int | None:
    """0 for CSR, 1 for CSC, None for anything else."""
    if not hasattr(element, "keys"):
        return None
    kind = element.attrs.get("encoding-type", element.attrs.get("h5sparse_format", ""))
    return _SPARSE.get(kind) if isinstance(kind, str) else None


def declared_shape(element: Any) -> tuple[int, ...]:
    """Shape of an array, or declared shape of a sparse matrix; empty if there is none."""
    stored = getattr(element, "shape", None) or element.attrs.get(
        "shape", element.attrs.get("h5sparse_shape")
    )
    return tuple(int(n) for n in stored) if stored is not None else ()


def _require_declared(element: Any, name: str) -> None:
    """Check the shapes and types of the parts before reading any of them."""
    what = f"{name} is damaged: in {_label(element)}"
    parts = [element.get(part) for part in ("data", "indices", "indptr")]
    shape, axis = declared_shape(element), sparse_axis(element)
    if axis is None or len(shape) != 2 or min(shape) < 0 or max(shape) > np.iinfo(np.int32).max:
        raise _damaged(what, f"its shape is {shape}")
    if any(part is None or len(getattr(part, "shape", None) or ()) != 1 for part in parts):
        raise _damaged(what, "a part is missing")
    data, indices, indptr = parts
    if indices.dtype.kind not in "iu" or indptr.dtype.kind not in "iu":
        raise _damaged(what, "its indices are not integers")
    if data.shape != indices.shape or indptr.shape[0] != shape[axis] + 1:
        raise _damaged(what, "the lengths of its parts differ")


def _require_pointers(indptr: np.ndarray, n_values: int, what: str) -> None:
    if (
        indptr.dtype.kind not in "iu"
        or indptr[0] != 0
        or indptr[-1] != n_values
        or (indptr[1:] < indptr[:-1]).any()
    ):
        raise _damaged(what, f"'indptr' does not rise from 0 to {n_values:,}")


def _require_places(indices: np.ndarray, n: int, what: str) -> None:
    if indices.dtype.kind not in "iu" or (len(indices) and (indices.min() < 0 or indices.max() >= n)):
        raise _damaged(what, f"'indices' are not all between 0 and {n - 1:,}")


def _signed(places: np.ndarray) -> np.ndarray:
    """Indices in an integer type that scipy's compiled code accepts."""
    return places if places.dtype in (np.int32, np.int64) else places.astype(np.int64)


def _validated(block: Any, *, what: str) -> Any:
    require_valid_sparse(block, what)
    return block


def _groups(element: Any) -> Iterator[Any]:
    if hasattr(element, "keys"):
        yield element
        for key in element:
            yield from _groups(element[key])


def _label(element: Any) -> str:
    return f"'{element.name.strip('/')}'"


def _damaged(what: str, reason: str) -> InputError:
    return InputError(f"{what}, {reason}. Copy or download it again.")
