"""h5ad files, as anndata writes them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Final

from deepvelo.errors import InputError
from deepvelo.io.formats.anndata_groups import check_sizes, is_current_format, read_group
from deepvelo.io.formats.hdf5 import is_hdf5, opened
from deepvelo.io.formats.read_options import ReadOptions
from deepvelo.io.formats.validation import require_valid_parts

if TYPE_CHECKING:
    from anndata import AnnData

LABEL: Final = "h5ad"
SUFFIXES: Final = (".h5ad", ".h5")
_KIND = "an h5ad file"


def recognizes(path: Path) -> bool:
    """By its ending, or any HDF5 file."""
    return path.suffix.lower() in SUFFIXES or is_hdf5(path)


def read(path: Path, options: ReadOptions) -> AnnData:
    """Read the file, whole or in part according to the options."""
    import anndata
    import h5py

    options = options.with_size(path.stat().st_size)
    with opened(path, kind=_KIND) as file:
        if "X" not in file and "layers" not in file and "obs" not in file:
            msg = f"{path.name} is not {_KIND}: it holds {sorted(file)}. Save the object with `write_h5ad`."
            raise InputError(msg)
        if is_current_format(file):
            # Arrays that stay on disk need a handle that outlives this block.
            source = file if options.by_gene is None else h5py.File(path, "r")
            return read_group(source, path.name, options)
        check_sizes(file, path.name, replace(options, lazy_if_large=False))
        require_valid_parts(file, path.name)
    return anndata.read_h5ad(path)
