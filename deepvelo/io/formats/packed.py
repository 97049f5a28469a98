"""Files packed with gzip, bzip2, xz, zip or tar: unpacked into a temporary folder and read from there."""

from __future__ import annotations

import bz2
import gzip
import lzma
import shutil
import tarfile
import tempfile
import zipfile
import zlib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from pathlib import Path, PurePosixPath
from typing import IO, TYPE_CHECKING, Any, Final

from deepvelo.errors import InputError
from deepvelo.io.formats.hdf5 import is_hdf5
from deepvelo.io.formats.reading import Reading
from deepvelo.memory import available_memory

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
_MOST_MEMBERS = 100_000  # a Zarr folder has one for each chunk
_ENDINGS = {"gzip": (".gz", ".tgz", ".gzip"), "bzip2": (".bz2", ".tbz2"), "xz": (".xz", ".txz")}

Member = tuple[str, int, IO[bytes]]
"""Path in the archive, size that it claims, and its content."""


def recognizes(path: Path) -> bool:
    """By its first bytes, or the ending of a zip file."""
    return path.is_file() and (_kind(path) != "" or (path.suffix.lower() == ".zip" and not is_hdf5(path)))


def read(path: Path, reading: Reading) -> AnnData:
    """The one data set that is packed.

    Raises
    ------
    InputError
        It is damaged, larger unpacked than the free disk or memory, leads out of the folder, or holds no data set.
    """
    from deepvelo.io.formats import find_format

    name, kind = path.name, _kind(path)
    if kind in _ENDINGS and not name.lower().endswith(_ENDINGS[kind]):
        msg = f"{name} is packed with {kind}, though its name does not say so. Unpack it, or call it {name}{_ENDINGS[kind][0]}."
        raise InputError(msg)
    with tempfile.TemporaryDirectory(prefix="deepvelo-") as temporary:
        folder = Path(temporary)
        try:
            found = _unpack(path, folder, kind)
        except (OSError, EOFError, zlib.error, lzma.LZMAError, zipfile.BadZipFile, tarfile.TarError) as error:
            msg = f"{name} is not a {kind or 'zip'} file, or its end is missing. Copy it or pack it again."
            raise InputError(msg) from error
        # The unpacked files are gone when this ends, so nothing can be left in them.
        return find_format(found).read(found, replace(reading, beyond_memory=False, by_gene=None))


def _kind(path: Path) -> str:
    with path.open("rb") as file:
        start = file.read(_TAR_PLACE + len(_TAR))
    if start[_TAR_PLACE:] == _TAR:
        return "tar"
    return next((kind for kind, signs in _STARTS.items() if start.startswith(signs)), "")


def _unpack(path: Path, folder: Path, kind: str) -> Path:
    """Everything into a folder; returns the file or folder to read."""
    if kind in _OPENERS:
        # What was packed has the name of the whole: `sample.h5ad.gz`, `sample.tgz`.
        inner = path.stem + (".tar" if path.suffix.lower().startswith(".t") else "")
        with _OPENERS[kind](path, "rb") as file:
            _write([(inner, 0, file)], folder)
        return folder / inner
    inner_folder = folder / path.stem
    inner_folder.mkdir()
    _write(_zip_members(path) if kind != "tar" else _tar_members(path), inner_folder)
    return inner_folder


def _zip_members(path: Path) -> Iterator[Member]:
    with zipfile.ZipFile(path) as archive:
        for member in archive.infolist():
            if not member.is_dir() and not (member.external_attr >> 16) & 0o170000 == 0o120000:  # no links
                with archive.open(member) as file:
                    yield member.filename, member.file_size, file


def _tar_members(path: Path) -> Iterator[Member]:
    with tarfile.open(path, "r:") as archive:
        for member in archive:
            file = archive.extractfile(member) if member.isreg() else None  # no links, no devices
            if file is not None:
                yield member.name, member.size, file


def _write(members: Iterable[Member], folder: Path) -> None:
    """Copy members below a folder, as long as disk and memory have room for them."""
    # In memory too: a temporary folder may lie there, and what is unpacked is read as a whole.
    left = min(shutil.disk_usage(folder).free, available_memory())
    for n, (name, size, file) in enumerate(members):
        inside = PurePosixPath(name.replace("\\", "/"))
        if "__MACOSX" in inside.parts or inside.name.startswith("._") or inside.name == ".DS_Store":
            continue
        if inside.is_absolute() or ".." in inside.parts or ":" in inside.parts[0] or n >= _MOST_MEMBERS:
            msg = f"An archive must not hold '{name}': it leads out of its folder, or there are too many files. Pack the data set alone."
            raise InputError(msg)
        target = folder / inside
        target.parent.mkdir(parents=True, exist_ok=True)
        with target.open("xb") as out:
            while block := file.read(_BLOCK):
                left -= len(block)
                if left < 0 or size > left + len(block):
                    msg = f"{name} is larger unpacked than the free disk or memory. Free some, or use a larger machine."
                    raise InputError(msg)
                out.write(block)
