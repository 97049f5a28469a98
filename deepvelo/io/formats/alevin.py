"""Folders of alevin-fry and simpleaf in USA mode, which counts each gene as unspliced, spliced and ambiguous."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Final

import pandas as pd

from deepvelo.errors import InputError
from deepvelo.io.formats.both_layers import file_with_both_layers
from deepvelo.io.formats.links import is_inside
from deepvelo.io.formats.mtx import (
    by_cells,
    cell_names,
    cells_in_rows,
    find_file,
    gene_table,
    header,
    read_matrix,
    read_names,
)
from deepvelo.io.formats.read_options import ReadOptions, with_notes

if TYPE_CHECKING:
    from anndata import AnnData

LABEL: Final = "alevin-fry and simpleaf"
SUFFIXES: Final = ()
_MATRICES = ("quants_mat.mtx", "quants_mat.gz")  # the second is salmon's binary format
_SUFFIXES_OF_COPIES = ("-U", "-A", "-I")


def recognizes(path: Path) -> bool:
    """An output folder of alevin-fry or simpleaf, e.g. ``af_quant`` or ``alevin``."""
    return path.is_dir() and _folder(path) is not None


def read(path: Path, options: ReadOptions) -> AnnData:
    """``quants.h5ad`` if simpleaf wrote it, otherwise the matrix with one entry per gene and kind of count.

    Raises
    ------
    InputError
        The counts are not from USA mode, or are stored in salmon's binary format.
    """
    folder = _folder(path)
    assert folder is not None  # as `recognizes` found
    for around in _around(folder):
        made = file_with_both_layers(around, ("quants.h5ad",), within=around)
        if made is not None:
            from deepvelo.io.formats import find_format

            return with_notes(find_format(made).read(made, options), [f"'{made.name}' was read."])
    return _read_matrix(folder)


def _read_matrix(folder: Path) -> AnnData:
    import anndata

    matrix = find_file(folder, "quants_mat.mtx")
    if matrix is None:
        msg = (
            f"{folder.name} holds salmon's binary matrix quants_mat.gz, which is not read. Count in USA mode with "
            "`alevin-fry quant --use-mtx`, or with simpleaf."
        )
        raise InputError(msg)
    rows, columns = find_file(folder, "quants_mat_rows.txt"), find_file(folder, "quants_mat_cols.txt")
    if rows is None or columns is None:
        missing = "quants_mat_rows.txt" if rows is None else "quants_mat_cols.txt"
        msg = f"{folder.name} lacks {missing}, which names what quants_mat.mtx counts. Copy the whole folder."
        raise InputError(msg)
    head, barcodes, names = header(matrix), read_names(rows), read_names(columns)
    by_rows = cells_in_rows(head, barcodes, names, cells_first=True, matrix=matrix)
    n_cells, n_genes = (head.n_rows, head.n_columns) if by_rows else (head.n_columns, head.n_rows)
    genes = gene_table(names, n_genes)
    if not genes.index.str.endswith(("-U", "-I")).any():
        msg = (
            f"{folder.name} holds one count for each gene, no unspliced counts. Count in USA mode: with a splici or "
            "spliceu index and its three-column transcript-to-gene map."
        )
        raise InputError(msg)
    symbols = _symbols(folder)
    if symbols:
        plain = [_without_copy(gene) for gene in genes.index]
        genes["gene_name"] = [symbols.get(gene, gene) for gene in plain]
    counts = by_cells(read_matrix(matrix, head), cells_in_rows=by_rows)
    return anndata.AnnData(counts, obs=pd.DataFrame(index=cell_names(barcodes, n_cells)), var=genes)


def _folder(path: Path) -> Path | None:
    within = ("", "alevin", "af_quant/alevin", "quant/alevin", "simpleaf_out/af_quant/alevin")
    folders = (path / name for name in within)
    return next((folder for folder in folders if find_file(folder, *_MATRICES) is not None), None)


def _around(folder: Path) -> list[Path]:
    """Where simpleaf writes files beside the matrix: in the folder ``alevin`` and in its parent."""
    return [folder, folder.parent] if folder.name == "alevin" else [folder]


def _without_copy(gene: str) -> str:
    return gene[:-2] if gene.endswith(_SUFFIXES_OF_COPIES) else gene


def _symbols(folder: Path) -> dict[str, str]:
    """Symbols by gene id, from the table that simpleaf writes beside the counts."""
    for around in _around(folder):
        path = find_file(around, "gene_id_to_name.tsv")
        if path is not None and is_inside(path, around):
            table = read_names(path)
            return dict(zip(table[0], table[1], strict=True)) if table.shape[1] > 1 else {}
    return {}
