"""Smoothing on a graph of three cells, by hand."""

from __future__ import annotations

import numpy as np
import scipy.sparse as sp
from anndata import AnnData
from sklearn.neighbors import kneighbors_graph

from deepvelo import config, keys, plan
from deepvelo.tl.velocity import smoothing
from deepvelo.tl.velocity.smoothing import smooth_moments, smooth_velocity


def three_cells():
    adata = AnnData(np.zeros((3, 2), dtype=np.float32))
    adata.obsp[keys.CONNECTIVITIES] = sp.csr_matrix(
        np.array([[0, 1, 0], [1, 0, 0], [0, 0, 0]], dtype=np.float32)
    )
    adata.layers[keys.MS] = np.array([[0, 0], [2, 2], [4, 4]], dtype=np.float32)
    adata.layers[keys.MU] = np.array([[1, 0], [3, 0], [5, 0]], dtype=np.float32)
    return adata


def settings(**graph):
    return config.replace(config.Settings(), {"graph": graph})


def test_moments_are_averaged_as_often_as_asked():
    s, u = smooth_moments(three_cells(), settings(smooth_inputs=1))
    assert s[:, 0].tolist() == [1, 1, 4]  # the last cell has no neighbours
    assert u[:, 0].tolist() == [2, 2, 5]
    s, _ = smooth_moments(three_cells(), settings(smooth_inputs=0))
    assert s[:, 0].tolist() == [0, 2, 4]


def test_moments_of_many_cells_are_averaged_more_often(monkeypatch):
    adata = three_cells()
    path = np.array([[0, 1, 0], [1, 0, 0.5], [0, 0.5, 0]], dtype=np.float32)
    adata.obsp[keys.CONNECTIVITIES] = sp.csr_matrix(path)
    once, thrice = (smooth_moments(adata, settings(smooth_inputs=times))[0] for times in (1, 3))
    monkeypatch.setattr(plan, "FEW_CELLS", 1)
    np.testing.assert_array_equal(smooth_moments(adata, settings(smooth_inputs=1))[0], thrice)
    assert not np.allclose(once, thrice)


def test_many_averages_of_very_many_cells_are_made_over_groups(monkeypatch):
    positions = np.random.default_rng(0).uniform(size=(3000, 2)).astype(np.float32)
    adata = AnnData(obsp={keys.CONNECTIVITIES: kneighbors_graph(positions, 10)})
    wave = np.sin(6 * positions)
    exact = smoothing.average_over_graph(adata, wave, times=12)
    few = smoothing.average_over_graph(adata, wave, times=3)
    monkeypatch.setattr(plan, "COARSENED_FROM_CELLS", 2000)
    over_groups = smoothing.average_over_graph(adata, wave, times=12)
    assert not np.array_equal(over_groups, exact)
    assert (((over_groups - exact) ** 2).mean(axis=0) / exact.var(axis=0)).max() < 0.01
    np.testing.assert_array_equal(smoothing.average_over_graph(adata, wave, times=3), few)


def test_velocities_are_averaged_as_often_as_asked_and_genes_without_stay_without():
    adata = three_cells()
    path = np.array([[0, 1, 0], [1, 0, 0.5], [0, 0.5, 0]], dtype=np.float32)
    adata.obsp[keys.CONNECTIVITIES] = sp.csr_matrix(path)
    velocity = np.array([[1.0, np.nan], [3.0, np.nan], [5.0, np.nan]], dtype=np.float32)
    once = smooth_velocity(adata, velocity, settings=settings(smooth_velocity=1))
    twice = smooth_velocity(adata, velocity, settings=settings(smooth_velocity=2))
    as_fitted = smooth_velocity(adata, velocity, settings=settings(smooth_velocity=0))
    assert np.isnan(once[:, 1]).all()
    np.testing.assert_array_equal(as_fitted, velocity)
    np.testing.assert_allclose(once[:, 0], [2, 2.6, 13 / 3], rtol=1e-6)
    np.testing.assert_allclose(twice[:, 0], [2.3, 203 / 75, 169 / 45], rtol=1e-6)
