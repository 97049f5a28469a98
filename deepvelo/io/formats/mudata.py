"""Files of several modalities, as MuData writes them: the one with spliced and unspliced counts is read."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from deepvelo.errors import InputError
from deepvelo.io.formats.hdf5 import opened, top_names
from deepvelo.io.formats.reading import Reading, with_notes
from deepvelo.io.formats.stored import read_group
from deepvelo.io.tidy.layers import COUNTS, standard_layers
from deepvelo.wording import listed

if TYPE_CHECKING:
    from anndata import AnnData

LABEL: Final = "MuData"
SUFFIXES: Final = (".h5mu",)


def recognizes(path: Path) -> bool:
    """An HDF5 file with modalities, whatever its ending."""
    return path.suffix.lower() in SUFFIXES or ("mod" in top_names(path) and "X" not in top_names(path))


def read(path: Path, reading: Reading) -> AnnData:
    """The modality with both layers of counts.

    Raises
    ------
    InputError
        None has them, or several have.
    """
    import h5py

    with opened(path, kind="an h5mu file") as file:
        modalities = file.get("mod", {})
        fitting = [name for name in modalities if _has_counts(modalities[name])]
        if len(fitting) != 1:
            found = "several have" if fitting else "none has"
            msg = (
                f"{path.name} has {len(modalities)} modalities, {listed(sorted(modalities))}, and {found} the layers "
                f"'spliced' and 'unspliced'. Save one of them as h5ad: `mdata[\"{(fitting or ['rna'])[0]}\"].write_h5ad(...)`."
            )
            raise InputError(msg)
        name = fitting[0]
        source = file if reading.by_gene is None else h5py.File(path, "r")
        adata = read_group(source["mod"][name], path.name, reading)
        left = [other for other in modalities if other != name]
        return with_notes(adata, [f"Modality '{name}' was read; left out: {listed(left)}."])


def _has_counts(modality: Any) -> bool:
    layers = list(modality.get("layers", ()))
    return set(COUNTS) <= {*layers, *standard_layers(layers).values()}
