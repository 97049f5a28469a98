"""Bad files, one table for the terminal and the app: how each is made, and what must be said about it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import h5py
import numpy as np
import pandas as pd
from anndata import AnnData
from scipy import sparse

N_CELLS, N_GENES = 40, 40  # just enough for the default settings


@dataclass(frozen=True)
class Case:
    """Writes a bad file; words that the sentence about it must hold."""

    write: Callable[[Path], None]
    words: str


def cells(n_cells: int = N_CELLS, n_genes: int = N_GENES) -> AnnData:
    """A small object with nothing wrong in it."""
    rng = np.random.default_rng(0)
    adata = AnnData(
        obs=pd.DataFrame({"clusters": groups(n_cells)}, index=[f"cell{i}" for i in range(n_cells)]),
        var=pd.DataFrame(index=[f"Gene{i}" for i in range(n_genes)]),
    )
    for layer, mean in (("spliced", 4), ("unspliced", 1)):
        counts = rng.poisson(mean, (n_cells, n_genes)).astype(np.float32)
        adata.layers[layer] = sparse.csr_matrix(counts)
    adata.X = adata.layers["spliced"].copy()
    adata.obsm["X_umap"] = rng.normal(size=(n_cells, 2))
    return adata


def groups(n_cells: int) -> pd.Categorical:
    return pd.Categorical(np.resize(["Granule", "Neuroblast"], n_cells))


def written(spoil: Callable[[AnnData], None] = lambda _: None, **size: int) -> Callable[[Path], None]:
    """Write an object after something was done to it."""

    def write(path: Path) -> None:
        adata = cells(**size)
        spoil(adata)
        adata.write_h5ad(path)

    return write


def without(*layers: str) -> Callable[[AnnData], None]:
    def spoil(adata: AnnData) -> None:
        for layer in layers:
            del adata.layers[layer]
        adata.X = None  # it would be taken for the spliced counts

    return spoil


def valued(layer: str, value: float) -> Callable[[AnnData], None]:
    def spoil(adata: AnnData) -> None:
        adata.layers[layer][3, [0, 1]] = value

    return spoil


def counted_in_64_bits(adata: AnnData) -> None:
    counts = adata.layers["spliced"].toarray().astype(np.int64)
    counts[3, 0] = 2**62
    adata.layers["spliced"] = counts


def double(adata: AnnData) -> None:
    counts = adata.layers["spliced"].toarray().astype(np.float64)
    counts[3, 0] = 1e300
    adata.layers["spliced"] = counts


def at_one_point(adata: AnnData) -> None:
    adata.obsm["X_umap"] = np.ones((adata.n_obs, 2))


def nowhere(adata: AnnData) -> None:
    adata.obsm["X_tsne"] = np.full((adata.n_obs, 2), np.nan)


def zeroed(layer: str) -> Callable[[AnnData], None]:
    def spoil(adata: AnnData) -> None:
        adata.layers[layer] = sparse.csr_matrix(adata.shape, dtype=np.float32)

    return spoil


def in_words(adata: AnnData) -> None:
    adata.layers["spliced"] = np.full(adata.shape, "many", dtype=object)


def text(path: Path) -> None:
    path.write_text("cell,gene,count\n", encoding="utf-8")


def truncated(path: Path) -> None:
    written()(path)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def of_two_shapes(path: Path) -> None:
    written()(path)
    with h5py.File(path, "r+") as file:
        file["layers/unspliced"].attrs["shape"] = [N_CELLS, N_GENES - 1]


def same_gene_names(adata: AnnData) -> None:
    adata.var_names = ["Gene1", "Gene1", *adata.var_names[2:]]


def same_cell_names(adata: AnnData) -> None:
    adata.obs_names = ["cell1", "cell1", *adata.obs_names[2:]]


def silent_gene(adata: AnnData) -> None:
    seen = sparse.diags([float(gene != 2) for gene in range(adata.n_vars)])
    for layer in ("spliced", "unspliced"):
        adata.layers[layer] = adata.layers[layer] @ seen


def silent_cell(adata: AnnData) -> None:
    seen = sparse.diags([float(cell != 5) for cell in range(adata.n_obs)])
    for layer in ("spliced", "unspliced"):
        adata.layers[layer] = seen @ adata.layers[layer]


def all_cells_the_first(adata: AnnData) -> None:
    for layer in ("spliced", "unspliced"):
        adata.layers[layer] = sparse.csr_matrix(np.tile(adata.layers[layer].toarray()[:1], (adata.n_obs, 1)))
    adata.X = adata.layers["spliced"].copy()


def logged(adata: AnnData) -> None:
    adata.X = adata.X.log1p()


def group_of_one(adata: AnnData) -> None:
    adata.obs["clusters"] = pd.Categorical(["OPC", *adata.obs["clusters"].iloc[1:]])


def one_group(adata: AnnData) -> None:
    adata.obs["clusters"] = pd.Categorical(["Granule"] * adata.n_obs)


def everything_odd(adata: AnnData) -> None:
    for spoil in (
        same_gene_names, same_cell_names, silent_gene, silent_cell, logged, group_of_one, at_one_point, nowhere,
    ):  # fmt: skip
        spoil(adata)


# Wrong whatever the settings are: wherever the file is opened.
UNUSABLE = {
    "not an h5ad": Case(text, "bad.h5ad is not an h5ad file"),
    "truncated": Case(truncated, "bad.h5ad is truncated: its end is missing"),
    "no spliced": Case(written(without("spliced")), "There is no 'spliced' layer. Found 'unspliced'."),
    "no unspliced": Case(written(without("unspliced")), "There is no 'unspliced' layer. Found 'spliced'."),
    "neither layer": Case(
        written(without("spliced", "unspliced")),
        "There is no 'spliced' and no 'unspliced' layer. The file has no layers at all.",
    ),
    "layers of two shapes": Case(of_two_shapes, "differ in shape (cells x genes): X 40 x 40, spliced 40 x 40, "),
    "negative": Case(written(valued("spliced", -1)), "Layer 'spliced' has 2 negative values"),
    "NaN": Case(written(valued("unspliced", np.nan)), "Layer 'unspliced' has 2 values that are NaN or infinite"),
    "infinity": Case(written(valued("spliced", np.inf)), "Layer 'spliced' has 2 values that are NaN or infinite"),
    "a count of 1e30": Case(written(valued("spliced", 1e30)), "Layer 'spliced' has values up to 1e+30: no cell has"),
    "a count of 1e20": Case(written(valued("unspliced", 1e20)), "Layer 'unspliced' has values up to 1e+20"),
    "a count of 2^62": Case(written(counted_in_64_bits), "Layer 'spliced' has values up to 4.61e+18"),
    "a count beyond single precision": Case(
        written(double), "Layer 'spliced' has 1 value that are NaN or infinite"
    ),
    "all zero": Case(written(zeroed("unspliced")), "Layer 'unspliced' is zero everywhere"),
    "non-numeric": Case(written(in_words), "Layer 'spliced' of bad.h5ad does not hold numbers"),
    "no cell": Case(written(n_cells=0), "Found 0 cells and 40 genes."),
    "one cell": Case(written(n_cells=1), "Found 1 cell and 40 genes."),
    "three cells": Case(written(n_cells=3), "Found 3 cells and 40 genes."),
    "no gene": Case(written(n_genes=0), "Found 40 cells and 0 genes."),
    "one gene": Case(written(n_genes=1), "Found 40 cells and 1 gene."),
}  # fmt: skip

# Good files that the default settings ask too much of.
TOO_SMALL = {
    "fewer cells than neighbours": Case(
        written(n_cells=20),
        "`preparation.n_neighbors` must be below the number of cells. Got 30 for 20 cells",
    ),
}

# Said, and no reason to stop.
ODD = {
    "duplicate gene names": Case(written(same_gene_names), "Duplicate gene names (1: 'Gene1') were made unique"),
    "duplicate cell names": Case(written(same_cell_names), "Duplicate cell names (1: 'cell1') were made unique"),
    "a gene without counts": Case(written(silent_gene), "1 gene without any count."),
    "a cell without counts": Case(written(silent_cell), "1 cell without any count."),
    "X log-transformed": Case(written(logged), "X looks log-transformed (largest "),
    "all cells at one point": Case(written(at_one_point), "All cells lie at one point in 'X_umap': no arrow is"),
    "coordinates of no cell": Case(written(nowhere), "Embedding 'X_tsne' has no coordinates"),
    "a group of one cell": Case(written(group_of_one), "Grouping 'clusters' has 1 group of a single cell: 'OPC'."),
}  # fmt: skip
