"""What a file will take in memory, by what it declares, and whether so few bytes can hold so much."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any, Final

import numpy as np

from deepvelo import memory
from deepvelo.errors import InputError

# Deflate packs zeros by a factor of 1032 and counts, 99 % of them zero, by 100; nested packing multiplies.
MOST_TIMES: Final = 200
ALWAYS: Final = 2**28
"""Bytes that a file of any size may unpack to."""
_ALWAYS_CHUNKS = 20_000
_BYTES_OF_CHUNK = 256
_TEXT = 80  # bytes of a short text as a Python object, and of the reference to it
_SHOWN_AS = {"O": _TEXT, "T": _TEXT}


def arrays(element: Any) -> list[Any]:
    """Every array of an HDF5 or Zarr group, or the array itself."""
    if hasattr(element, "shape"):
        return [element]
    if hasattr(element, "members"):  # all of a Zarr group together: one by one takes milliseconds each
        return [found for _, found in element.members(max_depth=None) if hasattr(found, "shape")]
    return [array for key in getattr(element, "keys", tuple)() for array in arrays(element[key])]


def held(arrays: Iterable[Any], *, least: int = 1) -> int:
    """Bytes that arrays take in memory.

    Parameters
    ----------
    least
        Bytes that a number takes at least: 4 where all become float32.
    """
    return sum(_size(array) * _bytes_per_value(array.dtype, least) for array in arrays)


def largest_chunk(arrays: Iterable[Any]) -> int:
    """Bytes of the largest chunk, unpacked."""
    return max(map(chunk_bytes, arrays), default=0)


def chunk_bytes(array: Any) -> int:
    """Bytes of a chunk, unpacked: HDF5 and Zarr read it as a whole."""
    widths = _chunk_shape(array)
    return math.prod(map(int, widths)) * int(array.dtype.itemsize) if widths else 0


def require_fits(n_bytes: int, name: str) -> None:
    """Raise an `InputError` if a file would take more memory than is free."""
    available = memory.available_memory()
    if n_bytes > available:
        msg = (
            f"{name} needs {n_bytes / 2**30:.1f} GB of memory. Found {available / 2**30:.1f} GB free. "
            "Leave out layers or cells, or use a larger machine."
        )
        raise InputError(msg)


def most_unpacked(given: int) -> int:
    """Bytes that a file of ``given`` bytes may unpack to."""
    return max(ALWAYS, MOST_TIMES * given)


def require_meant(n_bytes: int, name: str, *, given: int) -> None:
    """Raise an `InputError` if a file claims to hold far more than data of its size do.

    Parameters
    ----------
    given
        Bytes of the file, packed as the user gave it.
    """
    if n_bytes > most_unpacked(given):
        msg = (
            f"{name} has {given / 2**20:,.1f} MB and claims to hold {n_bytes / 2**30:.1f} GB. Data are packed at most "
            f"{MOST_TIMES} times smaller, so it is damaged or made to fill the memory. Save the data again, matrices sparse."
        )
        raise InputError(msg)


def require_few_chunks(arrays: Iterable[Any], name: str, *, given: int, each: int = _BYTES_OF_CHUNK) -> None:
    """Raise an `InputError` if arrays have far more chunks than a file of ``given`` bytes can hold: each takes time.

    Parameters
    ----------
    each
        Bytes of the file that a chunk takes at least, on average.
    """
    most = _ALWAYS_CHUNKS + given // each
    n_chunks = sum(_n_chunks(array) for array in arrays)
    if n_chunks > most:
        msg = (
            f"{name} claims to hold its values in {n_chunks:,} pieces, more than its {given / 2**20:,.1f} MB have room for. "
            "Save the data again, in larger chunks."
        )
        raise InputError(msg)


def _n_chunks(array: Any) -> int:
    widths = _chunk_shape(array)
    return math.prod(-(-n // max(1, width)) for n, width in zip(array.shape or (), widths, strict=False))


def _chunk_shape(array: Any) -> tuple[int, ...]:
    """Of what is read as a whole: a shard, where chunks lie in one."""
    return getattr(array, "shards", None) or array.chunks or ()


def _size(array: Any) -> int:
    # Of an HDF5 dataset without any value, `shape` is None.
    return math.prod(map(int, array.shape)) if array.shape is not None else 0


def of_names(shape: tuple[int, ...]) -> int:
    """Bytes of names that are made up for as many cells and genes, and of what a sparse matrix has for each."""
    return _TEXT * sum(shape)


def _bytes_per_value(dtype: np.dtype, least: int) -> int:
    if dtype.names:
        return sum(_bytes_per_value(dtype[name], least) for name in dtype.names)
    if dtype.subdtype:
        return math.prod(dtype.shape) * _bytes_per_value(dtype.base, least)
    if dtype.kind in _SHOWN_AS:
        return _SHOWN_AS[dtype.kind]
    if dtype.kind == "S":  # unpacked, decoded, and as a Python object
        return 5 * dtype.itemsize + _TEXT
    if dtype.kind == "U":
        return 2 * dtype.itemsize + _TEXT
    return max(int(dtype.itemsize), least)
