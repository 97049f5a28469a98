"""Zarr folders as anndata writes them, and zipped ones; numcodecs refuses arrays whose codec is pickle."""

from __future__ import annotations

import zipfile
from pathlib import Path
from typing import TYPE_CHECKING, Final

from deepvelo.errors import InputError
from deepvelo.io.formats.reading import ByGene, Reading
from deepvelo.io.formats.stored import inspect, is_of_today, read_by_gene, read_lazily

if TYPE_CHECKING:
    from anndata import AnnData

LABEL: Final = "Zarr"
SUFFIXES: Final = (".zarr", ".zip")
METADATA: Final = ("zarr.json", ".zarray", ".zgroup", ".zmetadata")


def recognizes(path: Path) -> bool:
    """A folder with Zarr's metadata, or a file by its ending."""
    if path.is_dir():
        return path.suffix.lower() in SUFFIXES or any((path / name).is_file() for name in METADATA)
    return path.suffix.lower() in SUFFIXES


def read(path: Path, reading: Reading) -> AnnData:
    """The folder, or what is zipped."""
    return _read_zarr(path, beyond_memory=reading.beyond_memory, by_gene=reading.by_gene)


def _read_zarr(path: Path, *, beyond_memory: bool, by_gene: ByGene | None) -> AnnData:
    import anndata
    import zarr

    if path.is_dir():
        group = zarr.open_group(path, mode="r")
        if by_gene is not None and is_of_today(group):
            return read_by_gene(group, path.name, layers=by_gene)
        if inspect(group, path.name, beyond_memory=beyond_memory):
            return read_lazily(group)
        return anndata.io.read_zarr(group)
    if not zipfile.is_zipfile(path):
        msg = f"{path.name} is not a zip file, or its end is missing. Zip the .zarr folder again."
        raise InputError(msg)
    with zipfile.ZipFile(path) as archive:
        metadata = [name for name in archive.namelist() if Path(name).name in METADATA]
        if not metadata:
            msg = f"{path.name} holds no zarr folder. Zip a .zarr folder written by anndata."
            raise InputError(msg)
    top = min(metadata, key=lambda name: name.count("/")).rpartition("/")[0]
    with zarr.storage.ZipStore(path, mode="r") as store:
        group = zarr.open_group(store, mode="r", path=top)
        inspect(group, path.name, beyond_memory=False)  # the file is closed when this ends
        return anndata.io.read_zarr(group)
