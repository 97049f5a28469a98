"""Data derived from prepared data: fewer genes, the shuffled control and the steady-state control."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from anndata import AnnData
from scipy import sparse

from deepvelo import checks, keys
from deepvelo.arrays import matrices
from deepvelo.contents import graphs
from deepvelo.contents.count_kinds import count_kind
from deepvelo.errors import InputError

if TYPE_CHECKING:
    from deepvelo.config import Settings


def most_variable(adata: AnnData, n_genes: int) -> AnnData:
    """The genes that `deepvelo.pp.prepare` finds most variable, with the moments and neighbours they have.

    By the dispersion of log-normalised spliced counts; sizes are totals over the genes there are.

    Returns
    -------
    A new object, genes in their order.

    Raises
    ------
    InputError
        There are fewer genes.
    """
    import scanpy as sc

    if n_genes > adata.n_vars:
        msg = f"The {n_genes} most variable genes were asked for. Found {adata.n_vars} in the run. Ask for fewer."
        raise InputError(msg)
    logged = AnnData(matrices.as_csr(adata.layers[keys.SPLICED]))
    if checks.has_counts(adata):
        sc.pp.normalize_total(logged)
    sc.pp.log1p(logged)
    sc.pp.highly_variable_genes(logged, flavor="seurat", n_top_genes=n_genes)
    return adata[:, logged.var["highly_variable"].to_numpy()].copy()


def shuffled_control(adata: AnnData, settings: Settings, *, group_key: str, seed: int) -> AnnData:
    """The data with unspliced counts permuted among the cells of each group, prepared anew: nothing moves on there.

    Every unspliced molecule goes to a random cell of its group, so that each cell keeps its number of them and each
    gene its number in the group: what unspliced RNA tells of a cell beyond its group and its depth is lost. Values
    that are no counts cannot be dealt out; of those, whole cells' profiles change places.

    Parameters
    ----------
    adata
        As `deepvelo.pp.prepare` leaves it; not changed.
    settings
        Those it was prepared with.
    group_key
        Grouping in ``obs``; a cell that is alone in its group keeps its counts.

    Returns
    -------
    As `deepvelo.pp.prepare` leaves it, genes and embeddings those of ``adata``. Moments and neighbours are new: the old
    ones were made from the unspliced counts as well, and a control that kept them would keep their order.
    """
    permute = _permute_molecules if count_kind(adata) == "counts" else _permute_cells
    groups = adata.obs[group_key].astype(str).to_numpy()
    shuffled = permute(matrices.as_csr(adata.layers[keys.UNSPLICED]), groups, seed=seed)
    return _prepare_again(adata, shuffled, settings, group_key=group_key)


def steady_state_control(adata: AnnData, settings: Settings, *, group_key: str, seed: int) -> AnnData:
    """The data with unspliced counts as they would be at steady state, prepared anew: no cell moves.

    Unspliced molecules are drawn anew (Poisson) around each cell's own spliced counts times the gene's ratio of
    unspliced to spliced counts over all cells. So every gene lies on its steady-state line in every cell but for
    counting noise, and no direction is true. What a cell has of unspliced RNA in all is drawn too: in cells scaled to
    one size that number alone can give arrows a direction.

    Parameters
    ----------
    adata
        As `deepvelo.pp.prepare` leaves it; not changed. Values that are not whole, as of cells scaled to one size,
        count in units of the cell's smallest.
    settings, group_key
        Those it was prepared with.

    Returns
    -------
    As `shuffled_control`. A gene without spliced counts has no unspliced ones either.
    """
    spliced, unspliced = (matrices.as_csr(adata.layers[key]) for key in (keys.SPLICED, keys.UNSPLICED))
    return _prepare_again(
        adata, _steady_state_counts(unspliced, spliced, seed=seed), settings, group_key=group_key
    )


def _prepare_again(
    adata: AnnData, unspliced: sparse.csr_matrix, settings: Settings, *, group_key: str
) -> AnnData:
    from deepvelo import config
    from deepvelo.pp.prepare import prepare

    counts = AnnData(
        obs=adata.obs,
        var=adata.var,
        layers={keys.SPLICED: adata.layers[keys.SPLICED], keys.UNSPLICED: unspliced},
        obsm={key: value for key, value in adata.obsm.items() if key != keys.X_PCA},
        uns={key: value for key, value in adata.uns.items() if key != keys.NEIGHBORS},
    )
    requested = settings.preparation.compare_in
    every_gene = {
        # The graph and the components were made from the counts that were replaced; a representation was not.
        "compare_in": requested if requested in ("own", *graphs.representations(counts)) else "auto",
        "min_shared_counts": 0,
        "n_top_genes": max(2, adata.n_vars),
        "recompute_embedding": False,
    }
    return prepare(counts, config.replace(settings, {"preparation": every_gene}), cluster_key=group_key)


def _steady_state_counts(
    unspliced: sparse.csr_matrix, spliced: sparse.csr_matrix, *, seed: int
) -> sparse.csr_matrix:
    """Poisson counts around ratio x spliced, in the units of each cell's unspliced counts."""
    of_u, of_s = (np.asarray(layer.sum(axis=0)).ravel() for layer in (unspliced, spliced))
    ratio = np.divide(of_u, of_s, out=np.zeros_like(of_u), where=of_s > 0)
    expected = sparse.csr_matrix(spliced.multiply(ratio))
    unit = np.repeat(_units(unspliced), np.diff(expected.indptr))
    drawn = np.random.default_rng(seed).poisson(expected.data / unit) * unit
    steady_state = sparse.csr_matrix(
        (drawn.astype(np.float32), expected.indices, expected.indptr), expected.shape
    )
    steady_state.eliminate_zeros()
    return steady_state


def _units(counts: sparse.csr_matrix) -> np.ndarray:
    """What one molecule counts in each cell: 1, or a cell's smallest value where values are not whole."""
    units = np.ones(counts.shape[0])
    if not matrices.is_whole(counts):
        for cell, own in enumerate(np.split(counts.data, counts.indptr[1:-1])):
            units[cell] = own[own > 0].min(initial=np.inf) if (own > 0).any() else 1.0
    return units


def _permute_molecules(counts: sparse.csr_matrix, groups: np.ndarray, *, seed: int) -> sparse.csr_matrix:
    """The molecules of each group dealt anew to its cells; totals of cells and, by group, of genes stay."""
    rng = np.random.default_rng(seed)
    cells, genes = [], []
    for group in np.unique(groups):
        members = np.flatnonzero(groups == group)
        own = counts[members].tocoo()
        times = own.data.astype(np.int64)
        cells.append(np.repeat(members[own.row], times))
        genes.append(rng.permutation(np.repeat(own.col, times)))
    cell, gene = np.concatenate(cells), np.concatenate(genes)
    molecules = np.ones(len(cell), dtype=counts.dtype)
    return sparse.csr_matrix((molecules, (cell, gene)), shape=counts.shape)  # equal places are added up


def _permute_cells(values: sparse.csr_matrix, groups: np.ndarray, *, seed: int) -> sparse.csr_matrix:
    """Whole rows permuted within each group."""
    rng = np.random.default_rng(seed)
    source = np.arange(len(groups))
    for group in np.unique(groups):
        members = np.flatnonzero(groups == group)
        source[members] = rng.permutation(members)
    return values[source]
