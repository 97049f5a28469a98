"""Estimate a file's memory from its declared shapes, and refuse implausible sizes before anything is allocated."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any, Final

import numpy as np

from deepvelo import memory
from deepvelo.errors import InputError

# Deflate compresses zeros 1032-fold and counts with 99% zeros 100-fold; nested compression multiplies the ratios.
MAX_RATIO: Final = 200
ALWAYS_ALLOWED: Final = 2**28
"""Unpacked bytes that are accepted for a file of any size."""
_ALWAYS_ALLOWED_CHUNKS = 20_000
_BYTES_OF_CHUNK = 256
_BYTES_PER_TEXT = 80  # a short Python string and the reference to it
_BYTES_OF_KIND = {"O": _BYTES_PER_TEXT, "T": _BYTES_PER_TEXT}


def arrays_in(element: Any) -> list[Any]:
    """Every array of an HDF5 or Zarr group, or the array itself."""
    if hasattr(element, "shape"):
        return [element]
    if hasattr(element, "members"):  # listing a Zarr group at once is faster than opening each member
        return [found for _, found in element.members(max_depth=None) if hasattr(found, "shape")]
    return [array for key in getattr(element, "keys", tuple)() for array in arrays_in(element[key])]


def bytes_in_memory(arrays: Iterable[Any], *, min_itemsize: int = 1) -> int:
    """Bytes that arrays take in memory.

    Parameters
    ----------
    min_itemsize
        Minimum bytes per number, e.g. 4 if all values become float32.
    """
    return sum(_size(array) * _bytes_per_value(array.dtype, min_itemsize) for array in arrays)


def largest_chunk(arrays: Iterable[Any]) -> int:
    """Bytes of the largest chunk, unpacked."""
    return max(map(chunk_bytes, arrays), default=0)


def chunk_bytes(array: Any) -> int:
    """Unpacked bytes of a chunk, which HDF5 and Zarr read as a whole."""
    widths = _chunk_shape(array)
    return math.prod(map(int, widths)) * int(array.dtype.itemsize) if widths else 0


def require_memory(n_bytes: int, name: str) -> None:
    """Raise an `InputError` if a file would take more memory than is free."""
    available = memory.available_memory()
    if n_bytes > available:
        msg = (
            f"{name} needs {n_bytes / 2**30:.1f} GB of memory. Found {available / 2**30:.1f} GB free. "
            "Leave out layers or cells, or use a larger machine."
        )
        raise InputError(msg)


def max_unpacked_bytes(packed_size: int) -> int:
    """Maximum accepted unpacked size of a file of ``packed_size`` bytes."""
    return max(ALWAYS_ALLOWED, MAX_RATIO * packed_size)


def require_plausible_size(n_bytes: int, name: str, *, packed_size: int) -> None:
    """Raise an `InputError` if a file declares far more data than its size can hold.

    Parameters
    ----------
    packed_size
        Bytes of the file as the user gave it, compressed or not.
    """
    if n_bytes > max_unpacked_bytes(packed_size):
        msg = (
            f"{name} has {packed_size / 2**20:,.1f} MB and claims to hold {n_bytes / 2**30:.1f} GB. Data compress at most "
            f"{MAX_RATIO}-fold, so it is damaged or made to fill the memory. Save the data again with sparse matrices."
        )
        raise InputError(msg)


def require_few_chunks(
    arrays: Iterable[Any], name: str, *, packed_size: int, bytes_per_chunk: int = _BYTES_OF_CHUNK
) -> None:
    """Raise an `InputError` if arrays have more chunks than a file of ``packed_size`` bytes can hold.

    Parameters
    ----------
    bytes_per_chunk
        Minimum average size of a chunk in the file.
    """
    most = _ALWAYS_ALLOWED_CHUNKS + packed_size // bytes_per_chunk
    n_chunks = sum(_n_chunks(array) for array in arrays)
    if n_chunks > most:
        msg = (
            f"{name} claims to hold its values in {n_chunks:,} pieces, more than its {packed_size / 2**20:,.1f} MB have room for. "
            "Save the data again, in larger chunks."
        )
        raise InputError(msg)


def _n_chunks(array: Any) -> int:
    widths = _chunk_shape(array)
    return math.prod(-(-n // max(1, width)) for n, width in zip(array.shape or (), widths, strict=False))


def _chunk_shape(array: Any) -> tuple[int, ...]:
    """Shape of the unit that is read as a whole: a shard if there are shards, otherwise a chunk."""
    return getattr(array, "shards", None) or array.chunks or ()


def _size(array: Any) -> int:
    # An empty HDF5 dataset has `shape` None.
    return math.prod(map(int, array.shape)) if array.shape is not None else 0


def bytes_of_names(shape: tuple[int, ...]) -> int:
    """Bytes of the default names and sparse pointers that AnnData creates for so many cells and genes."""
    return _BYTES_PER_TEXT * sum(shape)


def _bytes_per_value(dtype: np.dtype, min_itemsize: int) -> int:
    if dtype.names:
        return sum(_bytes_per_value(dtype[name], min_itemsize) for name in dtype.names)
    if dtype.subdtype:
        return math.prod(dtype.shape) * _bytes_per_value(dtype.base, min_itemsize)
    if dtype.kind in _BYTES_OF_KIND:
        return _BYTES_OF_KIND[dtype.kind]
    if dtype.kind == "S":  # bytes, decoded text and Python objects exist at the same time
        return 5 * dtype.itemsize + _BYTES_PER_TEXT
    if dtype.kind == "U":
        return 2 * dtype.itemsize + _BYTES_PER_TEXT
    return max(int(dtype.itemsize), min_itemsize)
