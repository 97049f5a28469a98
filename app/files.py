"""The data folder: what a visitor may choose from, and nothing outside it.

Paths from a widget or a URL are names relative to the data folder. `inside` is the one way from such a
name to a path; it follows symbolic links before it compares, so no link leads out either.
"""

from __future__ import annotations

import os
import re
import secrets
from pathlib import Path
from typing import BinaryIO

from deepvelo.datasets.source import DataSource
from deepvelo.errors import InputError
from deepvelo.io.read import SUFFIXES

ROOT = Path(__file__).resolve().parents[1]
UPLOADS = "uploads"
MAX_UPLOAD_MB = 500
MAX_LISTED = 500
_CHUNK_BYTES = 4 * 2**20


def data_folder() -> Path:
    """The server folder offered on the data page (``DEEPVELO_DATA``, else ``data/``)."""
    return Path(os.environ.get("DEEPVELO_DATA") or ROOT / "data").expanduser().resolve()


def runs_folder() -> Path:
    """Where finished fits are kept (``DEEPVELO_RUNS``, else ``runs/``)."""
    return Path(os.environ.get("DEEPVELO_RUNS") or ROOT / "runs").expanduser().resolve()


def inside(name: str) -> Path:
    """Path of an existing file or Zarr folder by its name relative to the data folder.

    Raises
    ------
    InputError
        The name leads out of the data folder, through ``..`` or a link, or nothing is there.
    """
    folder = data_folder()
    try:
        path = (folder / name).resolve()
        found = path.is_relative_to(folder) and path != folder and path.exists()
    except (OSError, ValueError, RuntimeError):  # a null byte, a loop of links, a name too long
        found = False
    if not found:
        msg = f"There is no file {name!r} in the data folder. Choose one of the files listed there."
        raise InputError(msg)
    return path


def listing() -> list[str]:
    """Names of the readable data in the data folder, relative to it; uploads come last."""
    folder = data_folder()
    names: list[str] = []
    for here, folders, files in os.walk(folder):
        for name in sorted(files + [f for f in folders if f.endswith(".zarr")]):
            path = Path(here, name)
            if name.endswith(SUFFIXES) and path.resolve().is_relative_to(folder):
                names.append(path.relative_to(folder).as_posix())
        # A Zarr store is one data set, not a folder to look into.
        folders[:] = sorted(f for f in folders if not f.endswith(".zarr") and not f.startswith("."))
        if len(names) >= MAX_LISTED:
            break
    return sorted(names[:MAX_LISTED], key=lambda name: (name.startswith(f"{UPLOADS}/"), name))


def save_upload(stream: BinaryIO, filename: str) -> str:
    """Keep an uploaded file under the data folder, for jobs read by path; returns its name there.

    Raises
    ------
    InputError
        A kind of file that cannot be read, one that is too large, or a folder that cannot be written.
    """
    suffix = next((s for s in sorted(SUFFIXES, key=len, reverse=True) if filename.lower().endswith(s)), None)
    if suffix is None:
        msg = f"{filename!r} is not a file this app reads. Upload one of: {', '.join(SUFFIXES)}."
        raise InputError(msg)
    stem = re.sub(r"[^A-Za-z0-9_-]+", "_", filename[: -len(suffix)]).strip("_")[:60] or "data"
    name = f"{UPLOADS}/{stem}-{secrets.token_hex(4)}{suffix}"
    target = data_folder() / name
    aside = target.with_name(f".{target.name}.part")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        try:
            _copy(stream, aside, filename=filename)
            aside.rename(target)
        finally:
            aside.unlink(missing_ok=True)
    except OSError as error:
        reason = error.strerror or str(error)
        msg = f"The upload cannot be kept on the server: {reason}. Free space or allow writing in the data folder."
        raise InputError(msg) from None
    return name


def _copy(stream: BinaryIO, aside: Path, *, filename: str) -> None:
    written = 0
    with aside.open("xb") as out:
        while chunk := stream.read(_CHUNK_BYTES):
            written += len(chunk)
            if written > MAX_UPLOAD_MB * 2**20:
                msg = f"{filename!r} is larger than {MAX_UPLOAD_MB} MB. Put it into the data folder instead."
                raise InputError(msg)
            out.write(chunk)


def to_text(source: DataSource) -> str:
    """A source as short text for the URL: ``sample``, ``public:pancreas``, ``file:a.h5ad``, ``join:a|b``."""
    folder = data_folder()
    names = [Path(path).relative_to(folder).as_posix() for path in (source.path, source.counts_path) if path]
    match source.kind:
        case "sample":
            return "sample"
        case "public":
            return f"public:{source.name}"
        case "file" | "join":
            return f"{source.kind}:{'|'.join(names)}"


def from_text(text: str) -> DataSource:
    """The source that `to_text` wrote, its paths checked again: the text may come from anyone's URL.

    Raises
    ------
    InputError
        The text names no source, or a file that is not in the data folder.
    """
    kind, _, rest = text.partition(":")
    names = rest.split("|")
    if text == "sample":
        return DataSource(kind="sample")
    if kind == "public" and rest:
        return DataSource(kind="public", name=rest)
    if kind == "file" and len(names) == 1:
        return file_source(names[0])
    if kind == "join" and len(names) == 2:
        return join_source(names[0], names[1])
    msg = f"The address names no data set: {text!r}. Choose one on the Data page."
    raise InputError(msg)


def file_source(name: str) -> DataSource:
    """One file of the data folder."""
    return DataSource(kind="file", path=str(inside(name)), name=Path(name).name)


def join_source(processed: str, counts: str) -> DataSource:
    """A processed object and the file with its counts, both in the data folder."""
    return DataSource(
        kind="join", path=str(inside(processed)), counts_path=str(inside(counts)), name=Path(processed).name
    )
