"""The formats that can be read, one a file.

A format is a module with ``LABEL``, what people call it; ``SUFFIXES``, the endings of its files; ``recognizes(path)``,
which looks at the content; and ``read(path, reading)``, which returns an AnnData as it lies in the file. A new format is
a new module and its line in `FORMATS`; `deepvelo.io.tidy` brings names, layers and tables into one shape afterwards.
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
    """What every module of this package offers."""

    @property
    def LABEL(self) -> str:
        """What people call the format."""

    @property
    def SUFFIXES(self) -> tuple[str, ...]:
        """Endings of its files; none for folders."""

    @property
    def recognizes(self) -> Callable[[Path], bool]:
        """Whether a file or folder is of this format, by its content."""

    @property
    def read(self) -> Callable[[Path, ReadOptions], AnnData]:
        """The object as the file holds it."""


# The first that recognizes a file or folder reads it, so those that look at more of it come first.
FORMATS: Final[tuple[Format, ...]] = (
    r_object, zarr, starsolo, kallisto, alevin, mtx_folder, archive, celldancer, table, mudata, tenx, h5seurat, loom, h5ad,
)  # fmt: skip
# Recognized to say what is missing or to be done; never read.
REFUSED: Final[tuple[Format, ...]] = (r_object, tenx)
_READ: Final[tuple[Format, ...]] = (
    h5ad, loom, zarr, starsolo, kallisto, alevin, mtx_folder, mudata, h5seurat, celldancer, table, archive,
)  # fmt: skip
LABELS: Final[tuple[str, ...]] = tuple(format.LABEL for format in _READ)
"""What people call the formats that are read, the usual ones first."""
SUFFIXES: Final[tuple[str, ...]] = tuple(
    dict.fromkeys(suffix for format in _READ for suffix in format.SUFFIXES)
)
"""Endings of the files, and of the Zarr folders, that are offered and taken; in lower case."""


def find_format(path: Path) -> Format:
    """The format of a file or folder; of a folder that is no data set the one that looks inside.

    Raises
    ------
    InputError
        None recognizes it, or a link in the folder leads out of it.
    """
    format = format_of(path)
    if format is not None:
        if path.is_dir() and format is not zarr:  # which looks at its files itself
            require_inside(path)
        return format
    if path.is_dir():
        return nested
    msg = f"{path.name} is of no kind that can be read. Give a file that ends in {', '.join(SUFFIXES)}."
    raise InputError(msg)


def format_of(path: Path) -> Format | None:
    """The format of what is a data set itself, and not a folder around one."""
    return next((format for format in FORMATS if format.recognizes(path)), None)


def is_data_folder(path: Path) -> bool:
    """Whether a folder is one data set: something to choose, and not to look into."""
    try:
        return path.is_dir() and format_of(path) is not None
    except InputError:  # one that is damaged; reading it says how
        return True
    except OSError:
        return False


def known_ending(name: str) -> str | None:
    """The ending of `SUFFIXES` that a name has, in whatever case; the longest."""
    found = [suffix for suffix in SUFFIXES if name.lower().endswith(suffix)]
    return max(found, key=len, default=None)
