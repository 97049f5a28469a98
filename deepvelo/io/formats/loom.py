"""Loom files, as velocyto, loompy and kallisto|bustools write them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from deepvelo.errors import InputError
from deepvelo.io.formats.hdf5 import is_anndata, opened, top_names
from deepvelo.io.formats.reading import Reading
from deepvelo.io.formats.stored import require_fits, require_one_shape
from deepvelo.memory import available_memory

if TYPE_CHECKING:
    from anndata import AnnData

LABEL: Final = "loom"
SUFFIXES: Final = (".loom",)

_PARTS = {"matrix", "row_attrs", "col_attrs"}
# What velocyto, loompy, anndata, kallisto|bustools, Seurat and Stereopy call the names of cells and genes; ids last.
_CELL_NAMES = (
    "CellID", "obs_names", "barcode", "barcodes", "cell_names", "cell_name", "Cell", "cellid", "cell_id", "CellName",
    "_index", "index",
)  # fmt: skip
_GENE_NAMES = (
    "Gene", "var_names", "gene_name", "gene_names", "gene", "Genes", "genes", "Symbol", "symbol", "gene_symbol",
    "GeneName", "target_name", "feature_name", "features", "Accession", "gene_id", "gene_ids", "gene_accession",
    "ensembl_id", "_index", "index",
)  # fmt: skip
_VALUES_AT_ONCE = 2**20
_BYTES_PER_VALUE = 24  # row, column and value as they are read, and the matrix made of them


def recognizes(path: Path) -> bool:
    """By its content, whatever the ending, or by its ending."""
    return top_names(path) >= _PARTS or (path.suffix.lower() in SUFFIXES and not is_anndata(path))


def read(path: Path, reading: Reading) -> AnnData:
    """The whole file; every attribute of cells and genes as a column, their names as the index."""
    import anndata

    with opened(path, kind="a loom file") as file:
        if not set(file) >= _PARTS:
            msg = f"{path.name} is not a loom file: it holds {sorted(file)}. Make it again with velocyto or loompy."
            raise InputError(msg)
        matrices = {"matrix": file["matrix"], **file.get("layers", {})}
        require_one_shape({name: stored.shape[::-1] for name, stored in matrices.items()}, path.name)
        require_fits(_n_bytes(file, matrices), path.name)
        cells, genes = file["col_attrs"], file["row_attrs"]
        names = {"obs_names": _names(cells, _CELL_NAMES), "var_names": _names(genes, _GENE_NAMES)}
    return anndata.io.read_loom(
        path,
        sparse=True,
        X_name="",
        validate=False,  # old files, and velocyto's, are readable but not to the letter of the format
        **names,
    )


def _names(attributes: Any, candidates: tuple[str, ...]) -> str:
    """The attribute with the names: one that is called so, else the first that is text without repeats."""
    known = next((name for name in candidates if name in attributes), None)
    if known is not None:
        return known
    for name, stored in attributes.items():
        if stored.ndim == 1 and stored.dtype.kind in "SO" and len(set(stored[:].tolist())) == stored.size:
            return str(name)
    return candidates[0]


def _n_bytes(file: Any, matrices: dict[str, Any]) -> int:
    """Memory for all attributes and for the matrices, whose zeros are told apart only where they matter."""
    sizes: list[int] = []
    for group in ("row_attrs", "col_attrs", "row_graphs", "col_graphs", "attrs"):
        if group in file:
            file[group].visititems(lambda _, found: sizes.append(int(getattr(found, "nbytes", 0))))
    n_values = sum(stored.size for stored in matrices.values())
    if sum(sizes) <= available_memory() < sum(sizes) + _BYTES_PER_VALUE * n_values:
        n_values = sum(map(_count_values, matrices.values()))
    return sum(sizes) + _BYTES_PER_VALUE * n_values


def _count_values(stored: Any) -> int:
    """How many values are not zero."""
    rows, columns = stored.chunks or (1, stored.shape[1])
    columns *= max(1, _VALUES_AT_ONCE // (rows * columns))
    return sum(
        int(np.count_nonzero(stored[top : top + rows, left : left + columns]))
        for top in range(0, stored.shape[0], rows)
        for left in range(0, stored.shape[1], columns)
    )
