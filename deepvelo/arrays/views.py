"""Layers that are computed from others when they are read; only small ones are ever held as a whole."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from scipy import sparse

from deepvelo.arrays.layers import Layer, gene_blocks
from deepvelo.arrays.matrices import as_dense

# Layers up to this size (3,000 cells x 2,500 genes) are kept in memory: reading and computing them again for every score
# takes longer than the scores.
_BLOCK_KEPT = 2**25

Genes = slice | np.ndarray
"""A slice, or indices in any order."""


class View:
    """A layer that is computed when it is read, ``layer[cells, genes]``.

    Parameters
    ----------
    shape
        Numbers of cells and genes.
    make
        Gives the values of some cells and genes, float32.
    source
        A layer that it reads; blocks of genes are then whole chunks of it.
    """

    dtype = np.dtype(np.float32)

    def __init__(
        self, shape: tuple[int, ...], make: Callable[[Any, Genes], np.ndarray], *, source: Layer | None = None
    ) -> None:
        self.shape = shape
        self.chunks: tuple[int, int] | None = getattr(source, "chunks", None)
        self._make = make

    def __getitem__(self, where: tuple[Any, Genes]) -> np.ndarray:
        """Values of some cells, by a slice, a mask or indices, and genes."""
        return self._make(*where)


def columns(layer: Any, genes: Genes) -> np.ndarray:
    """Some genes of a matrix in all cells, dense float32; sparse ones should be CSC."""
    if isinstance(genes, slice):
        found = layer[:, genes]
    else:
        order = np.argsort(genes)  # HDF5 takes indices in rising order alone
        found = getattr(layer, "oindex", layer)[:, genes[order]][:, np.argsort(order)]
    return as_dense(found).astype(np.float32, copy=False)


def dense(matrix: Any) -> Layer:
    """A matrix as a float32 layer; sparse matrices become dense when they are read."""
    if not sparse.issparse(matrix) and matrix.dtype == np.float32:
        layer: Layer = matrix
        return layer
    by_gene = matrix.tocsc() if sparse.issparse(matrix) else matrix
    return View(matrix.shape, lambda cells, genes: columns(by_gene, genes)[cells], source=matrix)


def selected(layer: Layer, *, cells: np.ndarray, genes: np.ndarray) -> Layer:
    """Some cells and genes of a layer by index, in this order; the layer itself if all are selected in order."""
    n_cells, n_genes = layer.shape
    all_cells, all_genes = (
        np.array_equal(some, np.arange(n)) for some, n in ((cells, n_cells), (genes, n_genes))
    )
    if all_cells and all_genes:
        return layer

    def make(asked: Any, block: Genes) -> np.ndarray:
        found = columns(layer, block if all_genes else genes[block])
        return (found if all_cells else found[cells])[asked]

    return View((len(cells), len(genes)), make, source=layer)


def kept(layer: Layer) -> Layer:
    """The layer in memory if it is small, otherwise as it is."""
    if isinstance(layer, np.ndarray) or 4 * int(np.prod(layer.shape)) > _BLOCK_KEPT:
        return layer
    whole = np.empty(layer.shape, dtype=np.float32)
    for genes in gene_blocks(layer):
        whole[:, genes] = layer[:, genes]
    return whole
