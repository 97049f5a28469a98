"""Bound the text of an HDF5 file, whose arrays and attributes may refer to one string many times."""

from __future__ import annotations

import math
import mmap
import re
import uuid
from pathlib import Path
from typing import Any, Final

import numpy as np

from deepvelo.errors import InputError
from deepvelo.io.formats.declared_sizes import ALWAYS_ALLOWED

_BYTES_OF_LENGTH = 4  # at the start of a reference
_MAX_IN_VALUE: Final = 10_000
# A global heap collection with its size (HDF5 specification, III.E).
_COLLECTION = re.compile(rb"GCOL\x01\0\0\0(.{8})", re.DOTALL)

References = list[tuple[int, int]]
"""Offset of each reference within a value, and bytes per item that its length counts."""


def require_bounded_strings(path: Path, arrays: list[Any], *, most_in_attribute: int) -> None:
    """Refuse a file whose arrays or attributes refer to far more text than the file contains.

    Parameters
    ----------
    most_in_attribute
        Largest number of references of one attribute.
    """
    size = path.stat().st_size
    n_bytes, n_elsewhere = 0, most_in_attribute
    for array in arrays:
        here, elsewhere = _text_bytes(path, array)
        n_bytes, n_elsewhere = n_bytes + here, n_elsewhere + elsewhere
    # references that cannot be inspected may all point to the longest string
    if n_elsewhere * size > size + ALWAYS_ALLOWED:
        n_bytes += n_elsewhere * _longest_text(path)
    if n_bytes > size + ALWAYS_ALLOWED:
        msg = (
            f"{path.name} has {size / 2**20:,.1f} MB and refers to the same text so often that it would take "
            f"{n_bytes / 2**30:.1f} GB. Save the data again with the program that wrote it."
        )
        raise InputError(msg)


def n_references(kind: Any, n_values: int) -> int:
    """Number of strings that ``n_values`` values of a type refer to."""
    try:
        return n_values * len(_references(kind, 16)[1])
    except _TooManyReferencesError:
        return n_values * _MAX_IN_VALUE


class _TooManyReferencesError(Exception):
    """A value has references to references, or too many references."""


def _text_bytes(path: Path, array: Any) -> tuple[int, int]:
    """Bytes of all strings that an array refers to, and the number of references that cannot be inspected."""
    from h5py import h5d

    made = array.id.get_create_plist()
    # a reference is a length, the address of a heap collection, and an index in it
    width = _BYTES_OF_LENGTH + array.file.id.get_create_plist().get_sizes()[0] + 4
    try:
        n_per_value, references = _references(array.id.get_type(), width)
    except _TooManyReferencesError:
        msg = (
            f"{path.name} holds values that refer to values, which are not read: '{array.name.strip('/')}'. "
            "Save the object again with anndata or the program that wrote it."
        )
        raise InputError(msg) from None
    if not references or array.shape is None or 0 in array.shape:
        return 0, 0
    if made.get_layout() == h5d.COMPACT:
        return 0, array.size * len(references)
    n_bytes, n_written = 0, 0
    if array.chunks is None:
        start = array.id.get_offset()
        if start is not None:
            stored = np.memmap(path, np.uint8, "r", start, (array.size * n_per_value,))
            n_bytes, n_written = _summed(stored, n_per_value, references), array.size
    else:
        offsets: list[tuple[int, ...]] = []
        array.id.chunk_iter(lambda chunk: offsets.append(chunk.chunk_offset))
        for unpacked in _unpacked(array, offsets, n_per_value):
            n_bytes += _summed(unpacked, n_per_value, references)
        n_written = len(offsets) * math.prod(array.chunks)
    filled = made.fill_value_defined() == h5d.FILL_VALUE_USER_DEFINED
    return n_bytes, max(0, array.size - n_written) * len(references) * filled


def _references(kind: Any, width: int) -> tuple[int, References]:
    """Bytes of a value in the file, and the references in it."""
    from h5py import h5t

    if isinstance(kind, h5t.TypeStringID) and kind.is_variable_str():
        return width, [(0, 1)]
    if isinstance(kind, h5t.TypeVlenID):
        n_bytes, inner = _references(kind.get_super(), width)
        if inner:
            raise _TooManyReferencesError
        return width, [(0, n_bytes)]
    if isinstance(kind, h5t.TypeArrayID):
        n, (n_bytes, inner) = math.prod(kind.get_array_dims()), _references(kind.get_super(), width)
        if n * len(inner) > _MAX_IN_VALUE:
            raise _TooManyReferencesError
        return n * n_bytes, [
            (i * n_bytes + place, unit) for i in range(n if inner else 0) for place, unit in inner
        ]
    if isinstance(kind, h5t.TypeCompoundID):
        found: References = []
        wider = 0  # HDF5 gives offsets in memory, where references have another width
        for i in range(kind.get_nmembers()):
            member = kind.get_member_type(i)
            n_bytes, inner = _references(member, width)
            found += [(kind.get_member_offset(i) + wider + place, unit) for place, unit in inner]
            wider += n_bytes - member.get_size()
        if len(found) > _MAX_IN_VALUE:
            raise _TooManyReferencesError
        return kind.get_size() + wider, found
    return kind.get_size(), []


def _summed(values: np.ndarray, width: int, references: References) -> int:
    """Bytes of the strings that values refer to; each reference starts with the length of its string."""
    of_each = values[: len(values) // width * width].reshape(-1, width)
    return sum(
        unit
        * int(np.ascontiguousarray(of_each[:, at : at + _BYTES_OF_LENGTH]).view("<u4").sum(dtype=np.uint64))
        for at, unit in references
    )


def _unpacked(array: Any, offsets: list[tuple[int, ...]], width: int) -> Any:
    """Unpacked chunks as opaque bytes, decoded by HDF5 in an in-memory file."""
    import h5py
    from h5py import h5d, h5p, h5s, h5t

    made = array.id.get_create_plist()
    filters = [made.get_filter(i) for i in range(made.get_nfilters())]
    kind = h5t.create(h5t.OPAQUE, width)
    # a unique name, because HDF5 opens no name twice and several threads may read
    with h5py.File(uuid.uuid4().hex, "w", driver="core", backing_store=False) as file:
        for offset in offsets:
            left_out, packed = array.id.read_direct_chunk(offset)
            plain = h5p.create(h5p.DATASET_CREATE)
            plain.set_chunk(array.chunks)
            for i, (number, flags, values, _) in enumerate(filters):
                if not left_out >> i & 1:
                    plain.set_filter(number, flags, values)
            chunk = h5d.create(file.id, b"chunk", kind, h5s.create_simple(array.chunks), plain)
            chunk.write_direct_chunk((0,) * len(array.chunks), packed)
            yield h5py.Dataset(chunk)[...].view(np.uint8).ravel()
            file.id.unlink(b"chunk")


def _longest_text(path: Path) -> int:
    """Bytes of the largest heap collection, an upper bound for the longest string."""
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
        sizes = (int.from_bytes(found[1], "little") for found in _COLLECTION.finditer(content))
        return max((min(n, len(content)) for n in sizes), default=0)
