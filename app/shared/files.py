"""The data folder: the files that visitors can choose, and nothing outside it.

Widgets and URLs name files relative to the data folder. Only `inside` turns such a name into a path; it resolves symbolic
links before it compares, so that no link leads out.
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
from functools import lru_cache
from pathlib import Path
from typing import Any, BinaryIO
from urllib.parse import unquote

from deepvelo.config import AMBIGUOUS_CHOICES, Ambiguous
from deepvelo.datasets import public
from deepvelo.datasets.source import PUBLIC_CACHE, DataSource
from deepvelo.errors import InputError
from deepvelo.io.formats import SUFFIXES, is_data_folder, known_ending
from deepvelo.io.formats.links import is_inside
from deepvelo.io.runs import RUN_ID
from deepvelo.places import default_folder
from deepvelo.selections import store

UPLOADS = "uploads"
OWNERS = ".owners"  # of uploads
MAX_UPLOAD_MB = 500
MAX_LISTED = 500
MAX_SEEN = 20_000  # entries scanned: every redraw of the page lists the folder
_CHUNK_BYTES = 4 * 2**20


def data_folder() -> Path:
    """The data folder of the server (``DEEPVELO_DATA``, else ``data/``)."""
    return Path(os.environ.get("DEEPVELO_DATA") or default_folder("data")).expanduser().resolve()


def runs_folder() -> Path:
    """The folder of the run store (``DEEPVELO_RUNS``, else ``runs/``)."""
    return Path(os.environ.get("DEEPVELO_RUNS") or default_folder("runs")).expanduser().resolve()


def inside(name: str) -> Path:
    """Path of an existing file or Zarr folder by its name relative to the data folder.

    Raises
    ------
    InputError
        The name leads out of the data folder, through ``..`` or a link, or does not exist.
    """
    folder = data_folder()
    try:
        path = (folder / name).resolve()
        # Excludes pipes and devices, which may never end.
        found = path.is_relative_to(folder) and path != folder and (path.is_file() or path.is_dir())
    except (OSError, ValueError, RuntimeError):  # a null byte, a loop of links, a name too long
        found = False
    if not found:
        msg = f"There is no file {name!r} in the data folder. Choose one of the files listed there."
        raise InputError(msg)
    return path


def listing() -> list[str]:
    """Names of the readable data sets, relative to the data folder; uploads come last.

    Files with a known suffix, and folders that are one data set, such as the output of a counting tool. At most
    `MAX_LISTED` names, found among the first `MAX_SEEN` entries, upper folders first. Links out of the folder are left out.
    """
    folder = data_folder()
    names = [
        entry.relative_to(folder).as_posix()
        for entry, is_data in itertools.islice(_walk(folder), MAX_SEEN)
        if is_data and is_inside(entry, folder)
    ]
    return sorted(names[:MAX_LISTED], key=lambda name: (name.startswith(f"{UPLOADS}/"), name))


def _walk(folder: Path) -> Iterator[tuple[Path, bool]]:
    """Entries below a folder, breadth first, and whether each is a data set; skips hidden folders and the inside of data sets."""
    waiting = deque([folder])
    while waiting:
        try:
            with os.scandir(waiting.popleft()) as found:
                entries = sorted(itertools.islice(found, MAX_SEEN), key=lambda entry: entry.name)
        except OSError:  # missing or not readable
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
    """Store an uploaded file in the data folder, because jobs read by path; returns its name there.

    The name holds a hash of the content: a file uploaded again is the stored one, and still belongs to its first owner.
    ``owner`` and ``owner_name`` are as in `deepvelo.task.Job`.

    Raises
    ------
    InputError
        The format is unknown, the file is too large, or the folder cannot be written.
    """
    suffix = known_ending(filename)
    if suffix is None:
        msg = f"{filename!r} is not a file this app reads. Upload one of: {', '.join(SUFFIXES)}."
        raise InputError(msg)
    stem = re.sub(r"[^A-Za-z0-9_-]+", "_", filename[: -len(suffix)]).strip("_")[:60] or "data"
    folder = uploads_folder()
    temporary = folder / f".{secrets.token_hex(8)}.part"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        try:
            digest = _copy(stream, temporary, filename=filename)
            kept = next(folder.glob(f"*-{digest}{suffix}"), None)
            if kept is None:
                kept = temporary.rename(folder / f"{stem}-{digest}{suffix}")
                _owner_path(kept).parent.mkdir(exist_ok=True)
                _owner_path(kept).write_text(json.dumps([owner, owner_name]), encoding="utf-8")
        finally:
            temporary.unlink(missing_ok=True)
    except OSError as error:
        reason = error.strerror or str(error)
        msg = f"The upload cannot be kept on the server: {reason}. Free space or allow writing in the data folder."
        raise InputError(msg) from None
    return f"{UPLOADS}/{kept.name}"


def _copy(stream: BinaryIO, temporary: Path, *, filename: str) -> str:
    """Copy to a new file and return a hash of the content, 16 hexadecimal digits."""
    digest, written = hashlib.blake2b(digest_size=8), 0
    with temporary.open("xb") as out:
        while chunk := stream.read(_CHUNK_BYTES):
            written += len(chunk)
            if written > MAX_UPLOAD_MB * 2**20:
                msg = f"{filename!r} is larger than {MAX_UPLOAD_MB} MB. Put it into the data folder instead."
                raise InputError(msg)
            digest.update(chunk)
            out.write(chunk)
    return digest.hexdigest()


def uploads_folder() -> Path:
    """The folder of the uploads."""
    return data_folder() / UPLOADS


def uploads() -> list[str]:
    """Names of the uploads, relative to the data folder."""
    try:
        names = sorted(path.name for path in uploads_folder().iterdir())
    except OSError:  # no upload yet
        return []
    return [f"{UPLOADS}/{name}" for name in names if known_ending(name)]


def upload_owner(name: str) -> tuple[str, str]:
    """Owner of an upload, and the name shown to others; empty if unknown."""
    try:
        owner, owner_name = json.loads(_owner_path(inside(name)).read_text(encoding="utf-8"))
    except (
        OSError,
        ValueError,
        TypeError,
        RecursionError,
    ):  # InputError is a ValueError: the upload is gone
        return "", ""
    return str(owner), str(owner_name)


def _owner_path(upload: Path) -> Path:
    return data_folder() / OWNERS / f"{upload.name}.owner"


def remove_upload(name: str) -> None:
    """Delete an upload permanently.

    Raises
    ------
    InputError
        The file is not an upload, is already gone, or cannot be deleted.
    """
    path = inside(name)
    if path.parent != uploads_folder():
        msg = f"{name!r} is not an upload, so it cannot be deleted here. Choose one of the uploads."
        raise InputError(msg)
    try:
        path.unlink()
        _owner_path(path).unlink(missing_ok=True)
    except OSError as error:
        msg = f"{name!r} cannot be deleted: {error.strerror}. Allow writing in {path.parent}."
        raise InputError(msg) from None


def to_text(source: DataSource) -> str:
    """A source as short text for the URL.

    ``sample``, ``public:pancreas``, ``file:a.h5ad``, ``join:a|b&genes=Symbol`` or
    ``cells:run|selection``.

    Raises
    ------
    InputError
        The data belong to a run and are no saved selection; the address of the run leads to them.
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
        case "cells" if source.selection:
            return f"cells:{Path(source.path).name}|{source.selection}"
        case "run" | "shuffled" | "steady_state" | "cells":
            msg = f"Data of kind {source.kind!r} have no address. Choose their run instead."
            raise InputError(msg)


def _name_of(path: str, folder: Path) -> str:
    return _escaped(Path(path).relative_to(folder).as_posix())


def _escaped(text: str) -> str:
    for sign in "%|&=":  # the percent sign first, because the other escapes begin with it
        text = text.replace(sign, f"%{ord(sign):02X}")
    return text


def names_in(text: str) -> list[str]:
    """File names, or the name of a public data set, in a text of `to_text`."""
    return [unquote(name) for name in text.partition(":")[2].partition("&")[0].split("|")]


def choices_in(text: str) -> dict[str, str]:
    """Reading choices in a text of `to_text`: ``sheet``, ``genes``, ``ambiguous``."""
    pairs = (part.partition("=") for part in text.split("&")[1:])
    return {name: unquote(value) for name, _, value in pairs}


def from_text(text: str) -> DataSource:
    """The source in a text of `to_text`, with its paths checked: the text may come from any URL.

    Raises
    ------
    InputError
        The text names no source, a file outside the data folder, or a public data set that was not downloaded
        (opening an address must not download gigabytes).
    """
    kind, names = text.partition(":")[0], names_in(text)
    if text == "sample":
        return DataSource(kind="sample")
    if kind == "public" and len(names) == 1:
        return public_source(names[0])
    if kind == "file":
        return file_source(*names, **_reading(text))
    if kind == "cells" and len(names) == 2:
        return cells_source(*names)
    if kind == "join" and len(names) > 1:
        return join_source(*names, **_reading(text))
    msg = f"The address names no data set: {text!r}. Choose one on the Data page."
    raise InputError(msg)


def _reading(text: str) -> dict[str, Any]:
    """The reading choices in an address, as keyword arguments of `file_source`; unknown ones are ignored."""
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
    """A file or folder of the data folder, or several with one sample each; ``sheet`` describes the samples."""
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
    """A processed object and the files with its counts, all from the data folder."""
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


def cells_source(run_id: str, selection_id: str) -> DataSource:
    """The cells of a selection saved in a run of this server.

    Raises
    ------
    InputError
        The run or the selection does not exist.
    """
    if not RUN_ID.fullmatch(run_id):
        msg = f"There is no run {run_id[:100]!r} on this server. Choose other data on the Data page."
        raise InputError(msg)
    folder = runs_folder() / run_id
    saved = folder / store.FOLDER
    return _cells_source(folder, selection_id, saved.stat().st_mtime_ns if saved.is_dir() else 0)


@lru_cache(maxsize=64)  # every draw of a page asks, and the cells are looked up by name
def _cells_source(folder: Path, selection_id: str, stamp: int) -> DataSource:
    return DataSource.of_cells(folder, selection=selection_id)


def _inside(names: Iterable[str]) -> tuple[str, ...]:
    return tuple(str(inside(name)) for name in names if name)


def _called(names: list[str]) -> str:
    first = Path(names[0]).name
    return first if len(names) == 1 else f"{first} and {len(names) - 1} more"


def public_source(name: str, *, download: bool = False) -> DataSource:
    """A public data set on this server; with ``download``, one that is downloaded first.

    Raises
    ------
    InputError
        The name is unknown, the data set is not on this server, or the download failed.
    """
    folder = PUBLIC_CACHE.expanduser()
    if download:
        public.fetch(name, folder=folder)
    elif not public.is_downloaded(name, folder=folder):
        msg = f"The public data set {name!r} is not on this server yet. Press Load on the Data page to download it."
        raise InputError(msg)
    return DataSource(kind="public", name=name)
