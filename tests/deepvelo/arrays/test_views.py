"""Layers that are made when they are read, from arrays in memory, in Zarr and in HDF5."""

from __future__ import annotations

import h5py
import numpy as np
import pytest
from scipy import sparse

from deepvelo.arrays import layers, views
from deepvelo.arrays.layers import gene_blocks, new_layer
from deepvelo.arrays.views import View, columns, dense, kept, selected

VALUES = np.arange(5 * 12, dtype=np.float32).reshape(5, 12)


@pytest.fixture(params=["memory", "zarr", "hdf5", "sparse"])
def layer(request, tmp_path):
    """The same values, wherever they lie."""
    if request.param == "zarr":
        stored = new_layer(VALUES.shape, path=tmp_path / "layer")
        stored[:, :] = VALUES
        yield stored
    elif request.param == "hdf5":
        with h5py.File(tmp_path / "layer.h5", "w") as file:
            yield file.create_dataset("layer", data=VALUES, chunks=(2, 3))
    else:
        yield VALUES.copy() if request.param == "memory" else dense(sparse.csr_matrix(VALUES))


def whole(layer):
    return np.hstack([layer[:, genes] for genes in gene_blocks(layer)])


@pytest.mark.parametrize("genes", [slice(3, 7), np.array([7, 3, 3, 11, 0])[[0, 1, 3, 4]], np.array([2, 3])])
def test_genes_come_in_the_order_that_was_asked_for(layer, genes):
    np.testing.assert_array_equal(columns(layer, genes), VALUES[:, genes])


def test_cells_and_genes_are_selected_by_their_indices(layer, monkeypatch):
    monkeypatch.setattr(layers, "_BLOCK_GENES", 4)
    cells, genes = np.array([4, 0, 2]), np.array([11, 0, 5, 6, 7, 1])
    found = selected(layer, cells=cells, genes=genes)
    assert (found.shape, found.dtype) == ((3, 6), np.float32)
    np.testing.assert_array_equal(whole(found), VALUES[np.ix_(cells, genes)])
    np.testing.assert_array_equal(whole(selected(layer, cells=cells, genes=np.arange(12))), VALUES[cells])
    assert selected(layer, cells=np.arange(5), genes=np.arange(12)) is layer


def test_small_layers_are_kept_and_others_read_anew(layer, monkeypatch):
    read = []

    def make(cells, genes):
        read.append(genes)
        return columns(layer, genes)[cells]

    view = View(VALUES.shape, make, source=layer)
    small = kept(view)
    n_read = len(read)
    assert isinstance(small, np.ndarray)
    np.testing.assert_array_equal(whole(small), VALUES)
    assert len(read) == n_read
    monkeypatch.setattr(views, "_BLOCK_KEPT", VALUES.nbytes - 1)
    assert kept(view) is view
    np.testing.assert_array_equal(whole(view), VALUES)
    assert len(read) > n_read


def test_other_numbers_become_single_precision():
    whole_numbers = dense(VALUES.astype(np.int64))
    assert whole_numbers[:, 2:4].dtype == np.float32
    np.testing.assert_array_equal(whole(whole_numbers), VALUES)


def test_blocks_are_narrower_where_more_layers_are_in_memory(monkeypatch):
    monkeypatch.setattr(layers, "_BLOCK_BYTES", 5 * 4 * 6)
    assert [genes.stop - genes.start for genes in gene_blocks(VALUES)] == [6, 6]
    assert [genes.stop - genes.start for genes in gene_blocks(VALUES, n_layers=3)] == [2] * 6
