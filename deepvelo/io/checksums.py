"""Checksums of the files in a folder: written when the folder is saved, compared whenever a file is read.

The format is that of ``b2sum``, so ``b2sum --check checksums.b2`` checks a folder without this program.
"""

from __future__ import annotations

import asyncio
import errno
import hashlib
import os
import re
import stat
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, Self

from zarr.core.buffer import default_buffer_prototype
from zarr.storage import LocalStore

from deepvelo.errors import InputError

if TYPE_CHECKING:
    from zarr.abc.store import ByteRequest
    from zarr.core.buffer import Buffer, BufferPrototype

CHECKSUMS = "checksums.b2"
_MAX_BYTES = 2**28  # of the list of checksums: room for two million files, far more than a run has
_BLOCK = 2**20
_THREADS = min(8, os.cpu_count() or 1)  # hashing releases the GIL
_HEADER = f"# {{}} files, BLAKE2b: b2sum --check {CHECKSUMS}"
_N_FILES = re.compile(r"# (\d{1,9}) files,")
# `stored_names` replaces line breaks in file names.
_LINE = re.compile(r"([0-9a-f]{64})  (.+)")

Checksums = Mapping[str, str]
"""Checksum of every file by its path in the folder."""
_State = tuple[int, ...]


def write_checksums(folder: Path) -> None:
    """Write the checksums of all files in a folder into it.

    Raises
    ------
    OSError
        A file cannot be read, or the checksums cannot be written.
    """
    names = sorted(_files(folder))
    with ThreadPoolExecutor(_THREADS) as pool:
        digests = pool.map(lambda name: _digest(folder / name), names)
        lines = [f"{digest}  {name}" for name, digest in zip(names, digests, strict=True)]
    content = "\n".join([_HEADER.format(len(names)), *lines, ""])
    (folder / CHECKSUMS).write_bytes(content.encode(errors="surrogateescape"))


def read_checksums(folder: Path) -> Checksums:
    """The checksums of a folder.

    Raises
    ------
    InputError
        The list is missing, truncated or malformed.
    """
    try:
        content = read_regular_file(folder / CHECKSUMS, max_bytes=_MAX_BYTES)
    except FileNotFoundError:
        msg = f"{CHECKSUMS} is missing"
        raise InputError(msg) from None
    except OSError as error:
        msg = f"{CHECKSUMS} cannot be read ({error.strerror or error})"
        raise InputError(msg) from None
    header, *lines = content.decode(errors="surrogateescape").split("\n")
    n_files, found = _N_FILES.match(header), [_LINE.fullmatch(line) for line in lines[:-1]]
    names = {line[2]: line[1] for line in found if line is not None}
    if n_files is None or int(n_files[1]) != len(names) or len(names) != len(found) or lines[-1]:
        msg = f"{CHECKSUMS} is damaged"
        raise InputError(msg)
    return names


def missing_files(folder: Path, names: Checksums) -> list[str]:
    """Recorded files that do not exist. The content of the others is not read."""
    there = set(_files(folder))
    return [name for name in names if name not in there]


def damaged_files(folder: Path) -> list[str]:
    """Recorded files that are missing or differ from what was saved.

    Raises
    ------
    InputError
        As `recorded`.
    """
    names = read_checksums(folder)

    def is_whole(name: str) -> bool:
        try:
            return _digest(folder / name) == names[name]
        except OSError:
            return False

    with ThreadPoolExecutor(_THREADS) as pool:
        return [name for name, whole in zip(names, pool.map(is_whole, names), strict=True) if not whole]


def in_brief(names: list[str]) -> str:
    """The first file and the number of the others, with the verb: ``obs/_index is``, ``X/0 and 3 more files are``."""
    return f"{names[0]} is" if len(names) == 1 else f"{names[0]} and {len(names) - 1} more files are"


def read_verified(folder: Path, name: str, names: Checksums) -> bytes:
    """The content of a recorded file.

    Raises
    ------
    InputError
        The file is missing or differs from what was saved.
    """
    return _read_verified(folder, name, names, seen=None)[0]


def read_regular_file(path: Path, *, max_bytes: int) -> bytes:
    """The content of a regular file. Links are not followed and pipes do not block.

    Raises
    ------
    OSError
        The path is not a regular file, or the file has more than ``max_bytes`` bytes.
    """
    with _open_regular(path) as file:
        content = file.read(max_bytes + 1)
    if len(content) > max_bytes:
        raise OSError(errno.EFBIG, f"more than {max_bytes} bytes")
    return content


def read_first_line(path: Path, *, max_bytes: int) -> bytes:
    """The first line of a regular file with its line break, cut off after ``max_bytes`` bytes.

    Raises
    ------
    OSError
        The path is not a regular file.
    """
    with _open_regular(path) as file:
        return file.readline(max_bytes)


class VerifiedStore(LocalStore):
    """A Zarr folder that verifies each file when it is read. Zarr alone would read missing chunks as zeros.

    Parameters
    ----------
    root
        The Zarr folder.
    names
        Checksum of each file by its path in the folder. Files without a checksum are treated as missing.
    on_damage
        Builds the error to raise from a description of the damage.
    """

    def __init__(self, root: Path, *, names: Checksums, on_damage: Callable[[str], InputError]) -> None:
        super().__init__(root, read_only=True)
        self._names, self._on_damage = names, on_damage
        self._seen: dict[str, _State] = {}

    def get_sync(
        self,
        key: str,
        *,
        prototype: BufferPrototype | None = None,
        byte_range: ByteRequest | None = None,
    ) -> Buffer | None:
        """As `LocalStore.get_sync`."""
        if key not in self._names:
            return None
        try:
            content, state = _read_verified(self.root, key, self._names, seen=self._seen.get(key))
        except InputError as error:
            raise self._on_damage(str(error)) from None
        self._seen[key] = state
        if byte_range is not None:  # only sharded arrays ask for one, and runs have none
            return super().get_sync(key, prototype=prototype, byte_range=byte_range)
        return (prototype or default_buffer_prototype()).buffer.from_bytes(content)

    async def get(
        self,
        key: str,
        prototype: BufferPrototype | None = None,
        byte_range: ByteRequest | None = None,
    ) -> Buffer | None:
        """As `LocalStore.get`."""
        return await asyncio.to_thread(self.get_sync, key, prototype=prototype, byte_range=byte_range)

    def with_read_only(self, read_only: bool = False) -> Self:  # noqa: FBT001, FBT002  (Zarr's signature)
        """The store itself, which is always read-only."""
        return self


def _read_verified(folder: Path, name: str, names: Checksums, *, seen: _State | None) -> tuple[bytes, _State]:
    """Content and state of a file. A file whose state equals ``seen`` is not hashed again."""
    try:
        with _open_regular(folder / name) as file:
            content = file.read()
            found = os.fstat(file.fileno())
    except (FileNotFoundError, NotADirectoryError):
        msg = f"{name} is gone"
        raise InputError(msg) from None
    except OSError as error:
        msg = f"{name} cannot be read ({error.strerror or error})"
        raise InputError(msg) from None
    state = (found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns)
    if state != seen and _new_hash(content).hexdigest() != names[name]:
        msg = f"{name} is not what was saved"
        raise InputError(msg)
    return content, state


@contextmanager
def _open_regular(path: Path) -> Iterator[BinaryIO]:
    """Open a regular file. Opening a link fails, and opening a pipe does not wait for a writer."""
    flags = (
        os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)
    )
    with os.fdopen(os.open(path, flags), "rb") as file:
        if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
            raise OSError(errno.EINVAL, "no regular file")
        yield file


def _digest(path: Path) -> str:
    digest = _new_hash()
    with _open_regular(path) as file:
        while block := file.read(_BLOCK):
            digest.update(block)
    return digest.hexdigest()


def _new_hash(content: bytes = b"") -> hashlib.blake2b:
    return hashlib.blake2b(content, digest_size=32)


def _files(folder: Path) -> Iterator[str]:
    """Paths of the files below a folder, without its checksums and without folders that have their own checksums."""
    waiting = [""]
    while waiting:
        inside = waiting.pop()
        try:
            entries = list(os.scandir(os.path.join(folder, inside)))  # noqa: PTH118  (thousands of them)
        except OSError:  # deleted since it was listed
            continue
        if inside and any(entry.name == CHECKSUMS for entry in entries):
            continue
        for entry in entries:
            if entry.is_dir(follow_symlinks=False):
                waiting.append(f"{inside}{entry.name}/")
            elif entry.name != CHECKSUMS:
                yield f"{inside}{entry.name}"
