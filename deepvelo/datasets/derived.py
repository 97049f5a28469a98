"""Data made from prepared data: fewer genes, and the shuffled control."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from anndata import AnnData
from scipy import sparse

from deepvelo import checks, keys, matrices
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


def shuffle_unspliced(adata: AnnData, settings: Settings, *, group_key: str, seed: int) -> None:
    """Permute the cells' unspliced profiles within each group, in place: data in which nothing moves on.

    Whole profiles change cells, so that genes stay correlated with each other, and only what unspliced tells
    of the spliced RNA of the same cell, beyond its group, is lost. Spliced counts, ``Ms``, the neighbours and
    the embedding stay: what is fitted to this control differs in nothing else from a fit to the data.

    Parameters
    ----------
    adata
        As `deepvelo.pp.prepare` leaves it.
    settings
        Those it was prepared with.
    group_key
        Grouping in ``obs``; the profile of a cell that is alone in its group stays.

    Sets
    ----
    layers ``unspliced``
        The permuted counts.
    layers ``Mu``
        Made anew over the neighbours. Profiles take the size of the cell in which they were counted with
        them: a cell's unspliced RNA is not measured by the depth of another. Their sum is that of the old.
    """
    from scvelo.preprocessing.neighbors import get_connectivities

    unspliced = matrices.as_csr(adata.layers[keys.UNSPLICED])
    profiles = unspliced
    if checks.has_counts(adata):
        sizes = matrices.cell_totals(unspliced)
        if settings.preparation.size_factors == "cell":
            sizes = sizes + matrices.cell_totals(adata.layers[keys.SPLICED])
        profiles = sparse.diags(np.divide(1.0, sizes, out=np.zeros(len(sizes)), where=sizes > 0)) @ unspliced
    source = _permutation(adata.obs[group_key].to_numpy(), seed=seed)
    mean = get_connectivities(adata)  # rows sum to 1: a cell and its neighbours, equally weighted
    moments = (mean @ profiles[source]).toarray()
    scale = adata.layers[keys.MU].sum(dtype=np.float64) / moments.sum(dtype=np.float64)
    adata.layers[keys.MU] = (scale * moments).astype(np.float32)
    adata.layers[keys.UNSPLICED] = unspliced[source]


def _permutation(groups: np.ndarray, *, seed: int) -> np.ndarray:
    """For each cell the one whose profile it gets, of the same group."""
    rng = np.random.default_rng(seed)
    source = np.arange(len(groups))
    for group in np.unique(groups.astype(str)):
        members = np.flatnonzero(groups.astype(str) == group)
        source[members] = rng.permutation(members)
    return source
