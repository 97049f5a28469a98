"""The members of a zip file, after checking the size of its directory."""

from __future__ import annotations

import struct
import zipfile
from pathlib import Path
from typing import Final

from deepvelo.errors import InputError

MAX_MEMBERS: Final = 100_000  # a zipped Zarr folder has one per chunk
_LARGEST_LIST: Final = 2**25  # bytes
_END, _END_64, _LOCATOR = b"PK\x05\x06", b"PK\x06\x06", b"PK\x06\x07"
_LONGEST_END = 22 + 2**16


def members(path: Path) -> list[str]:
    """Names of the members.

    Raises
    ------
    InputError
        The directory is too long.
    """
    require_short_list(path)
    with zipfile.ZipFile(path) as archive:
        return archive.namelist()


def require_short_list(path: Path) -> None:
    """Refuse a zip file whose directory would fill the memory in Python's reader."""
    with path.open("rb") as file:
        size = path.stat().st_size
        file.seek(max(0, size - _LONGEST_END))
        end = file.read()
        at = end.rfind(_END)
        length = struct.unpack_from("<L", end, at + 12)[0] if 0 <= at <= len(end) - 22 else 0
        locator = end[at - 20 : at] if at >= 20 else b""
        if locator.startswith(_LOCATOR):
            file.seek(min(size, struct.unpack_from("<Q", locator, 8)[0]))
            long_end = file.read(56)
            if len(long_end) == 56 and long_end.startswith(_END_64):
                length = max(length if length < 2**32 - 1 else 0, struct.unpack_from("<Q", long_end, 40)[0])
    if length > _LARGEST_LIST:
        msg = (
            f"{path.name} lists more files than are unpacked (at most {MAX_MEMBERS:,}). "
            "Pack the data set alone, or give its folder."
        )
        raise InputError(msg)
