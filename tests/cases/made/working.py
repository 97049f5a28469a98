"""What always worked and must go on working."""

from __future__ import annotations

import shutil
from pathlib import Path

import anndata as ad
import h5py
import numpy as np
import pandas as pd
from scipy import sparse

from tests.cases.made.cells import barcodes, cells, counts, ens, fitted
from tests.cases.made.files import add_column, as_nullable, loom, zipped


def kb_lamanno_loom(out: Path) -> None:
    """kb's loom with gene_name. Seen in pachterlab/kallistobustools#16."""
    spliced, unspliced, *_ = counts()
    loom(
        out / "adata.loom",
        spliced,
        unspliced,
        {"target_name": ens(60), "gene_name": [f"Gene{i}" for i in range(60)]},
        {"barcode": barcodes(150)},
    )


def loom_bytes(out: Path) -> None:
    """Old loom of byte strings, TSNE1, TSNE2, ClusterName."""
    spliced, unspliced, *_ = counts(100, 40)
    with h5py.File(out / "old.loom", "w") as file:
        file["matrix"], file["layers/spliced"], file["layers/unspliced"] = (
            spliced.T,
            spliced.T.astype("u2"),
            unspliced.T.astype("u2"),
        )
        file["row_attrs/Gene"] = np.array([f"Gene{i}" for i in range(40)], dtype="S10")
        file["col_attrs/CellID"] = np.array([f"s:{barcode}x" for barcode in barcodes(100)], dtype="S24")
        file["col_attrs/ClusterName"] = np.array(["a", "b"] * 50, dtype="S4")
        file["col_attrs/TSNE1"], file["col_attrs/TSNE2"] = np.arange(100.0), np.arange(100.0) % 7
        file.create_group("row_graphs")
        file.create_group("col_graphs")
        file.attrs["LOOM_SPEC_VERSION"], file.attrs["CreationDate"] = "2.0.1", "2018"


def seuratdisk_raw_index(out: Path) -> None:
    """raw/var has a column _index. Seen in mojaveazure/seurat-disk#71."""
    adata = cells()
    adata.raw = adata.copy()
    adata.write_h5ad(out / "sd.h5ad")
    with h5py.File(out / "sd.h5ad", "r+") as file:
        var = file["raw/var"]
        var.move("_index", "index")
        var.attrs["_index"] = "index"
        add_column(var, "_index", var["index"][:])


def nullable_int_groups(out: Path) -> None:
    """Nullable integers cl, booleans kept, 14 missing."""
    adata = cells()
    codes = adata.obs["clusters"].cat.codes.to_numpy()
    adata.obs["cl"] = pd.array(
        [int(code) if i % 11 else pd.NA for i, code in enumerate(codes)], dtype="Int64"
    )
    adata.obs["kept"] = pd.array(
        [bool(code) if i % 11 else pd.NA for i, code in enumerate(codes)], dtype="boolean"
    )
    adata.write_h5ad(out / "n.h5ad")


def nullable_categories(out: Path) -> None:
    """Categories as nullable strings."""
    cells(120, 40).write_h5ad(out / "n.h5ad")
    with h5py.File(out / "n.h5ad", "r+") as file:
        as_nullable(file["obs/clusters"], "categories")


def anndata06_legacy(out: Path) -> None:
    """anndata 0.6: compound obs, var, obsm."""
    spliced, unspliced, group, time = counts()

    def put(parent, name, matrix):
        matrix, stored = sparse.csr_matrix(matrix), parent.create_group(name)
        for part in ("data", "indices", "indptr"):
            stored[part] = getattr(matrix, part)
        stored.attrs["h5sparse_format"], stored.attrs["h5sparse_shape"] = b"csr", np.array(matrix.shape)

    names = np.unique(group)
    obs = np.zeros(150, dtype=[("index", "S18"), ("clusters", "i1"), ("n_counts", "f4")])
    obs["index"], obs["clusters"], obs["n_counts"] = (
        [f"{barcode}-1".encode() for barcode in barcodes(150)],
        np.searchsorted(names, group),
        spliced.sum(1),
    )
    var = np.zeros(60, dtype=[("index", "S8")])
    var["index"] = [f"Gene{i}".encode() for i in range(60)]
    obsm = np.zeros(150, dtype=[("X_umap", "f4", (2,)), ("X_pca", "f4", (10,))])
    obsm["X_umap"], obsm["X_pca"] = (
        np.c_[4 * time, np.sin(2 * time)],
        np.random.default_rng(0).normal(size=(150, 10)),
    )
    with h5py.File(out / "old.h5ad", "w") as file:
        put(file, "X", spliced)
        put(file, "raw.X", spliced)
        layers = file.create_group("layers")
        put(layers, "spliced", spliced)
        put(layers, "unspliced", unspliced)
        file["obs"], file["var"], file["raw.var"], file["obsm"] = obs, var, var, obsm
        file["uns/clusters_categories"] = np.array(names, dtype=h5py.string_dtype())


def anndata07_neighbors(out: Path) -> None:
    """anndata 0.7: categories by reference, graphs in uns. Seen in theislab/scvelo#202."""
    from sklearn.neighbors import kneighbors_graph

    adata = cells()
    distances = kneighbors_graph(np.log1p(adata.X.toarray()), 14, mode="distance")
    adata.write_h5ad(out / "old7.h5ad")
    with h5py.File(out / "old7.h5ad", "r+") as file:
        for part in list(file.attrs):
            del file.attrs[part]
        codes, cats = file["obs/clusters/codes"][:], file["obs/clusters/categories"][:]
        del file["obs/clusters"]
        file["obs/__categories/clusters"], file["obs/clusters"] = cats.astype(h5py.string_dtype()), codes
        file["obs/clusters"].attrs["categories"] = file["obs/__categories/clusters"].ref
        file["obs"].attrs["encoding-version"] = file["var"].attrs["encoding-version"] = "0.1.0"
        graphs = file.create_group("uns/neighbors")
        for name, matrix in (("distances", distances), ("connectivities", (distances + distances.T) > 0)):
            stored, matrix = graphs.create_group(name), sparse.csr_matrix(matrix.astype("f4"))
            for part in ("data", "indices", "indptr"):
                stored[part] = getattr(matrix, part)
            stored.attrs.update(
                {"encoding-type": "csr_matrix", "encoding-version": "0.1.0", "shape": np.array(matrix.shape)}
            )
        graphs["params/method"], graphs["params/n_neighbors"], graphs["params/metric"] = "umap", 15, "cosine"


def zarr_v3_zip(out: Path) -> None:
    """Zipped zarr of formats 2 and 3. Seen in scverse/anndata#1971."""
    for version in (2, 3):
        with ad.settings.override(zarr_write_format=version):
            cells(80, 50).write_zarr(out / f"v{version}.zarr")
        zipped(out / f"v{version}.zarr", out / f"v{version}.zarr.zip")


def zarr_mac_zip(out: Path) -> None:
    """Zarr zipped on a Mac (__MACOSX inside)."""
    cells(80, 50).write_zarr(out / "c.zarr")
    zipped(out / "c.zarr", out / "c.zarr.zip", mac=True)


def upper_case_ending(out: Path) -> None:
    """SAMPLE.H5AD."""
    cells(60, 40).write_h5ad(out / "SAMPLE.H5AD")


def lzf_compression(out: Path) -> None:
    """Compressed with lzf."""
    cells().write_h5ad(out / "z.h5ad", compression="lzf")


def odd_storage(out: Path) -> None:
    """Layers as uint16 and booleans, CSC."""
    adata = cells()
    adata.X = sparse.csc_matrix(adata.X)
    adata.layers["spliced"] = sparse.csc_matrix(adata.layers["spliced"]).astype("uint16")
    adata.layers["unspliced"] = adata.layers["unspliced"] > 0
    adata.write_h5ad(out / "odd.h5ad")


def slashes_everywhere(out: Path) -> None:
    """Genes HLA/Gene0, a column CD4/CD8, cells 0, 1, 2, ."""
    adata = cells()
    adata.obs_names, adata.var_names = (
        [str(i) for i in range(150)],
        [f"HLA/{gene}" for gene in adata.var_names],
    )
    adata.write_h5ad(out / "s.h5ad")
    with h5py.File(out / "s.h5ad", "r+") as file:
        add_column(file["obs"], "CD4/CD8", np.linspace(0, 1, 150), "array")


def empty_gene_names(out: Path) -> None:
    """Genes called '', 'nan', 'nan'."""
    adata = cells()
    names = list(adata.var_names)
    names[3:6] = ["", "nan", "nan"]
    adata.var_names = names
    adata.write_h5ad(out / "e.h5ad")


def empty_columns(out: Path) -> None:
    """Columns that are all NA, and of bytes."""
    adata = cells()
    adata.obs["note"], adata.obs["condition"] = (
        np.full(150, np.nan),
        pd.Categorical([None] * 150, categories=["x"]),
    )
    adata.write_h5ad(out / "e.h5ad")
    with h5py.File(out / "e.h5ad", "r+") as file:
        add_column(file["obs"], "plate", np.array([b"p1", b"p2"] * 75), "array")


def embeddings_differ_in_case(out: Path) -> None:
    """X_umap and X_UMAP. Seen in scverse/anndata#2576."""
    adata = cells(120, 40)
    adata.obsm["X_UMAP"] = adata.obsm["X_umap"][:, ::-1].copy()
    adata.write_h5ad(out / "e.h5ad")


def two_umaps(out: Path) -> None:
    """X_umap, X_umap_scvi, X_mde, spatial."""
    adata = cells()
    umap = adata.obsm["X_umap"]
    adata.obsm["X_umap_scvi"], adata.obsm["X_mde"], adata.obsm["spatial"] = (
        umap[:, ::-1].copy(),
        umap * 0.1,
        umap * 100,
    )
    adata.write_h5ad(out / "u.h5ad")


def umap_3d(out: Path) -> None:
    """X_umap of three dimensions. Seen in theislab/scvelo#220."""
    adata = cells()
    adata.obsm["X_umap"] = np.c_[adata.obsm["X_umap"], np.random.default_rng(0).normal(size=150)]
    adata.write_h5ad(out / "u.h5ad")


def umap_float16(out: Path) -> None:
    """X_umap in half floats, X_tsne in whole numbers."""
    adata = cells()
    adata.obsm["X_umap"] = adata.obsm["X_umap"].astype("float16")
    adata.obsm["X_tsne"] = (adata.obsm["X_umap"] * 10).astype("int32")
    adata.write_h5ad(out / "u.h5ad")


def outer_concat_nan(out: Path) -> None:
    """Layers with 320 NaN (outer concat)."""
    first, second = cells(80, 50), cells(80, 50, seed=1)
    for k, adata in enumerate((first, second)):
        adata.obs_names, adata.X = [f"{n}-{k}" for n in adata.obs_names], adata.X.toarray()
        for layer in adata.layers:
            adata.layers[layer] = adata.layers[layer].toarray()
    ad.concat([first, second[:, :46].copy()], join="outer").write_h5ad(out / "o.h5ad")


def tpm_layers(out: Path) -> None:
    """TPM instead of counts."""
    adata = cells()
    total = (adata.layers["spliced"] + adata.layers["unspliced"]).sum(1).A1[:, None]
    for k in ("spliced", "unspliced"):
        adata.layers[k] = sparse.csr_matrix((1e6 * adata.layers[k].toarray() / total).astype("f4"))
    adata.write_h5ad(out / "t.h5ad")


def smartseq_reads(out: Path) -> None:
    """Smart-seq reads, up to 214,200 in a gene."""
    adata = cells(depth=60)
    for k in ("spliced", "unspliced"):
        adata.layers[k] = sparse.csr_matrix(adata.layers[k].toarray() * 900)
    adata.X = adata.layers["spliced"].copy()
    adata.write_h5ad(out / "s.h5ad")


def two_percent_unspliced(out: Path) -> None:
    """3% of the counts are unspliced. Seen in theislab/scvelo#193."""
    cells(unspliced=0.012, depth=12, n_genes=80).write_h5ad(out / "u.h5ad")


def mostly_unspliced(out: Path) -> None:
    """82% of the counts are unspliced. Seen in theislab/scvelo#926."""
    cells(unspliced=9, depth=3, n_genes=50).write_h5ad(out / "u.h5ad")


def panel_50_genes(out: Path) -> None:
    """A panel of 50 genes."""
    cells(150, 50).write_h5ad(out / "p.h5ad")


def single_group(out: Path) -> None:
    """One group all."""
    adata = cells()
    adata.obs["clusters"] = pd.Categorical(["all"] * 150)
    adata.write_h5ad(out / "s.h5ad")


def integer_categories(out: Path) -> None:
    """Groups 0, 1, 2; colours tab:blue, C1. Seen in theislab/scvelo#88."""
    adata = cells()
    adata.obs["clusters"] = pd.Categorical(adata.obs["clusters"].cat.codes.to_numpy().astype(int))
    adata.obs["const"], adata.uns["clusters_colors"] = (
        pd.Categorical([0] * 150),
        ["tab:blue", "C1", "#123456"],
    )
    adata.write_h5ad(out / "i.h5ad")


def group_angle_brackets(out: Path) -> None:
    """Groups CD14<hi>, <i>Sox2</i>+."""
    adata = cells(150, 40)
    adata.obs["clusters"] = pd.Categorical(
        np.array(["CD14<hi>", "CD14<lo>", "<i>Sox2</i>+"])[adata.obs["clusters"].cat.codes]
    )
    adata.write_h5ad(out / "g.h5ad")


def leftovers_of_scvelo(out: Path) -> None:
    """Moments (a gene NaN, a gene zero) and leftovers of a fit."""
    adata = cells(100, 40)
    adata.layers["velocity"], adata.layers["fit_t"] = np.full(adata.shape, np.nan), np.zeros(adata.shape)
    adata.layers["Ms"], adata.layers["Mu"] = (
        adata.layers[k].toarray().astype("f8") for k in ("spliced", "unspliced")
    )
    adata.layers["Ms"][:, 0], adata.layers["Mu"][:, 1], adata.layers["Ms"][:, 1] = np.nan, 0, 0
    adata.var["fit_alpha"], adata.var["velocity_genes"], adata.obs["velocity_pseudotime"] = np.nan, True, 0.5
    adata.uns["velocity_graph"], adata.uns["recover_dynamics"] = (
        sparse.csr_matrix((100, 100)),
        {"fit_connected_states": True},
    )
    adata.write_h5ad(out / "l.h5ad")


def moments_few_genes(out: Path) -> None:
    """Moments of 10 genes, NaN in 30."""
    adata = cells(120, 40)
    adata.layers["Ms"], adata.layers["Mu"] = (
        adata.layers["spliced"].toarray(),
        adata.layers["unspliced"].toarray(),
    )
    adata.layers["Ms"][:, 10:] = np.nan
    adata.write_h5ad(out / "m.h5ad")


def disconnected(out: Path) -> None:
    """Two tissues that share no gene."""
    first, second = cells(80, 40), cells(80, 40, seed=2)
    second.obs["clusters"], second.obs_names = (
        pd.Categorical("blood " + second.obs["clusters"].astype(str)),
        [f"{n}-b" for n in second.obs_names],
    )
    second.obsm["X_umap"] += 60
    for k in ("spliced", "unspliced"):
        first.layers[k] = sparse.csr_matrix(first.layers[k].toarray() * (np.arange(40) < 20))
        second.layers[k] = sparse.csr_matrix(second.layers[k].toarray() * (np.arange(40) >= 20))
    both = ad.concat([first, second])
    both.obs["clusters"], both.X = (
        pd.Categorical(both.obs["clusters"].astype(str)),
        both.layers["spliced"].copy(),
    )
    both.write_h5ad(out / "d.h5ad")


def upsampled_cells(out: Path) -> None:
    """Every cell four times. Seen in theislab/scvelo#774."""
    adata = cells(60, 40)[np.repeat(np.arange(60), 4)].copy()
    adata.obs_names_make_unique()
    adata.write_h5ad(out / "u.h5ad")


def velovi_result(out: Path) -> None:
    """veloVI's result: 30 genes, no velocity_genes."""
    adata = fitted()
    adata.write_h5ad(out / "first.h5ad")
    other = adata[:, :30].copy()
    del other.var["velocity_genes"], other.obsm["velocity_umap"]
    other.layers["velocity"], other.layers["latent_time_velovi"] = (
        other.layers["velocity"].astype("f8") / 3,
        np.random.default_rng(0).uniform(size=other.shape),
    )
    for k in ("fit_beta", "fit_gamma", "fit_scaling", "fit_t_"):
        other.var[k] = 1.0
    other.write_h5ad(out / "velovi.h5ad")


def unitvelo_result(out: Path) -> None:
    """UniTVelo's result: NaN outside of 20 genes."""
    adata = fitted()
    adata.write_h5ad(out / "first.h5ad")
    adata.var["velocity_genes"], adata.layers["velocity"][:, 1::2] = np.arange(40) % 2 == 0, np.nan
    adata.obs["latent_time"], adata.layers["fit_t"] = np.linspace(0, 1, 120), np.ones(adata.shape)
    adata.write_h5ad(out / "unitvelo.h5ad")


def shuffled_without_graph(out: Path) -> None:
    """The same fit twice, one with its cells in another order and no graph. Seen in theislab/scvelo#853."""
    adata = fitted()
    adata.write_h5ad(out / "first.h5ad")
    other = adata[np.random.default_rng(0).permutation(120)].copy()
    del (
        other.obsp["distances"],
        other.obsp["connectivities"],
        other.uns["neighbors"],
        other.obsm["velocity_umap"],
    )
    other.write_h5ad(out / "other.h5ad")


def first_umap_table(out: Path) -> None:
    """A fit whose X_umap is a table, velocity in half floats."""
    adata = fitted()
    adata.obsm["X_umap"] = pd.DataFrame(adata.obsm["X_umap"], index=adata.obs_names, columns=["U1", "U2"])
    adata.layers["velocity"] = adata.layers["velocity"].astype("f2")
    adata.write_h5ad(out / "first.h5ad")
    adata.write_h5ad(out / "other.h5ad")


def result_nullable_names(out: Path) -> None:
    """A fit with names as nullable strings."""
    fitted().write_h5ad(out / "first.h5ad")
    shutil.copy(out / "first.h5ad", out / "other.h5ad")
    with h5py.File(out / "other.h5ad", "r+") as file:
        as_nullable(file["obs"], "_index")
        as_nullable(file["var"], "_index")


def result_csc(out: Path) -> None:
    """A fit with layers as CSC."""
    adata = fitted()
    adata.write_h5ad(out / "first.h5ad")
    adata.layers["velocity"], adata.layers["Ms"] = (
        sparse.csc_matrix(adata.layers["velocity"]),
        sparse.csc_matrix(adata.layers["Ms"]),
    )
    adata.write_h5ad(out / "other.h5ad")
