"""Folders of spliced and unspliced MatrixMarket files, from DNBelab C4, dropEst, R or custom scripts."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Final

from deepvelo.errors import InputError
from deepvelo.io.formats.links import require_inside
from deepvelo.io.formats.mtx import find_matrices, find_parts, is_matrix, read_parts
from deepvelo.io.formats.read_options import ReadOptions

if TYPE_CHECKING:
    from anndata import AnnData

LABEL: Final = "folders of matrices"
SUFFIXES: Final = ()


def recognizes(path: Path) -> bool:
    """A folder with a spliced and an unspliced matrix, or a single MatrixMarket file."""
    return is_matrix(path) if path.is_file() else bool(find_matrices(path))


def read(path: Path, options: ReadOptions) -> AnnData:
    """All layers; the numbers of names decide the orientation of the matrices."""
    if path.is_file():
        return _read_folder_of(path, options)
    return read_parts(find_parts(path), cells_first=False)


def _read_folder_of(matrix: Path, options: ReadOptions) -> AnnData:
    """Read the folder of a given matrix."""
    from deepvelo.io.formats import format_of

    folder = matrix.resolve().parent
    format = format_of(folder)
    if format is not None:
        require_inside(folder)
        return format.read(folder, options)
    msg = (
        f"{matrix.name} is a single matrix, and no matrices of spliced and unspliced counts lie in its folder "
        f"{folder.name}. Give the folder that the counter wrote, with both matrices and the names of cells and genes."
    )
    raise InputError(msg)
