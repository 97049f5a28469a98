"""A layer is cells x genes, in memory or on disk in chunks of genes; it is read and written in blocks of genes."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numcodecs import Blosc

# Of one block, all cells of it: with fewer genes products of matrices are slower, with more bytes they leave the cache
# and a few blocks would be as large as a layer.
MOST_GENES = 128
MOST_BYTES = 2**25

CHUNK_BYTES = 2**20  # one chunk on disk holds all cells of as many genes as fit: about 1 ms to read
# LZ4 unpacks faster than the disk reads; the bytes of floats pack well only when shuffled
COMPRESSOR = Blosc(cname="lz4", clevel=1, shuffle=Blosc.SHUFFLE)


class Layer(Protocol):
    """A numpy array, or a Zarr or HDF5 one in chunks of genes; to be asked for ``layer[:, genes]`` with a slice."""

    @property
    def shape(self) -> tuple[int, ...]:
        """Numbers of cells and genes."""

    @property
    def dtype(self) -> np.dtype:
        """Of the values, float32 where the project made the layer."""

    def __getitem__(self, where: Any, /) -> Any: ...


class WritableLayer(Layer, Protocol):
    """One that takes blocks too: ``layer[:, genes] = values``."""

    def __setitem__(self, where: Any, values: Any, /) -> None: ...


def gene_blocks(layer: Layer, *, n_layers: int = 1) -> Iterator[slice]:
    """Slices that go through the genes of a layer ``(n_cells, n_genes)``, on disk in whole chunks.

    Parameters
    ----------
    n_layers
        How many layers of that shape are in memory together: blocks are narrower where these are large.
    """
    n_cells, n_genes = layer.shape
    per_chunk = (getattr(layer, "chunks", None) or (0, 1))[1]
    width = min(MOST_GENES, MOST_BYTES // max(1, n_cells * layer.dtype.itemsize * n_layers))
    width = max(1, width // per_chunk) * per_chunk
    for start in range(0, n_genes, width):
        yield slice(start, min(start + width, n_genes))


def blocks_of(layer: Layer, chosen: np.ndarray) -> Iterator[tuple[slice, slice]]:
    """For every block its genes, and the places of those chosen among all chosen.

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
    """A float32 layer to be filled, NaN so far: in memory, or with ``path`` on disk as the run store keeps it.

    Parameters
    ----------
    path
        A new folder; its parents are made.
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
    """Write a block of a layer: ``values`` in its genes that are ``chosen``, bool ``(n_genes,)``, and NaN in the others."""
    block = np.full((layer.shape[0], genes.stop - genes.start), np.nan, dtype=np.float32)
    block[:, chosen[genes]] = values
    layer[:, genes] = block


def gene_chunks(shape: tuple[int, ...], *, itemsize: int) -> tuple[int, int]:
    """Shape of the chunks in which a layer of that shape lies on disk."""
    n_cells, n_genes = shape
    per_chunk = max(1, CHUNK_BYTES // max(1, n_cells * itemsize))
    return max(1, n_cells), min(max(1, n_genes), per_chunk)


def projected(layer: Layer, loadings: np.ndarray, *, chosen: np.ndarray) -> np.ndarray:
    """The ``chosen`` genes of a layer, bool ``(n_genes,)``, times their loadings; float32 ``(n_cells, n_components)``."""
    out = np.zeros((layer.shape[0], loadings.shape[1]), dtype=np.float32)
    for genes, places in blocks_of(layer, chosen):
        out += layer[:, genes][:, chosen[genes]] @ loadings[places]
    return out
