"""How much text an HDF5 file holds: its arrays refer to texts elsewhere in the file, and many may refer to the same one."""

from __future__ import annotations

import math
import zlib
from pathlib import Path
from typing import Any

import numpy as np

from deepvelo.errors import InputError
from deepvelo.io.formats.claims import ALWAYS

_DEFLATE, _SHUFFLE, _CHECKSUM, _BLOSC, _ZSTD = 1, 2, 3, 32001, 32015
_BYTES_OF_LENGTH = 4  # that a reference begins with


def require_own_texts(path: Path, arrays: list[Any]) -> None:
    """Refuse a file whose arrays refer to far more text than the file has."""
    n_bytes, size = sum(_text_bytes(path, array) for array in arrays), path.stat().st_size
    if n_bytes > size + ALWAYS:
        msg = (
            f"{path.name} has {size / 2**20:,.1f} MB and refers to the same text so often that it would take "
            f"{n_bytes / 2**30:.1f} GB. Save the data again with the program that wrote it."
        )
        raise InputError(msg)


def _text_bytes(path: Path, array: Any) -> int:
    """Bytes of all texts that an array refers to; 0 for one that holds its values itself."""
    if not _refers(array) or not array.shape or 0 in array.shape:
        return 0
    # A length, the address of the collection that the text lies in, and its number there.
    width = _BYTES_OF_LENGTH + array.file.id.get_create_plist().get_sizes()[0] + 4
    if array.chunks is None:
        start = array.id.get_offset()
        if start is None:  # nothing was written, or what was lies in the description of the array
            return 0
        return _summed(np.memmap(path, np.uint8, "r", start, (array.size * width,)), width)
    made = array.id.get_create_plist()
    filters = [made.get_filter(i)[0] for i in range(made.get_nfilters())]
    offsets: list[tuple[int, ...]] = []
    array.id.chunk_iter(lambda chunk: offsets.append(chunk.chunk_offset))
    n_bytes = 0
    for offset in offsets:
        mask, packed = array.id.read_direct_chunk(offset)
        unpacked = _unpacked(packed, filters, mask, width, most=math.prod(array.chunks) * width)
        n_bytes += 0 if unpacked is None else _summed(unpacked, width)
    return n_bytes


def _refers(array: Any) -> bool:
    from h5py import h5t

    kind = array.id.get_type()
    return isinstance(kind, h5t.TypeVlenID) or (isinstance(kind, h5t.TypeStringID) and kind.is_variable_str())


def _summed(references: np.ndarray, width: int) -> int:
    """Bytes of the texts that references stand for; each begins with the length of its own."""
    of_each = references[: len(references) // width * width].reshape(-1, width)
    return int(np.ascontiguousarray(of_each[:, :_BYTES_OF_LENGTH]).view("<u4").sum(dtype=np.uint64))


def _unpacked(packed: bytes, filters: list[int], mask: int, width: int, *, most: int) -> np.ndarray | None:
    """A chunk as it was before it was packed; None for what is only known to HDF5."""
    import numcodecs

    for i, number in reversed(list(enumerate(filters))):
        if mask >> i & 1:  # left out for this chunk
            continue
        if number == _CHECKSUM:
            packed = packed[:-4]
        elif number == _DEFLATE:
            packed = zlib.decompressobj().decompress(packed, most)
        elif number in (_BLOSC, _ZSTD):
            packed = bytes(
                numcodecs.get_codec({"id": "blosc" if number == _BLOSC else "zstd"}).decode(packed)
            )
        elif number == _SHUFFLE:
            n = len(packed) // width
            packed = np.frombuffer(packed, np.uint8)[: n * width].reshape(width, n).T.tobytes()
        else:
            return None
    return np.frombuffer(packed, np.uint8)
