"""Layers: cells x genes in memory, or on disk in chunks of genes, read and written in blocks of genes."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numcodecs import Blosc

# Limits of one block: matrix products are slower with fewer genes, and blocks of more bytes leave the processor's cache.
_BLOCK_GENES = 128
_BLOCK_BYTES = 2**25

CHUNK_BYTES = 2**20  # one chunk on disk holds all cells of as many genes as fit: about 1 ms to read
# LZ4 unpacks faster than the disk reads; the bytes of floats pack well only when shuffled
COMPRESSOR = Blosc(cname="lz4", clevel=1, shuffle=Blosc.SHUFFLE)


class Layer(Protocol):
    """Cells x genes that answer ``layer[cells, genes]`` with dense numbers: numpy, Zarr and HDF5 arrays, and a `View`."""

    @property
    def shape(self) -> tuple[int, ...]:
        """Numbers of cells and genes."""

    @property
    def dtype(self) -> np.dtype:
        """Type of the values; float32 in layers that this package writes."""

    def __getitem__(self, where: Any, /) -> Any: ...


class WritableLayer(Layer, Protocol):
    """A layer that can be written in blocks: ``layer[:, genes] = values``."""

    def __setitem__(self, where: Any, values: Any, /) -> None: ...


def gene_blocks(layer: Layer, *, n_layers: int = 1) -> Iterator[slice]:
    """Slices of genes that cover a layer ``(n_cells, n_genes)``; on disk each slice is whole chunks.

    Parameters
    ----------
    n_layers
        Number of such blocks in memory at once; more make the blocks narrower.
    """
    n_cells, n_genes = layer.shape
    per_chunk = (getattr(layer, "chunks", None) or (0, 1))[1]
    width = min(_BLOCK_GENES, _BLOCK_BYTES // max(1, n_cells * layer.dtype.itemsize * n_layers))
    width = max(1, width // per_chunk) * per_chunk
    for start in range(0, n_genes, width):
        yield slice(start, min(start + width, n_genes))


def blocks_of(layer: Layer, chosen: np.ndarray) -> Iterator[tuple[slice, slice]]:
    """For every block, its genes and the positions of its chosen genes among all chosen genes.

    Parameters
    ----------
    chosen
        bool, ``(n_genes,)``.
    """
    before = np.concatenate([[0], np.cumsum(chosen)])
    for genes in gene_blocks(layer):
        yield genes, slice(int(before[genes.start]), int(before[genes.stop]))


def known_genes(layer: Layer) -> np.ndarray:
    """Which genes have a finite value in every cell, bool ``(n_genes,)``."""
    known = np.empty(layer.shape[1], dtype=bool)
    for genes in gene_blocks(layer):
        known[genes] = np.isfinite(layer[:, genes]).all(axis=0)
    return known


def new_layer(shape: tuple[int, ...], *, path: Path | None = None) -> WritableLayer:
    """A float32 layer of NaN to be filled: in memory, or on disk at ``path`` as the run store keeps it.

    Parameters
    ----------
    path
        A new folder; its parents are created.
    """
    if path is None:
        return np.full(shape, np.nan, dtype=np.float32)
    import zarr

    return zarr.create_array(
        str(path), shape=shape, dtype=np.float32, fill_value=np.nan, zarr_format=2,
        chunks=gene_chunks(shape, itemsize=4), compressors=COMPRESSOR,
        attributes={"encoding-type": "array", "encoding-version": "0.2.0"},  # by which AnnData knows it
    )  # fmt: skip


def fill(layer: WritableLayer, genes: slice, values: np.ndarray, *, chosen: np.ndarray) -> None:
    """Write one block: ``values`` in its ``chosen`` genes, bool ``(n_genes,)``, NaN in the others."""
    block = np.full((layer.shape[0], genes.stop - genes.start), np.nan, dtype=np.float32)
    block[:, chosen[genes]] = values
    layer[:, genes] = block


def gene_chunks(shape: tuple[int, ...], *, itemsize: int) -> tuple[int, int]:
    """Shape of the chunks of a layer on disk."""
    n_cells, n_genes = shape
    per_chunk = max(1, CHUNK_BYTES // max(1, n_cells * itemsize))
    return max(1, n_cells), min(max(1, n_genes), per_chunk)


def projected(layer: Layer, loadings: np.ndarray, *, chosen: np.ndarray) -> np.ndarray:
    """The ``chosen`` genes of a layer, bool ``(n_genes,)``, times their loadings; float32 ``(n_cells, n_components)``."""
    out = np.zeros((layer.shape[0], loadings.shape[1]), dtype=np.float32)
    for genes, places in blocks_of(layer, chosen):
        out += layer[:, genes][:, chosen[genes]] @ loadings[places]
    return out
