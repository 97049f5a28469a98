"""Standardise objects after reading: names, layers and tables, with a note on each change."""

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
    """Standardise the names, layers and tables of an object, with a note on every change.

    Parameters
    ----------
    adata
        May be changed in place. Matrices may be Dask, HDF5 or Zarr arrays.
    name
        Name of the object in messages.
    gene_names
        ``"auto"``, ``"index"`` or a column of ``var`` that becomes the gene names.
    ambiguous
        Leave out ambiguous counts, or add them to ``"spliced"`` or ``"unspliced"``.

    Returns
    -------
    Layers as float32, CSR or dense as before; unique names; notes in ``uns["deepvelo_notes"]``. The function is
    idempotent.

    Raises
    ------
    InputError
        A layer is not numeric, or a cell or gene name is too long.
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
