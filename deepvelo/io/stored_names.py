"""Escape names for stores: a character that a store cannot hold becomes a similar one, and is restored on reading."""

from __future__ import annotations

import unicodedata
from collections import Counter
from collections.abc import Collection, Iterable
from typing import Any

import pandas as pd

# Zarr and HDF5 treat "/" in a name as a folder. The division slash looks the same and is read back as "/".
SLASH = "\N{DIVISION SLASH}"
_DOT, _BLANK, _EMPTY = "\N{ONE DOT LEADER}", "\N{SYMBOL FOR SPACE}", "\N{BLANK SYMBOL}"
# Appended to a name that differs from another one only in case.
_SECOND = "\N{SYMBOL FOR SUBSTITUTE FORM TWO}"
_IN_FILES = {"/": SLASH, "\0": "\N{SYMBOL FOR NULL}"}
# Zarr treats a backslash as "/"; line breaks are legal in folder names but break line-based tools.
_IN_FOLDERS = {chr(code): chr(0x2400 + code) for code in range(32)} | {"\\": "\N{SET MINUS}"} | _IN_FILES
_TO_FILES, _TO_FOLDERS = str.maketrans(_IN_FILES), str.maketrans(_IN_FOLDERS)
# All are restored except NUL, which no text in a file can hold.
_BACK = str.maketrans({looks: was for was, looks in _IN_FOLDERS.items() if was != "\0"})
_BACK |= str.maketrans({_DOT: ".", _BLANK: " ", _EMPTY: ""})


def stored_names(names: Iterable[Any], *, in_folders: bool, paths: bool = False) -> dict[Any, str]:
    """The names under which a store keeps the elements of one group.

    Parameters
    ----------
    names
        All names of the group. Stored names differ even where case is ignored, as on macOS and Windows and in Zarr's
        consolidated metadata.
    in_folders
        Names become folders, as in a Zarr store; otherwise HDF5 objects.
    paths
        Keep ``/`` where AnnData restores it from HDF5, in columns of tables.

    Returns
    -------
    Stored name by name. A name that the store can hold is unchanged.
    """
    found: dict[Any, str] = {}
    names = list(names)
    taken: set[str] = set()
    for name in sorted(names, key=lambda name: str(name) != _caseless(str(name))):  # `X_umap` before `X_UMAP`
        plain = paths and not in_folders and _is_path(str(name), names)
        stored = str(name) if plain else _escaped(str(name), in_folders=in_folders)
        while (key := _caseless(stored) if in_folders else stored) in taken:
            stored += _SECOND
        taken.add(key)
        found[name] = stored
    return found


def restored_names(stored: Iterable[Any]) -> dict[str, str]:
    """The original names of the elements of one group, by stored name."""
    found = {str(name): str(name).rstrip(_SECOND).translate(_BACK) for name in stored}
    n_called = Counter(found.values())
    return {name: was if n_called[was] == 1 else name for name, was in found.items()}


def restored(tree: Any) -> Any:
    """The same values under their original names, in nested dictionaries and in tables."""
    if isinstance(tree, pd.DataFrame):
        table = tree.rename(columns=restored_names(tree.columns))
        rows = tree.index.name
        return table if rows is None else table.rename_axis(index=restored_names([rows])[rows])
    if not isinstance(tree, dict):
        return tree
    names = restored_names(tree)
    return {names[name]: restored(value) for name, value in tree.items()}


def _escaped(name: str, *, in_folders: bool) -> str:
    name = name.translate(_TO_FOLDERS if in_folders else _TO_FILES)
    if not name:
        return _EMPTY
    if name in (".", "..") or (in_folders and (name[0] == "." or name == "zarr.json")):
        name = name.replace(".", _DOT, 1)  # reserved by Zarr for its own files
    if in_folders and name[-1] in " .":  # Windows drops them
        name = name[:-1] + {" ": _BLANK, ".": _DOT}[name[-1]]
    return name


def _is_path(name: str, names: Collection[Any]) -> bool:
    """Whether HDF5 can store a column whose name has ``/`` as nested groups."""
    parts = name.split("/")
    if len(parts) == 1 or {"", ".", ".."} & {*parts} or "\0" in name:
        return False
    above = {"/".join(parts[:n]) for n in range(1, len(parts))}
    return not any(str(other) in above or str(other).startswith(f"{name}/") for other in names)


def _caseless(name: str) -> str:
    return unicodedata.normalize("NFKC", name).casefold()
