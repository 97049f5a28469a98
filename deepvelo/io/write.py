"""Write files whole or not at all, and say why where it cannot be done."""

from __future__ import annotations

import errno
import os
import shutil
import tempfile
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from deepvelo.errors import InputError

if TYPE_CHECKING:
    from anndata import AnnData


FULL = {errno.ENOSPC, errno.EDQUOT}
_ON_THEIR_WAY = 0.2  # seconds
_TRIES = 10


def write_h5ad(adata: AnnData, path: Path | str, *, compression: str = "lzf") -> None:
    """Write an object under its final name only once it is whole.

    Raises
    ------
    InputError
        The folder is missing or may not be written, or the disk is full.
    """
    _write_whole(Path(path), lambda partial: adata.write_h5ad(partial, compression=compression))


def write_text(text: str, path: Path) -> None:
    """Write a text, UTF-8, under its final name only once it is whole.

    Raises
    ------
    InputError
        The folder is missing or may not be written, or the disk is full.
    """
    _write_whole(path, lambda partial: partial.write_text(text, encoding="utf-8"))


def _write_whole(path: Path, write: Callable[[Path], object]) -> None:
    partial = path.with_name(f".{path.name}.{uuid.uuid4().hex[:8]}.part")
    try:
        write(partial)
        partial.replace(path)
    except OSError as error:
        raise _refusal(path, error) from error
    finally:
        partial.unlink(missing_ok=True)


@contextmanager
def scratch_beside(path: Path) -> Iterator[Path]:
    """A hidden folder for large layers of an object that will be written as a file; gone afterwards.

    Raises
    ------
    InputError
        It cannot be made or written to: the folder is missing or may not be written, or the disk is full.
    """
    try:
        folder = Path(tempfile.mkdtemp(dir=path.parent, prefix=f".{path.name}."))
    except OSError as error:
        raise _refusal(path, error) from error
    try:
        with removed_afterwards(folder):
            yield folder
    except OSError as error:
        if is_about(error, folder):
            raise _refusal(path, error) from error
        raise


def is_about(error: OSError, folder: Path) -> bool:
    """Whether an error of the system is about what lies in a folder, or about a full disk."""
    name = error.filename
    in_it = isinstance(name, str | bytes | os.PathLike) and Path(os.fsdecode(name)).is_relative_to(folder)
    return in_it or error.errno in FULL or "No space left" in str(error)


@contextmanager
def removed_afterwards(folder: Path) -> Iterator[None]:
    """Remove a folder in the end, whatever happened in it.

    Zarr writes chunks in threads: when one fails, others are still on their way and would make the folder anew.
    """
    try:
        yield
    except BaseException:
        time.sleep(_ON_THEIR_WAY)
        raise
    finally:
        for _ in range(_TRIES):
            shutil.rmtree(folder, ignore_errors=True)
            if not folder.exists():
                break
            time.sleep(_ON_THEIR_WAY)


def require_writable(path: Path) -> None:
    """Check that a file can be written in its folder: better before hours of training than after.

    Raises
    ------
    InputError
        The folder is missing or may not be written, or the disk is full.
    """
    try:
        with tempfile.NamedTemporaryFile(dir=path.parent, prefix=".") as probe:
            probe.write(b"0")
    except OSError as error:
        raise _refusal(path, error) from error


def _refusal(path: Path, error: OSError) -> InputError:
    return InputError(f"{path} could not be written: {_reason(error)}. Choose another place or make room.")


def _reason(error: OSError) -> str:
    if "No space left" in str(error) or error.errno in FULL:
        return "no space is left on the disk"
    if isinstance(error, PermissionError) or error.errno == errno.EROFS:
        return "permission denied"
    if isinstance(error, FileNotFoundError):
        return "the folder does not exist"
    return str(error).split("\n", maxsplit=1)[0].rstrip(".")
