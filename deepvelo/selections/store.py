"""Store selections in the folder of their run: one file each, which checks itself.

A file has a line with a checksum and a JSON description, and below it the names of the cells as packed JSON, with a
checksum in the description. Listing reads the first lines only. A file's name is an id, so a selection may have any name.
"""

from __future__ import annotations

import hashlib
import json
import re
import secrets
import unicodedata
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, ClassVar, Final

from pydantic import AwareDatetime, ConfigDict, TypeAdapter, ValidationError

from deepvelo.config.strict import STRICT
from deepvelo.errors import InputError
from deepvelo.io.checksums import read_first_line, read_regular_file
from deepvelo.io.locks import locked
from deepvelo.io.run_info import INFO
from deepvelo.io.write import remove_leftovers, write_whole
from deepvelo.wording import in_one_line

FOLDER: Final = "selections"
LONGEST_NAME: Final = 200  # characters
FORMAT: Final = 1
_ID = re.compile(r"[0-9a-f]{16}")
_SUFFIX = ".cells"
_LOCK = ".selections.lock"  # in the run store: locking a file in a deleted run's folder would create the folder again
_MAX_HEADER, _MAX_FILE, _MAX_NAMES = 2**14, 2**28, 2**30  # bytes; of the names unpacked


@dataclass(frozen=True, kw_only=True)
class SavedSelection:
    """Description of a saved selection, available without reading its cells."""

    __pydantic_config__: ClassVar[ConfigDict] = STRICT

    selection_id: str
    """Name of the file; kept when the selection is renamed, new when it is replaced."""
    name: str
    n_cells: int
    created: AwareDatetime
    owner: str = ""
    """Key of the visitor who saved it; empty if unknown."""
    owner_name: str = ""
    """Display name of the owner."""
    checksum: str
    """Of the names of the cells; equal for equal cells."""

    @property
    def label(self) -> str:
        """The name in one line, without invisible characters."""
        return in_one_line(self.name, most=LONGEST_NAME)


@dataclass(frozen=True)
class SavedSelections:
    """All selections of a run.

    Parameters
    ----------
    selections
        The readable ones, newest first.
    problems
        A sentence for each file that cannot be read.
    """

    selections: list[SavedSelection]
    problems: list[str]


_SCHEMA: TypeAdapter[SavedSelection] = TypeAdapter(SavedSelection)


def save(
    run_folder: Path, name: str, cell_names: Sequence[str], *, owner: str = "", owner_name: str = ""
) -> SavedSelection:
    """Save a selection, replacing the owner's own one of the same name.

    Parameters
    ----------
    run_folder
        The folder of a stored run.
    name
        Any text of 1 to 200 characters; blanks around it are removed.
    cell_names
        Names of the cells, ``run.obs_names[cells]``.
    owner, owner_name
        Who saves it.

    Raises
    ------
    InputError
        No cell is selected, the name is empty or too long or another visitor's, the run was deleted, or its folder
        cannot be written to.

    Examples
    --------
    >>> store.save(run.folder, "tip", ["cell 1", "cell 7"]).n_cells
    2
    """
    different = list(dict.fromkeys(map(str, cell_names)))
    if not different:
        msg = "No cell is selected, so there is nothing to save. Select cells first."
        raise InputError(msg)
    packed = zlib.compress(json.dumps(different).encode(), level=1)
    saved = SavedSelection(
        selection_id=secrets.token_hex(8),
        name=plain_name(name),
        n_cells=len(different),
        created=datetime.now(UTC),
        owner=owner,
        owner_name=owner_name,
        checksum=_checksum(packed),
    )
    with _changing(run_folder) as folder:
        earlier = find(run_folder, saved.name)
        if earlier is not None and earlier.owner not in ("", owner):
            raise _taken(earlier, by=f", saved by {earlier.owner_name or 'another visitor'}")
        _write(folder, saved, packed)
        if earlier is not None:
            _path(folder, earlier.selection_id).unlink(missing_ok=True)
    return saved


def stored(run_folder: Path) -> SavedSelections:
    """The saved selections of a run; never raises."""
    selections, problems = [], []
    for path in _files(run_folder):
        try:
            selections.append(_header(path))
        except FileNotFoundError:  # deleted since it was listed
            continue
        except InputError as error:
            problems.append(str(error))
    newest_first = sorted(selections, key=lambda saved: (saved.created, saved.selection_id), reverse=True)
    # a killed process may have left the selection that it was replacing
    return SavedSelections(list({saved.name: saved for saved in newest_first[::-1]}.values())[::-1], problems)


def find(run_folder: Path, name: str) -> SavedSelection | None:
    """The selection of exactly this name, or None."""
    wanted = unicodedata.normalize("NFC", name).strip()
    return next((saved for saved in stored(run_folder).selections if saved.name == wanted), None)


def load(run_folder: Path, selection_id: str) -> tuple[SavedSelection, list[str]]:
    """A saved selection and the names of its cells; `deepvelo.selections.same_cells` finds them in a run.

    Raises
    ------
    InputError
        It was deleted, is damaged, or was saved by a newer version.
    """
    try:
        path = _existing(run_folder, selection_id)
        saved = _header(path)
        packed = _packed(path)
        if _checksum(packed) != saved.checksum:
            raise _damaged(path, "its cells are not what was saved", name=saved.name)
        unpacked = zlib.decompressobj().decompress(packed, _MAX_NAMES)
    except FileNotFoundError:
        raise _gone() from None
    except (OSError, zlib.error) as error:
        raise _damaged(path, str(getattr(error, "strerror", None) or error)) from None
    return saved, json.loads(unpacked)


def rename(run_folder: Path, selection_id: str, name: str) -> SavedSelection:
    """Give a selection another name; its id stays.

    Raises
    ------
    InputError
        The name is empty, too long or taken, or the selection is not readable or was deleted.
    """
    wanted = plain_name(name)
    with _changing(run_folder) as folder:
        taken = find(run_folder, wanted)
        if taken is not None and taken.selection_id != selection_id:
            raise _taken(taken)
        saved = replace(load(run_folder, selection_id)[0], name=wanted)
        _write(folder, saved, _packed(_path(folder, selection_id)))
    return saved


def delete(run_folder: Path, selection_id: str) -> None:
    """Delete a selection, damaged or not; one that is gone already is no error.

    Raises
    ------
    InputError
        The run was deleted, or its folder cannot be written to.
    """
    with _changing(run_folder):
        try:
            _existing(run_folder, selection_id).unlink()
        except FileNotFoundError:
            return


def plain_name(name: str) -> str:
    """A name as it is stored, in Unicode's composed form and without blanks around it.

    Raises
    ------
    InputError
        The name is empty or has more than 200 characters.
    """
    plain = unicodedata.normalize("NFC", name).strip()
    if not plain:
        msg = "The selection has no name. Give it one."
        raise InputError(msg)
    if len(plain) > LONGEST_NAME:
        msg = f"The name of the selection has {len(plain):,} characters, and at most {LONGEST_NAME} fit. Shorten it."
        raise InputError(msg)
    return plain


@contextmanager
def _changing(run_folder: Path) -> Iterator[Path]:
    """Let one process at a time change the selections of a run; gives their folder."""
    folder = run_folder / FOLDER
    try:
        with locked(run_folder.parent / _LOCK):
            if not (run_folder / INFO).exists():
                raise FileNotFoundError
            folder.mkdir(exist_ok=True)
            remove_leftovers(folder.glob(".*"))
            yield folder
    except FileNotFoundError:
        msg = f"There is no run {run_folder.name!r} any more, so its selections cannot change. Choose another run."
        raise InputError(msg) from None
    except OSError as error:
        msg = (
            f"The selections of run {run_folder.name} cannot be changed ({error.strerror or error}). "
            "Make room in the run store, or allow writing there."
        )
        raise InputError(msg) from error


def _write(folder: Path, saved: SavedSelection, packed: bytes) -> None:
    values = _SCHEMA.dump_python(saved, mode="json", exclude={"selection_id"})
    line = json.dumps({"format": FORMAT, **values}).encode()  # ASCII, so that any name can be stored
    content = b"%s %s\n%s" % (_checksum(line).encode(), line, packed)
    write_whole(_path(folder, saved.selection_id), lambda partial: partial.write_bytes(content))


def _header(path: Path) -> SavedSelection:
    """Read the first line of a file.

    Raises
    ------
    FileNotFoundError
        The file was deleted.
    InputError
        It is damaged, or was saved by a newer version.
    """
    try:
        checksum, _, line = read_first_line(path, max_bytes=_MAX_HEADER).removesuffix(b"\n").partition(b" ")
    except FileNotFoundError:
        raise
    except OSError as error:
        raise _damaged(path, error.strerror or str(error)) from None
    if _checksum(line).encode() != checksum:
        raise _damaged(path, "its description is not what was saved")
    values: dict[str, Any] = json.loads(line)
    name = str(values.get("name", ""))
    if (stored_format := values.pop("format", None)) != FORMAT:
        msg = (
            f"The saved selection {in_one_line(name, most=LONGEST_NAME)!r} was saved in format {stored_format} by a newer version of "
            f"DeepVelo Explorer, and this version reads format {FORMAT}. Update DeepVelo Explorer to open it."
        )
        raise InputError(msg)
    try:
        return _SCHEMA.validate_python(values | {"selection_id": path.stem})
    except ValidationError:
        raise _damaged(path, "its description is incomplete", name=name) from None


def _packed(path: Path) -> bytes:
    """The packed names below the first line."""
    return read_regular_file(path, max_bytes=_MAX_FILE).partition(b"\n")[2]


def _files(run_folder: Path) -> list[Path]:
    try:
        return [
            path
            for path in (run_folder / FOLDER).iterdir()
            if path.suffix == _SUFFIX and _ID.fullmatch(path.stem)
        ]
    except OSError:  # nothing was saved yet
        return []


def _path(folder: Path, selection_id: str) -> Path:
    return folder / f"{selection_id}{_SUFFIX}"


def _existing(run_folder: Path, selection_id: str) -> Path:
    """Path of a selection by its id, which may come from an address."""
    if not _ID.fullmatch(selection_id):
        raise FileNotFoundError
    return _path(run_folder / FOLDER, selection_id)


def _checksum(content: bytes) -> str:
    return hashlib.blake2b(content, digest_size=16).hexdigest()


def _gone() -> InputError:
    return InputError("This saved selection was deleted or replaced. Choose another.")


def _taken(saved: SavedSelection, *, by: str = "") -> InputError:
    return InputError(f"This run has a selection {saved.label!r} already{by}. Choose another name.")


def _damaged(path: Path, what: str, *, name: str = "") -> InputError:
    called = in_one_line(name, most=LONGEST_NAME) or path.name
    return InputError(
        f"The saved selection {called!r} is damaged: {what}. Delete {path} and save the selection again."
    )
