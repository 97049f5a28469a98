"""Options of `deepvelo.io.read` that the format modules receive."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from deepvelo import keys
from deepvelo.contents.notes import stored_notes

if TYPE_CHECKING:
    from anndata import AnnData

ByGene = Collection[str] | Callable[[Collection[str]], Collection[str]]
"""Names of layers, or a function that chooses among those of the file."""


@dataclass(frozen=True, kw_only=True)
class ReadOptions:
    """How to read a file.

    Parameters
    ----------
    lazy_if_large
        Leave matrices that would take more than half of the free memory on disk, as Dask arrays.
    by_gene
        Read only these layers, and leave dense ones on disk, to be read in blocks of genes. A function chooses them
        among the names of all layers.
    packed_size
        Size in bytes of the user's file or archive, which limits the accepted unpacked size. 0 if not known yet.
    n_unpacked
        Number of nested archives around the file.
    """

    lazy_if_large: bool = False
    by_gene: ByGene | None = None
    packed_size: int = 0
    n_unpacked: int = 0

    def with_size(self, n_bytes: int) -> ReadOptions:
        """Set the size of the file, unless it was unpacked from an archive whose size is known."""
        return self if self.packed_size else replace(self, packed_size=n_bytes)


def with_notes(adata: AnnData, notes: list[str]) -> AnnData:
    """Add a reader's notes to those of an object, and return it."""
    if notes:
        adata.uns[keys.NOTES] = [*stored_notes(adata), *notes]
    return adata
