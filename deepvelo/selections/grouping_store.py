"""Store groupings made by hand with their data set: files in the run store, never in the input.

They lie under the hidden folder ``.groupings``, one `checked_file` each with its last versions, in a folder named by the
hash of the data, so that every run of the data has them.
"""

from __future__ import annotations

import hashlib
import json
import re
import zlib
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Final

import numpy as np
import pandas as pd
from pydantic import AwareDatetime, ConfigDict, TypeAdapter, ValidationError

from deepvelo import keys
from deepvelo.config.strict import STRICT
from deepvelo.errors import InputError
from deepvelo.io.locks import locked
from deepvelo.io.write import remove_leftovers
from deepvelo.selections import checked_file
from deepvelo.selections.checked_file import LONGEST_NAME, plain_name
from deepvelo.selections.groupings import Group, Grouping
from deepvelo.wording import in_one_line, listed

if TYPE_CHECKING:
    from anndata import AnnData

FOLDER: Final = ".groupings"
MOST_CHANGES: Final = 20  # that can be undone
_WHAT, _SUFFIX = "grouping", ".groups"
_HASH = re.compile(r"[0-9a-f]{32}")
_MAX_BYTES = 2**30  # unpacked


@dataclass(frozen=True, kw_only=True)
class SavedGrouping:
    """Description of a stored grouping, available without reading its cells."""

    __pydantic_config__: ClassVar[ConfigDict] = STRICT

    grouping_id: str
    name: str
    """Name of its column in ``obs``."""
    created: AwareDatetime
    changed: AwareDatetime
    owner: str = ""
    """Key of the visitor who made it; empty if unknown."""
    owner_name: str = ""
    """Display name of the owner."""
    groups: tuple[Group, ...]
    """The groups in their order."""
    last_change: str = ""
    """What `GroupingStore.undo` would undo, as `GroupingStore.change` was told; empty for nothing."""

    @property
    def label(self) -> str:
        """The name in one line, without invisible characters."""
        return in_one_line(self.name, most=LONGEST_NAME)


@dataclass(frozen=True)
class SavedGroupings:
    """All groupings of a data set.

    Parameters
    ----------
    groupings
        The readable ones, oldest first.
    problems
        A sentence for each file that cannot be read.
    """

    groupings: list[SavedGrouping]
    problems: list[str]


@dataclass(frozen=True)
class _Version:
    what: str
    groups: tuple[Group, ...]


@dataclass(frozen=True, eq=False)
class _Versions:
    """Content of a file: the groups after each change, and the group of each cell in each of them."""

    cell_names: pd.Index
    versions: tuple[_Version, ...]
    """The last one is current."""
    codes: np.ndarray
    """``(n_cells, n_versions)``"""

    @property
    def current(self) -> Grouping:
        return Grouping(self.versions[-1].groups, self.cell_names, self.codes[:, -1])

    def with_change(self, changed: Grouping, what: str) -> _Versions:
        earlier = np.full((len(changed.cell_names), len(self.versions)), -1, dtype=np.int16)
        earlier[: len(self.codes)] = self.codes  # changes only append cells
        kept = slice(max(0, len(self.versions) - MOST_CHANGES), None)
        versions = (*self.versions, _Version(what, changed.groups))
        return _Versions(
            changed.cell_names, versions[kept], np.column_stack([earlier, changed.codes])[:, kept]
        )

    def without_last(self) -> _Versions:
        return replace(self, versions=self.versions[:-1], codes=self.codes[:, :-1])


_SCHEMA: TypeAdapter[SavedGrouping] = TypeAdapter(SavedGrouping)
_VERSIONS: TypeAdapter[tuple[_Version, ...]] = TypeAdapter(tuple[_Version, ...])


class GroupingStore:
    """Groupings of one data set.

    Parameters
    ----------
    store_folder
        The run store.
    data_hash
        Hash of the data, `deepvelo.io.runs.RunInfo.data_hash`.

    Examples
    --------
    >>> groupings = GroupingStore(store.folder, run.info.data_hash)
    >>> saved = groupings.create("my types", Grouping.empty(run.obs.index), taken=run.obs.columns)
    >>> groupings.change(saved.grouping_id, lambda it: it.assign(cells, "tip"), what="New group tip").groups[0].name
    'tip'
    """

    def __init__(self, store_folder: Path, data_hash: str) -> None:
        self._root = store_folder / FOLDER
        # read from `info.json`, which may hold any text
        is_plain = _HASH.fullmatch(data_hash) is not None
        name = (
            data_hash if is_plain else hashlib.blake2b(repr(data_hash).encode(), digest_size=16).hexdigest()
        )
        self._folder = self._root / name

    def create(
        self,
        name: str,
        grouping: Grouping,
        *,
        taken: Collection[str] = (),
        owner: str = "",
        owner_name: str = "",
    ) -> SavedGrouping:
        """Store a new grouping.

        Parameters
        ----------
        name
            Name of its column, 1 to 200 characters.
        taken
            Names of the columns of ``obs``.
        owner, owner_name
            Who made it.

        Raises
        ------
        InputError
            The name is empty, too long or taken, or the run store cannot be written to.
        """
        plain = plain_name(name, _WHAT)
        now = datetime.now(UTC)
        saved = SavedGrouping(
            grouping_id=checked_file.new_id(),
            name=plain,
            created=now,
            changed=now,
            owner=owner,
            owner_name=owner_name,
            groups=grouping.groups,
        )
        with self._changing():
            self._require_free(plain, taken)
            first = _Version("", grouping.groups)
            return self._write(saved, _Versions(grouping.cell_names, (first,), grouping.codes[:, None]))

    def stored(self) -> SavedGroupings:
        """The groupings of the data set; never raises."""
        groupings, problems = [], []
        for path in checked_file.files(self._folder, _SUFFIX):
            try:
                groupings.append(_described(path, checked_file.read_description(path, _WHAT)))
            except FileNotFoundError:  # deleted since it was listed
                continue
            except InputError as error:
                problems.append(str(error))
        return SavedGroupings(
            sorted(groupings, key=lambda saved: (saved.created, saved.grouping_id)), sorted(problems)
        )

    @property
    def stamp(self) -> int:
        """Changes with every change of a grouping of the data set; 0 before the first one."""
        try:
            return self._folder.stat().st_mtime_ns  # every change replaces a file
        except OSError:
            return 0

    def load(self, grouping_id: str) -> tuple[SavedGrouping, Grouping]:
        """A grouping with the group of each cell.

        Raises
        ------
        InputError
            It was deleted, is damaged, or was saved by a newer version.
        """
        saved, versions = self._read(grouping_id)
        return saved, versions.current

    def change(self, grouping_id: str, edit: Callable[[Grouping], Grouping], *, what: str) -> SavedGrouping:
        """Change a grouping as it is stored now, whoever changed it last; the last 20 changes can be undone.

        Parameters
        ----------
        edit
            Returns the changed grouping, for instance ``lambda grouping: grouping.rename("a", "b")``.
        what
            The change in words.

        Raises
        ------
        InputError
            As ``edit``; or the grouping cannot be read or written.
        """
        with self._changing():
            saved, versions = self._read(grouping_id)
            return self._write(saved, versions.with_change(edit(versions.current), what))

    def undo(self, grouping_id: str) -> SavedGrouping:
        """Undo the last change.

        Raises
        ------
        InputError
            Nothing can be undone, or the grouping cannot be read or written.
        """
        with self._changing():
            saved, versions = self._read(grouping_id)
            if len(versions.versions) == 1:
                msg = f"The grouping {listed([saved.name])} has no change that could be undone. Change it first."
                raise InputError(msg)
            return self._write(saved, versions.without_last())

    def rename(self, grouping_id: str, name: str, *, taken: Collection[str] = ()) -> SavedGrouping:
        """Give a grouping another name; errors as of `create`, and it cannot be undone."""
        plain = plain_name(name, _WHAT)
        with self._changing():
            saved, versions = self._read(grouping_id)
            if plain != saved.name:
                self._require_free(plain, taken)
            return self._write(replace(saved, name=plain), versions)

    def delete(self, grouping_id: str) -> None:
        """Delete a grouping, damaged or not; one that is gone already is no error.

        Raises
        ------
        InputError
            The run store cannot be written to.
        """
        with self._changing(), suppress(FileNotFoundError):
            self._path(grouping_id).unlink()

    def add_to(self, adata: AnnData) -> list[str]:
        """Add all groupings to the annotation of an object and their colours to ``uns``, for exports.

        Returns
        -------
        A sentence for each grouping that was left out, because it cannot be read or a column has its name.

        Sets
        ----
        ``adata.obs[name]`` (categorical, groups without cells among the categories) and
        ``adata.uns[f"{name}_colors"]``.
        """
        listing = self.stored()
        notes = listing.problems
        for saved in listing.groupings:
            if saved.name in adata.obs:
                notes.append(
                    f"The grouping {listed([saved.name])} was left out, because a column of obs has its name. Rename the grouping."
                )
                continue
            try:
                grouping = self.load(saved.grouping_id)[1]
            except InputError as error:
                notes.append(str(error))
                continue
            adata.obs[saved.name] = grouping.column(adata.obs_names)
            adata.uns[keys.colors(saved.name)] = np.array(list(grouping.colors.values()), dtype=object)
        return notes

    def _require_free(self, name: str, taken: Collection[str]) -> None:
        if name in taken:
            msg = f"The data have a column {listed([name])} already. Choose another name for the grouping."
            raise InputError(msg)
        if any(saved.name == name for saved in self.stored().groupings):
            msg = f"There is a grouping {listed([name])} of these data already. Choose another name."
            raise InputError(msg)

    @contextmanager
    def _changing(self) -> Iterator[None]:
        """Let one process at a time change groupings."""
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            with locked(self._root / ".lock"):
                remove_leftovers(self._folder.glob(".*"))
                yield
        except OSError as error:
            msg = (
                f"The grouping was not saved: the run store {self._root.parent} cannot be written to "
                f"({error.strerror or error}). Make room there, or allow writing."
            )
            raise InputError(msg) from error

    def _write(self, described: SavedGrouping, versions: _Versions) -> SavedGrouping:
        last = versions.versions[-1]
        saved = replace(
            described,
            changed=datetime.now(UTC),
            groups=last.groups,
            last_change=last.what if len(versions.versions) > 1 else "",
        )
        description = _SCHEMA.dump_python(saved, mode="json", exclude={"grouping_id"})
        tables = {
            "cell_names": [str(name) for name in versions.cell_names],
            "versions": _VERSIONS.dump_python(versions.versions, mode="json"),
        }
        packed = zlib.compress(json.dumps(tables).encode(), level=1)
        codes = zlib.compress(versions.codes.astype("<i2").tobytes(), level=1)
        checked_file.write(
            self._path(saved.grouping_id), description, len(packed).to_bytes(8) + packed + codes
        )
        return saved

    def _read(self, grouping_id: str) -> tuple[SavedGrouping, _Versions]:
        try:
            path = self._path(grouping_id)
            description, content = checked_file.read(path, _WHAT)
        except FileNotFoundError:
            msg = "This grouping was deleted. Choose another."
            raise InputError(msg) from None
        start = 8 + int.from_bytes(content[:8])
        tables = json.loads(zlib.decompressobj().decompress(content[8:start], _MAX_BYTES))
        versions = _VERSIONS.validate_python(tables["versions"])
        codes = np.frombuffer(zlib.decompressobj().decompress(content[start:], _MAX_BYTES), dtype="<i2")
        codes = codes.astype(np.int16).reshape(-1, len(versions))
        return _described(path, description), _Versions(
            pd.Index(tables["cell_names"], dtype=object), versions, codes
        )

    def _path(self, grouping_id: str) -> Path:
        return checked_file.path_of(self._folder, grouping_id, _SUFFIX)


def _described(path: Path, description: dict[str, Any]) -> SavedGrouping:
    try:
        return _SCHEMA.validate_python(description | {"grouping_id": path.stem})
    except ValidationError:
        name = str(description.get("name", ""))
        raise checked_file.damaged(path, _WHAT, "its description is incomplete", name=name) from None
