"""Open an HDF5 file of any of the formats that are one."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from deepvelo.errors import InputError


def is_hdf5(path: Path) -> bool:
    """Whether a file begins as HDF5 files do."""
    import h5py

    return path.is_file() and bool(h5py.is_hdf5(path))


@contextmanager
def opened(path: Path, *, kind: str) -> Iterator[Any]:
    """The open file, an ``h5py.File``.

    Raises
    ------
    InputError
        It is no HDF5 file, or its end is missing.
    """
    import h5py

    if not is_hdf5(path):
        msg = f"{path.name} is not {kind}: it does not begin as one. Check that the right file was chosen."
        raise InputError(msg)
    try:
        file = h5py.File(path, "r")
    except OSError as error:
        if "truncated" not in str(error):
            raise
        msg = f"{path.name} is truncated: its end is missing. Copy or download it again."
        raise InputError(msg) from error
    with file:
        yield file
