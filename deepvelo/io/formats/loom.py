"""Loom files, as velocyto, loompy and kallisto|bustools write them."""

from __future__ import annotations

import html
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pandas as pd
from scipy import sparse

from deepvelo.errors import InputError
from deepvelo.io.formats.anndata_groups import require_one_shape
from deepvelo.io.formats.declared_sizes import (
    arrays_in,
    bytes_in_memory,
    bytes_of_names,
    largest_chunk,
    require_few_chunks,
    require_memory,
    require_plausible_size,
)
from deepvelo.io.formats.hdf5 import is_anndata, opened, top_names
from deepvelo.io.formats.read_options import ReadOptions

if TYPE_CHECKING:
    from anndata import AnnData

LABEL: Final = "loom"
SUFFIXES: Final = (".loom",)

_PARTS = {"matrix", "row_attrs", "col_attrs"}
# Attributes with the names of cells and genes in files of velocyto, loompy, anndata, kb, Seurat and Stereopy; ids last.
_CELL_NAMES = (
    "CellID", "obs_names", "barcode", "barcodes", "cell_names", "cell_name", "Cell", "cellid", "cell_id", "CellName",
    "_index", "index",
)  # fmt: skip
_GENE_NAMES = (
    "Gene", "var_names", "gene_name", "gene_names", "gene", "Genes", "genes", "Symbol", "symbol", "gene_symbol",
    "GeneName", "target_name", "feature_name", "features", "Accession", "gene_id", "gene_ids", "gene_accession",
    "ensembl_id", "_index", "index",
)  # fmt: skip
_NAMES = {"col_attrs": _CELL_NAMES, "row_attrs": _GENE_NAMES}
_VALUES_AT_ONCE = 2**20
_BYTES_PER_VALUE = 20  # in memory: triplets and the CSR matrix built from them
_BYTES_OF_CHUNK = 64  # of 64 x 64 zeros, compressed
# Accepted bytes of dense values, for a file of any size or as a multiple of its size: nearly all counts are zero.
_ALWAYS_READ = 2**31
_MAX_TIMES_DENSE = 500


def recognizes(path: Path) -> bool:
    """Loom content with any ending, or the ending."""
    return top_names(path) >= _PARTS or (path.suffix.lower() in SUFFIXES and not is_anndata(path))


def read(path: Path, options: ReadOptions) -> AnnData:
    """Read the whole file, with every attribute of cells and genes as a column and their names as the index.

    Dense matrices are read in blocks and converted to sparse ones.
    """
    import anndata

    packed_size = options.with_size(path.stat().st_size).packed_size
    with opened(path, kind="a loom file") as file:
        if not set(file) >= _PARTS:
            msg = f"{path.name} is not a loom file: it holds {sorted(file)}. Make it again with velocyto or loompy."
            raise InputError(msg)
        matrices = {"matrix": file["matrix"], **file.get("layers", {})}
        require_one_shape({name: stored.shape[::-1] for name, stored in matrices.items()}, path.name)
        _require_size(file, matrices, path.name, packed_size=packed_size)
        found = {name: _by_cells(stored, path.name) for name, stored in matrices.items()}
        axes = {axis: _attributes(file[axis], names) for axis, names in _NAMES.items()}
    (obs, obsm), (var, varm) = axes["col_attrs"], axes["row_attrs"]
    return anndata.AnnData(found.pop("matrix"), obs=obs, var=var, layers=found, obsm=obsm, varm=varm)


def _attributes(group: Any, candidates: tuple[str, ...]) -> tuple[pd.DataFrame | None, dict[str, np.ndarray]]:
    """A table of the scalar attributes with the names as index, and the attributes with several values per row."""
    values = {name: _values(stored) for name, stored in group.items() if hasattr(stored, "shape")}
    several = {name: found for name, found in values.items() if found.ndim > 1 and found.shape[1] > 1}
    columns = {name: found.ravel() for name, found in values.items() if name not in several}
    table = pd.DataFrame(columns) if columns else None
    named = _names(columns, candidates)
    return table if named is None or table is None else table.set_index(named), several


def _values(stored: Any) -> np.ndarray:
    """Numbers unchanged and text as Python strings; loompy escapes non-ASCII characters as in HTML."""
    values = np.asarray(stored[()])
    if values.dtype.kind not in "SO":
        return values.astype(object) if values.dtype.kind == "U" else values
    flat = [_text(value) for value in values.ravel().tolist()]
    return np.array(flat, dtype=object).reshape(values.shape)


def _text(value: Any) -> str:
    return html.unescape(value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value))


def _names(columns: dict[str, np.ndarray], candidates: tuple[str, ...]) -> str | None:
    """The attribute with the names: a known one, otherwise the first text attribute without repeats."""
    known = next((name for name in candidates if name in columns), None)
    if known is not None:
        return known
    texts = (name for name, found in columns.items() if found.dtype == object)
    return next((name for name in texts if len(set(columns[name])) == len(columns[name])), None)


def _require_size(file: Any, matrices: dict[str, Any], name: str, *, packed_size: int) -> None:
    """Check the attributes against the memory, and the declared matrices against the size of the file."""
    groups = [file[group] for group in ("row_attrs", "col_attrs")]
    attributes = [array for group in groups for array in arrays_in(group)]
    dense = [array for stored in matrices.values() for array in arrays_in(stored)]
    # anndata creates names where there are none
    unnamed = (n for n, group in zip(file["matrix"].shape, groups, strict=False) if not arrays_in(group))
    needed = (
        bytes_in_memory(attributes) + largest_chunk([*attributes, *dense]) + bytes_of_names(tuple(unnamed))
    )
    require_memory(needed, name)
    require_plausible_size(needed, name, packed_size=packed_size)
    # dense matrices are read in blocks, so their declared size costs time and not memory
    if bytes_in_memory(dense) > max(_ALWAYS_READ, _MAX_TIMES_DENSE * packed_size):
        require_plausible_size(bytes_in_memory(dense), name, packed_size=packed_size)
    require_few_chunks([*attributes, *dense], name, packed_size=packed_size, bytes_per_chunk=_BYTES_OF_CHUNK)


def _by_cells(stored: Any, name: str) -> sparse.csr_matrix:
    """A matrix of genes x cells as CSR of cells x genes, float32."""
    if (
        stored.dtype.kind not in "biuf"
        or len(stored.shape) != 2
        or max(stored.shape) > np.iinfo(np.int32).max
    ):
        msg = (
            f"'{stored.name}' of {name} is no matrix of numbers. Make the file again with velocyto or loompy."
        )
        raise InputError(msg)
    rows, columns = stored.chunks or (1, min(max(1, stored.shape[1]), _VALUES_AT_ONCE))
    columns *= max(1, _VALUES_AT_ONCE // (rows * columns))
    rows *= max(1, _VALUES_AT_ONCE // (rows * max(1, min(columns, stored.shape[1]))))
    genes, cells, values, n_values = [], [], [], 0
    for top in range(0, stored.shape[0], rows):
        for left in range(0, stored.shape[1], columns):
            block = stored[top : top + rows, left : left + columns]
            of_genes, of_cells = np.nonzero(block)
            n_values += len(of_genes)
            require_memory(_BYTES_PER_VALUE * n_values, name)
            values.append(block[of_genes, of_cells].astype(np.float32))
            genes.append((of_genes + top).astype(np.int32))
            cells.append((of_cells + left).astype(np.int32))
    joined = [np.concatenate(parts) if parts else np.empty(0, np.int32) for parts in (values, cells, genes)]
    return sparse.csr_matrix((joined[0], (joined[1], joined[2])), shape=stored.shape[::-1])
