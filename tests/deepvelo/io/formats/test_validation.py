"""A sparse matrix that points outside of itself is refused before compiled code sees it, wherever it lies."""

from __future__ import annotations

import h5py
import numpy as np
import pytest
import zarr
from scipy import sparse

from deepvelo.errors import InputError
from deepvelo.io import read
from deepvelo.io.formats import anndata_groups
from tests.counters import as_anndata, h5seurat, small_counts

N, M = 7, 5
PLACES = [
    "X", "layers/spliced", "obsp/near", "varp/near", "obsm/X_sparse", "varm/loadings", "raw/X", "uns/deep/er/matrix",
]  # fmt: skip


def spoilt(place: str, part: str, value: int, at: int = 1):
    def spoil(file):
        file[place][part][at] = value

    return spoil


def pointers_end_early(file):
    file["X/indptr"][-1] = 0


def places_are_floats(file):
    values = file["X/indices"][:] + 0.5
    attributes = dict(file["X/indices"].attrs)
    del file["X/indices"]
    file["X"].create_dataset("indices", data=values).attrs.update(attributes)


def shape_is_negative(file):
    file["uns/deep/er/matrix"].attrs["shape"] = [-3, 3]


def shape_is_enormous(file):
    file["uns/deep/er/matrix"].attrs["shape"] = [3, 2**40]


def shape_is_enormous_across(file):
    file["uns/deep/er/matrix"].attrs["shape"] = [2**40, 3]


def values_are_missing(file):
    del file["layers/spliced/data"]


SPOILT = [
    *(spoilt(place, "indices", value) for place in PLACES for value in (10**6, -1)),
    *(spoilt(place, "indptr", value) for place in PLACES for value in (10**6, -1)),
    spoilt("X", "indptr", 1, at=0),
    pointers_end_early,
    places_are_floats,
    shape_is_negative,
    shape_is_enormous,
    shape_is_enormous_across,
    values_are_missing,
]  # fmt: skip


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    folder = tmp_path_factory.mktemp("whole")
    adata = as_anndata(small_counts(N, M))
    adata.X = adata.layers["spliced"].copy()
    adata.raw = adata.copy()
    adata.obsp["near"], adata.varp["near"] = sparse.eye(N, format="csr"), sparse.eye(M, format="csr")
    adata.obsm["X_sparse"] = sparse.csr_matrix(np.eye(N, 4))
    adata.varm["loadings"] = sparse.csr_matrix(np.eye(M, 4))
    adata.uns["deep"] = {"er": {"matrix": sparse.eye(3, format="csc")}}
    adata.write_h5ad(folder / "cells.h5ad")
    return folder / "cells.h5ad"


@pytest.mark.parametrize("spoil", SPOILT)
def test_an_unsound_matrix_is_refused(tmp_path, whole, spoil):
    path = tmp_path / "cells.h5ad"
    path.write_bytes(whole.read_bytes())
    with h5py.File(path, "r+") as file:
        spoil(file)
    with pytest.raises(InputError, match=r"cells\.h5ad is damaged: in '.+'"):
        read(path)


@pytest.mark.parametrize("place", ["X", "layers/spliced", "obsp/near", "uns/deep/er/matrix"])
def test_an_unsound_matrix_is_refused_by_gene(tmp_path, whole, place):
    path = tmp_path / "cells.h5ad"
    path.write_bytes(whole.read_bytes())
    with h5py.File(path, "r+") as file:
        file[place]["indices"][1] = -1
    with pytest.raises(InputError, match=rf"cells\.h5ad is damaged: in '{place}'"):
        read(path, by_gene=["spliced", "unspliced"])


@pytest.mark.parametrize("version", [2, 3])
@pytest.mark.parametrize("value", [10**6, -1])
@pytest.mark.parametrize("part", ["indices", "indptr"])
def test_an_unsound_matrix_of_a_zarr_folder_is_refused(tmp_path, part, value, version):
    import anndata as ad

    with ad.settings.override(zarr_write_format=version):
        as_anndata(small_counts(N, M)).write_zarr(tmp_path / "cells.zarr")
    group = zarr.open_group(tmp_path / "cells.zarr", mode="r+", use_consolidated=False)
    group[f"layers/unspliced/{part}"][1] = value
    with pytest.raises(InputError, match=r"cells\.zarr is damaged: in 'layers/unspliced'"):
        read(tmp_path / "cells.zarr")


@pytest.mark.parametrize("value", [10**6, -1])
def test_an_unsound_block_of_cells_is_refused_when_it_is_read(tmp_path, monkeypatch, whole, value):
    path = tmp_path / "cells.h5ad"
    path.write_bytes(whole.read_bytes())
    with h5py.File(path, "r+") as file:
        file["layers/spliced/indices"][-1] = value
    monkeypatch.setattr(anndata_groups, "SHARE_IN_MEMORY", 0)
    monkeypatch.setattr(anndata_groups, "BLOCK_CELLS", 3)
    with pytest.raises(InputError, match=r"cells\.h5ad is damaged: in '/?layers/spliced'"):
        read(path, lazy_if_large=True).layers["spliced"].compute()


def test_unsound_pointers_are_refused_before_blocks_are_read(tmp_path, monkeypatch, whole):
    path = tmp_path / "cells.h5ad"
    path.write_bytes(whole.read_bytes())
    with h5py.File(path, "r+") as file:
        file["layers/spliced/indptr"][2] = 10**6
    monkeypatch.setattr(anndata_groups, "SHARE_IN_MEMORY", 0)
    with pytest.raises(InputError, match=r"in 'layers/spliced', 'indptr'"):
        read(path, lazy_if_large=True)


@pytest.mark.parametrize(
    ("part", "value"), [("indices", 10**6), ("indices", -1), ("indptr", 10**6), ("indptr", -1)]
)
def test_an_unsound_matrix_of_an_old_file_is_refused(tmp_path, whole, part, value):
    """As anndata before 0.7 wrote it."""
    path = tmp_path / "old.h5ad"
    path.write_bytes(whole.read_bytes())
    with h5py.File(path, "r+") as file:
        file.attrs.clear()
        for name in ("layers/spliced", "layers/unspliced", "X"):
            shape = file[name].attrs["shape"]
            file[name].attrs.clear()
            file[name].attrs.update({"h5sparse_format": "csr", "h5sparse_shape": shape})
        file[f"layers/unspliced/{part}"][1] = value
    with pytest.raises(InputError, match=r"old\.h5ad is damaged: in 'layers/unspliced'"):
        read(path)


@pytest.mark.parametrize(
    ("part", "value"), [("indices", 10**6), ("indices", -1), ("indptr", 10**6), ("indptr", -1)]
)
def test_an_unsound_matrix_of_seurat_is_refused(tmp_path, part, value):
    path = h5seurat(small_counts(N, M), tmp_path)
    with h5py.File(path, "r+") as file:
        file[f"assays/spliced/counts/{part}"][1] = value
    with pytest.raises(InputError, match=r"is damaged: in '.*assays/spliced'"):
        read(path)


@pytest.mark.parametrize("dtype", ["uint8", "int16", "uint32", "int64", "uint64"])
def test_places_of_any_whole_type_are_read(tmp_path, whole, dtype):
    path = tmp_path / "cells.h5ad"
    path.write_bytes(whole.read_bytes())
    expected = read(path).layers["spliced"]
    with h5py.File(path, "r+") as file:
        for part in ("indices", "indptr"):
            stored_part = file["layers/spliced"][part]
            values, attributes = stored_part[:].astype(dtype), dict(stored_part.attrs)
            del file[f"layers/spliced/{part}"]
            file["layers/spliced"].create_dataset(part, data=values).attrs.update(attributes)
    found = read(path).layers["spliced"]
    assert (found != expected).nnz == 0
    assert found[2:5].toarray().tolist() == expected[2:5].toarray().tolist()


@pytest.mark.parametrize(
    "columns", [["clusters", "clusters"], ["/obs/clusters"], ["./clusters"], ["//obs/clusters"]]
)
def test_a_table_names_each_of_its_columns_once(tmp_path, whole, columns):
    """Otherwise one column of the file fills the memory many times."""
    path = tmp_path / "cells.h5ad"
    path.write_bytes(whole.read_bytes())
    with h5py.File(path, "r+") as file:
        file["obs"].attrs["column-order"] = columns
    with pytest.raises(InputError, match=r"table 'obs' lists a column twice"):
        read(path)


@pytest.mark.parametrize("code", [3, -2])
def test_a_category_that_is_not_there_is_refused(tmp_path, whole, code):
    path = tmp_path / "cells.h5ad"
    path.write_bytes(whole.read_bytes())
    with h5py.File(path, "r+") as file:
        file["obs/clusters/codes"][0] = code
    with pytest.raises(InputError, match=r"cells\.h5ad could not be read"):
        read(path)
