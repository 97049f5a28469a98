"""h5Seurat files, as SeuratDisk writes them (its specification: vignette h5Seurat-spec)."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pandas as pd

from deepvelo.contents.layer_names import AMBIGUOUS, COUNTS, standard_name
from deepvelo.errors import InputError
from deepvelo.io.formats.declared_sizes import (
    arrays_in,
    bytes_in_memory,
    largest_chunk,
    require_few_chunks,
    require_memory,
    require_plausible_size,
)
from deepvelo.io.formats.hdf5 import is_anndata, opened, top_names
from deepvelo.io.formats.mtx import reduce_to_shared
from deepvelo.io.formats.read_options import ReadOptions, with_notes
from deepvelo.io.formats.validation import csr_from_parts

if TYPE_CHECKING:
    from anndata import AnnData

LABEL: Final = "h5Seurat"
SUFFIXES: Final = (".h5seurat",)
_NA_LOGICAL = 2  # R's missing value of a logical


def recognizes(path: Path) -> bool:
    """An HDF5 file with assays and cell names, or with the ending."""
    named = path.suffix.lower() in SUFFIXES and not is_anndata(path)
    return named or top_names(path) >= {"assays", "cell.names"}


def read(path: Path, options: ReadOptions) -> AnnData:
    """Assays of spliced, unspliced and ambiguous counts as layers, or the counts of the active assay as ``X``.

    Metadata and reductions of the cells are read too. If the assays differ in their genes, the shared genes are kept,
    with a note.
    """
    import anndata

    with opened(path, kind="an h5Seurat file") as file:
        if not set(file) >= {"assays", "cell.names"}:
            msg = f"{path.name} is not an h5Seurat file: it holds {sorted(file)}. Save the object with SaveH5Seurat."
            raise InputError(msg)
        stored = arrays_in(file)
        needed = bytes_in_memory(stored, min_itemsize=4) + largest_chunk(stored)
        packed_size = options.with_size(path.stat().st_size).packed_size
        require_memory(needed, path.name)
        require_plausible_size(needed, path.name, packed_size=packed_size)
        require_few_chunks(stored, path.name, packed_size=packed_size)
        cells = pd.Index(_text(file["cell.names"]))
        assays = {
            layer: file["assays"][name]
            for name in file["assays"]
            if (layer := standard_name(name)) in (*COUNTS, AMBIGUOUS)
        }
        notes: list[str] = []
        if set(COUNTS) <= set(assays):
            tables = {layer: pd.DataFrame(index=_text(assay["features"])) for layer, assay in assays.items()}
            layers = {
                layer: _counts(assay, (len(cells), len(tables[layer])), path.name)
                for layer, assay in assays.items()
            }
            notes = reduce_to_shared(layers, dict.fromkeys(layers, cells), tables)
            adata = anndata.AnnData(
                obs=pd.DataFrame(index=cells), var=tables[next(iter(layers))], layers=layers
            )
        else:
            active = file.attrs.get("active.assay", next(iter(file["assays"])))
            name = active if isinstance(active, str) else str(np.ravel(active)[0])
            assay = file["assays"][name]
            genes = pd.Index(_text(assay["features"]))
            counts = _counts(assay, (len(cells), len(genes)), path.name)
            adata = anndata.AnnData(counts, obs=pd.DataFrame(index=cells), var=pd.DataFrame(index=genes))
        for name, values in _columns(file.get("meta.data"), len(cells)).items():
            adata.obs[name] = values
        for name, reduction in file.get("reductions", {}).items():
            if "cell.embeddings" in reduction:
                stored = reduction["cell.embeddings"][()]  # R stores matrices column by column
                embedding = stored if stored.shape[0] == len(cells) else stored.T
                if embedding.shape[0] == len(cells):
                    adata.obsm[f"X_{name}"] = np.asarray(embedding, dtype=np.float32)
        return with_notes(adata, notes)


def _counts(assay: Any, shape: tuple[int, int], name: str) -> Any:
    """Counts as cells x genes. Cells are the columns in R, so its CSC parts are the CSR parts here."""
    stored = next((assay[part] for part in ("counts", "layers/counts", "data") if part in assay), None)
    if stored is None:
        msg = f"Assay {assay.name} of {name} has no counts. Save the object again with SaveH5Seurat."
        raise InputError(msg)
    if not hasattr(stored, "keys"):
        dense = stored[()]
        return dense if dense.shape == shape else dense.T
    data, indices, indptr = (stored[part][()] for part in ("data", "indices", "indptr"))
    if len(indptr) != shape[0] + 1:
        msg = f"Assay {assay.name} of {name} has {len(indptr) - 1:,} cells, the file names {shape[0]:,}. Save it again."
        raise InputError(msg)
    return csr_from_parts(data, indices, indptr, shape=shape, what=f"{name} is damaged: in '{assay.name}'")


def _columns(frame: Any, n: int) -> dict[str, Any]:
    """Columns of a data frame, stored as a group of datasets and factors or as one compound dataset."""
    if frame is None:
        return {}
    names = list(frame) if hasattr(frame, "keys") else list(frame.dtype.names or ())
    columns = {}
    for name in names:
        stored = frame[name]
        if hasattr(stored, "keys"):
            if set(stored) >= {"levels", "values"}:
                codes = stored["values"][()].astype(np.int64) - 1
                levels = _text(stored["levels"])
                codes[(codes < 0) | (codes >= len(levels))] = -1  # R's NA
                columns[name] = pd.Categorical.from_codes(codes, levels)
            continue
        values = np.asarray(stored[()] if hasattr(stored, "attrs") else stored)
        if values.shape != (n,):
            continue
        if values.dtype.kind in "SO":
            columns[name] = [_str(value) for value in values]
        elif _is_logical(stored):
            columns[name] = pd.arrays.BooleanArray(values == 1, values == _NA_LOGICAL)
        else:
            columns[name] = values
    return {
        name: values
        for name, values in columns.items()
        if len(values) == n and name not in ("_index", "row.names")
    }


def _is_logical(stored: Any) -> bool:
    kind = getattr(stored, "attrs", {}).get("s3class", "")
    return "logical" in [_str(word) for word in np.ravel(kind)]


def _text(stored: Any) -> list[str]:
    return [_str(value) for value in np.ravel(stored[()])]


def _str(value: Any) -> str:
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)
