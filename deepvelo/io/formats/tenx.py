"""10x Genomics count matrices, which have no unspliced counts: refused with the missing step."""

from __future__ import annotations

from pathlib import Path
from typing import Final, NoReturn

from deepvelo.errors import InputError
from deepvelo.io.formats.hdf5 import top_names
from deepvelo.io.formats.links import is_inside
from deepvelo.io.formats.mtx import find_file, header
from deepvelo.io.formats.read_options import ReadOptions

LABEL: Final = "10x count matrix"
SUFFIXES: Final = ()


def recognizes(path: Path) -> bool:
    """An HDF5 file of Cell Ranger or CellBender, or a folder with one matrix."""
    if path.is_dir():
        matrix = find_file(path, "matrix.mtx")
        return matrix is not None and is_inside(matrix, path) and header(matrix).values_per_line == 1
    parts = {"barcodes", "data", "indices", "indptr"}
    # Cell Ranger 2 had a group for each genome.
    return any(parts <= top_names(path, group) for group in _groups(path))


def read(path: Path, options: ReadOptions) -> NoReturn:
    """Refused.

    Raises
    ------
    InputError
        Always.
    """
    msg = (
        f"{path.name} is 10x's count matrix: it holds one count for each gene, no unspliced counts. Count the reads again "
        "with velocyto, kb (--workflow nac), alevin-fry (USA mode) or STARsolo (--soloFeatures Gene Velocyto), and join "
        "what they write with this data."
    )
    raise InputError(msg)


def _groups(path: Path) -> set[str]:
    names = top_names(path)
    return names if len(names) < 10 and not names & {"X", "obs", "row_attrs", "cell.names", "mod"} else set()
