"""Gene selection, normalisation and averaging of counts over neighbours, in blocks of cells."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any
from uuid import uuid4

import numpy as np
from scipy import sparse

from deepvelo.arrays import matrices
from deepvelo.arrays.layers import Layer, gene_blocks, new_layer
from deepvelo.arrays.views import Genes, View

_LEAST_MEAN, _LARGE_MEAN = 1e-4, 100  # counts per cell
_OVERDISPERSION = 0.1  # variance of counts beyond Poisson, relative to the squared mean


def normalized_counts(counts: Any, scale: np.ndarray) -> sparse.csr_matrix:
    """Multiply the counts ``(n_cells, n_genes)`` of each cell by its ``scale``, ``(n_cells,)``; float32.

    For float32 CSR, the result shares the index arrays of ``counts``. Indices must be sorted, as
    `deepvelo.arrays.matrices.as_csr` returns them: scipy would otherwise sort the shared arrays for only one of the two.
    """
    counts = sparse.csr_matrix(counts, dtype=np.float32)
    values = counts.data * np.repeat(scale.astype(np.float32, copy=False), np.diff(counts.indptr))
    return sparse.csr_matrix((values, counts.indices, counts.indptr), shape=counts.shape)


def most_variable(counts: Any, scale: np.ndarray, *, genes: np.ndarray, n_top_genes: int) -> np.ndarray:
    """Select the most variable genes by scanpy's dispersion of log-normalised counts (flavour ``seurat``).

    Parameters
    ----------
    counts
        Cells x all genes, in memory or a Dask array.
    scale
        Factor of each cell's counts, shape ``(n_cells,)``.
    genes
        Indices of the genes to choose from.

    Returns
    -------
    Mask of the ``n_top_genes`` most variable genes, ties with the last included; shape ``(len(genes),)``.
    """
    import dask
    import dask.array as da
    import scanpy as sc
    from anndata import AnnData

    def logged(block_info: Any = None) -> sparse.csr_matrix:
        cells = slice(*block_info[None]["array-location"][0])
        return normalized_counts(matrices.some_cells(counts, cells)[:, genes], scale[cells]).log1p()

    n_cells = counts.shape[0]
    starts = range(0, n_cells, matrices.BLOCK_CELLS)
    lazy = da.map_blocks(
        logged,
        chunks=(tuple(min(matrices.BLOCK_CELLS, n_cells - start) for start in starts), (len(genes),)),
        dtype=np.float32,
        meta=sparse.csr_matrix((0, 0), dtype=np.float32),
        name=f"logged-{uuid4().hex}",  # avoids hashing all counts, which Dask does for its default name
    )
    # Few cells are computed in memory: scanpy then sums in its usual order, which decides ties between genes.
    few = lazy.numblocks[0] == 1
    of_genes = AnnData(lazy.compute(scheduler="synchronous") if few else lazy, uns={"log1p": {}})
    # Synchronous: on a worker, nested tasks would wait for the task that submitted them.
    with dask.config.set(scheduler="synchronous"):
        sc.pp.highly_variable_genes(of_genes, flavor="seurat", n_top_genes=n_top_genes)
    return of_genes.var["highly_variable"].to_numpy()


def logged_counts(layers: Sequence[Any], *, weights: np.ndarray | None = None) -> View:
    """View of log(1 + normalised counts) of layers side by side, cells x all their genes, computed for the requested cells.

    Parameters
    ----------
    layers
        Normalised counts or moments, each ``(n_cells, n_genes)``, CSR or dense.
    weights
        Factors of the columns, ``(n_columns,)``; by default 1.
    """

    def make(cells: Any, genes: Genes) -> np.ndarray:
        logged = np.log1p(np.hstack([matrices.as_dense(layer[cells]) for layer in layers]))[:, genes]
        return logged if weights is None else logged * weights[genes]

    return View((layers[0].shape[0], sum(layer.shape[1] for layer in layers)), make)


def whole_logged_counts(layers: Sequence[Any], *, weights: np.ndarray | None = None) -> Any:
    """The same as `logged_counts`, in memory; sparse if the layers are."""
    if not sparse.issparse(layers[0]):
        return logged_counts(layers, weights=weights)[:, :]
    logged = sparse.hstack([layer.log1p() for layer in layers], format="csr")
    return logged if weights is None else (logged @ sparse.diags(weights)).tocsr()


def noise_weights(layers: Sequence[Any]) -> np.ndarray:
    r"""Weights that make the counting noise of columns more similar, float32 ``(n_columns,)``.

    .. math:: w_g = (\operatorname{Var}[\log(1 + x_g)] + \phi)^{-1/4}

    with x Poisson distributed around the column's mean and the overdispersion :math:`\phi`. Components then follow
    differences between cells instead of the rarest genes (Landa et al. 2022, SIAM Journal on Mathematics of Data Science).
    The power -1/2 would equalise the noise fully, but joins tissues that share no gene.

    Parameters
    ----------
    layers
        Normalised counts, each ``(n_cells, n_genes)``, CSR or dense.
    """
    means = np.concatenate([np.asarray(layer.mean(axis=0), dtype=np.float64).ravel() for layer in layers])
    noise = logged_poisson_variance(np.maximum(means, _LEAST_MEAN)) + _OVERDISPERSION
    return (noise**-0.25).astype(np.float32)


def logged_poisson_variance(means: np.ndarray) -> np.ndarray:
    """Variance of log(1 + x) for Poisson distributed x, shape of ``means``; means must be above 0."""
    from scipy.stats import poisson

    grid = np.geomspace(_LEAST_MEAN, _LARGE_MEAN, 200)
    x = np.arange(4 * _LARGE_MEAN)
    chances = poisson.pmf(x, grid[:, None])
    first, second = chances @ np.log1p(x), chances @ np.log1p(x) ** 2
    exact = np.exp(np.interp(np.log(means), np.log(grid), np.log(second - first**2)))
    return np.where(means < _LARGE_MEAN, exact, means / (1 + means) ** 2)  # delta method for large means


def averaged(weights: sparse.csr_matrix, counts: sparse.csr_matrix, *, path: Path | None = None) -> Layer:
    """``weights @ counts``, dense float32, ``(n_cells, n_genes)``, in memory or as a Zarr array at a path.

    Computed in dense blocks of genes: mean counts have few zeros, and sparse products take four times as long.
    """
    # torch takes seconds to import.
    import torch

    from deepvelo.model.graph.averaging import Averaging

    average = Averaging(weights)
    means = new_layer((weights.shape[0], counts.shape[1]), path=path)
    for genes in gene_blocks(means):
        means[:, genes] = average(torch.from_numpy(counts[:, genes].toarray())).numpy()
    return means
