"""Data derived from prepared data: fewer genes or cells, the shuffled control and the steady-state control."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

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
    """Select the most variable genes as `deepvelo.pp.prepare.prepare` does, keeping moments and neighbours.

    Genes are ranked by the dispersion of spliced counts, normalised by totals over the given genes and logarithmised.

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


def of_cells(adata: AnnData, cells: np.ndarray) -> AnnData:
    """Select cells, with their counts, annotation and embeddings, to be prepared again.

    Moments, neighbours and principal components are left out, because those of other cells are among them.

    Parameters
    ----------
    adata
        Has the layers ``spliced`` and ``unspliced``; not changed.
    cells
        Whether each cell is selected, shape ``(n_cells,)``.

    Returns
    -------
    A new object. Groups without cells are no categories any more; colours and genes stay.
    """
    layers = {key: matrices.as_csr(adata.layers[key]) for key in (keys.SPLICED, keys.UNSPLICED)}
    return _counts_of(adata, layers)[cells].copy()


def shuffled_control(adata: AnnData, settings: Settings, *, group_key: str, seed: int) -> AnnData:
    """Permute unspliced counts among the cells of each group and prepare the data again.

    Every unspliced molecule moves to a random cell of its group. Each cell keeps its number of molecules and each gene
    its number in the group, so unspliced RNA carries no information on a cell beyond its group and depth. Values that
    are not counts are permuted as whole profiles of cells.

    Parameters
    ----------
    adata
        As `deepvelo.pp.prepare.prepare` leaves it; not changed.
    settings
        Settings of the preparation.
    group_key
        Grouping in ``obs``. A cell that is alone in its group keeps its counts.

    Returns
    -------
    A prepared object with the genes and embeddings of ``adata``. Moments and neighbours are recomputed, because the old
    ones depend on the original unspliced counts.
    """
    permute = _permute_molecules if count_kind(adata) == "counts" else _permute_cells
    groups = adata.obs[group_key].astype(str).to_numpy()
    shuffled = permute(matrices.as_csr(adata.layers[keys.UNSPLICED]), groups, seed=seed)
    return _prepare_again(adata, shuffled, settings, group_key=group_key)


def steady_state_control(adata: AnnData, settings: Settings, *, group_key: str, seed: int) -> AnnData:
    """Replace unspliced counts by steady-state ones and prepare the data again; no cell moves.

    Unspliced counts are Poisson around each cell's spliced counts times the gene's ratio of unspliced to spliced counts
    over all cells. Every gene lies on its steady-state line up to counting noise, so no direction is true. The total of
    unspliced counts of a cell is random too, because the total alone can give arrows a direction in normalised cells.

    Parameters
    ----------
    adata
        A prepared object; not changed. Fractional values, as of normalised cells, are drawn in units of the cell's
        smallest value.
    settings, group_key
        Settings and grouping of the preparation.

    Returns
    -------
    As for `shuffled_control`. A gene without spliced counts has no unspliced counts.
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

    layers = {keys.SPLICED: adata.layers[keys.SPLICED], keys.UNSPLICED: unspliced}
    counts = _counts_of(adata, layers)
    requested = settings.preparation.compare_in
    every_gene = {
        # graph and components depend on the replaced counts; representations do not
        "compare_in": requested if requested in ("own", *graphs.representations(counts)) else "auto",
        "min_shared_counts": 0,
        "n_top_genes": max(2, adata.n_vars),
        "recompute_embedding": False,
    }
    return prepare(counts, config.replace(settings, {"preparation": every_gene}), cluster_key=group_key)


def _counts_of(adata: AnnData, layers: dict[str, Any]) -> AnnData:
    """An object with these layers and without what was computed from the layers of ``adata``."""
    return AnnData(
        obs=adata.obs,
        var=adata.var,
        layers=layers,
        obsm={key: value for key, value in adata.obsm.items() if key != keys.X_PCA},
        uns={key: value for key, value in adata.uns.items() if key != keys.NEIGHBORS},
    )


def _steady_state_counts(
    unspliced: sparse.csr_matrix, spliced: sparse.csr_matrix, *, seed: int
) -> sparse.csr_matrix:
    """Poisson counts around ratio times spliced, in units of each cell's unspliced counts."""
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
    """Value of one molecule in each cell: 1, or the cell's smallest value if values are fractional."""
    units = np.ones(counts.shape[0])
    if not matrices.is_whole(counts):
        for cell, own in enumerate(np.split(counts.data, counts.indptr[1:-1])):
            units[cell] = own[own > 0].min(initial=np.inf) if (own > 0).any() else 1.0
    return units


def _permute_molecules(counts: sparse.csr_matrix, groups: np.ndarray, *, seed: int) -> sparse.csr_matrix:
    """Permute the molecules of each group among its cells, keeping the totals of cells and of genes per group."""
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
    return sparse.csr_matrix((molecules, (cell, gene)), shape=counts.shape)  # sums duplicate entries


def _permute_cells(values: sparse.csr_matrix, groups: np.ndarray, *, seed: int) -> sparse.csr_matrix:
    """Permute whole rows within each group."""
    rng = np.random.default_rng(seed)
    source = np.arange(len(groups))
    for group in np.unique(groups):
        members = np.flatnonzero(groups == group)
        source[members] = rng.permutation(members)
    return values[source]
