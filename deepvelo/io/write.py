"""Write files atomically, and explain why a file cannot be written."""

from __future__ import annotations

import errno
import hashlib
import logging
import os
import shutil
import tempfile
import time
import uuid
import warnings
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from functools import cache
from io import FileIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

from deepvelo.errors import InputError

if TYPE_CHECKING:
    from anndata import AnnData

logger = logging.getLogger(__name__)

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]

FULL = {errno.ENOSPC, errno.EDQUOT}
# Seconds. No write takes a day, and a training touches its folder in every epoch.
LEFTOVER_AGE = 24 * 3600
_PARTIAL = ".deepvelo-"  # in the names of incomplete files and folders
_SECONDS_IN_FLIGHT = 0.2  # for Zarr's writing threads to end
_TRIES = 10


def write_h5ad(adata: AnnData, path: Path | str, *, compression: str = "lzf") -> None:
    """Write an object to an h5ad file, which appears only once it is complete.

    `deepvelo.io.stored_names` escapes names that HDF5 cannot hold, and repeated text becomes categories. Elements
    that cannot be written are left out and logged.

    Parameters
    ----------
    adata
        Any object; not changed.
    path
        An h5ad file, which is replaced where it is there.
    compression
        ``"lzf"`` or ``"gzip"``.

    Raises
    ------
    InputError
        The folder is missing or may not be written, or the disk is full.

    Examples
    --------
    >>> dv.io.write_h5ad(adata, folder / "cells.h5ad")
    >>> dv.io.read(folder / "cells.h5ad").shape == adata.shape
    True
    """
    write_whole(Path(path), lambda partial: _write_hdf5(adata, partial, compression=compression))


def write_text(text: str, path: Path) -> None:
    """Write a UTF-8 text to a file, which appears only once it is complete.

    Raises
    ------
    InputError
        The folder is missing or may not be written, or the disk is full.
    """
    write_whole(path, lambda partial: partial.write_text(text, encoding="utf-8"))


def write_whole(path: Path, write: Callable[[Path], object]) -> None:
    """Let ``write`` fill a hidden file beside ``path``, and rename it to ``path`` once it is complete.

    Raises
    ------
    InputError
        The folder is missing or may not be written, or the disk is full.
    """
    partial = _partial_path(path)
    try:
        with _locked_new(partial, lambda: partial.touch(exist_ok=False)):
            write(partial)
            partial.replace(path)
    except OSError as error:
        raise _write_error(path, error) from error
    finally:
        partial.unlink(missing_ok=True)


def _write_hdf5(adata: AnnData, path: Path, *, compression: str) -> None:
    """Leave out and log unwritable elements, so that they do not cost the fit."""
    try:
        _write_once(adata, path, compression=compression)
    except _UnwritableError as error:
        from deepvelo.io.dry_write import writable_copy

        writable, notes = writable_copy(adata)
        for note in notes:
            logger.warning("%s", note)
        if not notes:
            msg = f"{path.name} could not be written: {error}. Leave out what these words name."
            raise InputError(msg) from error
        _write_once(writable, path, compression=compression)


def _write_once(adata: AnnData, path: Path, *, compression: str) -> None:
    """As `AnnData.write_h5ad`, which crashes at exit after a full disk because HDF5 tries to write once more."""
    with FileIO(path, "w+") as raw:
        file = _FirstErrorFile(raw)
        try:
            write_into_hdf5(file, adata, compression=compression)
        except Exception as error:
            # An error of HDF5 after a failed write is a consequence of it: report the disk's error.
            if file.error is None:
                raise _UnwritableError(first_line(error)) from error
    if file.error is not None:
        raise file.error


def write_into_hdf5(file: Any, adata: AnnData, *, compression: str = "lzf") -> None:
    """Write an object as h5ad into an open binary file."""
    import h5py
    from anndata.io import write_elem

    from deepvelo.io.storable import is_wide, storable

    # The names of more than 4,000 columns exceed an attribute of the oldest format.
    versions = ("v108", "v108") if is_wide(adata) else None
    with warnings.catch_warnings(), h5py.File(file, "w", libver=versions) as root:
        warnings.simplefilter("ignore", FutureWarning)  # slashes in names, which are restored on reading
        write_elem(root, "/", storable(adata, in_folders=False), dataset_kwargs={"compression": compression})


class _UnwritableError(Exception):
    """The data, not the disk, cannot be written."""


def first_line(error: BaseException) -> str:
    """The first line of an error's message."""
    return str(error).strip().partition("\n")[0].rstrip(".") or type(error).__name__


class _FirstErrorFile:
    """A file that keeps its first write error and ignores all writes after it."""

    def __init__(self, raw: FileIO) -> None:
        self._raw = raw
        self.error: OSError | None = None

    def write(self, data: bytes) -> int:
        """Write the data, or ignore them after an error."""
        left = memoryview(data).cast("B")
        while self.error is None and left:
            try:
                left = left[self._raw.write(left) :]
            except OSError as error:
                self.error = error
        return len(data)

    def truncate(self, size: int) -> int:
        """Truncate the file, or ignore the request after an error."""
        try:
            return self._raw.truncate(size)
        except OSError as error:
            self.error = self.error or error
            return size

    def __getattr__(self, name: str) -> Any:
        """Delegate reading and seeking to the file."""
        return getattr(self._raw, name)


@contextmanager
def scratch_beside(path: Path) -> Iterator[Path]:
    """A temporary hidden folder beside a file, for its large layers until the file is written.

    Leftovers of killed processes beside it are removed, see `remove_leftovers`.

    Raises
    ------
    InputError
        The folder is missing or may not be written, or the disk is full.
    """
    remove_leftovers(path.parent.glob(f".*{_PARTIAL}*"))
    folder = _partial_path(path)
    try:
        with new_folder(folder, mode=0o700):
            yield folder
    except OSError as error:
        if concerns_folder(error, folder):
            raise _write_error(path, error) from error
        raise


@contextmanager
def new_folder(folder: Path, *, mode: int = 0o777) -> Iterator[None]:
    """Create a folder and remove it at the end of the block. `remove_leftovers` spares it while this process lives.

    Parameters
    ----------
    folder
        Its name must end with `token`.
    """
    with _locked_new(folder, lambda: folder.mkdir(mode=mode)), removed_afterwards(folder):
        yield


def token() -> str:
    """Suffix for the name of an incomplete file or folder: a random part and an id of this machine."""
    return f"{uuid.uuid4().hex[:8]}-{_machine()}"


def remove_leftovers(paths: Iterable[Path]) -> None:
    """Remove incomplete files and folders of killed processes.

    A process holds a lock on each incomplete file, and the system releases the lock when the process dies. Not every
    network disk shows the locks of other machines, so files of other machines are removed after a day without change.
    """
    for path in paths:
        try:
            with _abandoned(path) as abandoned:
                if not abandoned:
                    continue
                logger.info("removing the leftover %s", path)
                if path.is_dir():
                    shutil.rmtree(path, ignore_errors=True)
                else:
                    path.unlink()
        except FileNotFoundError:  # another process was faster
            continue
        except OSError as error:  # perhaps another user's; it must not stop the write that follows
            logger.warning("the leftover %s could not be removed: %s", path, error)


def _partial_path(path: Path) -> Path:
    return path.with_name(f".{path.name}{_PARTIAL}{token()}")


@cache
def _machine() -> str:
    """Id of the running system; containers and hosts may share a disk."""
    try:
        running = Path("/proc/sys/kernel/random/boot_id").read_text()
    except OSError:  # not Linux
        running = str(uuid.getnode())
    return hashlib.blake2b(running.encode(), digest_size=4).hexdigest()


@contextmanager
def _locked_new(path: Path, make: Callable[[], object]) -> Iterator[None]:
    """Create a file or folder and hold a lock on it."""
    file = -1
    try:
        while True:
            make()
            if fcntl is None:
                break
            file = _open_for_lock(path)
            with suppress(OSError):  # on a disk without locks, leftovers are removed by age
                fcntl.flock(file, fcntl.LOCK_SH)
            if os.path.lexists(path):  # otherwise another process removed it before it was locked
                break
            os.close(file)
            file = -1
        yield
    finally:
        if file >= 0:
            os.close(file)


def _open_for_lock(path: Path) -> int:
    """Open a file or folder to lock it, without following links or waiting for a pipe."""
    return os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)


@contextmanager
def _abandoned(path: Path) -> Iterator[bool]:
    """Whether the creator of a file or folder is dead; holds the lock while the block runs."""
    if fcntl is None or not path.name.endswith(f"-{_machine()}"):
        yield _is_old(path)
        return
    file = _open_for_lock(path)
    try:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            abandoned = False
        except OSError:  # a disk without locks
            abandoned = _is_old(path)
        else:
            abandoned = True
        yield abandoned
    finally:
        os.close(file)


def _is_old(path: Path) -> bool:
    """Whether a path has not changed for a day by the clock of the disk, which may differ from this machine's."""
    try:
        with tempfile.TemporaryFile(dir=path.parent) as probe:
            now = os.fstat(probe.fileno()).st_mtime
    except OSError:
        now = time.time()
    return now - path.stat().st_mtime > LEFTOVER_AGE


def concerns_folder(error: OSError, folder: Path) -> bool:
    """Whether a system error concerns a path in a folder, or a full disk."""
    name = error.filename
    in_it = isinstance(name, str | bytes | os.PathLike) and Path(os.fsdecode(name)).is_relative_to(folder)
    return in_it or error.errno in FULL or "No space left" in str(error)


@contextmanager
def removed_afterwards(folder: Path) -> Iterator[None]:
    """Remove a folder at the end of the block, whatever happened in it.

    Zarr writes chunks in threads. When one fails, others are still running and would create the folder again.
    """
    try:
        yield
    except BaseException:
        time.sleep(_SECONDS_IN_FLIGHT)
        raise
    finally:
        for _ in range(_TRIES):
            shutil.rmtree(folder, ignore_errors=True)
            if not folder.exists():
                break
            time.sleep(_SECONDS_IN_FLIGHT)


def require_writable(path: Path) -> None:
    """Check that a file can be written in its folder; called before the training starts.

    Raises
    ------
    InputError
        The folder is missing or may not be written, or the disk is full.
    """
    try:
        with tempfile.NamedTemporaryFile(dir=path.parent, prefix=".") as probe:
            probe.write(b"0")
    except OSError as error:
        raise _write_error(path, error) from error


def _write_error(path: Path, error: OSError) -> InputError:
    return InputError(f"{path} could not be written: {_reason(error)}. Choose another place or make room.")


def _reason(error: OSError) -> str:
    if "No space left" in str(error) or error.errno in FULL:
        return "no space is left on the disk"
    if isinstance(error, PermissionError) or error.errno == errno.EROFS:
        return "permission denied"
    if isinstance(error, FileNotFoundError):
        return "the folder does not exist"
    return str(error).split("\n", maxsplit=1)[0].rstrip(".")
