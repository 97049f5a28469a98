"""Layouts of other counters and tools, and files in odd wrappings."""

from __future__ import annotations

from pathlib import Path

import anndata as ad
import h5py
import numpy as np
import pandas as pd
from scipy import sparse

from tests.cases.made.cells import barcodes, cells, counts, ens, graph, neighbors
from tests.cases.made.files import compressed, gzipped, loom, two_modalities


def kb_nac_h5ad(out: Path) -> None:
    """kb's nac workflow: layers mature, nascent, ambiguous. Seen in pachterlab/kallistobustools#61."""
    adata = cells(umap=False)
    spliced, unspliced = adata.layers["spliced"], adata.layers["unspliced"]
    amb = sparse.csr_matrix(np.random.default_rng(1).poisson(0.4, adata.shape).astype(np.float32))
    var = pd.DataFrame(
        {"gene_name": pd.Categorical(adata.var_names)}, index=pd.Index(ens(60), name="gene_id")
    )
    obs = pd.DataFrame(index=pd.Index(barcodes(150), name="barcode"))
    ad.AnnData(
        spliced + unspliced + amb,
        obs=obs,
        var=var,
        layers={"mature": spliced, "nascent": unspliced, "ambiguous": amb},
    ).write_h5ad(out / "adata.h5ad")


def dynverse_layers(out: Path) -> None:
    """Layers counts_spliced, counts_unspliced."""
    adata = cells()
    adata.layers["counts_spliced"], adata.layers["counts_unspliced"] = (
        adata.layers.pop("spliced"),
        adata.layers.pop("unspliced"),
    )
    adata.write_h5ad(out / "dyngen.h5ad")


def loom_main_is_spliced(out: Path) -> None:
    """A loom with spliced as its main matrix, layer unspliced. Seen in mengxu98/scop#423."""
    spliced, unspliced, *_ = counts(100, 40)
    loom(
        out / "l.loom",
        spliced,
        unspliced,
        {"Gene": [f"Gene{i}" for i in range(40)]},
        {"CellID": barcodes(100)},
        main=spliced,
        unspliced=unspliced,
    )


def counts_only_in_raw(out: Path) -> None:
    """alevin-fry's USA matrix: genes X, X-U, X-A, no layers. Seen in COMBINE-lab/alevin-fry#31."""
    spliced, unspliced, *_ = counts(120, 40)
    genes = ens(40, False)
    var = pd.DataFrame(index=[*genes, *[gene + "-U" for gene in genes], *[gene + "-A" for gene in genes]])
    ad.AnnData(
        sparse.csr_matrix(np.hstack([spliced, unspliced, unspliced * 0])),
        obs=pd.DataFrame(index=barcodes(120)),
        var=var,
    ).write_h5ad(out / "usa.h5ad")


def starsolo_folder(out: Path) -> None:
    """STARsolo's folder Velocyto/filtered. Seen in alexdobin/STAR#774, scverse/scanpy#1860."""
    from scipy.io import mmwrite

    spliced, unspliced, *_ = counts(60, 40)
    folder = out / "Solo.out" / "Velocyto" / "filtered"
    folder.mkdir(parents=True)
    for name, matrix in (("spliced", spliced), ("unspliced", unspliced), ("ambiguous", unspliced * 0)):
        mmwrite(str(folder / f"{name}.mtx"), sparse.coo_matrix(matrix.T.astype(int)))
    (folder / "barcodes.tsv").write_text("\n".join(barcodes(60)) + "\n")
    (folder / "features.tsv").write_text(
        "".join(f"{gene_id}\tGene{i}\tGene Expression\n" for i, gene_id in enumerate(ens(40)))
    )


def gzipped_h5ad(out: Path) -> None:
    """.h5ad.gz."""
    gzipped(cells(60, 40), out / "GSM0000001_sample.h5ad.gz")


def gzip_named_loom(out: Path) -> None:
    """The same under the name sample.loom."""
    gzipped(cells(60, 40), out / "sample.loom")


def tenx_h5_as_h5ad(out: Path) -> None:
    """10x's count matrix renamed to .h5ad."""
    spliced, *_ = counts(60, 40)
    matrix = sparse.csc_matrix(spliced.T)
    with h5py.File(out / "filtered_feature_bc_matrix.h5ad", "w") as file:
        group = file.create_group("matrix")
        for k in ("data", "indices", "indptr"):
            group[k] = getattr(matrix, k)
        group["shape"], group["barcodes"] = matrix.shape, np.array(barcodes(60), dtype="S18")
        group["features/id"], group["features/name"] = (
            np.array(ens(40), dtype="S"),
            np.array([f"Gene{i}" for i in range(40)], dtype="S"),
        )


def mudata_h5mu(out: Path) -> None:
    """MuData of RNA and ATAC."""
    two_modalities(out / "multi.h5mu", cells(60, 40))


def mudata_as_h5ad(out: Path) -> None:
    """The same under the name .h5ad."""
    two_modalities(out / "multi.h5ad", cells(60, 40))


def hdf5plugin_zstd(out: Path) -> None:
    """Counts compressed with zstd. Seen in scverse/anndata#828."""
    from numcodecs import Zstd

    cells().write_h5ad(out / "z.h5ad")
    compressed(out / "z.h5ad", 32015, (3,), lambda values: bytes(Zstd(level=3).encode(values)))


def unknown_encoding_in_uns(out: Path) -> None:
    """uns entry tool_result of an unknown encoding."""
    adata = cells()
    adata.uns["tool_result"] = {"x": np.arange(3)}
    adata.write_h5ad(out / "u.h5ad")
    with h5py.File(out / "u.h5ad", "r+") as file:
        file["uns/tool_result"].attrs.update({"encoding-type": "xarray-dataset", "encoding-version": "0.3.0"})


def unknown_encoding_in_obs(out: Path) -> None:
    """obs column frac of an unknown encoding."""
    adata = cells(120, 40)
    adata.obs["frac"] = np.linspace(0, 1, 120)
    adata.write_h5ad(out / "u.h5ad")
    with h5py.File(out / "u.h5ad", "r+") as file:
        file["obs/frac"].attrs.update({"encoding-type": "decimal-array", "encoding-version": "0.1.0"})


def zarr_without_ending(out: Path) -> None:
    """The folder sample holds a zarr folder x."""
    (out / "sample").mkdir()
    cells(60, 40).write_zarr(out / "sample" / "x")


def graph_empty_rows(out: Path) -> None:
    """A graph in which 2 cells have no neighbour."""
    adata = cells(120, 40)
    adata.obsm["X_pca"] = np.c_[adata.obsm["X_umap"], np.zeros((120, 3))].astype("f4")
    distances = graph(adata, "X_umap", k=11)[0].tolil()
    distances[[5, 6]] = 0
    distances = sparse.csr_matrix(distances)
    adata.obsp["distances"], adata.obsp["connectivities"] = (
        distances,
        sparse.csr_matrix(((distances + distances.T) > 0).astype("f4")),
    )
    adata.uns["neighbors"] = neighbors()
    adata.uns["neighbors"]["params"]["n_neighbors"] = 11
    adata.write_h5ad(out / "g.h5ad")


def panel_18_genes(out: Path) -> None:
    """A panel of 18 genes."""
    cells(150, 18).write_h5ad(out / "p.h5ad")
