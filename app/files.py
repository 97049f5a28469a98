"""The data folder: what a visitor may choose from, and nothing outside it.

Paths from a widget or a URL are names relative to the data folder. `inside` is the one way from such a
name to a path; it follows symbolic links before it compares, so no link leads out either.
"""

from __future__ import annotations

import hashlib
import itertools
import os
import re
import secrets
from collections import deque
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO
from urllib.parse import unquote

from deepvelo.datasets import public
from deepvelo.datasets.source import PUBLIC_CACHE, DataSource
from deepvelo.errors import InputError
from deepvelo.io.read import SUFFIXES

ROOT = Path(__file__).resolve().parents[1]
UPLOADS = "uploads"
MAX_UPLOAD_MB = 500
MAX_LISTED = 500
MAX_SEEN = 20_000  # files and folders looked at: every redraw of the page lists the folder
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
    """Names of the readable data in the data folder, relative to it; uploads come last.

    At most `MAX_LISTED` names, found among the first `MAX_SEEN` entries, those of upper folders first.
    """
    folder = data_folder()
    names = [
        entry.relative_to(folder).as_posix()
        for entry in itertools.islice(_walk(folder), MAX_SEEN)
        if entry.name.endswith(SUFFIXES)
        and (entry.is_file() or entry.suffix == ".zarr")
        and entry.resolve().is_relative_to(folder)
    ]
    return sorted(names[:MAX_LISTED], key=lambda name: (name.startswith(f"{UPLOADS}/"), name))


def _walk(folder: Path) -> Iterator[Path]:
    """Files and folders below a folder, breadth first; not what is inside of Zarr stores and hidden folders."""
    waiting = deque([folder])
    while waiting:
        try:
            with os.scandir(waiting.popleft()) as found:
                entries = sorted(itertools.islice(found, MAX_SEEN), key=lambda entry: entry.name)
        except OSError:  # not there, or not to be read
            continue
        for entry in entries:
            yield Path(entry.path)
            # A Zarr store is one data set, not a folder to look into.
            if entry.is_dir(follow_symlinks=False) and not entry.name.startswith("."):
                if not entry.name.endswith(".zarr"):
                    waiting.append(Path(entry.path))


def save_upload(stream: BinaryIO, filename: str) -> str:
    """Keep an uploaded file under the data folder, for jobs read by path; returns its name there.

    The name holds a hash of the content: the same file uploaded again is the one already there.

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
    folder = uploads_folder()
    aside = folder / f".{secrets.token_hex(8)}.part"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        try:
            digest = _copy(stream, aside, filename=filename)
            kept = next(folder.glob(f"*-{digest}{suffix}"), None)
            if kept is None:
                kept = aside.rename(folder / f"{stem}-{digest}{suffix}")
        finally:
            aside.unlink(missing_ok=True)
    except OSError as error:
        reason = error.strerror or str(error)
        msg = f"The upload cannot be kept on the server: {reason}. Free space or allow writing in the data folder."
        raise InputError(msg) from None
    return f"{UPLOADS}/{kept.name}"


def _copy(stream: BinaryIO, aside: Path, *, filename: str) -> str:
    """Copy to a new file; a hash of the content, 16 hexadecimal digits."""
    digest, written = hashlib.blake2b(digest_size=8), 0
    with aside.open("xb") as out:
        while chunk := stream.read(_CHUNK_BYTES):
            written += len(chunk)
            if written > MAX_UPLOAD_MB * 2**20:
                msg = f"{filename!r} is larger than {MAX_UPLOAD_MB} MB. Put it into the data folder instead."
                raise InputError(msg)
            digest.update(chunk)
            out.write(chunk)
    return digest.hexdigest()


def uploads_folder() -> Path:
    """Where uploads are kept until someone removes them."""
    return data_folder() / UPLOADS


def uploads() -> list[str]:
    """Names of the uploads, relative to the data folder."""
    try:
        names = sorted(path.name for path in uploads_folder().iterdir())
    except OSError:  # nothing was uploaded yet
        return []
    return [f"{UPLOADS}/{name}" for name in names if name.endswith(SUFFIXES)]


def remove_upload(name: str) -> None:
    """Delete an upload for good.

    Raises
    ------
    InputError
        It is no upload, is gone already, or may not be removed.
    """
    path = inside(name)
    if path.parent != uploads_folder():
        msg = f"{name!r} is no upload, so it is not removed here. Choose one of the uploads."
        raise InputError(msg)
    try:
        path.unlink()
    except OSError as error:
        msg = f"{name!r} cannot be removed: {error.strerror}. Allow writing in {path.parent}."
        raise InputError(msg) from None


def to_text(source: DataSource) -> str:
    """A source as short text for the URL: ``sample``, ``public:pancreas``, ``file:a.h5ad``, ``join:a|b``.

    Raises
    ------
    InputError
        The data are those of a run: they are reached through the run's own address.
    """
    folder = data_folder()
    match source.kind:
        case "sample":
            return "sample"
        case "public":
            return f"public:{source.name}"
        case "file" | "join":
            names = [
                Path(path).relative_to(folder).as_posix().replace("%", "%25").replace("|", "%7C")
                for path in (source.path, source.counts_path)
                if path
            ]
            return f"{source.kind}:{'|'.join(names)}"
        case "run" | "shuffled" | "at_rest":
            msg = f"Data of kind {source.kind!r} have no address of their own. Choose their run instead."
            raise InputError(msg)


def names_in(text: str) -> list[str]:
    """File names, or the name of a public set, in what `to_text` wrote."""
    return [unquote(name) for name in text.partition(":")[2].split("|")]


def from_text(text: str) -> DataSource:
    """The source that `to_text` wrote, its paths checked again: the text may come from anyone's URL.

    Raises
    ------
    InputError
        The text names no source, a file that is not in the data folder, or a public set that was not
        downloaded: opening an address must not fetch gigabytes.
    """
    kind, names = text.partition(":")[0], names_in(text)
    if text == "sample":
        return DataSource(kind="sample")
    if kind == "public" and len(names) == 1:
        return public_source(names[0])
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


def public_source(name: str, *, download: bool = False) -> DataSource:
    """A public set that is on this server, or after ``download`` is.

    Raises
    ------
    InputError
        There is no set of that name, it is not here, or it could not be downloaded.
    """
    folder = PUBLIC_CACHE.expanduser()
    if download:
        public.fetch(name, folder=folder)
    elif not public.is_kept(name, folder=folder):
        msg = (
            f"The public set {name!r} is not on this server yet. Press Load on the Data page to download it."
        )
        raise InputError(msg)
    return DataSource(kind="public", name=name)
