"""HDF5 files open no other file, claim no more than memory, and are read though a part of them is of an unknown kind."""

from __future__ import annotations

import anndata as ad
import h5py
import hdf5plugin
import numpy as np
import pytest
import zarr
from scipy import sparse

from deepvelo import keys
from deepvelo.errors import InputError
from deepvelo.io import read
from deepvelo.io.formats import anndata_groups
from deepvelo.io.formats import loom as loom_format
from deepvelo.io.formats.hdf5 import opened
from tests.counters import as_anndata, h5ad, h5seurat, loom, mudata, small_counts


def external_link(file: h5py.File, other: str) -> None:
    file["obs/secret"] = h5py.ExternalLink(other, "/secret")


def external_storage(file: h5py.File, other: str) -> None:
    file.create_dataset("obs/secret", (4,), "uint8", external=[(other, 0, 4)])


def virtual(file: h5py.File, other: str) -> None:
    layout = h5py.VirtualLayout((4,), "uint8")
    layout[:] = h5py.VirtualSource(other, "secret", (4,))
    file.create_virtual_dataset("obs/secret", layout)


@pytest.mark.parametrize("spoil", [external_link, external_storage, virtual])
@pytest.mark.parametrize("write", [h5ad, loom, mudata, h5seurat])
def test_files_that_refer_to_others_are_refused(tmp_path, spoil, write):
    path = write(small_counts(), tmp_path)
    with h5py.File(tmp_path / "other.h5", "w") as other:
        other["secret"] = np.arange(4, dtype="uint8")
    with h5py.File(path, "r+") as file:
        spoil(file, str(tmp_path / "other.h5"))
    with pytest.raises(InputError, match=r"refers to other files.*'obs/secret'"):
        read(path)


@pytest.mark.parametrize("place", ["uns/huge", "obsm/huge", "obs/huge"])
@pytest.mark.parametrize("write", [h5ad, mudata])
def test_what_any_part_claims_is_counted_before_reading(tmp_path, place, write):
    path = write(small_counts(), tmp_path)
    with h5py.File(path, "r+") as file:
        group = file["mod/rna"] if "mod" in file else file
        huge = group.create_dataset(place, shape=(10**13,), dtype="float64", chunks=(1000,))
        huge.attrs.update({"encoding-type": "array", "encoding-version": "0.2.0"})
    with pytest.raises(InputError, match=r"needs 74,?505\.\d GB of memory"):
        read(path)


def test_what_a_zarr_folder_claims_is_counted_before_reading(tmp_path):
    as_anndata(small_counts()).write_zarr(tmp_path / "x.zarr")
    group = zarr.open_group(tmp_path / "x.zarr", mode="r+")
    huge = group["uns"].create_array("huge", shape=(10**13,), dtype="float64", chunks=(1000,))
    huge.attrs.update({"encoding-type": "array", "encoding-version": "0.2.0"})
    zarr.consolidate_metadata(tmp_path / "x.zarr")
    with pytest.raises(InputError, match=r"needs 74,?505\.\d GB of memory"):
        read(tmp_path / "x.zarr")


def test_what_loom_attributes_claim_is_counted_before_reading(tmp_path):
    path = loom(small_counts(), tmp_path)
    with h5py.File(path, "r+") as file:
        file.create_dataset("col_attrs/huge", shape=(7, 10**12), dtype="float64", chunks=(1, 1000))
    with pytest.raises(InputError, match=r"cells\.loom needs .* GB of memory"):
        read(path)


@pytest.mark.parametrize("filter", [hdf5plugin.Zstd(), hdf5plugin.Blosc(cname="lz4"), hdf5plugin.LZ4()])
def test_other_compressions_than_those_of_h5py_are_read(tmp_path, filter):
    counts = small_counts()
    path = h5ad(counts, tmp_path)
    with h5py.File(path, "r+") as file:
        values, stored_attributes = file["layers/spliced/data"][:], dict(file["layers/spliced/data"].attrs)
        del file["layers/spliced/data"]
        file["layers/spliced"].create_dataset("data", data=values, compression=filter).attrs.update(
            stored_attributes
        )
    assert (read(path).layers["spliced"] != counts.spliced).nnz == 0


UNKNOWN = {"encoding-type": "xarray-dataset", "encoding-version": "0.3.0"}


@pytest.mark.parametrize("kind", ["h5ad", "zarr"])
@pytest.mark.parametrize("how", [{}, {"by_gene": ["spliced", "unspliced"]}, {"lazy_if_large": True}])
def test_what_is_of_an_unknown_encoding_is_left_out_and_named(tmp_path, monkeypatch, kind, how):
    adata = as_anndata(small_counts())
    adata.obs["frac"] = np.linspace(0, 1, 7)
    adata.var["frac"] = np.linspace(0, 1, 5)
    adata.uns["tool"] = {"result": {"x": np.arange(3)}, "version": "1"}
    adata.obsm["X_umap"], adata.obsm["X_tool"] = np.zeros((7, 2)), np.zeros((7, 2))
    path = tmp_path / f"x.{kind}"
    (adata.write_h5ad if kind == "h5ad" else adata.write_zarr)(path)
    group = (
        h5py.File(path, "r+") if kind == "h5ad" else zarr.open_group(path, mode="r+", use_consolidated=False)
    )
    places = ("obs/frac", "var/frac", "uns/tool/result", "obsm/X_tool")
    for place in places:
        group[place].attrs.update(UNKNOWN)
    if kind == "h5ad":
        group.close()
    else:
        zarr.consolidate_metadata(path)
    if "lazy_if_large" in how:
        monkeypatch.setattr(anndata_groups, "SHARE_IN_MEMORY", 0)
    found = read(path, **how)
    assert list(found.obs) == ["clusters"]
    assert found.uns["tool"] == {"version": "1"}
    assert list(found.obsm) == ["X_umap"]
    assert set(found.layers) >= {"spliced", "unspliced"}
    (note,) = (note for note in found.uns[keys.NOTES] if "encoding" in note)
    for name in (
        "obs['frac']",
        "var['frac']",
        "uns['tool']['result']",
        "obsm['X_tool']",
        "'xarray-dataset' 0.3.0",
    ):
        assert name in note


@pytest.mark.parametrize("how", [{}, {"by_gene": ["spliced", "a/b"]}, {"lazy_if_large": True}])
def test_names_with_slashes_that_anndata_wrote_are_read(tmp_path, monkeypatch, how):
    monkeypatch.setattr(anndata_groups, "SHARE_IN_MEMORY", 0)
    adata = as_anndata(small_counts())
    adata.layers["a/b"], adata.obsm["c/d/e"] = adata.layers["spliced"].copy(), np.ones((7, 2))
    path = tmp_path / "x.h5ad"
    adata.write_h5ad(path)
    found = read(path, **how)
    assert set(found.layers) >= {"spliced", "a/b"}
    np.testing.assert_array_equal(found.obsm["c/d/e"], np.ones((7, 2)))


def test_what_needs_a_package_that_is_not_installed_is_left_out(tmp_path):
    path = h5ad(small_counts(), tmp_path)
    with h5py.File(path, "r+") as file:
        airr = file.require_group("obsm").create_group("airr")
        airr.attrs.update({"encoding-type": "awkward-array", "encoding-version": "0.1.0"})
    found = read(path)
    assert "airr" not in found.obsm
    assert any("airr" in note for note in found.uns[keys.NOTES])


def test_counts_of_an_unknown_encoding_are_never_left_out(tmp_path):
    path = h5ad(small_counts(), tmp_path)
    with h5py.File(path, "r+") as file:
        file["layers/spliced"].attrs.update(UNKNOWN)
    with pytest.raises(InputError, match=r"Layer 'spliced' of .*xarray-dataset.*Update anndata"):
        read(path)


def test_matrices_that_a_fit_does_not_need_are_left_out(tmp_path):
    adata = as_anndata(small_counts())
    adata.X = adata.layers["other"] = adata.layers["spliced"].copy()
    adata.write_h5ad(tmp_path / "x.h5ad")
    with h5py.File(tmp_path / "x.h5ad", "r+") as file:
        file["X"].attrs.update(UNKNOWN)
        file["layers/other"].attrs.update(UNKNOWN)
    found = read(tmp_path / "x.h5ad")
    assert found.X is None
    assert "other" not in found.layers
    assert any("layers['other']" in note and "X (" in note for note in found.uns[keys.NOTES])


@pytest.mark.parametrize(
    ("place", "value"), [("layers/spliced/indices", 99), ("layers/spliced/indptr", 99), ("X/indices", -1)]
)
def test_a_sparse_matrix_that_points_outside_of_itself_is_refused(tmp_path, place, value):
    adata = as_anndata(small_counts())
    adata.X = adata.layers["spliced"].copy()
    adata.write_h5ad(tmp_path / "x.h5ad")
    with h5py.File(tmp_path / "x.h5ad", "r+") as file:
        file[place][1] = value
    with pytest.raises(InputError, match=r"x\.h5ad is damaged: in .*(spliced|X)"):
        read(tmp_path / "x.h5ad")


def test_by_gene_aliased_layers_are_found_under_their_standard_names(tmp_path):
    adata = as_anndata(small_counts())
    adata.layers["velocity_S"] = np.ones(adata.shape, "float32")
    adata.layers["M_s"], adata.layers["M_u"] = np.ones(adata.shape), np.zeros(adata.shape)
    adata.layers["mature"], adata.layers["nascent"] = (
        adata.layers.pop("spliced"),
        adata.layers.pop("unspliced"),
    )
    adata.write_h5ad(tmp_path / "dynamo.h5ad")
    found = read(tmp_path / "dynamo.h5ad", by_gene=["velocity", "Ms", "spliced"])
    assert set(found.layers) == {"velocity", "Ms", "spliced"}
    assert isinstance(found.layers["velocity"], h5py.Dataset)
    assert any("'velocity_S'" in note and "velocity" in note for note in found.uns[keys.NOTES])


def test_raw_and_pairs_are_read_as_before(tmp_path):
    adata = as_anndata(small_counts())
    adata.X = adata.layers["spliced"]
    adata.raw = adata.copy()
    adata.obsp["distances"] = sparse.eye(7, format="csr")
    adata.varp["x"], adata.varm["loadings"] = sparse.eye(5, format="csr"), np.ones((5, 2))
    adata.write_h5ad(tmp_path / "x.h5ad")
    found, expected = read(tmp_path / "x.h5ad"), ad.read_h5ad(tmp_path / "x.h5ad")
    assert (found.raw.X != expected.raw.X).nnz == 0
    assert list(found.raw.var_names) == list(expected.raw.var_names)
    assert set(found.obsp) == {"distances"}
    assert set(found.varp) == {"x"}
    assert set(found.varm) == {"loadings"}


def soft(file: h5py.File) -> None:
    file["obs/again"] = h5py.SoftLink("/obs")


def hard(file: h5py.File) -> None:
    file["obs/again"] = next(
        found for found in file.values() if isinstance(found, h5py.Group) and found.name != "/obs"
    )


def root(file: h5py.File) -> None:
    file["obs/again"] = file["/"]


@pytest.mark.parametrize("link", [soft, hard, root])
@pytest.mark.parametrize("write", [h5ad, loom, mudata, h5seurat])
def test_files_with_elements_in_several_places_are_refused(tmp_path, link, write):
    """Each place would take memory once more, and a circle without end."""
    path = write(small_counts(), tmp_path)
    with h5py.File(path, "r+") as file:
        file.require_group("obs")
        link(file)
    with pytest.raises(InputError, match=r"has links between its own elements"):
        read(path)


def test_references_and_shared_types_are_no_links(tmp_path):
    """anndata before 0.8 referred to categories."""
    path = h5ad(small_counts(), tmp_path)
    with h5py.File(path, "r+") as file:
        file["uns/kind"] = np.dtype("int8")
        for name in ("a", "b"):
            file.create_dataset(f"uns/{name}", (7,), dtype=file["uns/kind"]).attrs["of"] = file["obs"].ref
    with opened(path, kind="an h5ad file") as file:
        assert "uns" in file


@pytest.mark.parametrize("chunks", [None, (3, 2), (40, 30)])
@pytest.mark.parametrize("where", [slice(0, 8), slice(192, 200)])
def test_loom_values_count_wherever_they_are(tmp_path, monkeypatch, chunks, where):
    """Sorted genes: half of the values of a few, and nothing in between. Zeros take no memory."""
    values = np.zeros((200, 30), "int32")
    values[where, ::2] = 1
    path = tmp_path / "cells.loom"
    with h5py.File(path, "w") as file:
        for name in ("matrix", "layers/spliced", "layers/unspliced"):
            file.create_dataset(name, data=values, chunks=chunks)
        file["row_attrs/Gene"] = [f"G{i}" for i in range(200)]
        file["col_attrs/CellID"] = [f"C{i}" for i in range(30)]
    asked: list[int] = []
    with monkeypatch.context() as patched:
        patched.setattr(loom_format, "require_memory", lambda n_bytes, _: asked.append(n_bytes))
        adata = read(path)
    np.testing.assert_array_equal(adata.layers["spliced"].toarray(), values.T)
    attributes, *matrices = asked
    assert max(matrices) == 8 * 15 * 20
    monkeypatch.setattr(loom_format, "_VALUES_AT_ONCE", 60)
    monkeypatch.setattr("deepvelo.memory.available_memory", lambda: max(asked))
    np.testing.assert_array_equal(read(path).layers["spliced"].toarray(), values.T)
    monkeypatch.setattr("deepvelo.memory.available_memory", lambda: attributes - 1)
    with pytest.raises(InputError, match=r"cells\.loom needs .* GB of memory"):
        read(path)


def test_categories_that_lie_in_no_group_are_not_followed(tmp_path):
    """A column of an old file refers to its categories; what no group holds was not looked at."""
    path, secret = h5ad(small_counts(), tmp_path), tmp_path / "secret"
    secret.write_bytes(b"secret of another file")
    with h5py.File(path, "r+") as file:
        del file.attrs["encoding-type"]
        hidden = file["obs"].create_dataset("hidden", (1,), "S22", external=[(str(secret), 0, 22)])
        file["obs/kind"] = np.zeros(7, "int8")
        file["obs/kind"].attrs["categories"] = hidden.ref
        place = h5py.h5o.get_info(hidden.id).addr
        names = [*file["obs"].attrs["column-order"], "kind"]
        file["obs"].attrs["column-order"] = np.array(names, h5py.string_dtype())
    content = bytearray(path.read_bytes())
    content[place + 4] = 2  # how many links there are, one of which is removed
    path.write_bytes(content)
    with h5py.File(path, "r+") as file:
        del file["obs/hidden"]
    with pytest.raises(InputError, match=r"refers to other files.*'obs/kind'"):
        read(path)
