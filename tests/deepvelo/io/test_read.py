from __future__ import annotations

import json
import os
import pickle
import shutil
import zipfile
from itertools import product
from pathlib import Path

import anndata as ad
import h5py
import numpy as np
import pytest
import zarr
from scipy import sparse

from deepvelo import keys
from deepvelo.arrays.matrices import is_lazy
from deepvelo.errors import InputError
from deepvelo.io import read, write_h5ad
from deepvelo.io.formats import anndata_groups

SPLICED = np.array([[3, 0, 1], [0, 2, 5], [1, 1, 0], [7, 0, 2]])
UNSPLICED = np.array([[1, 0, 0], [0, 1, 1], [2, 0, 0], [0, 3, 1]])
CELLS, GENES = ["AAAC-1", "AAAG-1", "AAAT-1", "AACC-1"], ["Cpe", "Tmsb10", "Sox2"]


def small(dtype: str = "int32", *, as_sparse: bool = True) -> ad.AnnData:
    wrap = sparse.csr_matrix if as_sparse else np.asarray
    adata = ad.AnnData(wrap(SPLICED.astype("float32")))
    adata.obs_names, adata.var_names = CELLS, GENES
    adata.layers["spliced"] = wrap(SPLICED.astype(dtype))
    adata.layers["unspliced"] = wrap(UNSPLICED.astype(dtype))
    adata.obs["clusters"] = ["a", "a", "b", "b"]
    adata.obsm["X_umap"] = np.arange(8.0).reshape(4, 2)
    return adata


def dense(matrix: np.ndarray | sparse.spmatrix) -> np.ndarray:
    return matrix.toarray() if sparse.issparse(matrix) else matrix


def zip_folder(folder: Path, target: Path, *, inside: str) -> Path:
    with zipfile.ZipFile(target, "w") as archive:
        for file in folder.rglob("*"):
            archive.write(file, f"{inside}{file.relative_to(folder)}")
    return target


DTYPES = ["bool", "uint8", "int64", "float32", "float64"]


@pytest.mark.parametrize(
    ("dtype", "as_sparse"), [*product(DTYPES, [True, False]), ("float16", False)]
)  # scipy has no sparse half floats
def test_any_numeric_dtype_becomes_float32(tmp_path, dtype, as_sparse):
    small(dtype, as_sparse=as_sparse).write_h5ad(tmp_path / "cells.h5ad")
    adata = read(tmp_path / "cells.h5ad")
    for layer, expected in ((adata.layers["spliced"], SPLICED), (adata.layers["unspliced"], UNSPLICED)):
        assert layer.dtype == np.float32
        assert sparse.issparse(layer) == as_sparse
        np.testing.assert_array_equal(dense(layer), expected.astype(dtype))


def test_csc_layers_become_csr(tmp_path):
    adata = small()
    adata.layers["spliced"] = sparse.csc_matrix(SPLICED)
    adata.write_h5ad(tmp_path / "cells.h5ad")
    layer = read(tmp_path / "cells.h5ad").layers["spliced"]
    assert layer.format == "csr"
    np.testing.assert_array_equal(layer.toarray(), SPLICED)


def write_loom(
    path: Path, *, cell_key: str = "CellID", gene_key: str = "Gene", **col_attrs: np.ndarray
) -> Path:
    import loompy  # takes seconds, in every process that only collects this file too

    layers = {"": (SPLICED + UNSPLICED).T, "spliced": SPLICED.T, "unspliced": UNSPLICED.T}
    loompy.create(
        str(path),
        layers,
        row_attrs={gene_key: np.array(GENES)},
        col_attrs={cell_key: np.array(CELLS), **col_attrs},
    )
    return path


@pytest.mark.parametrize(("cell_key", "gene_key"), [("CellID", "Gene"), ("obs_names", "var_names")])
def test_loom_gives_matrix_layers_and_names(tmp_path, cell_key, gene_key):
    adata = read(write_loom(tmp_path / "cells.loom", cell_key=cell_key, gene_key=gene_key))
    np.testing.assert_array_equal(dense(adata.X), SPLICED + UNSPLICED)
    np.testing.assert_array_equal(dense(adata.layers["spliced"]), SPLICED)
    np.testing.assert_array_equal(dense(adata.layers["unspliced"]), UNSPLICED)
    assert list(adata.obs_names) == CELLS
    assert list(adata.var_names) == GENES


def test_loom_coordinates_and_groups_are_kept(tmp_path):
    path = write_loom(
        tmp_path / "cells.loom",
        UMAP_1=np.arange(4.0),
        UMAP_2=np.arange(4.0) + 10,
        ClusterName=np.array(["a", "a", "b", "b"]),
    )
    adata = read(path)
    np.testing.assert_array_equal(adata.obsm["X_umap"], np.c_[np.arange(4.0), np.arange(4.0) + 10])
    assert list(adata.obs["ClusterName"]) == ["a", "a", "b", "b"]


@pytest.mark.parametrize("inside", ["", "cells.zarr/"], ids=["at the top", "in a folder"])
def test_zarr_folder_and_zip_hold_the_same(tmp_path, inside):
    small().write_zarr(tmp_path / "cells.zarr")
    zipped = zip_folder(tmp_path / "cells.zarr", tmp_path / "cells.zarr.zip", inside=inside)
    for path in (tmp_path / "cells.zarr", zipped):
        adata = read(path)
        np.testing.assert_array_equal(dense(adata.layers["unspliced"]), UNSPLICED)
        assert list(adata.obs["clusters"]) == ["a", "a", "b", "b"]


def test_layer_names_in_another_case_are_understood(tmp_path):
    adata = small()
    adata.layers["Spliced"] = adata.layers.pop("spliced")
    adata.write_h5ad(tmp_path / "cells.h5ad")
    assert set(read(tmp_path / "cells.h5ad").layers) == {"spliced", "unspliced"}


def test_duplicate_names_are_made_unique_and_said(tmp_path):
    adata = small()
    adata.var_names = ["Cpe", "Cpe", "Sox2"]
    adata.obs_names = ["AAAC-1", "AAAC-1", "AAAC-1", "AACC-1"]
    adata.write_h5ad(tmp_path / "cells.h5ad")
    found = read(tmp_path / "cells.h5ad")
    assert found.var_names.is_unique
    assert found.obs_names.is_unique
    cells, genes = found.uns[keys.NOTES]
    assert "Duplicate cell names (1: 'AAAC-1') were made unique" in cells
    assert "Duplicate gene names (1: 'Cpe') were made unique" in genes
    write_h5ad(found, tmp_path / "again.h5ad")
    assert read(tmp_path / "again.h5ad").uns[keys.NOTES] == [cells, genes], "notes survive writing"


def bad_text(path: Path) -> Path:
    path.write_text("gene,cell\nCpe,1\n")
    return path


def bad_truncated(path: Path) -> Path:
    small().write_h5ad(path)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    return path


def bad_foreign(path: Path) -> Path:
    with h5py.File(path, "w") as file:
        file["temperature"] = [1.0]
    return path


def bad_shape(path: Path) -> Path:
    adata = small(as_sparse=False)
    adata.write_h5ad(path)
    with h5py.File(path, "r+") as file:
        del file["layers/unspliced"]
        layer = file["layers"].create_dataset("unspliced", data=UNSPLICED[:, :2])
        layer.attrs.update({"encoding-type": "array", "encoding-version": "0.2.0"})
    return path


def bad_sparse_shape(path: Path) -> Path:
    small().write_h5ad(path)
    with h5py.File(path, "r+") as file:
        file["layers/unspliced"].attrs["shape"] = [4, 9]
    return path


def bad_words(path: Path) -> Path:
    adata = small(as_sparse=False)
    adata.layers["spliced"] = np.full(SPLICED.shape, "many", dtype=object)
    adata.write_h5ad(path)
    return path


def bad_body(path: Path) -> Path:
    """The file opens, its cells cannot be read."""
    small().write_h5ad(path)
    with h5py.File(path, "r+") as file:
        del file["obs"].attrs["_index"]
    return path


def bad_zarr_shape(path: Path) -> Path:
    small(as_sparse=False).write_zarr(path)
    group = zarr.open_group(path, mode="r+")
    del group["layers/unspliced"]
    layer = group["layers"].create_array("unspliced", data=UNSPLICED[:2])
    layer.attrs.update({"encoding-type": "array", "encoding-version": "0.2.0"})
    zarr.consolidate_metadata(path)
    return path


def bad_zip(path: Path) -> Path:
    small().write_zarr(path.with_suffix(""))
    zip_folder(path.with_suffix(""), path, inside="")
    path.write_bytes(path.read_bytes()[:-200])
    return path


def bad_other_zip(path: Path) -> Path:
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("readme.txt", "hello")
    return path


@pytest.mark.parametrize(
    ("name", "spoil", "message"),
    [
        ("cells.h5ad", lambda path: path, r"no file .*cells\.h5ad.*Check the path"),
        ("cells.doc", bad_text, r"cells\.doc .* no format that can be read.*\.h5ad"),
        ("cells.h5ad", bad_text, r"cells\.h5ad is not an h5ad file.*right file"),
        ("cells.loom", bad_text, r"cells\.loom is not a loom file.*right file"),
        ("cells.h5ad", bad_truncated, r"cells\.h5ad is truncated.*again"),
        ("cells.loom", bad_truncated, r"cells\.loom is truncated.*again"),
        ("cells.h5ad", bad_foreign, r"not an h5ad file: it holds \['temperature'\].*write_h5ad"),
        ("cells.loom", bad_foreign, r"not a loom file: it holds \['temperature'\].*velocyto"),
        ("cells.h5ad", bad_shape, r"differ in shape.*X 4 x 3.*unspliced 4 x 2.*Write them again"),
        ("cells.h5ad", bad_sparse_shape, r"differ in shape.*spliced 4 x 3.*unspliced 4 x 9"),
        ("cells.zarr", bad_zarr_shape, r"differ in shape.*spliced 4 x 3.*unspliced 2 x 3"),
        (
            "cells.h5ad",
            bad_words,
            r"Layer 'spliced' of cells\.h5ad does not hold numbers.*integers or floats",
        ),
        ("cells.h5ad", bad_body, r"cells\.h5ad could not be read.*again"),
        ("cells.zarr.zip", bad_zip, r"cells\.zarr\.zip is not a zip file, or its end is missing"),
        ("cells.zip", bad_other_zip, r"cells holds no data set.*Found readme\.txt.*\.h5ad"),
    ],
)
def test_bad_file_gives_one_sentence(tmp_path, name, spoil, message):
    path = spoil(tmp_path / name)
    with pytest.raises(InputError, match=message) as error:
        read(path)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("name", ["cells.h5ad", "cells.loom", "cells.zip", "cells.csv", "cells.rds", "cells"])
def test_an_empty_file_is_called_so(tmp_path, name):
    (tmp_path / name).touch()
    with pytest.raises(InputError, match=rf"{name} is empty.*again"):
        read(tmp_path / name)


@pytest.mark.parametrize("name", ["x.loom", "x.h5mu", "x.h5Seurat", "x.csv", "x.txt", "x.rds", "x.zip", "x"])
def test_a_file_of_anndata_is_read_under_any_ending(tmp_path, name):
    small().write_h5ad(tmp_path / name)
    assert read(tmp_path / name).shape == small().shape


def test_unreadable_file_is_named(tmp_path, monkeypatch):
    small().write_h5ad(tmp_path / "cells.h5ad")
    monkeypatch.setattr(os, "access", lambda *_: False)
    with pytest.raises(InputError, match=r"cells\.h5ad may not be read: permission denied.*copy"):
        read(tmp_path / "cells.h5ad")


def asked_for(path: Path, monkeypatch: pytest.MonkeyPatch) -> int:
    """Bytes that reading a file as a whole asks for."""
    asked: list[int] = []
    with monkeypatch.context() as patched:
        patched.setattr(anndata_groups, "require_memory", lambda n_bytes, _: asked.append(n_bytes))
        read(path)
    return asked[0]


@pytest.mark.parametrize("name", ["cells.h5ad", "cells.zarr"])
def test_file_larger_than_memory_is_refused_before_loading(tmp_path, monkeypatch, name):
    for as_sparse in (True, False):
        adata = small("float64", as_sparse=as_sparse)
        adata.write_h5ad(tmp_path / name) if name.endswith("h5ad") else adata.write_zarr(tmp_path / name)
        needed = asked_for(tmp_path / name, monkeypatch)
        monkeypatch.setattr("deepvelo.memory.available_memory", lambda free=needed - 1: free)
        with pytest.raises(
            InputError, match=rf"{name} needs 0\.0 GB of memory. Found 0\.0 GB free. Leave out"
        ):
            read(tmp_path / name)
        monkeypatch.setattr("deepvelo.memory.available_memory", lambda free=needed: free)
        read(tmp_path / name)


@pytest.mark.parametrize("name", ["cells.h5ad", "cells.zarr"])
def test_numbers_count_as_wide_as_they_become(tmp_path, monkeypatch, name):
    """uint8 becomes float32: as much as a float32 layer, and more while it is converted."""
    asked = {}
    for dtype in ("uint8", "float32"):
        adata = small(dtype, as_sparse=False)
        adata.write_h5ad(tmp_path / name) if name.endswith("h5ad") else adata.write_zarr(tmp_path / name)
        asked[dtype] = asked_for(tmp_path / name, monkeypatch)
    assert asked["uint8"] >= asked["float32"] >= 3 * 4 * SPLICED.size


@pytest.mark.parametrize("name", ["cells.h5ad", "cells.zarr"])
@pytest.mark.parametrize("as_sparse", [True, False], ids=["sparse", "dense"])
@pytest.mark.slow
def test_file_that_fills_the_memory_is_read_some_cells_at_a_time(tmp_path, monkeypatch, name, as_sparse):
    reading = anndata_groups
    monkeypatch.setattr(reading, "BLOCK_CELLS", 3)
    adata = small("float64", as_sparse=as_sparse)
    adata.layers["Unspliced"] = adata.layers.pop("unspliced")
    adata.var_names = ["Cpe", "Cpe", "Sox2"]
    adata.raw = adata.copy()
    adata.write_h5ad(tmp_path / name) if name.endswith("h5ad") else adata.write_zarr(tmp_path / name)
    whole = read(tmp_path / name, lazy_if_large=True)
    assert not any(is_lazy(layer) for layer in whole.layers.values())

    needed = asked_for(tmp_path / name, monkeypatch)
    monkeypatch.setattr("deepvelo.memory.available_memory", lambda: needed)
    lazy = read(tmp_path / name, lazy_if_large=True)
    assert set(lazy.layers) == {"spliced", "unspliced"}
    for key in ("spliced", "unspliced"):
        assert is_lazy(lazy.layers[key])
        assert lazy.layers[key].dtype == np.float32
        assert lazy.layers[key].chunks[0] == (3, 1)
        np.testing.assert_array_equal(dense(lazy.layers[key].compute()), dense(whole.layers[key]))
    assert lazy.obs.equals(whole.obs)
    assert list(lazy.var_names) == list(whole.var_names) == ["Cpe", "Cpe-1", "Sox2"]
    np.testing.assert_array_equal(lazy.obsm["X_umap"], whole.obsm["X_umap"])
    assert list(lazy.uns[keys.NOTES]) == list(whole.uns[keys.NOTES])
    assert lazy.raw is None

    monkeypatch.setattr("deepvelo.memory.available_memory", lambda: 20)
    with pytest.raises(InputError, match=rf"{name} needs 0\.0 GB of memory"):
        read(tmp_path / name, lazy_if_large=True)


def test_file_stored_by_genes_is_not_read_some_cells_at_a_time(tmp_path, monkeypatch):
    adata = small()
    adata.layers["spliced"] = sparse.csc_matrix(SPLICED)
    adata.write_h5ad(tmp_path / "cells.h5ad")
    needed = asked_for(tmp_path / "cells.h5ad", monkeypatch)
    monkeypatch.setattr("deepvelo.memory.available_memory", lambda: needed)
    layer = read(tmp_path / "cells.h5ad", lazy_if_large=True).layers["spliced"]
    assert not is_lazy(layer)
    np.testing.assert_array_equal(layer.toarray(), SPLICED)


def test_folder_without_zarr_is_refused(tmp_path):
    (tmp_path / "cells.zarr").mkdir()
    with pytest.raises(InputError, match=r"cells\.zarr could not be read"):
        read(tmp_path / "cells.zarr")
    (tmp_path / "cells.h5ad").mkdir()
    with pytest.raises(InputError, match="not an h5ad file"):
        read(tmp_path / "cells.h5ad")


class Bomb:
    """Unpickling it would create a file."""

    def __init__(self, target: Path) -> None:
        self.target = target

    def __reduce__(self) -> tuple:
        return Path.touch, (self.target,)


@pytest.mark.parametrize("zipped", [False, True])
def test_pickled_zarr_is_refused_and_never_run(tmp_path, zipped):
    path, mark = tmp_path / "cells.zarr", tmp_path / "ran"
    with ad.settings.override(zarr_write_format=2):
        small().write_zarr(path)
    shutil.rmtree(path / "obs" / "clusters")
    column = path / "obs" / "clusters"
    column.mkdir()
    (column / ".zarray").write_text(
        json.dumps(
            {
                "zarr_format": 2, "shape": [4], "chunks": [4], "dtype": "|O", "compressor": {"id": "pickle", "protocol": 5},
                "fill_value": None, "order": "C", "filters": [{"id": "vlen-utf8"}],
            }
        )
    )  # fmt: skip
    (column / ".zattrs").write_text(json.dumps({"encoding-type": "array", "encoding-version": "0.2.0"}))
    (column / "0").write_bytes(pickle.dumps(Bomb(mark)))
    (path / ".zmetadata").unlink(missing_ok=True)
    if zipped:
        path = zip_folder(path, tmp_path / "cells.zip", inside="cells.zarr/")
    with pytest.raises(
        InputError, match=r"packed in a way that is not read: 'obs/clusters' by vlen-utf8, pickle"
    ):
        read(path)
    assert not mark.exists()


def test_real_files_are_read(shared_data):
    moments = read(shared_data / "dentate_gyrus_200.h5ad")
    assert moments.shape == (200, 530)
    assert {"spliced", "unspliced", "Ms", "Mu"} <= set(moments.layers)
    raw = read(shared_data / "dentate_gyrus_raw_100.h5ad")
    assert raw.shape == (100, 13913)
    assert all(layer.dtype == np.float32 for layer in raw.layers.values())


@pytest.mark.parametrize("kind", ["h5ad", "zarr"])
def test_by_gene_named_layers_are_read_and_dense_ones_stay_in_the_file(tmp_path, kind):
    adata = small()
    adata.X = dense(adata.X)
    adata.layers["velocity"] = np.arange(12, dtype="float64").reshape(4, 3)
    path = tmp_path / f"fit.{kind}"
    (adata.write_h5ad if kind == "h5ad" else adata.write_zarr)(path)
    found = read(path, by_gene=["velocity", "spliced", "not there"])
    assert set(found.layers) == {"velocity", "spliced"}
    assert isinstance(found.layers["velocity"], h5py.Dataset if kind == "h5ad" else zarr.Array)
    assert isinstance(found.X, h5py.Dataset if kind == "h5ad" else zarr.Array)
    np.testing.assert_array_equal(found.layers["velocity"][:, 1:3], adata.layers["velocity"][:, 1:3])
    assert found.layers["spliced"].format == "csr"
    assert list(found.obs["clusters"]) == ["a", "a", "b", "b"]
    np.testing.assert_array_equal(found.obsm["X_umap"], adata.obsm["X_umap"])
