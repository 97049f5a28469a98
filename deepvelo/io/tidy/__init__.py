"""Bring what a reader found into the one shape that every later step expects, and note each change."""

from __future__ import annotations

from typing import TYPE_CHECKING

from deepvelo import keys
from deepvelo.config import Ambiguous
from deepvelo.contents.groups import tidy_colors
from deepvelo.contents.notes import stored_notes
from deepvelo.io.tidy.elements import tidy_elements
from deepvelo.io.tidy.embeddings import name_embeddings
from deepvelo.io.tidy.layers import (
    name_layers,
    place_ambiguous,
    require_numbers,
    split_genes,
    use_x_as_spliced,
)
from deepvelo.io.tidy.names import make_names_unique, name_cells, name_genes, require_short_names
from deepvelo.io.tidy.orientation import oriented
from deepvelo.io.tidy.tables import tidy_tables
from deepvelo.io.tidy.values import drop_unusable_moments, undo_logarithms

if TYPE_CHECKING:
    from anndata import AnnData

__all__ = ["tidied"]


def tidied(
    adata: AnnData, *, name: str = "the object", gene_names: str = "auto", ambiguous: Ambiguous = "leave_out"
) -> AnnData:
    """The object with standard names, tables that can be written, and a note of every change.

    Parameters
    ----------
    adata
        May be changed in place. Matrices may be Dask arrays, or HDF5 or Zarr arrays.
    name
        What messages call it.
    gene_names
        ``"auto"``, ``"index"`` or a column of ``var`` that becomes the gene names.
    ambiguous
        Where ambiguous counts go: left out, or added to ``"spliced"`` or ``"unspliced"``.

    Returns
    -------
    Layers as float32, CSR or dense as they came; names unique; notes in ``uns["deepvelo_notes"]``. Doing it again
    changes nothing.

    Raises
    ------
    InputError
        A layer does not hold numbers, or a name of a cell or gene is a text of its own.
    """
    require_short_names(adata, name)
    notes = stored_notes(adata)
    adata.uns[keys.NOTES] = notes
    notes += tidy_tables(adata) + tidy_elements(adata)
    adata, turned = oriented(adata)
    adata, found = split_genes(adata)
    notes += turned
    notes += found + name_layers(adata) + use_x_as_spliced(adata)
    require_numbers(adata, name)
    notes += place_ambiguous(adata, ambiguous)
    notes += name_cells(adata) + name_genes(adata, gene_names) + make_names_unique(adata)
    notes += undo_logarithms(adata) + drop_unusable_moments(adata)
    notes += name_embeddings(adata) + tidy_colors(adata)
    adata.uns[keys.NOTES] = list(dict.fromkeys(notes))
    return adata
