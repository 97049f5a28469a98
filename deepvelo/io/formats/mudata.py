"""MuData files: reads the one modality with spliced and unspliced counts."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from deepvelo.contents.layer_names import COUNTS, standard_layers
from deepvelo.errors import InputError
from deepvelo.io.formats.anndata_groups import read_group
from deepvelo.io.formats.hdf5 import is_anndata, opened, top_names
from deepvelo.io.formats.read_options import ReadOptions, with_notes
from deepvelo.wording import listed

if TYPE_CHECKING:
    from anndata import AnnData

LABEL: Final = "MuData"
SUFFIXES: Final = (".h5mu",)


def recognizes(path: Path) -> bool:
    """An HDF5 file with modalities, whatever its ending."""
    named = path.suffix.lower() in SUFFIXES and not is_anndata(path)
    return named or ("mod" in top_names(path) and "X" not in top_names(path))


def read(path: Path, options: ReadOptions) -> AnnData:
    """The modality with both layers of counts.

    Raises
    ------
    InputError
        None has them, or several have.
    """
    import h5py

    options = options.with_size(path.stat().st_size)
    with opened(path, kind="an h5mu file") as file:
        # Arrays that stay on disk need a handle that outlives this block.
        source = file if options.by_gene is None else h5py.File(path, "r")
        return read_modality(source.get("mod", {}), path.name, options)


def read_modality(objects: Any, name: str, options: ReadOptions) -> AnnData:
    """Read the one object of an HDF5 or Zarr file that has both layers of counts."""
    names = sorted(objects)
    fitting = [one for one in names if _has_counts(objects[one])]
    if len(fitting) != 1:
        found = "several have" if fitting else "none has"
        msg = (
            f"{name} holds the modalities {listed(names)}, and {found} "
            f"the layers 'spliced' and 'unspliced'. Save one of them as h5ad: `mdata[\"{(fitting or ['rna'])[0]}\"].write_h5ad(...)`."
        )
        raise InputError(msg)
    left = [one for one in names if one != fitting[0]]
    adata = read_group(objects[fitting[0]], name, options)
    return with_notes(adata, [f"Modality '{fitting[0]}' was read; left out: {listed(left)}."] if left else [])


def _has_counts(modality: Any) -> bool:
    layers = list(modality.get("layers", ()))
    return set(COUNTS) <= {*layers, *standard_layers(layers).values()}
