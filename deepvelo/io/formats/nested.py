"""A folder that contains exactly one data set, as archives and counting tools create it."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Final

from deepvelo.errors import InputError
from deepvelo.io.formats.links import is_inside
from deepvelo.io.formats.mtx import visible_names
from deepvelo.io.formats.read_options import ReadOptions, with_notes

if TYPE_CHECKING:
    from anndata import AnnData

LABEL: Final = "folder around a data set"
SUFFIXES: Final = ()
_MAX_LEVELS = 3
_MAX_FOLDERS = 200


def recognizes(path: Path) -> bool:
    """Any folder; `read` searches it."""
    return path.is_dir()


def read(path: Path, options: ReadOptions) -> AnnData:
    """Read the data set in a folder, up to three levels deep, and note its path.

    Raises
    ------
    InputError
        The folder contains no data set, or several.
    """
    from deepvelo.io.formats import SUFFIXES, find_format

    found = _data_sets(path)
    link = None if len(found) == 1 and not _is_table(found[0]) else _outward_link(path)
    if link is not None:
        msg = (
            f"{path.name} is no data set as far as it is opened: '{link.relative_to(path).as_posix()}' is a link out of it. "
            "Give what the link points to, or copy the folder with it, as `cp -rL` does."
        )
        raise InputError(msg)
    places = [child.relative_to(path).as_posix() for child in found]
    if not found:
        inside = _matrices(path) or visible_names(path)
        shown = ", ".join(inside[:5]) or "nothing"
        msg = (
            f"{path.name} holds no data set that can be read: no file, and no matrices of both spliced and unspliced "
            f"counts. Found {shown}. Give a folder that velocyto, kb, alevin-fry "
            f"or STARsolo wrote, or a file that ends in {', '.join(SUFFIXES)}."
        )
        raise InputError(msg)
    if len(found) > 1:
        shown = ", ".join(f"{path.name}/{place}" for place in places[:5]) + (
            ", ..." if len(places) > 5 else ""
        )
        msg = f"{path.name} holds several data sets: {shown}. Give one of them."
        raise InputError(msg)
    return with_notes(find_format(found[0]).read(found[0], options), [f"'{path.name}/{places[0]}' was read."])


def _outward_link(path: Path) -> Path | None:
    """The first link on the searched levels that leads out of the folder."""
    level = [path]
    for _ in range(_MAX_LEVELS + 1):
        children = [child for folder in level[:_MAX_FOLDERS] for child in _children(folder)]
        for child in children:
            if child.is_symlink() and not is_inside(child, path):
                return child
        level = [child for child in children if child.is_dir() and not child.is_symlink()]
    return None


def _matrices(path: Path) -> list[str]:
    """Paths of single matrices, for the message when their counterpart is missing."""
    places = ["*/" * level + "*.mtx*" for level in range(_MAX_LEVELS + 1)]
    found = (child for place in places for child in islice(path.glob(place), 5))
    return [child.relative_to(path).as_posix() for child in found if is_inside(child, path)]


def _data_sets(path: Path) -> list[Path]:
    """Data sets on the first level that has any; otherwise refused formats, otherwise tables."""
    from deepvelo.io.formats import REFUSED, format_of

    level, n_folders = [path], 0
    refused: list[Path] = []
    tables: list[Path] = []
    for _ in range(_MAX_LEVELS):
        children = [child for folder in level for child in _children(folder)]
        formats = {child: format_of(child) for child in children if _may_be_data(child)}
        known = {child: format for child, format in formats.items() if format is not None}
        found = [child for child, format in known.items() if format not in REFUSED and not _is_table(child)]
        if found:
            return found
        tables += [child for child in known if _is_table(child)]
        refused += [child for child, format in known.items() if format in REFUSED]
        level = [
            child for child in children if child not in known and child.is_dir() and not child.is_symlink()
        ]
        n_folders += len(level)
        if n_folders > _MAX_FOLDERS:
            break
    return refused or ([] if _matrices(path) else tables)  # tables beside a matrix are lists of names


def _children(folder: Path) -> Iterator[Path]:
    return (folder / name for name in visible_names(folder))


def _may_be_data(path: Path) -> bool:
    """Whether to open a path: folders, and files with a known ending."""
    from deepvelo.io.formats import known_ending

    return not path.is_symlink() and (path.is_dir() or known_ending(path.name) is not None)


def _is_table(path: Path) -> bool:
    return path.is_file() and path.name.lower().removesuffix(".gz").endswith((".csv", ".tsv"))
