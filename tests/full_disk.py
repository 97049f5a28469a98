"""A disk that fills up at a chosen moment."""

from __future__ import annotations

import errno
import io
import os
import shutil
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from zarr.storage import LocalStore

from deepvelo.io import write


class FullDisk:
    """Has room for ``room`` writes, of chunks, texts, tables, copies or pieces of an HDF5 file, and fails at the next.

    Attributes
    ----------
    n_writes
        How many there have been.
    """

    def __init__(self, patch: pytest.MonkeyPatch, *, room: float = float("inf")) -> None:
        self.n_writes, self._room = 0, room
        for owner, name in (
            (Path, "write_text"),
            (Path, "write_bytes"),
            (pd.DataFrame, "to_csv"),
            (shutil, "copyfile"),
        ):
            patch.setattr(owner, name, self._limited(getattr(owner, name)))
        patch.setattr(LocalStore, "set", self._limited_later(LocalStore.set))
        disk = self

        class File(io.FileIO):
            def write(self, data: Any, /) -> int:
                disk.take()
                return super().write(data)

        patch.setattr(write, "FileIO", File)

    def take(self) -> None:
        """One write, or the error of a full disk."""
        if self.n_writes >= self._room:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        self.n_writes += 1

    def _limited(self, function: Any) -> Any:
        def limited(*args: Any, **options: Any) -> Any:
            self.take()
            return function(*args, **options)

        return limited

    def _limited_later(self, function: Any) -> Any:
        async def limited(*args: Any, **options: Any) -> Any:
            self.take()
            return await function(*args, **options)

        return limited
