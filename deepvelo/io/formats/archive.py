"""Archives and compressed files (gzip, bzip2, xz, zip, tar), unpacked into a temporary folder and read there."""

from __future__ import annotations

import bz2
import gzip
import lzma
import posixpath
import shutil
import stat
import tarfile
import tempfile
import zipfile
import zlib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from pathlib import Path, PurePosixPath
from typing import IO, TYPE_CHECKING, Any, Final

from deepvelo import memory
from deepvelo.errors import InputError
from deepvelo.io.formats.declared_sizes import MAX_RATIO, max_unpacked_bytes
from deepvelo.io.formats.hdf5 import is_hdf5
from deepvelo.io.formats.read_options import ReadOptions
from deepvelo.io.formats.zips import MAX_MEMBERS, require_short_list

if TYPE_CHECKING:
    from anndata import AnnData

LABEL: Final = "gzip, zip and tar of these"
SUFFIXES: Final = (
    ".h5ad.gz", ".loom.gz", ".h5mu.gz", ".csv.gz", ".tsv.gz", ".tar.gz", ".tgz", ".tar", ".zip",
)  # fmt: skip
_STARTS = {"gzip": b"\x1f\x8b", "bzip2": b"BZh", "xz": b"\xfd7zXZ\x00", "zip": b"PK\x03\x04"}
_OPENERS: Final[dict[str, Callable[..., Any]]] = {"gzip": gzip.open, "bzip2": bz2.open, "xz": lzma.open}
_TAR = b"ustar"
_TAR_PLACE = 257
_BLOCK = 1 << 20
_MAX_TIMES_PACKED = 3  # levels of nested archives
_LONGEST_TARGET = 4096
_LARGEST_HEAD = 2**22  # bytes of a member's header, which `tarfile` reads at once
_ENDINGS = {"gzip": (".gz", ".tgz", ".gzip"), "bzip2": (".bz2", ".tbz2"), "xz": (".xz", ".txz")}

Member = tuple[str, int, IO[bytes]]
"""Path in the archive, declared size and content."""


def recognizes(path: Path) -> bool:
    """By its signature, or the ending of a zip file."""
    return path.is_file() and (_kind(path) != "" or (path.suffix.lower() == ".zip" and not is_hdf5(path)))


def read(path: Path, options: ReadOptions) -> AnnData:
    """Read the one data set in an archive.

    Raises
    ------
    InputError
        The archive is damaged, nested too deeply, larger than the free disk or memory or than data of its size, has
        paths that lead out of the folder, or contains no data set.
    """
    from deepvelo.io.formats import find_format

    name, kind = path.name, _kind(path)
    if kind in _ENDINGS and not name.lower().endswith(_ENDINGS[kind]):
        msg = f"{name} is packed with {kind}, though its name does not say so. Unpack it, or call it {name}{_ENDINGS[kind][0]}."
        raise InputError(msg)
    options = replace(options.with_size(path.stat().st_size), n_unpacked=options.n_unpacked + 1)
    if options.n_unpacked > _MAX_TIMES_PACKED:
        msg = f"{name} is packed more than {_MAX_TIMES_PACKED} times, archive in archive. Unpack it and give what is inside."
        raise InputError(msg)
    with tempfile.TemporaryDirectory(prefix="deepvelo-") as temporary:
        folder = Path(temporary)
        try:
            found = _unpack(path, folder, kind, packed_size=options.packed_size)
        except (OSError, EOFError, zlib.error, lzma.LZMAError, zipfile.BadZipFile, tarfile.TarError) as error:
            msg = f"{name} is not a {kind or 'zip'} file, or its end is missing. Copy it or pack it again."
            raise InputError(msg) from error
        # The unpacked files are temporary, so everything must be read into memory.
        return find_format(found).read(found, replace(options, lazy_if_large=False, by_gene=None))


def _kind(path: Path) -> str:
    with path.open("rb") as file:
        start = file.read(_TAR_PLACE + len(_TAR))
    if start[_TAR_PLACE:] == _TAR:
        return "tar"
    return next((kind for kind, signs in _STARTS.items() if start.startswith(signs)), "")


def _unpack(path: Path, folder: Path, kind: str, *, packed_size: int) -> Path:
    """Unpack into a folder; returns the file or folder to read."""
    if kind in _OPENERS:
        # the content is named after the archive: `sample.h5ad.gz`, `sample.tgz`
        inner = path.stem + (".tar" if path.suffix.lower().startswith(".t") else "")
        with path.open("rb") as plain, _OPENERS[kind](plain, "rb") as file:
            _write([(inner, 0, file)], folder, packed_size=packed_size, n_read=plain.tell)
        return folder / inner
    inner_folder = folder / path.stem
    inner_folder.mkdir()
    _write(_zip_members(path) if kind != "tar" else _tar_members(path), inner_folder, packed_size=packed_size)
    return inner_folder


def _zip_members(path: Path) -> Iterator[Member]:
    require_short_list(path)
    with zipfile.ZipFile(path) as archive:
        for member in archive.infolist():
            kind = stat.S_IFMT(member.external_attr >> 16)
            if stat.S_ISLNK(kind):
                target = archive.open(member).read(_LONGEST_TARGET).decode(errors="replace")
                _require_link_inside(member.filename, target)
            elif not member.is_dir() and kind in (0, stat.S_IFREG):  # skip devices
                with archive.open(member) as file:
                    yield member.filename, member.file_size, file


def _tar_members(path: Path) -> Iterator[Member]:
    with path.open("rb") as plain, tarfile.open(fileobj=_BoundedReader(plain), mode="r:") as archive:  # type: ignore[call-overload]
        for n, member in enumerate(archive):
            if n >= MAX_MEMBERS:
                msg = f"{path.name} holds more than {MAX_MEMBERS:,} files and links. Pack the data set alone."
                raise InputError(msg)
            if member.issym():
                _require_link_inside(member.name, member.linkname)
            elif member.islnk():  # hard links name a path in the archive
                _require_link_inside("", member.linkname)
            file = archive.extractfile(member) if member.isreg() else None  # skip links and devices
            if file is not None:
                yield member.name, member.size, file


class _BoundedReader:
    """A file that limits the size of one read: `tarfile` reads a member's header as a whole."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self.seek, self.tell = file.seek, file.tell

    def read(self, n: int = -1) -> bytes:
        if not 0 <= n <= _LARGEST_HEAD:
            msg = "a description in it is too long"
            raise tarfile.ReadError(msg)
        return self._file.read(n)


def _require_link_inside(name: str, target: str) -> None:
    """Refuse a link that leads out of the archive; other links are skipped."""
    if _leaves_folder(posixpath.normpath(posixpath.join(posixpath.dirname(name), target))):
        msg = f"An archive must not hold the link '{name or target}': it leads out of its folder. Pack the data set alone."
        raise InputError(msg)


def _leaves_folder(place: str) -> bool:
    inside = PurePosixPath(place.replace("\\", "/"))
    return inside.is_absolute() or ".." in inside.parts or any(":" in part for part in inside.parts[:1])


def _write(
    members: Iterable[Member], folder: Path, *, packed_size: int, n_read: Callable[[], int] | None = None
) -> None:
    """Copy members into a folder while disk and memory have room and the compression ratio is plausible.

    ``n_read`` returns the position in the compressed file, which detects a decompression bomb early.
    """
    # the temporary folder may be in memory, and the content is read into memory too
    free = min(shutil.disk_usage(folder).free, memory.available_memory())
    unpacked = 0
    for n, (name, size, file) in enumerate(members):
        inside = PurePosixPath(name.replace("\\", "/"))
        if "__MACOSX" in inside.parts or inside.name.startswith("._") or inside.name == ".DS_Store":
            continue
        if _leaves_folder(name) or n >= MAX_MEMBERS:
            msg = f"An archive must not hold '{name}': it leads out of its folder, or there are too many files. Pack the data set alone."
            raise InputError(msg)
        _require_room(name, unpacked + size, free=free, packed_size=packed_size)
        target = folder / inside
        target.parent.mkdir(parents=True, exist_ok=True)
        with target.open("xb") as out:
            while block := file.read(_BLOCK):
                unpacked += len(block)
                _require_room(
                    name, unpacked, free=free, packed_size=packed_size if n_read is None else 2 * n_read()
                )
                out.write(block)


def _require_room(name: str, n_bytes: int, *, free: int, packed_size: int) -> None:
    if n_bytes > free:
        msg = f"{name} is larger unpacked than the free disk or memory. Free some, or use a larger machine."
        raise InputError(msg)
    if n_bytes > max_unpacked_bytes(packed_size):
        msg = (
            f"{name} unpacks to more than {MAX_RATIO} times its size, more than data do: it is damaged or made to fill the "
            "disk. Pack the data set again."
        )
        raise InputError(msg)
