"""Check compressed chunks of HDF5 and Zarr: known codecs only, and no chunk larger than its array declares."""

from __future__ import annotations

import bz2
import lzma
import zlib
from collections.abc import Callable
from typing import Any, Final

_UNCHECKED_BYTES = 2**26  # chunks that cannot exceed this size are not inspected
# Maximum compression ratio of each method.
_MAX_RATIO: Final = {
    "deflate": 1032, "bz2": 2**21, "lzma": 2**13, "zstd": 2**15, "blosc": 2**15, "lz4": 255, "lz4-hdf5": 255,
    "bitshuffle": 2**15, "blosc2": 2**40, "lzf": 88,
}  # fmt: skip
_HEAD = 32  # bytes of a header
_AT_ONCE = 2**22
_UNPACKERS: Final[dict[str, Callable[[], Any]]] = {
    "deflate": lambda: zlib.decompressobj(wbits=zlib.MAX_WBITS | 32),  # accepts zlib and gzip headers
    "bz2": bz2.BZ2Decompressor,
    "lzma": lzma.LZMADecompressor,
}

HDF5_FILTERS: Final = {
    1: "deflate", 2: "", 3: "", 4: "szip", 5: "nbit", 6: "scaleoffset", 307: "bz2", 32000: "lzf", 32001: "blosc",
    32004: "lz4-hdf5", 32008: "bitshuffle", 32015: "zstd", 32026: "blosc2",
}  # fmt: skip
"""Compression method of the filters of h5py and hdf5plugin, by number; empty for filters that only reorder bytes. Lossy
filters are not included."""
ZARR_CODECS: Final = {
    "bytes": "", "transpose": "", "crc32c": "", "crc32": "", "adler32": "", "fletcher32": "", "shuffle": "", "delta": "",
    "vlen-utf8": "", "vlen-bytes": "", "sharding_indexed": "", "gzip": "deflate", "zlib": "deflate", "bz2": "bz2",
    "lzma": "lzma", "zstd": "zstd", "blosc": "blosc", "lz4": "lz4",
}  # fmt: skip
"""Compression method of the codecs of Zarr 2 and 3 for numbers and text. None of them executes code from a file."""


def may_exceed(n_stored: int, method: str) -> bool:
    """Whether a chunk of ``n_stored`` bytes may unpack to more than `_UNCHECKED_BYTES` and must be inspected."""
    return n_stored * _MAX_RATIO.get(method, 0) > _UNCHECKED_BYTES


def exceeds(read: Callable[[int], bytes], n_stored: int, method: str, *, most: int) -> bool:
    """Whether a chunk unpacks to more than ``most`` bytes; unpacks no more than that to find out.

    Parameters
    ----------
    read
        Returns at least the given number of its first bytes.
    """
    if method in _UNPACKERS:
        return _unpacks_to_more(read(n_stored), method, most)
    return _DECLARED_SIZE[method](read(n_stored if method in _NEEDS_WHOLE_CHUNK else _HEAD)) > most


def n_declared_strings(packed: bytes, codecs: list[str]) -> int:
    """Number of strings that a chunk declares, for which numcodecs allocates memory before reading them."""
    import numcodecs

    for codec in reversed(codecs):
        if codec == "crc32c":
            packed = packed[:-4]
        elif ZARR_CODECS[codec]:
            packed = bytes(numcodecs.get_codec({"id": codec}).decode(packed))
    return int.from_bytes(packed[:4], "little")


def _unpacks_to_more(packed: bytes, method: str, most: int) -> bool:
    unpack, left = _UNPACKERS[method](), most + 1
    try:
        while left > 0 and (packed or not unpack.eof):
            if unpack.eof:  # the next member of a concatenated stream
                unpack = _UNPACKERS[method]()
            found = unpack.decompress(packed, min(left, _AT_ONCE))
            left -= len(found)
            packed = unpack.unused_data or getattr(unpack, "unconsumed_tail", b"")
            if not found and not packed:
                break
    except (zlib.error, OSError, EOFError, lzma.LZMAError):
        pass  # the reader reports the damage
    return left <= 0


def _lzf_size(packed: bytes) -> int:
    """Unpacked size of LZF: a byte below 32 starts that many literals plus one, others a repetition."""
    n_bytes = at = 0
    while at < len(packed):
        sign = packed[at]
        if sign < 32:
            n_bytes, at = n_bytes + sign + 1, at + sign + 2
        elif sign < 224:
            n_bytes, at = n_bytes + (sign >> 5) + 2, at + 2
        else:
            n_bytes, at = n_bytes + 9 + int.from_bytes(packed[at + 1 : at + 2]), at + 3
    return n_bytes


def _blosc2_size(packed: bytes) -> int:
    """Largest size that a Blosc2 frame of one chunk declares: of the frame, of a chunk, and of the first chunk itself."""
    start = int.from_bytes(packed[11:15], "big")
    return max(
        int.from_bytes(packed[30:38], "big"),
        int.from_bytes(packed[58:62], "big"),
        int.from_bytes(packed[start + 4 : start + 8], "little"),
    )


def _zstd_size(head: bytes) -> int:
    """Content size of a zstd frame (RFC 8878, 3.1.1); unlimited if the frame does not declare it."""
    if len(head) < 14 or head[:4] != b"\x28\xb5\x2f\xfd":
        return 2**64
    flags = head[4]
    single = bool(flags & 0b100000)
    start = 5 + (not single) + (0, 1, 2, 4)[flags & 0b11]
    length = (int(single), 2, 4, 8)[flags >> 6]
    size = int.from_bytes(head[start : start + length], "little")
    return size + 256 * (length == 2) if length else 2**64


_DECLARED_SIZE: Final[dict[str, Callable[[bytes], int]]] = {
    "zstd": _zstd_size,
    "blosc": lambda head: int.from_bytes(head[4:8], "little"),
    "lz4": lambda head: int.from_bytes(head[:4], "little"),
    "blosc2": _blosc2_size,
    "lzf": _lzf_size,
    "lz4-hdf5": lambda head: int.from_bytes(head[:8], "big"),
    "bitshuffle": lambda head: int.from_bytes(head[:8], "big"),
}
_NEEDS_WHOLE_CHUNK: Final = ("blosc2", "lzf")  # their size is not in the header
