"""The same counts as every counter and tool writes them, for tests of reading."""

from __future__ import annotations

import gzip
import shutil
import tarfile
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import anndata as ad
import h5py
import numpy as np
import pandas as pd
from scipy import sparse

TEXT = h5py.string_dtype()


@dataclass(frozen=True)
class Counts:
    """Cells x genes, sparse; ids and symbols of genes."""

    spliced: sparse.csr_matrix
    unspliced: sparse.csr_matrix
    ambiguous: sparse.csr_matrix
    cells: list[str]
    ids: list[str]
    symbols: list[str]

    @property
    def layers(self) -> dict[str, sparse.csr_matrix]:
        return {"spliced": self.spliced, "unspliced": self.unspliced, "ambiguous": self.ambiguous}


def small_counts(n_cells: int = 7, n_genes: int = 5, *, seed: int = 0) -> Counts:
    rng = np.random.default_rng(seed)
    layers = [
        sparse.csr_matrix(rng.poisson(mean, (n_cells, n_genes)) + np.eye(n_cells, n_genes, dtype=int))
        for mean in (2, 1, 0.2)
    ]
    barcodes = ["".join(rng.choice(list("ACGT"), 16)) for _ in range(n_cells)]
    ids = [f"ENSMUSG{i:011d}.{i % 3 + 1}" for i in range(n_genes)]
    return Counts(*layers, cells=barcodes, ids=ids, symbols=[f"Gene{i}" for i in range(n_genes)])


def write_text(path: Path, lines: list[str]) -> Path:
    """Lines, packed where the name ends in .gz."""
    path.parent.mkdir(parents=True, exist_ok=True)
    content = "".join(f"{line}\n" for line in lines).encode()
    path.write_bytes(gzip.compress(content, 1) if path.suffix == ".gz" else content)
    return path


def write_mtx(path: Path, *matrices: Any) -> Path:
    """A MatrixMarket file; several matrices as value columns beside each other."""
    union = sparse.coo_matrix(sum(abs(sparse.csr_matrix(m)) for m in matrices) != 0)
    columns = [np.asarray(sparse.csr_matrix(m)[union.row, union.col]).ravel() for m in matrices]
    kind = "integer" if all(np.array_equal(c, np.rint(c)) for c in columns) else "real"
    form = "%d" if kind == "integer" else "%.6g"
    body = pd.DataFrame({"row": union.row + 1, "col": union.col + 1} | dict(enumerate(columns)))
    lines = [
        f"%%MatrixMarket matrix coordinate {kind} general",
        "%",
        f"{union.shape[0]} {union.shape[1]} {union.nnz}",
    ]
    lines += [
        " ".join([f"{row[0]:.0f}", f"{row[1]:.0f}", *(form % x for x in row[2:])]) for row in body.to_numpy()
    ]
    return write_text(path, lines)


def features(counts: Counts) -> list[str]:
    return [f"{i}\t{s}\tGene Expression" for i, s in zip(counts.ids, counts.symbols, strict=True)]


def starsolo(counts: Counts, folder: Path, *, inside: str = "filtered", packed: str = "") -> Path:
    velocyto = folder / "Solo.out" / "Velocyto" / inside
    for name, matrix in counts.layers.items():
        write_mtx(velocyto / f"{name}.mtx{packed}", matrix.T)
    write_text(velocyto / f"barcodes.tsv{packed}", counts.cells)
    write_text(velocyto / f"features.tsv{packed}", features(counts))
    return folder / "Solo.out"


def starsolo_three_columns(counts: Counts, folder: Path) -> Path:
    velocyto = folder / "Solo.out" / "Velocyto" / "raw"
    write_mtx(velocyto / "matrix.mtx", *(matrix.T for matrix in counts.layers.values()))
    write_text(velocyto / "barcodes.tsv", counts.cells)
    write_text(velocyto / "features.tsv", features(counts))
    return folder / "Solo.out"


def kb_nac(counts: Counts, folder: Path, *, inside: str = "counts_filtered") -> Path:
    for name, matrix in (
        ("mature", counts.spliced),
        ("nascent", counts.unspliced),
        ("ambiguous", counts.ambiguous),
    ):
        write_mtx(folder / "kb" / inside / f"cells_x_genes.{name}.mtx", matrix)
    write_mtx(folder / "kb" / inside / "cells_x_genes.total.mtx", sum(counts.layers.values()))
    for name, lines in (("barcodes", counts.cells), ("genes", counts.ids), ("genes.names", counts.symbols)):
        write_text(folder / "kb" / inside / f"cells_x_genes.{name}.txt", lines)
    return folder / "kb"


def kb_lamanno(counts: Counts, folder: Path) -> Path:
    """Each matrix with cells of its own, in its own order; the spliced one has a cell more."""
    inside = folder / "kb" / "counts_unfiltered"
    extra = sparse.vstack([counts.spliced, counts.spliced[:1]])
    write_mtx(inside / "spliced.mtx", extra)
    write_mtx(inside / "unspliced.mtx", counts.unspliced[::-1])
    write_text(inside / "spliced.barcodes.txt", [*counts.cells, "A" * 16])
    write_text(inside / "unspliced.barcodes.txt", counts.cells[::-1])
    for name in ("spliced", "unspliced"):
        write_text(inside / f"{name}.genes.txt", counts.ids)
    return folder / "kb"


def alevin_fry(counts: Counts, folder: Path) -> Path:
    inside = folder / "simpleaf_out" / "af_quant" / "alevin"
    write_mtx(inside / "quants_mat.mtx", sparse.hstack([counts.spliced, counts.unspliced, counts.ambiguous]))
    write_text(inside / "quants_mat_rows.txt", counts.cells)
    write_text(
        inside / "quants_mat_cols.txt", [gene + copy for copy in ("", "-U", "-A") for gene in counts.ids]
    )
    names = [f"{i}\t{s}" for i, s in zip(counts.ids, counts.symbols, strict=True)]
    write_text(inside.parent / "gene_id_to_name.tsv", names)
    return folder / "simpleaf_out"


def alevin_fry_h5ad(counts: Counts, folder: Path) -> Path:
    genes = [gene + copy for copy in ("", "-U", "-A") for gene in counts.ids]
    x = sparse.hstack([counts.spliced, counts.unspliced, counts.ambiguous], format="csr").astype("float32")
    ad.AnnData(x, obs=pd.DataFrame(index=counts.cells), var=pd.DataFrame(index=genes)).write_h5ad(
        folder / "usa.h5ad"
    )
    return folder / "usa.h5ad"


def dnbelab(counts: Counts, folder: Path) -> Path:
    inside = folder / "RNAvelocity_matrix"
    for name, matrix in (
        ("spliced", counts.spliced),
        ("unspliced", counts.unspliced),
        ("spanning", counts.ambiguous),
    ):
        write_mtx(inside / f"{name}.mtx.gz", matrix.T)
    write_text(inside / "barcodes.tsv.gz", counts.cells)
    write_text(inside / "features.tsv.gz", counts.ids)
    return inside


def from_r(counts: Counts, folder: Path) -> Path:
    """dropEst's names, written by `write.csv`, which adds a title line, quotes and row numbers."""
    for name, matrix in (
        ("exon", counts.spliced),
        ("intron", counts.unspliced),
        ("spanning", counts.ambiguous),
    ):
        write_mtx(folder / "r" / f"GSM1_{name}.mtx", matrix.T)
    for name, names in (("barcodes", counts.cells), ("genes", counts.ids)):
        lines = [f'"{i + 1}","{found}"' for i, found in enumerate(names)]
        write_text(folder / "r" / f"GSM1_{name}.csv", ['"","x"', *lines])
    return folder / "r"


def folders(counts: Counts, folder: Path) -> Path:
    """A folder for each layer, as DropletUtils writes them."""
    for name, matrix in counts.layers.items():
        write_mtx(folder / "counts" / name / "matrix.mtx.gz", matrix.T)
        write_text(folder / "counts" / name / "barcodes.tsv.gz", counts.cells)
        write_text(folder / "counts" / name / "features.tsv.gz", features(counts))
    return folder / "counts"


def as_anndata(counts: Counts) -> ad.AnnData:
    return ad.AnnData(
        obs=pd.DataFrame(
            {"clusters": pd.Categorical(["a", "b"] * len(counts.cells))[: len(counts.cells)]},
            index=counts.cells,
        ),
        var=pd.DataFrame({"gene_name": counts.symbols}, index=counts.ids),
        layers={name: sparse.csr_matrix(matrix, dtype="float32") for name, matrix in counts.layers.items()},
    )


def h5ad(counts: Counts, folder: Path) -> Path:
    as_anndata(counts).write_h5ad(folder / "cells.h5ad")
    return folder / "cells.h5ad"


def h5ad_packed(counts: Counts, folder: Path) -> Path:
    path = h5ad(counts, folder)
    with path.open("rb") as file, gzip.open(f"{path}.gz", "wb", compresslevel=1) as packed:
        shutil.copyfileobj(file, packed)
    path.unlink()
    return Path(f"{path}.gz")


def zarr_folder(counts: Counts, folder: Path) -> Path:
    """Without an ending, in a folder of its own."""
    as_anndata(counts).write_zarr(folder / "sample" / "x")
    return folder / "sample"


def loom(counts: Counts, folder: Path) -> Path:
    """With byte strings, as velocyto's, but written without loompy, which takes seconds to import."""
    with h5py.File(folder / "cells.loom", "w") as file:
        file["matrix"] = sum(counts.layers.values()).toarray().T
        for name, matrix in counts.layers.items():
            file[f"layers/{name}"] = matrix.toarray().T
        file["row_attrs/Accession"], file["row_attrs/Symbol"] = (
            np.array(counts.ids, "S"),
            np.array(counts.symbols, "S"),
        )
        file["col_attrs/CellID"] = np.array(counts.cells, "S")
        file.create_group("row_graphs")
        file.create_group("col_graphs")
        file.attrs["LOOM_SPEC_VERSION"] = "2.0.1"
    return folder / "cells.loom"


def mudata(counts: Counts, folder: Path) -> Path:
    atac = ad.AnnData(np.ones((len(counts.cells), 2), "float32"), obs=pd.DataFrame(index=counts.cells))
    with h5py.File(folder / "cells.h5mu", "w", userblock_size=512) as file:
        file.attrs.update({"encoding-type": "MuData", "encoding-version": "0.1.0", "axis": 0})
        for name, one in (("rna", as_anndata(counts)), ("atac", atac)):
            ad.io.write_elem(file.require_group("mod"), name, one)
    return folder / "cells.h5mu"


def h5seurat(counts: Counts, folder: Path) -> Path:
    """Assays by columns of cells, factors from 1, missing values of integers and logicals as R has them."""
    n = len(counts.cells)
    with h5py.File(folder / "cells.h5Seurat", "w") as file:
        file.attrs["active.assay"] = "spliced"
        file.create_dataset("cell.names", data=counts.cells, dtype=TEXT)
        for name, matrix in counts.layers.items():
            assay = file.create_group(f"assays/{name}")
            assay.create_dataset("features", data=counts.ids, dtype=TEXT)
            part, by_cells = assay.create_group("counts"), sparse.csc_matrix(matrix.T, dtype="float64")
            part.attrs["dims"] = by_cells.shape
            for array in ("data", "indices", "indptr"):
                part[array] = getattr(by_cells, array)
        meta = file.create_group("meta.data")
        meta.create_dataset("celltype/levels", data=["B cell", "T cell"], dtype=TEXT)
        meta["celltype/values"] = np.array([1, 2, -(2**31), *[1] * n][:n], "int32")
        meta["doublet"] = np.array([0, 1, 2, *[0] * n][:n], "int32")
        meta["doublet"].attrs["s3class"] = "logical"
        meta["nCount"] = np.arange(n, dtype="float64")
        file["reductions/umap/cell.embeddings"] = np.arange(2.0 * n).reshape(2, n)
    return folder / "cells.h5Seurat"


def zipped(path: Path) -> Path:
    """A folder with its own name on top, and what macOS puts beside each file."""
    with zipfile.ZipFile(f"{path}.zip", "w") as archive:
        for file in sorted(path.rglob("*")):
            if file.is_file():
                archive.write(file, f"{path.name}/{file.relative_to(path)}")
                archive.writestr(f"__MACOSX/{path.name}/._{file.name}", b"\0\5\x16\7")
    shutil.rmtree(path)
    return Path(f"{path}.zip")


def tarred(path: Path) -> Path:
    with tarfile.open(f"{path}.tar.gz", "w:gz", compresslevel=1) as archive:
        archive.add(path, arcname=path.name)
    shutil.rmtree(path)
    return Path(f"{path}.tar.gz")


FORMATS: dict[str, Callable[[Counts, Path], Path]] = {
    "STARsolo": starsolo,
    "STARsolo packed": lambda counts, folder: starsolo(counts, folder, packed=".gz"),
    "STARsolo raw": lambda counts, folder: starsolo(counts, folder, inside="raw"),
    "STARsolo three columns": starsolo_three_columns,
    "kb nac": kb_nac,
    "kb lamanno": kb_lamanno,
    "alevin-fry": alevin_fry,
    "alevin-fry h5ad": alevin_fry_h5ad,
    "DNBelab": dnbelab,
    "dropEst from R": from_r,
    "a folder for each layer": folders,
    "h5ad": h5ad,
    "h5ad.gz": h5ad_packed,
    "zarr without ending": zarr_folder,
    "loom": loom,
    "MuData": mudata,
    "h5Seurat": h5seurat,
    "zipped STARsolo": lambda counts, folder: zipped(starsolo(counts, folder)),
    "tar.gz of kb": lambda counts, folder: tarred(kb_nac(counts, folder)),
}
"""Every way to write the same counts; each returns the path to read."""
