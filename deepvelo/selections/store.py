"""Store selections in the folder of their run, one `checked_file` each with the names of the cells.

A file's name is an id, so a selection may have any name.
"""

from __future__ import annotations

import json
import unicodedata
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, ClassVar, Final

from pydantic import AwareDatetime, ConfigDict, TypeAdapter, ValidationError

from deepvelo.config.strict import STRICT
from deepvelo.errors import InputError
from deepvelo.io.locks import locked
from deepvelo.io.run_info import INFO
from deepvelo.io.write import remove_leftovers
from deepvelo.selections import checked_file
from deepvelo.selections.checked_file import LONGEST_NAME, plain_name
from deepvelo.wording import in_one_line

FOLDER: Final = "selections"
_WHAT, _SUFFIX = "selection", ".cells"
_LOCK = ".selections.lock"  # in the run store: locking a file in a deleted run's folder would create the folder again
_MAX_NAMES = 2**30  # bytes unpacked


@dataclass(frozen=True, kw_only=True)
class SavedSelection:
    """Description of a saved selection, available without reading its cells."""

    __pydantic_config__: ClassVar[ConfigDict] = STRICT

    selection_id: str
    """Name of the file; new when the selection is replaced."""
    name: str
    n_cells: int
    created: AwareDatetime
    owner: str = ""
    """Key of the visitor who saved it; empty if unknown."""
    owner_name: str = ""
    """Display name of the owner."""

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
    saved = SavedSelection(
        selection_id=checked_file.new_id(),
        name=plain_name(name, _WHAT),
        n_cells=len(different),
        created=datetime.now(UTC),
        owner=owner,
        owner_name=owner_name,
    )
    with _changing(run_folder) as folder:
        earlier = find(run_folder, saved.name)
        if earlier is not None and earlier.owner not in ("", owner):
            by = earlier.owner_name or "another visitor"
            msg = f"This run has a selection {earlier.label!r} already, saved by {by}. Choose another name."
            raise InputError(msg)
        _write(folder, saved, zlib.compress(json.dumps(different).encode(), level=1))
        if earlier is not None:
            _path(folder, earlier.selection_id).unlink(missing_ok=True)
    return saved


def stored(run_folder: Path) -> SavedSelections:
    """The saved selections of a run; never raises."""
    selections, problems = [], []
    for path in checked_file.files(run_folder / FOLDER, _SUFFIX):
        try:
            selections.append(_described(path, checked_file.read_description(path, _WHAT)))
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


def exists(run_folder: Path, selection_id: str) -> bool:
    """Whether a saved selection was neither deleted nor replaced; reads no file."""
    return _path(run_folder / FOLDER, selection_id).is_file()


def load(run_folder: Path, selection_id: str) -> tuple[SavedSelection, list[str]]:
    """A saved selection and the names of its cells; `deepvelo.selections.same_cells` finds them in a run.

    Raises
    ------
    InputError
        It was deleted, is damaged, or was saved by a newer version.
    """
    saved, packed = _read(run_folder, selection_id)
    return saved, json.loads(zlib.decompressobj().decompress(packed, _MAX_NAMES))


def delete(run_folder: Path, selection_id: str) -> None:
    """Delete a selection, damaged or not; one that is gone already is no error.

    Raises
    ------
    InputError
        The run was deleted, or its folder cannot be written to.
    """
    with _changing(run_folder) as folder, suppress(FileNotFoundError):
        _path(folder, selection_id).unlink()


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
    description = _SCHEMA.dump_python(saved, mode="json", exclude={"selection_id"})
    checked_file.write(_path(folder, saved.selection_id), description, packed)


def _read(run_folder: Path, selection_id: str) -> tuple[SavedSelection, bytes]:
    """A selection and the packed names of its cells."""
    try:
        path = _path(run_folder / FOLDER, selection_id)
        description, packed = checked_file.read(path, _WHAT)
    except FileNotFoundError:
        msg = "This saved selection was deleted or replaced. Choose another."
        raise InputError(msg) from None
    return _described(path, description), packed


def _described(path: Path, description: dict[str, Any]) -> SavedSelection:
    try:
        return _SCHEMA.validate_python(description | {"selection_id": path.stem})
    except ValidationError:
        name = str(description.get("name", ""))
        raise checked_file.damaged(path, _WHAT, "its description is incomplete", name=name) from None


def _path(folder: Path, selection_id: str) -> Path:
    return checked_file.path_of(folder, selection_id, _SUFFIX)
