"""The supported file formats, one module each.

A format is a module with ``LABEL``, its display name; ``SUFFIXES``, its file endings; ``recognizes(path)``, which
inspects the content; and ``read(path, options)``, which returns the content as AnnData. To add a format, add a module
and list it in `FORMATS`. `deepvelo.io.tidy` standardises names, layers and tables afterwards.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Final, Protocol

from deepvelo.errors import InputError
from deepvelo.io.formats import (
    alevin,
    archive,
    celldancer,
    h5ad,
    h5seurat,
    kallisto,
    loom,
    mtx_folder,
    mudata,
    nested,
    r_object,
    starsolo,
    table,
    tenx,
    zarr,
)
from deepvelo.io.formats.links import require_inside
from deepvelo.io.formats.read_options import ByGene, ReadOptions

if TYPE_CHECKING:
    from anndata import AnnData

__all__ = [
    "FORMATS",
    "LABELS",
    "REFUSED",
    "SUFFIXES",
    "ByGene",
    "Format",
    "ReadOptions",
    "find_format",
    "format_of",
    "is_data_folder",
    "known_ending",
]


class Format(Protocol):
    """Interface of a format module."""

    @property
    def LABEL(self) -> str:
        """Display name of the format."""

    @property
    def SUFFIXES(self) -> tuple[str, ...]:
        """File endings; empty for folders."""

    @property
    def recognizes(self) -> Callable[[Path], bool]:
        """Whether a file or folder has this format, judged by its content."""

    @property
    def read(self) -> Callable[[Path, ReadOptions], AnnData]:
        """Read the object as stored, without standardising it."""


# The first format that recognizes a path reads it, so the stricter checks come first.
FORMATS: Final[tuple[Format, ...]] = (
    r_object, zarr, starsolo, kallisto, alevin, mtx_folder, archive, celldancer, table, mudata, tenx, h5seurat, loom, h5ad,
)  # fmt: skip
# Recognized only to tell the user what to do instead.
REFUSED: Final[tuple[Format, ...]] = (r_object, tenx)
_READ: Final[tuple[Format, ...]] = (
    h5ad, loom, zarr, starsolo, kallisto, alevin, mtx_folder, mudata, h5seurat, celldancer, table, archive,
)  # fmt: skip
LABELS: Final[tuple[str, ...]] = tuple(format.LABEL for format in _READ)
"""Display names of the readable formats, the common ones first."""
SUFFIXES: Final[tuple[str, ...]] = tuple(
    dict.fromkeys(suffix for format in _READ for suffix in format.SUFFIXES)
)
"""Endings of readable files and Zarr folders, in lower case."""


def find_format(path: Path) -> Format:
    """The format of a file or folder; `nested` for a folder that is not itself a data set.

    Raises
    ------
    InputError
        No format recognizes the path, or a link leads out of the folder.
    """
    format = format_of(path)
    if format is not None:
        if path.is_dir() and format is not zarr:  # which checks its files itself
            require_inside(path)
        return format
    if path.is_dir():
        return nested
    msg = f"{path.name} has no format that can be read. Give a file that ends in {', '.join(SUFFIXES)}."
    raise InputError(msg)


def format_of(path: Path) -> Format | None:
    """The format of a data set; None for a folder around one."""
    return next((format for format in FORMATS if format.recognizes(path)), None)


def is_data_folder(path: Path) -> bool:
    """Whether a folder is itself one data set, to be chosen rather than browsed."""
    try:
        return path.is_dir() and format_of(path) is not None
    except InputError:  # damaged; reading it explains how
        return True
    except OSError:
        return False


def known_ending(name: str) -> str | None:
    """The longest ending of `SUFFIXES` that a name has, ignoring case."""
    found = [suffix for suffix in SUFFIXES if name.lower().endswith(suffix)]
    return max(found, key=len, default=None)
