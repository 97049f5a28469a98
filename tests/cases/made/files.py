"""Files that AnnData itself would not write."""

from __future__ import annotations

import gzip
import shutil
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import anndata as ad
import h5py
import numpy as np
import pandas as pd
from anndata import AnnData


def as_nullable(group: h5py.Group, *names: str) -> None:
    """Store text arrays of an open file as anndata 0.13 does: values and a mask."""
    for name in names:
        values = group[name][:]
        del group[name]
        new = group.create_group(name)
        new["values"], new["mask"] = values.astype(h5py.string_dtype()), np.zeros(len(values), bool)
        new["values"].attrs.update({"encoding-type": "string-array", "encoding-version": "0.2.0"})
        new["mask"].attrs.update({"encoding-type": "array", "encoding-version": "0.2.0"})
        new.attrs.update({"encoding-type": "nullable-string-array", "encoding-version": "0.1.0"})


def add_column(frame: h5py.Group, name: str, values: np.ndarray, kind: str = "string-array") -> None:
    """A column put into ``obs`` or ``var`` of an open file that AnnData itself would not write."""
    frame[name] = values.astype(h5py.string_dtype()) if kind == "string-array" else values
    frame[name].attrs.update({"encoding-type": kind, "encoding-version": "0.2.0"})
    frame.attrs["column-order"] = np.array([*frame.attrs["column-order"], name], dtype=h5py.string_dtype())


def zipped(folder: Path, file: Path, *, mac: bool = False) -> None:
    """Zip a folder with its own name on top, and remove it; ``mac`` adds what macOS puts beside each file."""
    with zipfile.ZipFile(file, "w") as archive:
        for path in sorted(folder.rglob("*")):
            inside = path.relative_to(folder.parent)
            archive.write(path, str(inside))
            if mac and path.is_file():
                archive.writestr(f"__MACOSX/{inside.parent}/._{path.name}", b"\0\5\x16\7")
    shutil.rmtree(folder)


def gzipped(adata: AnnData, file: Path) -> None:
    """An h5ad file packed with gzip under any name."""
    plain = file.with_suffix(".tmp")
    adata.write_h5ad(plain)
    with gzip.open(file, "wb") as packed:
        packed.write(plain.read_bytes())
    plain.unlink()


def loom(
    file: Path,
    spliced: np.ndarray,
    unspliced: np.ndarray,
    genes: dict[str, Any],
    cells: dict[str, Any],
    /,
    **layers: np.ndarray,
) -> None:
    """A loom file with attributes of genes and cells; ``layers`` instead of spliced and unspliced where given."""
    import loompy

    layers = layers or {"": spliced, "spliced": spliced, "unspliced": unspliced}
    attributes = [
        {name: np.asarray(v, dtype=object if isinstance(v[0], str) else None) for name, v in axis.items()}
        for axis in (genes, cells)
    ]
    named = {("" if name == "main" else name): matrix.T for name, matrix in layers.items()}
    loompy.create(str(file), named, *attributes)


def two_modalities(file: Path, adata: AnnData) -> None:
    """RNA and ATAC in one file, as MuData writes it."""
    atac = AnnData(np.ones((adata.n_obs, 5), dtype="f4"), obs=pd.DataFrame(index=adata.obs_names))
    about = {"encoding-type": "MuData", "encoding-version": "0.1.0", "encoder": "mudata", "axis": 0}
    with h5py.File(file, "w", userblock_size=512) as stored:
        stored.attrs.update(about)
        stored.create_group("mod").attrs["mod-order"] = np.array(["rna", "atac"], dtype=h5py.string_dtype())
        for name, modality in (("rna", adata), ("atac", atac)):
            ad.io.write_elem(stored["mod"], name, modality)
        ad.io.write_elem(stored, "obs", pd.DataFrame(index=adata.obs_names))
        ad.io.write_elem(stored, "var", pd.DataFrame(index=[*adata.var_names, *atac.var_names]))
    with file.open("r+b") as raw:
        raw.write(b"MuData (format-version=0.1.0;creator=mudata;creator-version=0.3.2)")


def compressed(file: Path, number: int, options: tuple[int, ...], pack: Callable[[bytes], bytes]) -> None:
    """Store the counts of an h5ad file again, each array as one chunk through an HDF5 filter that h5py lacks."""
    with h5py.File(file, "r+") as stored:
        for name in ("spliced", "unspliced"):
            group = stored["layers"][name]
            for part in ("data", "indices", "indptr"):
                values = group[part][:]
                del group[part]
                plan = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
                plan.set_chunk(values.shape)
                plan.set_filter(number, h5py.h5z.FLAG_OPTIONAL, options)
                kind, space = h5py.h5t.py_create(values.dtype), h5py.h5s.create_simple(values.shape)
                new = h5py.h5d.create(group.id, part.encode(), kind, space, plan)
                new.write_direct_chunk((0,), pack(values.tobytes()))
                group[part].attrs.update({"encoding-type": "array", "encoding-version": "0.2.0"})
