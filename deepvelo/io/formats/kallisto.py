"""Folders of kallisto|bustools, written by ``kb count`` with the workflows nac and lamanno."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Final

from deepvelo.io.formats.both_layers import file_with_both_layers
from deepvelo.io.formats.links import is_inside
from deepvelo.io.formats.mtx import (
    UNFILTERED,
    find_file,
    find_matrices,
    find_parts,
    read_names,
    read_parts,
    visible_names,
    without_empty_cells,
)
from deepvelo.io.formats.read_options import ReadOptions, with_notes

if TYPE_CHECKING:
    from anndata import AnnData

LABEL: Final = "kb (kallisto, bustools)"
SUFFIXES: Final = ()
_COUNTS = ("counts_filtered", "counts_unfiltered")
_MADE = ("adata.h5ad", "adata.loom")


def recognizes(path: Path) -> bool:
    """The output folder of ``kb count``, or ``counts_filtered`` or ``counts_unfiltered`` in it."""
    return path.is_dir() and bool(_folders(path))


def read(path: Path, options: ReadOptions) -> AnnData:
    """The filtered cells if kb called cells, otherwise all droplets; kb's h5ad or loom file is preferred."""
    folders = _folders(path)
    folder = folders[0]
    made = file_with_both_layers(folder, _MADE, within=path)
    if made is not None:
        from deepvelo.io.formats import find_format

        adata = find_format(made).read(made, options)
        notes = [f"'{made.name}' was read, in which kb wrote both matrices."]
    else:
        adata, notes = _read_matrices(folder), []
    if len(folders) > 1:
        notes.append(f"'{folder.name}' was read, not '{folders[1].name}'.")
    if folder.name == "counts_unfiltered":
        adata = with_notes(adata if made is not None else without_empty_cells(adata), [UNFILTERED])
    return with_notes(adata, notes)


def _folders(path: Path) -> list[Path]:
    """Folders with counts at a path, the filtered one first."""
    names = visible_names(path)
    if path.name in _COUNTS or any(name.startswith("cells_x_genes.") for name in names):
        candidates = [path]
    else:
        candidates = [path / name for name in _COUNTS if name in names]
        if "spliced.barcodes.txt" in names:
            candidates.append(path)
    return [
        folder
        for folder in candidates
        if is_inside(folder, path)
        and (find_matrices(folder) or file_with_both_layers(folder, _MADE, within=path) is not None)
    ]


def _read_matrices(folder: Path) -> AnnData:
    parts = find_parts(folder)
    adata = read_parts(parts, cells_first=True)
    symbols = find_file(folder, "cells_x_genes.genes.names.txt", "spliced.genes.names.txt")
    if symbols is not None:
        genes = next(iter(parts.values())).genes
        names = dict(zip(read_names(genes)[0], read_names(symbols)[0], strict=False))
        adata.var["gene_name"] = [names.get(gene) or gene for gene in adata.var_names]
    return adata
