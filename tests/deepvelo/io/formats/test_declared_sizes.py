"""What a few bytes claim to hold is not believed: it is refused in time, and before memory is taken for it."""

from __future__ import annotations

import bz2
import gzip
import json
import os
import re
import zlib

import anndata as ad
import google_crc32c
import h5py
import hdf5plugin
import numcodecs
import numpy as np
import pytest
import zarr
from h5py import h5d, h5p, h5s, h5t, h5z

from deepvelo.errors import InputError
from deepvelo.io import read
from deepvelo.io.formats import compression, declared_sizes, hdf5, string_sizes
from tests.counters import as_anndata, h5ad, loom, small_counts, starsolo, write_text, zipped

ARRAY = {"encoding-type": "array", "encoding-version": "0.2.0"}
GIGABYTE = 2**30


def declare(file, place: str, shape: tuple[int, ...], dtype: str = "float64", **how) -> h5py.Dataset:
    """An array of zeros that takes no room in the file."""
    array = file.create_dataset(place, shape, dtype, **{"chunks": True, "compression": "gzip", **how})
    array.attrs.update(ARRAY)
    return array


@pytest.fixture
def free(monkeypatch):
    """So much memory that nothing is refused for the want of it."""
    monkeypatch.setattr("deepvelo.memory.available_memory", lambda: 2**50)


@pytest.mark.parametrize("place", ["uns/huge", "obsm/huge", "obs/huge", "obsp/huge", "varm/huge", "raw/X"])
def test_a_small_file_that_claims_much_is_refused(tmp_path, free, place):
    path = h5ad(small_counts(), tmp_path)
    with h5py.File(path, "r+") as file:
        declare(file, place, (7, 5, GIGABYTE // 35))
        if place == "obs/huge":
            file["obs"].attrs["column-order"] = ["huge"]
        if place == "raw/X":
            file["raw"].attrs.update({"encoding-type": "raw", "encoding-version": "0.1.0"})
    with pytest.raises(InputError, match=r"cells\.h5ad has 0\.0 MB and claims to hold .* GB"):
        read(path)


def test_narrow_numbers_count_as_wide_as_they_become(tmp_path, monkeypatch, free):
    """Layers of uint8 become float32."""
    monkeypatch.setattr(declared_sizes, "ALWAYS_ALLOWED", 2**20)
    path = tmp_path / "cells.h5ad"
    ad.AnnData(shape=(3000, 3000)).write_h5ad(path)
    with h5py.File(path, "r+") as file:
        for name in ("spliced", "unspliced"):
            declare(file, f"layers/{name}", (3000, 3000), "uint8")
    assert 2 * 3000 * 3000 < declared_sizes.max_unpacked_bytes(path.stat().st_size) < 2 * 4 * 3000 * 3000
    with pytest.raises(InputError, match=r"claims to hold"):
        read(path)


@pytest.mark.parametrize("version", [2, 3])
@pytest.mark.parametrize("in_zip", [False, True])
def test_a_small_zarr_that_claims_much_is_refused(tmp_path, free, version, in_zip):
    path = tmp_path / "cells.zarr"
    with ad.settings.override(zarr_write_format=version):
        as_anndata(small_counts()).write_zarr(path)
    group = zarr.open_group(path, mode="r+", use_consolidated=False)
    group["uns"].create_array("huge", shape=(GIGABYTE,), dtype="int8", chunks=(2**20,)).attrs.update(ARRAY)
    with pytest.raises(InputError, match=r"has 0\.\d MB and claims to hold 1\.0 GB"):
        read(zipped(path) if in_zip else path)


def test_a_summary_of_a_zarr_folder_that_lies_is_not_used(tmp_path):
    """Consolidated metadata may tell of arrays that are not there, or of other shapes."""
    path = tmp_path / "cells.zarr"
    with ad.settings.override(zarr_write_format=2):
        as_anndata(small_counts()).write_zarr(path)
    summary = json.loads((path / ".zmetadata").read_text())
    summary["metadata"]["layers/spliced/data/.zarray"]["shape"] = [10**9]
    (path / ".zmetadata").write_text(json.dumps(summary))
    assert (read(path).layers["spliced"] != small_counts().spliced).nnz == 0


@pytest.mark.parametrize("shape", [(10**8, 10**5), (30_000, 100_000)])
def test_a_loom_file_that_claims_much_is_refused_at_once(tmp_path, free, shape):
    with h5py.File(tmp_path / "cells.loom", "w") as file:
        for name in ("matrix", "layers/spliced", "layers/unspliced"):
            declare(file, name, shape, "float32", chunks=(64, 64))
        file["row_attrs/Gene"], file["col_attrs/CellID"] = ["G"], ["C"]
    with pytest.raises(InputError, match=r"cells\.loom has .* MB and claims to hold"):
        read(tmp_path / "cells.loom")


def test_attributes_of_loom_are_counted(tmp_path, free):
    path = loom(small_counts(), tmp_path)
    with h5py.File(path, "r+") as file:
        declare(file, "col_attrs/TSNE1", (GIGABYTE,))
    with pytest.raises(InputError, match=r"cells\.loom has 0\.0 MB and claims to hold 8\.0 GB"):
        read(path)


def test_most_cells_and_genes_without_counts_are_honest(tmp_path):
    """Dense zeros pack well: 99 % of them, with gzip, are read."""
    path, rng = tmp_path / "cells.h5ad", np.random.default_rng(0)
    adata = ad.AnnData(shape=(2000, 1000))
    for name in ("spliced", "unspliced"):
        adata.layers[name] = (rng.random((2000, 1000)) < 0.01).astype("float32")
    adata.write_h5ad(path, compression="gzip")
    n_bytes = sum(layer.nbytes for layer in adata.layers.values())
    assert n_bytes < declared_sizes.MAX_RATIO * path.stat().st_size
    assert n_bytes > declared_sizes.MAX_RATIO * path.stat().st_size / 4


PACKED = {
    "gzip": ({"compression": "gzip"}, zlib.compress),
    "zstd": (hdf5plugin.Zstd(), numcodecs.Zstd().encode),
    "blosc": (hdf5plugin.Blosc(cname="lz4"), numcodecs.Blosc("zstd").encode),
    "bzip2": (hdf5plugin.BZip2(), bz2.compress),
    "lz4": (hdf5plugin.LZ4(), lambda content: len(content).to_bytes(8, "big") + os.urandom(2**12)),
}


@pytest.mark.parametrize("name", PACKED)
def test_a_chunk_unpacks_to_no_more_than_its_array_declares(tmp_path, monkeypatch, name):
    monkeypatch.setattr(compression, "_UNCHECKED_BYTES", 2**14)
    how, pack = PACKED[name]
    path = h5ad(small_counts(), tmp_path)
    with h5py.File(path, "r+") as file:
        array = declare(file, "uns/bomb", (1000,), **{"chunks": (1000,), **how})
        array.id.write_direct_chunk((0,), bytes(pack(bytes(2**20))))
    with pytest.raises(
        InputError, match=r"damaged: a chunk of 'uns/bomb' unpacks to more than its 8,000 bytes"
    ):
        read(path)


@pytest.mark.parametrize("name", PACKED)
def test_large_chunks_are_read(tmp_path, monkeypatch, name):
    monkeypatch.setattr(compression, "_UNCHECKED_BYTES", 2**14)
    how, _ = PACKED[name]
    path, values = h5ad(small_counts(), tmp_path), np.random.default_rng(0).random(2**14)
    with h5py.File(path, "r+") as file:
        file.create_dataset("uns/large", data=values, chunks=values.shape, **how).attrs.update(ARRAY)
    np.testing.assert_array_equal(read(path).uns["large"], values)


CODECS = {
    "gzip": (numcodecs.GZip(), gzip.compress),
    "zlib": (numcodecs.Zlib(), zlib.compress),
    "bz2": (numcodecs.BZ2(), bz2.compress),
    "lzma": (numcodecs.LZMA(), lambda content: bytes(numcodecs.LZMA(preset=0).encode(content))),
    "zstd": (numcodecs.Zstd(), numcodecs.Zstd().encode),
    "blosc": (numcodecs.Blosc(), numcodecs.Blosc("zstd").encode),
}


@pytest.mark.parametrize("name", CODECS)
def test_a_chunk_of_zarr_unpacks_to_no_more_than_its_array_declares(tmp_path, monkeypatch, name):
    monkeypatch.setattr(compression, "_UNCHECKED_BYTES", 2**14)
    codec, pack = CODECS[name]
    path = tmp_path / "cells.zarr"
    with ad.settings.override(zarr_write_format=2):
        as_anndata(small_counts()).write_zarr(path)
    group = zarr.open_group(path, mode="r+", use_consolidated=False)
    array = group["uns"].create_array("bomb", shape=(10**3,), dtype="f8", chunks=(10**3,), compressors=codec)
    array.attrs.update(ARRAY)
    array[:] = np.arange(1000)
    np.testing.assert_array_equal(read(path).uns["bomb"], np.arange(1000))
    (path / "uns" / "bomb" / "0").write_bytes(bytes(pack(bytes(2**20))))
    with pytest.raises(InputError, match=r"damaged: the chunk 'uns/bomb/0' unpacks to more"):
        read(path)


@pytest.mark.parametrize("version", [2, 3])
def test_a_chunk_of_texts_holds_no_more_than_its_array_declares(tmp_path, version):
    """numcodecs makes room for as many texts as the first bytes say."""
    path = tmp_path / "cells.zarr"
    with ad.settings.override(zarr_write_format=version):
        as_anndata(small_counts()).write_zarr(path)
    chunk = path / "obs" / "_index" / ("0" if version == 2 else "c/0")
    (codec,) = (
        name
        for name in ("zstd", "blosc")
        if name in "".join(p.read_text() for p in (path / "obs/_index").glob("*z*"))
    )
    packing = numcodecs.get_codec({"id": codec})
    chunk.write_bytes(
        packing.encode((2**31 - 1).to_bytes(4, "little") + bytes(packing.decode(chunk.read_bytes()))[4:])
    )
    with pytest.raises(InputError, match=r"damaged: the chunk 'obs/_index/.*0' unpacks to more"):
        read(path)


def filtered(file, *add) -> None:
    """An array that passes through filters as HDF5 numbers them."""
    listed = h5p.create(h5p.DATASET_CREATE)
    listed.set_chunk((1000,))
    for number, values in add:
        listed.set_filter(number, h5z.FLAG_OPTIONAL, values)
    array = h5d.create(file["uns"].id, b"odd", h5t.IEEE_F64LE, h5s.create_simple((1000,)), listed)
    h5py.Dataset(array).attrs.update(ARRAY)


@pytest.mark.parametrize("filters", [[(32099, ())], [(1, (4,)), (1, (4,))], [(1, (4,)), (2, (8,))]])
def test_unknown_filters_and_packing_twice_are_refused(tmp_path, filters):
    path = h5ad(small_counts(), tmp_path)
    with h5py.File(path, "r+") as file:
        filtered(file, *filters)
    numbers = ", ".join(str(number) for number, _ in filters)
    with pytest.raises(
        InputError, match=rf"packed in a way that is not read: 'uns/odd' by the HDF5 filters {numbers}"
    ):
        read(path)


def test_a_file_loads_no_plugins(tmp_path):
    from h5py import h5pl

    read(h5ad(small_counts(), tmp_path))
    assert h5pl.size() == 0


@pytest.mark.parametrize(
    "codecs",
    [
        [{"name": "bytes"}, {"name": "numcodecs.pcodec", "configuration": {}}],
        [
            {"name": "bytes"},
            {"name": "zstd", "configuration": {}},
            {"name": "gzip", "configuration": {"level": 5}},
        ],
    ],
)
def test_unknown_codecs_are_refused(tmp_path, codecs):
    path = tmp_path / "cells.zarr"
    with ad.settings.override(zarr_write_format=3):
        as_anndata(small_counts()).write_zarr(path)
    described = path / "layers" / "spliced" / "data" / "zarr.json"
    metadata = json.loads(described.read_text())
    described.write_text(json.dumps(metadata | {"codecs": codecs}))
    with pytest.raises(InputError, match=r"packed in a way that is not read|could not be read"):
        read(path)


def test_storage_transformers_are_refused(tmp_path):
    path = tmp_path / "cells.zarr"
    with ad.settings.override(zarr_write_format=3):
        as_anndata(small_counts()).write_zarr(path)
    described = path / "layers" / "spliced" / "data" / "zarr.json"
    metadata = json.loads(described.read_text())
    described.write_text(
        json.dumps(metadata | {"storage_transformers": [{"name": "x", "configuration": {}}]})
    )
    with pytest.raises(InputError, match=r"storage transformer|could not be read"):
        read(path)


@pytest.mark.parametrize("spoil", ["many", "deep", "attribute"])
def test_more_elements_than_data_have_are_refused(tmp_path, monkeypatch, spoil):
    monkeypatch.setattr(hdf5, "_MAX_ELEMENTS", 200)
    path = h5ad(small_counts(), tmp_path)
    with h5py.File(path, "r+", libver="latest") as file:
        group = file["uns"]
        for n in range(300 if spoil == "many" else 150 if spoil == "deep" else 0):
            group = file["uns"].create_group(f"g{n}") if spoil == "many" else group.create_group("g")
        if spoil == "attribute":
            file["uns"].create_group("g").attrs["long"] = np.zeros(2**22, "float64")
    with pytest.raises(InputError, match=r"more than 200 elements|an attribute of 33,554,432 bytes"):
        read(path)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("spliced.mtx", b"%%MatrixMarket matrix coordinate integer general\n%" + b" " * 2**23),
        ("barcodes.tsv", b"AAAC\n" * 2**21),
    ],
)
def test_text_that_unpacks_to_far_more_than_text_does_is_refused(tmp_path, monkeypatch, name, content):
    monkeypatch.setattr("deepvelo.io.formats.mtx._ALWAYS_UNPACKED", 2**20)
    folder = starsolo(small_counts(), tmp_path) / "Velocyto" / "filtered"
    (folder / name).unlink()
    (folder / f"{name}.gz").write_bytes(gzip.compress(content))
    with pytest.raises(InputError, match=rf"{name}\.gz is damaged.*unpacks to far more than text"):
        read(folder)


@pytest.mark.parametrize("lines", [["A" * 2**21], ["A" + "\t" * 200]])
def test_a_list_of_names_has_lines_and_few_columns(tmp_path, lines):
    folder = starsolo(small_counts(), tmp_path) / "Velocyto" / "filtered"
    write_text(folder / "barcodes.tsv", lines)
    with pytest.raises(InputError, match=r"barcodes\.tsv is damaged.*(line of more than|columns)"):
        read(folder)


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        (["cell,x", "a" * 2**22], r"cells\.csv is no table of cells: it has a line"),
        (["a" * 2**22], r"cells\.csv is no table of cells: it has a line"),
        (
            ["cell," + ",".join(f"g{n}" for n in range(30_000)), "a" + ",1" * 30_000],
            r"a table of 30,000 columns",
        ),
    ],
)
def test_a_table_has_lines_and_few_columns(tmp_path, lines, message):
    with pytest.raises(InputError, match=message):
        read(write_text(tmp_path / "cells.csv", lines))


def test_cells_and_genes_that_never_meet_are_no_result(tmp_path, free):
    lines = ["cellID,gene_name,unsplice,splice,unsplice_predict,splice_predict"]
    lines += [f"c{n},g{n},1,1,1,1" for n in range(5000)]
    with pytest.raises(InputError, match=r"only 5,000 pairs have a line"):
        read(write_text(tmp_path / "cells.csv", lines))


@pytest.mark.parametrize("packed", [False, True])
def test_one_text_is_not_taken_many_times(tmp_path, monkeypatch, packed):
    """Arrays of HDF5 refer to texts, and any number of references may name the same one."""
    monkeypatch.setattr(string_sizes, "ALWAYS_ALLOWED", 2**16)
    path, n = h5ad(small_counts(), tmp_path), 200
    honest = ["x" * 10_000, *(f"text {i}" for i in range(n - 1))]
    with h5py.File(path, "r+") as file:
        how = {"compression": "gzip", "shuffle": True, "chunks": (n,)} if packed else {}
        array = file["uns"].create_dataset("texts", data=honest, dtype=h5py.string_dtype(), **how)
        array.attrs.update({"encoding-type": "string-array", "encoding-version": "0.2.0"})
    assert list(read(path).uns["texts"]) == honest
    with h5py.File(path, "r+") as file:
        array = file["uns/texts"]
        start = array.id.get_offset()
        mask, content = array.id.read_direct_chunk((0,)) if packed else (0, path.read_bytes()[start:])
        first = (zlib.decompress(content) if packed else content)[:16]
        if packed:
            array.id.write_direct_chunk((0,), zlib.compress(first * n), mask)
    if not packed:
        content = path.read_bytes()
        path.write_bytes(content[:start] + first * n + content[start + 16 * n :])
    with pytest.raises(InputError, match=r"refers to the same text so often"):
        read(path)


@pytest.mark.parametrize("write", [h5ad, loom])
def test_values_in_pieces_without_number_are_refused(tmp_path, free, write):
    path = write(small_counts(), tmp_path)
    with h5py.File(path, "r+") as file:
        place = "uns/pieces" if "uns" in file else "col_attrs/pieces"
        declare(file, place, (100_000,), chunks=(1,), compression=None)
    with pytest.raises(InputError, match=r"in 100,\d+ pieces"):
        read(path)


def test_categories_count_once_for_every_column_that_refers_to_them(tmp_path, monkeypatch, free):
    """As anndata before 0.8 wrote them."""
    path = h5ad(small_counts(), tmp_path)
    with h5py.File(path, "r+") as file:
        file.attrs.clear()
        categories = file["obs"].create_dataset("__categories/kind", data=[f"kind {i}" for i in range(1000)])
        for n in range(100):
            file["obs"].create_dataset(f"column{n}", data=np.zeros(7, "int8")).attrs["categories"] = (
                categories.ref
            )
        file["obs"].attrs["column-order"] = [f"column{n}" for n in range(100)]
        file["obs"].attrs["encoding-version"] = "0.1.0"
    monkeypatch.setattr(declared_sizes, "ALWAYS_ALLOWED", 2**20)
    monkeypatch.setattr(declared_sizes, "MAX_RATIO", 20)
    with pytest.raises(InputError, match=r"cells\.h5ad has .* and claims to hold"):
        read(path)
    monkeypatch.undo()
    assert read(path).obs["column99"].cat.categories.size == 1000


def one_text_for_all(path, write) -> None:
    """Writes the texts of ``write(group)`` and makes all of its references those of the first, a long text."""
    with h5py.File(path, "r+") as file:
        long = file["uns"].create_dataset("long", data="x" * 100_000, dtype=h5py.string_dtype())
        long.attrs.update({"encoding-type": "string", "encoding-version": "0.2.0"})
        start = long.id.get_offset()
        write(file["uns"])
    content = path.read_bytes()
    first = content[start : start + 16]
    # "short" is 5 bytes long: its references begin so, and go on with where its collection lies.
    for found in set(re.findall(rb"\x05\0\0\0.{8}.{4}", content, re.DOTALL)):
        at = int.from_bytes(found[4:12], "little")
        if content[at : at + 4] == b"GCOL":
            content = content.replace(found, first)
    path.write_bytes(content)


def in_compound(group) -> None:
    kind = np.dtype([("n", "i4"), ("text", h5py.string_dtype())])
    group.create_dataset("x", data=np.array([(1, "short")] * 100, kind))


def in_arrays(group) -> None:
    kind = h5t.array_create(h5t.py_create(h5py.string_dtype(), logical=True), (100,))
    h5py.Dataset(h5d.create(group.id, b"x", kind, h5s.create_simple((1,))))[...] = np.full(
        (1, 100), "short", object
    )


def in_compact(group) -> None:
    how = h5p.create(h5p.DATASET_CREATE)
    how.set_layout(h5d.COMPACT)
    kind = h5t.py_create(h5py.string_dtype(), logical=True)
    h5py.Dataset(h5d.create(group.id, b"x", kind, h5s.create_simple((100,)), how))[...] = "short"


def in_scalars(group) -> None:
    for n in range(100):
        group.create_dataset(f"x{n}", data="short", dtype=h5py.string_dtype())


def in_an_attribute(group) -> None:
    group.attrs["x"] = np.array(["short"] * 100, h5py.string_dtype())


def in_a_fill_value(group) -> None:
    how = {"fillvalue": "x" * 60_000, "dtype": h5py.string_dtype(), "chunks": (10,)}
    group.create_dataset("x", (1000,), **how)


@pytest.mark.parametrize(
    "write", [in_compound, in_arrays, in_compact, in_scalars, in_an_attribute, in_a_fill_value]
)
def test_one_text_is_not_taken_many_times_wherever_it_is(tmp_path, monkeypatch, write):
    monkeypatch.setattr(string_sizes, "ALWAYS_ALLOWED", 2**21)
    path = h5ad(small_counts(), tmp_path)
    one_text_for_all(path, write)
    with pytest.raises(InputError, match=r"refers to the same text so often"):
        read(path)


@pytest.mark.parametrize(
    "how", [{}, {"compression": "lzf", "shuffle": True}, hdf5plugin.Zstd(), hdf5plugin.LZ4()]
)
def test_references_are_looked_at_however_they_are_packed(tmp_path, how):
    path, names = tmp_path / "x.h5", [f"text {i}" for i in range(1000)]
    with h5py.File(path, "w") as file:
        file.create_dataset("x", data=names, dtype=h5py.string_dtype(), **({"chunks": (300,)} | dict(how)))
    with h5py.File(path) as file:
        assert string_sizes._text_bytes(path, file["x"]) == (sum(map(len, names)), 0)


def test_more_attributes_than_data_have_are_refused(tmp_path, monkeypatch):
    """HDF5 looks for each from the first on."""
    monkeypatch.setattr(hdf5, "_MAX_ATTRIBUTES", 50)
    path = h5ad(small_counts(), tmp_path)
    with h5py.File(path, "r+") as file:
        for n in range(60):
            file["uns"].attrs[f"a{n}"] = n
    with pytest.raises(InputError, match=r"more than 50 attributes at 'uns'"):
        read(path)


def test_frames_of_blosc2_are_read_and_do_not_lie(tmp_path, monkeypatch):
    """A few bytes of it can stand for any number of zeros."""
    monkeypatch.setattr(compression, "_UNCHECKED_BYTES", 2**10)
    path = tmp_path / "x.h5"
    with h5py.File(path, "w") as file:
        values = np.random.default_rng(0).random((50, 60))
        file.create_dataset("x", data=values, chunks=(50, 60), **hdf5plugin.Blosc2())
        file.create_dataset("large", data=np.zeros(2**20), chunks=(2**20,), **hdf5plugin.Blosc2())
        bomb = file["large"].id.read_direct_chunk((0,))[1]
        del file["large"]
    with hdf5.opened(path, kind="a file") as file:
        assert (file["x"][...] == values).all()
    with h5py.File(path, "r+") as file:
        file["x"].id.write_direct_chunk((0, 0), bomb)
    with (
        pytest.raises(InputError, match=r"'x' unpacks to more than its 24,000 bytes"),
        hdf5.opened(path, kind="a file"),
    ):
        pass


def test_lzf_unpacks_to_no_more_than_its_array_declares(tmp_path, monkeypatch):
    monkeypatch.setattr(compression, "_UNCHECKED_BYTES", 2**10)
    path = h5ad(small_counts(), tmp_path)
    with h5py.File(path, "r+") as file:
        array = declare(file, "uns/x", (2000,), chunks=(2000,), compression="lzf")
        array[...] = np.arange(2000)
    assert (read(path).uns["x"] == np.arange(2000)).all()
    with h5py.File(path, "r+") as file:
        file["uns/x"].id.write_direct_chunk((0,), b"\0A" + b"\xe0\xff\0" * 1000)
    with pytest.raises(InputError, match=r"'uns/x' unpacks to more than its 16,000 bytes"):
        read(path)


@pytest.mark.parametrize("old", [False, True])
def test_names_that_are_made_up_are_counted(tmp_path, free, old):
    """A sparse matrix of any shape takes no room in a file, the names of its cells do in memory."""
    path = tmp_path / "x.h5ad"
    with h5py.File(path, "w") as file:
        if not old:
            file.attrs.update({"encoding-type": "anndata", "encoding-version": "0.1.0"})
        for layer in ("layers/spliced", "layers/unspliced"):
            matrix = file.create_group(layer)
            if old:
                matrix.attrs.update({"h5sparse_format": "csc", "h5sparse_shape": (40_000_000, 3)})
            else:
                matrix.attrs.update(
                    {"encoding-type": "csc_matrix", "encoding-version": "0.1.0", "shape": (40_000_000, 3)}
                )
            matrix["data"], matrix["indices"] = np.ones(3, "f4"), np.arange(3)
            matrix["indptr"] = np.arange(4)
    with pytest.raises(InputError, match=r"claims to hold 3\.0 GB"):
        read(path)


def test_names_that_loom_lacks_are_counted(tmp_path, free):
    with h5py.File(tmp_path / "x.loom", "w") as file:
        for place in ("matrix", "layers/spliced", "layers/unspliced"):
            file.create_dataset(place, (1, 40_000_000), "u1")
        file.create_group("row_attrs"), file.create_group("col_attrs")
    with pytest.raises(InputError, match=r"claims to hold 3\.0 GB"):
        read(tmp_path / "x.loom")


def sharded(path, values, chunk: int, **how) -> zarr.Array:
    with ad.settings.override(zarr_write_format=3):
        as_anndata(small_counts()).write_zarr(path)
    group = zarr.open_group(path, mode="r+")
    array = group["uns"].create_array(
        "x", shape=(1000,), dtype=values.dtype, chunks=(chunk,), shards=(1000,), **how
    )
    array[...] = values
    return array


@pytest.mark.parametrize("values", [np.arange(1000.0), np.array([f"text {i}" for i in range(1000)], object)])
def test_a_chunk_in_a_shard_unpacks_to_no_more_than_its_array_declares(tmp_path, monkeypatch, values):
    monkeypatch.setattr(compression, "_UNCHECKED_BYTES", 2**8)
    values = values if values.dtype != object else values.astype(np.dtypes.StringDType())
    path = tmp_path / "x.zarr"
    sharded(path, values, 500, compressors=zarr.codecs.GzipCodec()).attrs.update(
        ARRAY if values.dtype.kind == "f" else {"encoding-type": "string-array", "encoding-version": "0.2.0"}
    )
    assert (read(path).uns["x"] == values).all()
    file = path / "uns/x/c/0"
    monkeypatch.setattr("deepvelo.io.formats.zarr.ALWAYS_ALLOWED", 2**16)
    bomb = gzip.compress((2**20).to_bytes(4, "little") + bytes(2**20))
    places = np.array([0, len(bomb)] * 2, "<u8").tobytes()
    file.write_bytes(bomb + places + google_crc32c.value(places).to_bytes(4, "little"))
    with pytest.raises(InputError, match=r"'uns/x/c/0' unpacks to more than the array declares"):
        read(path)


def test_descriptions_of_zarr_are_counted_together(tmp_path, monkeypatch):
    monkeypatch.setattr("deepvelo.io.formats.zarr._LARGEST_METADATA", 2**16)
    as_anndata(small_counts()).write_zarr(tmp_path / "x.zarr")
    group = zarr.open_group(tmp_path / "x.zarr", mode="r+")
    for n in range(4):
        group["uns"].create_group(f"x{n}").attrs["x"] = "x" * 2**15
    packed = zipped(tmp_path / "x.zarr")
    with pytest.raises(InputError, match=r"descriptions of more than"):
        read(packed)


def test_packed_texts_of_two_files_are_looked_at_at_once(tmp_path):
    """Both look at a chunk at the same moment, as two visitors' pages do."""
    for name in "ab":
        with h5py.File(tmp_path / f"{name}.h5", "w") as file:
            file.create_dataset("names", data=["one", "two"], dtype=h5py.string_dtype(), compression="lzf")
    with h5py.File(tmp_path / "a.h5") as first, h5py.File(tmp_path / "b.h5") as second:
        looks = [string_sizes._unpacked(file["names"], [(0,)], 16) for file in (first, second)]
        a, b = (next(look) for look in looks)
        assert a[:4].tolist() == b[:4].tolist() == [3, 0, 0, 0]
