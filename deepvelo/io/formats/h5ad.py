"""h5ad files, as anndata writes them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Final

from deepvelo.errors import InputError
from deepvelo.io.formats.hdf5 import is_hdf5, opened
from deepvelo.io.formats.reading import Reading
from deepvelo.io.formats.sound import require_sound_parts
from deepvelo.io.formats.stored import inspect, is_of_today, read_group

if TYPE_CHECKING:
    from anndata import AnnData

LABEL: Final = "h5ad"
SUFFIXES: Final = (".h5ad", ".h5")
_KIND = "an h5ad file"


def recognizes(path: Path) -> bool:
    """By its ending, or any HDF5 file."""
    return path.suffix.lower() in SUFFIXES or is_hdf5(path)


def read(path: Path, reading: Reading) -> AnnData:
    """The whole file, or as much as was asked for."""
    import anndata
    import h5py

    reading = reading.of(path.stat().st_size)
    with opened(path, kind=_KIND) as file:
        if "X" not in file and "layers" not in file and "obs" not in file:
            msg = f"{path.name} is not {_KIND}: it holds {sorted(file)}. Save the object with `write_h5ad`."
            raise InputError(msg)
        if is_of_today(file):
            # By gene another handle, which lives as long as the arrays that are read through it.
            source = file if reading.by_gene is None else h5py.File(path, "r")
            return read_group(source, path.name, reading)
        inspect(file, path.name, replace(reading, beyond_memory=False))
        require_sound_parts(file, path.name)
    return anndata.read_h5ad(path)
