"""Write files whole or not at all, and say why where it cannot be done."""

from __future__ import annotations

import errno
import tempfile
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from deepvelo.errors import InputError

if TYPE_CHECKING:
    from anndata import AnnData


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
    if "No space left" in str(error) or error.errno in (errno.ENOSPC, errno.EDQUOT):
        return "no space is left on the disk"
    if isinstance(error, PermissionError) or error.errno == errno.EROFS:
        return "permission denied"
    if isinstance(error, FileNotFoundError):
        return "the folder does not exist"
    return str(error).split("\n", maxsplit=1)[0].rstrip(".")
