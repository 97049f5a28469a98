"""Read .h5ad, .loom and .zarr, into memory or some cells at a time; bad files end in one clear sentence."""

from __future__ import annotations

import os
import warnings
import zipfile
from collections.abc import Collection
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy import sparse

from deepvelo import keys
from deepvelo.errors import InputError
from deepvelo.matrices import CELLS_AT_ONCE, is_lazy, is_numeric
from deepvelo.memory import available_memory

if TYPE_CHECKING:
    from anndata import AnnData

SUFFIXES: tuple[str, ...] = (".h5ad", ".loom", ".zarr", ".zip")

# What velocyto, loompy, anndata and kallisto|bustools call the names of cells and genes in a loom file.
_LOOM_CELL_NAMES = ("CellID", "obs_names", "barcode", "cell_names", "Cell", "cellid")
_LOOM_GENE_NAMES = ("Gene", "var_names", "gene_name", "gene_names", "gene", "Accession")
_LOOM_EMBEDDINGS = {
    "X_umap": (("UMAP1", "UMAP2"), ("UMAP_1", "UMAP_2"), ("_UMAP1", "_UMAP2")),
    "X_tsne": (("TSNE1", "TSNE2"), ("tSNE_1", "tSNE_2"), ("_tSNE1", "_tSNE2")),
}
# A file that takes more of the free memory than this leaves too little for what is made of it.
_SHARE_IN_MEMORY = 0.5
# Of a matrix stored by genes (CSC), or as anndata wrote it before 0.7, some cells cannot be read by themselves.
_STORED_BY_CELLS = ("csr_matrix", "array")
_IN_MEMORY = ("obs", "var", "obsm", "varm", "obsp", "uns")
_ZARR_METADATA = ("zarr.json", ".zarray", ".zgroup", ".zmetadata")


def read(path: Path | str, *, beyond_memory: bool = False, by_gene: Collection[str] | None = None) -> AnnData:
    """Read a data file.

    Parameters
    ----------
    path
        ``.h5ad``, ``.loom``, a ``.zarr`` folder, or a zipped one (``.zarr.zip``, ``.zip``).
    beyond_memory
        Leave ``X`` and layers in an h5ad file or Zarr folder that would take more than half of the free memory.
        They are then Dask arrays, which `deepvelo.checks` and `deepvelo.pp.prepare` take and little else does.
    by_gene
        What comparisons and analyses of a fit need: read no layers but these, and leave those that are dense, and a
        dense ``X``, in an h5ad file or Zarr folder. They are then HDF5 or Zarr arrays, to be read by blocks of genes,
        and hold the file open.

    Returns
    -------
    ``X`` and layers as float32, CSR or dense as in the file. Cell and gene names are unique; what had
    to be changed is told in ``uns["deepvelo_notes"]``.

    Raises
    ------
    InputError
        The file is missing, of another kind, truncated, larger than memory or otherwise unreadable; its
        layers differ in shape or do not hold numbers.
    """
    path = Path(path)
    if not path.exists():
        msg = f"There is no file {path}. Check the path."
        raise InputError(msg)
    if not os.access(path, os.R_OK):
        msg = f"{path} may not be read: permission denied. Ask for permission, or copy the file."
        raise InputError(msg)
    suffix = path.suffix.lower()
    is_zarr = path.is_dir() and any((path / name).is_file() for name in _ZARR_METADATA)
    if suffix not in SUFFIXES and not is_zarr:
        msg = f"{path.name} is of no kind that can be read. Give a file that ends in {', '.join(SUFFIXES)}."
        raise InputError(msg)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # duplicate names and old spellings: told in the notes
            if suffix in (".h5ad", ".loom") and not is_zarr:
                adata = _read_hdf5(path, loom=suffix == ".loom", beyond_memory=beyond_memory, by_gene=by_gene)
            else:
                adata = _read_zarr(path, beyond_memory=beyond_memory, by_gene=by_gene)
            return _normalized(adata, path.name)
    except InputError:
        raise
    except MemoryError as error:
        msg = (
            f"{path.name} does not fit into memory. Close other programs, or use a machine with more memory."
        )
        raise InputError(msg) from error
    except Exception as error:  # readers raise whatever a damaged file makes them stumble over
        msg = f"{path.name} could not be read: {_first_line(error)}. Save or copy it again from its source."
        raise InputError(msg) from error


def _read_hdf5(path: Path, *, loom: bool, beyond_memory: bool, by_gene: Collection[str] | None) -> AnnData:
    import h5py

    kind = "a loom file" if loom else "an h5ad file"
    if path.is_dir() or not h5py.is_hdf5(path):
        msg = f"{path.name} is not {kind}: it does not begin as one. Check that the right file was chosen."
        raise InputError(msg)
    try:
        file = h5py.File(path, "r")
    except OSError as error:
        if "truncated" not in str(error):
            raise
        msg = f"{path.name} is truncated: its end is missing. Copy or download it again."
        raise InputError(msg) from error
    with file:
        if loom:
            return _read_loom(path, file)
        if "X" not in file and "layers" not in file and "obs" not in file:
            msg = f"{path.name} is not {kind}: it holds {sorted(file)}. Save the object with `write_h5ad`."
            raise InputError(msg)
        if by_gene is not None and _is_of_today(file):
            # Another handle, which lives as long as the arrays that are read through it.
            return _read_by_gene(h5py.File(path, "r"), path.name, layers=by_gene)
        if _inspect(file, path.name, beyond_memory=beyond_memory):
            return _read_lazily(file)
    import anndata

    return anndata.read_h5ad(path)


def _read_loom(path: Path, file: Any) -> AnnData:
    import anndata

    if "matrix" not in file or "row_attrs" not in file or "col_attrs" not in file:
        msg = (
            f"{path.name} is not a loom file: it holds {sorted(file)}. Make it again with velocyto or loompy."
        )
        raise InputError(msg)
    shapes = {"matrix": file["matrix"].shape}
    shapes |= {name: layer.shape for name, layer in file.get("layers", {}).items()}
    _require_one_shape({name: shape[::-1] for name, shape in shapes.items()}, path.name)
    cells, genes = set(file["col_attrs"]), set(file["row_attrs"])
    obsm = {
        key: list(pair) for key, pairs in _LOOM_EMBEDDINGS.items() for pair in pairs if cells.issuperset(pair)
    }
    file.close()
    adata = anndata.io.read_loom(
        path,
        sparse=True,
        X_name="",
        obs_names=_first(_LOOM_CELL_NAMES, cells),
        var_names=_first(_LOOM_GENE_NAMES, genes),
        obsm_mapping=obsm,
        validate=False,  # old files, and velocyto's, are readable but not to the letter of the format
    )
    return adata


def _read_zarr(path: Path, *, beyond_memory: bool, by_gene: Collection[str] | None) -> AnnData:
    """Read a zarr folder or zip; numcodecs refuses arrays whose codec is pickle."""
    import anndata
    import zarr

    if path.is_dir():
        group = zarr.open_group(path, mode="r")
        if by_gene is not None and _is_of_today(group):
            return _read_by_gene(group, path.name, layers=by_gene)
        if _inspect(group, path.name, beyond_memory=beyond_memory):
            return _read_lazily(group)
        return anndata.io.read_zarr(group)
    if not zipfile.is_zipfile(path):
        msg = f"{path.name} is not a zip file, or its end is missing. Zip the .zarr folder again."
        raise InputError(msg)
    with zipfile.ZipFile(path) as archive:
        metadata = [name for name in archive.namelist() if Path(name).name in _ZARR_METADATA]
        if not metadata:
            msg = f"{path.name} holds no zarr folder. Zip a .zarr folder written by anndata."
            raise InputError(msg)
    top = min(metadata, key=lambda name: name.count("/")).rpartition("/")[0]
    with zarr.storage.ZipStore(path, mode="r") as store:
        group = zarr.open_group(store, mode="r", path=top)
        _inspect(group, path.name, beyond_memory=False)  # the file is closed when this ends
        return anndata.io.read_zarr(group)


def _read_lazily(group: Any) -> AnnData:
    """Everything but ``X``, layers and ``raw`` in memory; ``raw`` is left out."""
    import anndata
    from anndata.experimental import read_elem_lazy

    def lazy(element: Any) -> Any:
        return read_elem_lazy(element, chunks=(CELLS_AT_ONCE, -1))

    return anndata.AnnData(
        X=lazy(group["X"]) if "X" in group else None,
        layers={name: lazy(group["layers"][name]) for name in group.get("layers", ())},
        **{name: anndata.io.read_elem(group[name]) for name in _IN_MEMORY if name in group},
    )


def _is_of_today(group: Any) -> bool:
    """Whether anndata 0.8 or later wrote the file: what is older is read as a whole."""
    return bool(group.attrs.get("encoding-type") == "anndata")


def _read_by_gene(group: Any, name: str, *, layers: Collection[str]) -> AnnData:
    """Some layers, and everything else but ``raw``; dense matrices stay in the file."""
    import anndata

    found = {"X": group["X"]} if "X" in group else {}
    found |= {layer: group["layers"][layer] for layer in layers if layer in group.get("layers", ())}
    _require_one_shape({layer: shape for layer, stored in found.items() if (shape := _shape(stored))}, name)
    dense = {layer for layer, stored in found.items() if stored.attrs.get("encoding-type") == "array"}
    matrices = {
        layer: stored if layer in dense else anndata.io.read_elem(stored) for layer, stored in found.items()
    }
    return anndata.AnnData(
        X=matrices.pop("X", None),
        layers=matrices,
        **{part: anndata.io.read_elem(group[part]) for part in _IN_MEMORY if part in group},
    )


def _inspect(group: Any, name: str, *, beyond_memory: bool) -> bool:
    """Compare the shapes and the size of X and of all layers before anything is loaded.

    Returns
    -------
    Whether they should be left in the file: that is wanted, possible, and they would fill the memory.
    """
    found = {"X": group["X"]} if "X" in group else {}
    if "layers" in group:
        found |= {layer: group["layers"][layer] for layer in group["layers"]}
    shapes = {layer: _shape(element) for layer, element in found.items()}
    _require_one_shape({layer: shape for layer, shape in shapes.items() if shape}, name)
    needed, available = sum(map(_n_bytes, found.values())), available_memory()
    leave = (
        beyond_memory
        and needed > _SHARE_IN_MEMORY * available
        and all(element.attrs.get("encoding-type") in _STORED_BY_CELLS for element in found.values())
    )
    at_once = (
        needed * min(1, CELLS_AT_ONCE / max(1, *(shape[0] for shape in shapes.values()))) if leave else needed
    )
    if at_once > available:
        msg = (
            f"{name} needs {at_once / 2**30:.1f} GB of memory. Found {available / 2**30:.1f} GB free. "
            "Leave out layers or cells, or use a larger machine."
        )
        raise InputError(msg)
    return leave


def _n_bytes(element: Any) -> int:
    """Size in memory of a dense array, or of the arrays a sparse matrix is made of."""
    return (
        int(element.nbytes) if hasattr(element, "shape") else sum(_n_bytes(element[key]) for key in element)
    )


def _shape(element: Any) -> tuple[int, ...]:
    stored = getattr(element, "shape", None) or element.attrs.get(
        "shape", element.attrs.get("h5sparse_shape")
    )
    return tuple(int(n) for n in stored) if stored is not None else ()


def _require_one_shape(shapes: dict[str, tuple[int, ...]], name: str) -> None:
    if len(set(shapes.values())) > 1:
        found = ", ".join(f"{layer} {' x '.join(map(str, shape))}" for layer, shape in shapes.items())
        msg = f"The layers of {name} differ in shape (cells x genes): {found}. Write them again for the same cells and genes."
        raise InputError(msg)


def _normalized(adata: AnnData, name: str) -> AnnData:
    """Layers in float32, names unique, and a note of every change."""
    notes = [str(note) for note in np.atleast_1d(adata.uns.get(keys.NOTES, np.array([], dtype=str)))]
    for layer in list(adata.layers):
        if layer.lower() in (keys.SPLICED, keys.UNSPLICED) and layer.lower() not in adata.layers:
            adata.layers[layer.lower()] = adata.layers.pop(layer)
    for layer in list(adata.layers):
        adata.layers[layer] = _float32(adata.layers[layer], f"Layer '{layer}' of {name}")
    if adata.X is not None and not _in_file(adata.X):
        adata.X = _float32(adata.X, f"X of {name}")
    adata.uns[keys.NOTES] = notes + make_names_unique(adata)
    return adata


def make_names_unique(adata: AnnData) -> list[str]:
    """Make cell and gene names unique in place, as anndata does it; returns one note for each that changed."""
    notes = []
    for what, index, mend in (
        ("cell", adata.obs_names, adata.obs_names_make_unique),
        ("gene", adata.var_names, adata.var_names_make_unique),
    ):
        repeated = index[index.duplicated()].unique()
        if len(repeated):
            shown = ", ".join(f"'{x}'" for x in repeated[:3]) + (", ..." if len(repeated) > 3 else "")
            notes.append(
                f"Duplicate {what} names ({len(repeated)}: {shown}) were made unique by adding -1, -2, ..."
            )
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                mend()
    return notes


def _float32(matrix: Any, what: str) -> Any:
    if not is_numeric(matrix):
        kind = getattr(matrix, "dtype", type(matrix).__name__)
        msg = f"{what} does not hold numbers: its type is {kind}. Save the counts as integers or floats."
        raise InputError(msg)
    if is_lazy(matrix):
        return matrix.astype(np.float32)
    if _in_file(matrix):
        return matrix
    if sparse.issparse(matrix):
        return sparse.csr_matrix(matrix, dtype=np.float32)
    return np.asarray(matrix, dtype=np.float32)


def _in_file(matrix: Any) -> bool:
    """Whether it is an HDF5 or Zarr array."""
    return not isinstance(matrix, np.ndarray) and hasattr(matrix, "chunks") and not is_lazy(matrix)


def _first(candidates: tuple[str, ...], found: set[str]) -> str:
    return next((name for name in candidates if name in found), candidates[0])


def _first_line(error: BaseException) -> str:
    text = str(error).strip().partition("\n")[0].rstrip(".")
    return text or type(error).__name__
