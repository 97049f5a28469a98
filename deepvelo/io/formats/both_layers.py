"""A file beside a counter's matrices that holds both layers already: simpler to read, and with more in it."""

from __future__ import annotations

from pathlib import Path

from deepvelo.contents.layer_names import COUNTS, standard_layers
from deepvelo.io.formats.hdf5 import top_names
from deepvelo.io.formats.links import is_inside


def file_with_both_layers(folder: Path, names: tuple[str, ...], *, within: Path) -> Path | None:
    """The first of these h5ad or loom files that is there and has layers of spliced and of unspliced counts.

    A link out of the folder ``within`` is not followed.
    """
    for name in names:
        path = folder / name
        layers = top_names(path, "layers") if is_inside(path, within) else set()
        if set(COUNTS) <= {*layers, *standard_layers(layers).values()}:
            return path
    return None
