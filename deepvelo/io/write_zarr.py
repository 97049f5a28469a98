"""Write an AnnData as Zarr in chunks of genes, for reading single genes."""

from __future__ import annotations

import logging
import os
import shutil
import uuid
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import zarr
from anndata.experimental import write_dispatched
from scipy import sparse
from zarr.abc.store import Store
from zarr.storage import LocalStore

from deepvelo.arrays.layers import COMPRESSOR, gene_blocks, gene_chunks
from deepvelo.errors import InputError
from deepvelo.io.storable import storable
from deepvelo.io.write import first_line

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from anndata import AnnData

logger = logging.getLogger(__name__)

SPARSE_CHUNK = 2**16  # stored values in a chunk of a sparse matrix
_BLOCK_COLUMNS = 256  # each block passes over all stored values once


def write_by_gene(adata: AnnData, path: Path) -> None:
    """Write ``adata`` as a Zarr folder that `anndata.read_zarr` reads.

    Dense layers are chunked by genes, sparse ones and ``X`` are stored by columns (CSC), so that
    reading one gene reads one chunk. Layers already on disk in this layout, as
    `deepvelo.arrays.layers.new_layer` makes them, are linked, not written again. Names that Zarr cannot hold are written as
    `deepvelo.io.stored_names` spells them. What cannot be written is left out and logged: it must not cost the fit.

    Parameters
    ----------
    adata
        Not changed.
    path
        A new folder, in Zarr format 2, which every AnnData since 0.8 reads.

    Raises
    ------
    OSError
        No space or no permission; the folder is then incomplete.
    InputError
        The data cannot be written, and leaving out parts does not help.
    """
    try:
        write_into_zarr(LocalStore(path), adata)
    except OSError:
        raise
    except Exception as error:  # AnnData and Zarr raise errors of many types
        from deepvelo.io.dry_write import writable_copy

        writable, notes = writable_copy(adata)
        for note in notes:
            logger.warning("%s", note)
        if not notes:
            msg = f"The result could not be stored: {first_line(error)}. Leave out what these words name."
            raise InputError(msg) from error
        write_into_zarr(LocalStore(path), writable)


def write_into_zarr(store: Store, adata: AnnData) -> None:
    """Write an object into a Zarr store, whose previous content is deleted."""
    root = zarr.open_group(store, mode="w", zarr_format=2)
    write_dispatched(root, "/", storable(adata, in_folders=True), _write_one)
    zarr.consolidate_metadata(root.store)


def bytes_to_write(adata: AnnData, folder: Path) -> int:
    """Upper bound of the bytes that `write_by_gene` needs in a folder; layers that can be linked need none."""
    matrices = [
        adata.X,
        *adata.layers.values(),
        *adata.obsm.values(),
        *adata.obsp.values(),
        *adata.varm.values(),
    ]
    tables = [adata.obs, adata.var]
    uns = [value for value in adata.uns.values() if sparse.issparse(value) or isinstance(value, np.ndarray)]
    return sum(_bytes(value, folder) for value in [*matrices, *tables, *uns])


def _bytes(value: Any, folder: Path) -> int:
    if value is None or (isinstance(value, zarr.Array) and _can_link(value, folder)):
        return 0
    if isinstance(value, zarr.Array):
        return int(value.nbytes)
    if sparse.issparse(value):
        csr = value.tocsr()
        return csr.data.nbytes + csr.indices.nbytes + csr.indptr.nbytes
    if isinstance(value, pd.DataFrame):
        return int(value.memory_usage(deep=True).sum())
    return int(np.asarray(value).nbytes)


def _write_one(
    write: Callable[..., None],
    group: zarr.Group,
    name: str,
    value: Any,
    *,
    dataset_kwargs: Mapping[str, Any],
    iospec: Any,
) -> None:
    """Callback of `write_dispatched`: choose layout and compression of one element."""
    genes = group.name == "/layers" or (group.name == "/" and name == "X")
    options = dict(dataset_kwargs)
    if isinstance(value, zarr.Array):
        _copy_from_disk(value, group, name)
        return
    if genes and sparse.issparse(value):
        _write_by_columns(value, group.require_group(name))
        return
    if iospec.encoding_type == "array" and np.ndim(value) > 0 and np.asarray(value).dtype.kind in "fiub":
        options["compressor"] = COMPRESSOR
        if genes:
            options["chunks"] = gene_chunks(value.shape, itemsize=value.dtype.itemsize)
    write(group, name, value, dataset_kwargs=options)


def _write_by_columns(matrix: sparse.spmatrix, group: zarr.Group) -> None:
    """Write a CSC matrix in AnnData's format in blocks of columns: a converted copy may exceed the memory."""
    matrix = matrix.tocsc() if matrix.format not in ("csr", "csc") else matrix
    n_rows, n_columns = matrix.shape
    group.attrs.update(
        {"encoding-type": "csc_matrix", "encoding-version": "0.1.0", "shape": [n_rows, n_columns]}
    )
    index_type = np.int32 if max(matrix.nnz, n_rows) < 2**31 else np.int64
    data, indices = (
        group.create_array(
            key, shape=(matrix.nnz,), dtype=kind, chunks=(SPARSE_CHUNK,), compressors=COMPRESSOR
        )
        for key, kind in (("data", matrix.dtype), ("indices", index_type))
    )
    indptr = np.zeros(n_columns + 1, dtype=index_type)
    for start in range(0, n_columns, _BLOCK_COLUMNS):
        block = matrix[:, start : start + _BLOCK_COLUMNS].tocsc()
        first = int(indptr[start])
        data[first : first + block.nnz], indices[first : first + block.nnz] = block.data, block.indices
        indptr[start + 1 : start + 1 + block.shape[1]] = first + block.indptr[1:]
    group.create_array("indptr", data=indptr)


def _copy_from_disk(layer: zarr.Array, group: zarr.Group, name: str) -> None:
    """Link a layer into a group of the store, or copy it in blocks of genes if its layout differs."""
    chunks = gene_chunks(layer.shape, itemsize=layer.dtype.itemsize)
    source, target = layer.store, group.store
    if _as_stored(layer) and isinstance(source, LocalStore) and isinstance(target, LocalStore):
        shutil.copytree(
            source.root / layer.path, target.root / group.path / name, copy_function=_link_or_copy
        )
        return
    written = group.create_array(
        name, shape=layer.shape, dtype=layer.dtype, chunks=chunks, compressors=COMPRESSOR,
        attributes={"encoding-type": "array", "encoding-version": "0.2.0"},
    )  # fmt: skip
    for genes in gene_blocks(written):
        written[:, genes] = layer[:, genes]


def _as_stored(layer: zarr.Array) -> bool:
    """Whether a layer on disk has the layout that the store writes."""
    chunks = gene_chunks(layer.shape, itemsize=layer.dtype.itemsize)
    return isinstance(layer.store, LocalStore) and layer.metadata.zarr_format == 2 and layer.chunks == chunks


def _can_link(layer: zarr.Array, folder: Path) -> bool:
    """Whether the chunks of a layer can be hard-linked into a folder; found by trying."""
    if not (_as_stored(layer) and isinstance(layer.store, LocalStore)):
        return False
    second = folder / f".link-{uuid.uuid4().hex}"
    try:
        os.link(layer.store.root / layer.path / ".zarray", second)
    except OSError:
        return False
    second.unlink()
    return True


def _link_or_copy(source: str, target: str) -> None:
    """Hard-link a chunk where the file system allows it. Chunks never change after they are written."""
    try:
        os.link(source, target)
    except OSError:
        shutil.copyfile(source, target)
