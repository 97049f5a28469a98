"""STARsolo's folder ``Velocyto``, written with ``--soloFeatures Gene Velocyto``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Final

import pandas as pd

from deepvelo import keys
from deepvelo.contents.layer_names import AMBIGUOUS
from deepvelo.errors import InputError
from deepvelo.io.formats.links import is_inside
from deepvelo.io.formats.mtx import (
    UNFILTERED,
    by_cells,
    cell_names,
    cells_in_rows,
    find_file,
    find_matrices,
    find_parts,
    gene_table,
    header,
    read_names,
    read_parts,
    read_three_columns,
    without_empty_cells,
)
from deepvelo.io.formats.read_options import ReadOptions, with_notes

if TYPE_CHECKING:
    from anndata import AnnData

LABEL: Final = "STARsolo"
SUFFIXES: Final = ()


def recognizes(path: Path) -> bool:
    """``Solo.out``, ``Velocyto`` or one of its folders."""
    return path.is_dir() and bool(_folders(path))


def read(path: Path, options: ReadOptions) -> AnnData:
    """The filtered cells if STARsolo called cells, otherwise all droplets."""
    folders = _folders(path)
    folder = folders[0]
    adata = (
        _read_three_columns(folder)
        if not find_matrices(folder)
        else read_parts(find_parts(folder), cells_first=False)
    )
    if len(folders) > 1:
        adata = with_notes(adata, [f"'{folder.name}' was read, not '{folders[1].name}'."])
    return adata if folder.name == "filtered" else _called_cells(adata, folder)


def _folders(path: Path) -> list[Path]:
    """Folders with matrices at a path, the filtered one first."""
    within = [path / "Velocyto", *sorted(path.glob("*Solo.out/Velocyto"))[:2]]
    tops = [path, *(folder for folder in within if folder.is_dir())]
    found = [top / name if name else top for top in tops for name in ("filtered", "raw", "")]
    return [
        folder
        for folder in found
        if "velocyto" in {folder.name.lower(), folder.parent.name.lower()}
        and _has_matrices(folder, within=path)
    ]


def _has_matrices(folder: Path, *, within: Path) -> bool:
    if not is_inside(folder, within):
        return False
    matrix = find_file(folder, "matrix.mtx")
    return bool(find_matrices(folder)) or (
        matrix is not None and is_inside(matrix, within) and header(matrix).values_per_line == 3
    )


def _read_three_columns(folder: Path) -> AnnData:
    """Counts of STAR before 2.7.5, with three values per line."""
    import anndata

    matrix = find_file(folder, "matrix.mtx")
    cells, genes = find_file(folder, "barcodes.tsv"), find_file(folder, "features.tsv", "genes.tsv")
    if matrix is None or cells is None or genes is None:
        missing = "barcodes.tsv" if cells is None else "features.tsv"
        msg = f"{folder.name} lacks {missing}, which names what its matrix counts. Copy the whole folder."
        raise InputError(msg)
    head, barcodes, features = header(matrix), read_names(cells), read_names(genes)
    by_rows = cells_in_rows(head, barcodes, features, cells_first=False, matrix=matrix)
    n_cells, n_genes = (head.n_rows, head.n_columns) if by_rows else (head.n_columns, head.n_rows)
    layers = zip((keys.SPLICED, keys.UNSPLICED, AMBIGUOUS), read_three_columns(matrix, head), strict=True)
    return anndata.AnnData(
        obs=pd.DataFrame(index=cell_names(barcodes, n_cells)),
        var=gene_table(features, n_genes),
        layers={layer: by_cells(counts, cells_in_rows=by_rows) for layer, counts in layers},
    )


def _called_cells(adata: AnnData, folder: Path) -> AnnData:
    """The droplets that STARsolo called as cells by other features; without such a list, those with any count."""
    for features in ("GeneFull_Ex50pAS", "GeneFull", "Gene"):
        beside = folder.parent.parent / features / "filtered"
        path = find_file(beside, "barcodes.tsv")
        if path is not None and is_inside(path, folder.parent.parent):
            names = read_names(path)[0]
            called = adata.obs_names.isin(names)
            note = f"{int(called.sum()):,} of {adata.n_obs:,} droplets were taken: the cells of {features}/filtered."
            return with_notes(adata[called].copy(), [note])
    return with_notes(without_empty_cells(adata), [UNFILTERED])
