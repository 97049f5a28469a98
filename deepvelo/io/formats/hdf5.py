"""Open an HDF5 file of any of the formats that are one, and nothing else with it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from deepvelo.errors import InputError
from deepvelo.wording import listed


def is_hdf5(path: Path) -> bool:
    """Whether a file begins as HDF5 files do."""
    import h5py

    return path.is_file() and bool(h5py.is_hdf5(path))


def top_names(path: Path, group: str = "/") -> set[str]:
    """Names in a group of an HDF5 file; none where the file is of another kind or damaged, or has no such group."""
    import h5py

    if not is_hdf5(path):
        return set()
    try:
        with h5py.File(path, "r") as file:
            if group == "/":
                return set(file)
            here = group in file and isinstance(file.get(group, getlink=True), h5py.HardLink)
            return set(file[group]) if here and isinstance(file[group], h5py.Group) else set()
    except OSError:
        return set()


def is_anndata(path: Path) -> bool:
    """Whether a file is h5ad inside, whatever its ending."""
    names = top_names(path)
    return {"obs", "var"} <= names and "mod" not in names


@contextmanager
def opened(path: Path, *, kind: str) -> Iterator[Any]:
    """The open file, an ``h5py.File`` that refers to no other file and holds each element in one place.

    Raises
    ------
    InputError
        It is no HDF5 file, its end is missing, or it has links: to other files, or to elements of its own, which then take
        memory more often than they take room in the file.
    """
    import h5py
    import hdf5plugin  # noqa: F401  (importing it registers zstd, blosc, lz4 and other compressions)

    if not is_hdf5(path):
        msg = f"{path.name} is not {kind}: it does not begin as one. Check that the right file was chosen."
        raise InputError(msg)
    try:
        file = h5py.File(path, "r")
    except OSError as error:
        if "truncated" not in str(error):
            raise
        msg = f"{path.name} is truncated: its end is missing. Copy or download it again."
        raise InputError(msg) from error
    with file:
        _require_self_contained(path, file)
        yield file


def _require_self_contained(path: Path, file: Any) -> None:
    import h5py

    outside: list[str] = []
    linked = ["/"] if h5py.h5o.get_info(file.id).rc > 1 else []

    def look_at_link(name: str, link: Any) -> None:
        if isinstance(link, h5py.ExternalLink):
            outside.append(f"'{name}' (a link to another file)")
        elif isinstance(link, h5py.SoftLink):
            linked.append(name)

    def look_at(name: str, element: Any) -> None:
        if isinstance(element, h5py.Dataset) and (element.is_virtual or element.external):
            outside.append(f"'{name}' (its values lie in another file)")
        if isinstance(element, h5py.Dataset | h5py.Group) and h5py.h5o.get_info(element.id).rc > 1:
            linked.append(name)

    file.visititems_links(look_at_link)
    file.visititems(look_at)
    if outside:
        msg = (
            f"{path.name} refers to other files, which are not opened: {', '.join(outside[:3])}. "
            "Save a copy that holds all of its data."
        )
        raise InputError(msg)
    if linked:
        msg = (
            f"{path.name} has links between its own elements, which are not followed: {listed(linked)}. "
            "Open it in the program that wrote it and save a copy without links."
        )
        raise InputError(msg)
