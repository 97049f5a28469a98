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
from deepvelo.io.formats import h5ad, loom, zarr
from deepvelo.io.formats.reading import AMBIGUOUS, Ambiguous, ByGene, Reading

if TYPE_CHECKING:
    from anndata import AnnData

__all__ = ["AMBIGUOUS", "FORMATS", "SUFFIXES", "Ambiguous", "ByGene", "Format", "Reading", "find_format"]


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
    def read(self) -> Callable[[Path, Reading], AnnData]:
        """The object as the file holds it."""


# The first that recognizes a file reads it.
FORMATS: Final[tuple[Format, ...]] = (zarr, loom, h5ad)
SUFFIXES: Final[tuple[str, ...]] = tuple(
    dict.fromkeys(suffix for format in FORMATS for suffix in format.SUFFIXES)
)


def find_format(path: Path) -> Format:
    """The format of a file or folder.

    Raises
    ------
    InputError
        None recognizes it.
    """
    for format in FORMATS:
        if format.recognizes(path):
            return format
    msg = f"{path.name} is of no kind that can be read. Give a file that ends in {', '.join(SUFFIXES)}."
    raise InputError(msg)
