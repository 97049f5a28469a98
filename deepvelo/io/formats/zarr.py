"""Zarr folders as anndata writes them, and zipped ones; numcodecs refuses arrays whose codec is pickle."""

from __future__ import annotations

import zipfile
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any, Final

from deepvelo.io.formats.mudata import read_one
from deepvelo.io.formats.reading import Reading
from deepvelo.io.formats.stored import inspect, is_of_today, read_group

if TYPE_CHECKING:
    from anndata import AnnData

LABEL: Final = "Zarr"
SUFFIXES: Final = (".zarr",)
METADATA: Final = ("zarr.json", ".zarray", ".zgroup", ".zmetadata")


def recognizes(path: Path) -> bool:
    """A folder with Zarr's metadata or ending, or a zip file of one."""
    if path.is_dir():
        return path.suffix.lower() in SUFFIXES or any((path / name).is_file() for name in METADATA)
    return _top_in_zip(path) is not None


def read(path: Path, reading: Reading) -> AnnData:
    """The folder, or what is zipped: of that nothing is left in the file."""
    import zarr

    if path.is_dir():
        return _read(zarr.open_group(path, mode="r"), path.name, reading)
    top = _top_in_zip(path)
    with zarr.storage.ZipStore(path, mode="r") as store:  # the file is closed when this ends
        return _read(zarr.open_group(store, mode="r", path=top), path.name, Reading())


def _read(group: Any, name: str, reading: Reading) -> AnnData:
    import anndata

    for several in ("mod", "tables"):  # of MuData and of SpatialData
        if several in group and "X" not in group and "obs" not in group.get(several, ()):
            return read_one(group[several], name, reading)
    if is_of_today(group):
        return read_group(group, name, reading)
    inspect(group, name, beyond_memory=False)
    return anndata.io.read_zarr(group)


def _top_in_zip(path: Path) -> str | None:
    """Where in a zip file the Zarr folder lies; None where the file is no zip file or holds none."""
    if not zipfile.is_zipfile(path):
        return None
    with zipfile.ZipFile(path) as archive:
        names = [name for name in archive.namelist() if PurePosixPath(name).name in METADATA]
    names = [name for name in names if "__MACOSX" not in name]
    return min(names, key=lambda name: name.count("/")).rpartition("/")[0] if names else None
