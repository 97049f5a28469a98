"""Find an h5ad or loom file beside a counting tool's matrices that has both layers."""

from __future__ import annotations

from pathlib import Path

from deepvelo.contents.layer_names import COUNTS, standard_layers
from deepvelo.io.formats.hdf5 import top_names
from deepvelo.io.formats.links import is_inside


def file_with_both_layers(folder: Path, names: tuple[str, ...], *, within: Path) -> Path | None:
    """The first of these h5ad or loom files that exists and has spliced and unspliced layers.

    Links that lead out of the folder ``within`` are not followed.
    """
    for name in names:
        path = folder / name
        layers = top_names(path, "layers") if is_inside(path, within) else set()
        if set(COUNTS) <= {*layers, *standard_layers(layers).values()}:
            return path
    return None
