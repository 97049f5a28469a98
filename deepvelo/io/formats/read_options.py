"""How a file is to be read: what the caller of `deepvelo.io.read` asked for."""

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
    """Choices of the caller.

    Parameters
    ----------
    lazy_if_large
        Leave matrices that would take more than half of the free memory in the file, as Dask arrays.
    by_gene
        Read no layers but these, and leave dense ones in the file, to be read in blocks of genes; a function chooses
        them among the names of all layers.
    packed_size
        Bytes of what the user gave, packed as it was: what these may hold is limited. 0 where nobody looked yet.
    n_unpacked
        How many archives it was unpacked from, one in the other.
    """

    lazy_if_large: bool = False
    by_gene: ByGene | None = None
    packed_size: int = 0
    n_unpacked: int = 0

    def with_size(self, n_bytes: int) -> ReadOptions:
        """The same for a file of so many bytes, unless it was unpacked from another."""
        return self if self.packed_size else replace(self, packed_size=n_bytes)


def with_notes(adata: AnnData, notes: list[str]) -> AnnData:
    """The object, with notes of what a reader changed or left out added to those it has."""
    if notes:
        adata.uns[keys.NOTES] = [*stored_notes(adata), *notes]
    return adata
