"""The data folder: what a visitor may choose from, and nothing outside it.

Paths from a widget or a URL are names relative to the data folder. `inside` is the one way from such a
name to a path; it follows symbolic links before it compares, so no link leads out either.
"""

from __future__ import annotations

import hashlib
import itertools
import json
import os
import re
import secrets
from collections import deque
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, BinaryIO
from urllib.parse import unquote

from app import ROOT
from deepvelo.config import AMBIGUOUS_CHOICES, Ambiguous
from deepvelo.datasets import public
from deepvelo.datasets.source import PUBLIC_CACHE, DataSource
from deepvelo.errors import InputError
from deepvelo.io.formats import SUFFIXES, is_data_folder, known_ending
from deepvelo.io.formats.links import is_inside

UPLOADS = "uploads"
OWNERS = ".owners"  # of uploads
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
        # No pipe or device, which may never end.
        found = path.is_relative_to(folder) and path != folder and (path.is_file() or path.is_dir())
    except (OSError, ValueError, RuntimeError):  # a null byte, a loop of links, a name too long
        found = False
    if not found:
        msg = f"There is no file {name!r} in the data folder. Choose one of the files listed there."
        raise InputError(msg)
    return path


def listing() -> list[str]:
    """Names of the readable data in the data folder, relative to it; uploads come last.

    Files by their ending, and folders that are one data set, such as a counter writes. At most `MAX_LISTED` names,
    found among the first `MAX_SEEN` entries, those of upper folders first. Links out of the folder are left out.
    """
    folder = data_folder()
    names = [
        entry.relative_to(folder).as_posix()
        for entry, is_data in itertools.islice(_walk(folder), MAX_SEEN)
        if is_data and is_inside(entry, folder)
    ]
    return sorted(names[:MAX_LISTED], key=lambda name: (name.startswith(f"{UPLOADS}/"), name))


def _walk(folder: Path) -> Iterator[tuple[Path, bool]]:
    """Files and folders below a folder, breadth first, and whether each is data; not what is inside of data or hidden."""
    waiting = deque([folder])
    while waiting:
        try:
            with os.scandir(waiting.popleft()) as found:
                entries = sorted(itertools.islice(found, MAX_SEEN), key=lambda entry: entry.name)
        except OSError:  # not there, or not to be read
            continue
        for entry in entries:
            path = Path(entry.path)
            if not entry.is_dir(follow_symlinks=False):
                yield path, known_ending(entry.name) is not None and path.is_file()
            elif not entry.name.startswith("."):
                is_data = is_data_folder(path)
                yield path, is_data
                if not is_data:
                    waiting.append(path)


def save_upload(stream: BinaryIO, filename: str, *, owner: str = "", owner_name: str = "") -> str:
    """Keep an uploaded file under the data folder, for jobs read by path; returns its name there.

    The name holds a hash of the content: the same file uploaded again is the one already there, and belongs to who
    brought it first. ``owner`` and ``owner_name`` are as in `deepvelo.task.Job`.

    Raises
    ------
    InputError
        A kind of file that cannot be read, one that is too large, or a folder that cannot be written.
    """
    suffix = known_ending(filename)
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
                _owner_path(kept).parent.mkdir(exist_ok=True)
                _owner_path(kept).write_text(json.dumps([owner, owner_name]), encoding="utf-8")
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
    return [f"{UPLOADS}/{name}" for name in names if known_ending(name)]


def upload_owner(name: str) -> tuple[str, str]:
    """Who brought an upload, and what others are shown of that visitor; empty where nobody knows."""
    try:
        owner, owner_name = json.loads(_owner_path(inside(name)).read_text(encoding="utf-8"))
    except (
        OSError,
        ValueError,
        TypeError,
        RecursionError,
    ):  # InputError, a ValueError, where the upload is gone
        return "", ""
    return str(owner), str(owner_name)


def _owner_path(upload: Path) -> Path:
    return data_folder() / OWNERS / f"{upload.name}.owner"


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
        _owner_path(path).unlink(missing_ok=True)
    except OSError as error:
        msg = f"{name!r} cannot be removed: {error.strerror}. Allow writing in {path.parent}."
        raise InputError(msg) from None


def to_text(source: DataSource) -> str:
    """A source as short text for the URL: ``sample``, ``public:pancreas``, ``file:a.h5ad``, ``join:a|b&genes=Symbol``.

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
                _name_of(path, folder) for path in (source.path, source.counts_path, *source.more) if path
            ]
            choices = {
                "sheet": source.sheet and _name_of(source.sheet, folder),
                "genes": "" if source.gene_names == "auto" else _escaped(source.gene_names),
                "ambiguous": "" if source.ambiguous == "leave_out" else source.ambiguous,
            }
            chosen = [f"&{name}={value}" for name, value in choices.items() if value]
            return f"{source.kind}:{'|'.join(names)}{''.join(chosen)}"
        case "run" | "shuffled" | "steady_state":
            msg = f"Data of kind {source.kind!r} have no address of their own. Choose their run instead."
            raise InputError(msg)


def _name_of(path: str, folder: Path) -> str:
    return _escaped(Path(path).relative_to(folder).as_posix())


def _escaped(text: str) -> str:
    for sign in "%|&=":  # the percent sign first: it begins what the others become
        text = text.replace(sign, f"%{ord(sign):02X}")
    return text


def names_in(text: str) -> list[str]:
    """File names, or the name of a public set, in what `to_text` wrote."""
    return [unquote(name) for name in text.partition(":")[2].partition("&")[0].split("|")]


def choices_in(text: str) -> dict[str, str]:
    """Choices of reading in what `to_text` wrote: ``sheet``, ``genes``, ``ambiguous``."""
    pairs = (part.partition("=") for part in text.split("&")[1:])
    return {name: unquote(value) for name, _, value in pairs}


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
    if kind == "file":
        return file_source(*names, **_reading(text))
    if kind == "join" and len(names) > 1:
        return join_source(*names, **_reading(text))
    msg = f"The address names no data set: {text!r}. Choose one on the Data page."
    raise InputError(msg)


def _reading(text: str) -> dict[str, Any]:
    """The choices in an address as `file_source` takes them; one that is not known counts as not made."""
    given = choices_in(text)
    return {
        "sheet": given.get("sheet", ""),
        "gene_names": given.get("genes", "auto"),
        "ambiguous": next(
            (known for known in AMBIGUOUS_CHOICES if known == given.get("ambiguous")), "leave_out"
        ),
    }


def file_source(
    name: str, *more: str, sheet: str = "", gene_names: str = "auto", ambiguous: Ambiguous = "leave_out"
) -> DataSource:
    """A file or folder of the data folder, or several, each with a sample; ``sheet`` tells of the samples."""
    return DataSource(
        kind="file",
        path=str(inside(name)),
        more=_inside(more),
        sheet="".join(_inside([sheet])),
        gene_names=gene_names,
        ambiguous=ambiguous,
        name=_called([name, *more]),
    )


def join_source(
    processed: str,
    counts: str,
    *more: str,
    sheet: str = "",
    gene_names: str = "auto",
    ambiguous: Ambiguous = "leave_out",
) -> DataSource:
    """A processed object and the files with its counts, all in the data folder."""
    return DataSource(
        kind="join",
        path=str(inside(processed)),
        counts_path=str(inside(counts)),
        more=_inside(more),
        sheet="".join(_inside([sheet])),
        gene_names=gene_names,
        ambiguous=ambiguous,
        name=Path(processed).name,
    )


def _inside(names: Iterable[str]) -> tuple[str, ...]:
    return tuple(str(inside(name)) for name in names if name)


def _called(names: list[str]) -> str:
    first = Path(names[0]).name
    return first if len(names) == 1 else f"{first} and {len(names) - 1} more"


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
    elif not public.is_downloaded(name, folder=folder):
        msg = (
            f"The public set {name!r} is not on this server yet. Press Load on the Data page to download it."
        )
        raise InputError(msg)
    return DataSource(kind="public", name=name)
