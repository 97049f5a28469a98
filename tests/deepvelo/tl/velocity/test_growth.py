"""Growth of total RNA, on cells in a row or in two, by hand."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.sparse as sp
import torch
from anndata import AnnData

from deepvelo import config, keys
from deepvelo.model.graph.cell_graph import Components
from deepvelo.tl.velocity.growth import add_growth, growth_rates, total_counts
from deepvelo.tl.velocity.smoothing import GraphAverage

N = 40
BOTH = np.ones(2, dtype=bool)


def rates(places, log_totals, *, speed=1.0, without=()):
    """Growth of cells at these places that move along the first gene; the two genes are the components.

    Candidates are the four nearest cells.
    """
    adata = AnnData(
        np.zeros_like(places), obsp={keys.CONNECTIVITIES: sp.csr_matrix((len(places),) * 2, dtype=np.float32)}
    )
    for key in keys.INITIAL_SIZES:
        if key not in without:
            adata.obs[key] = np.exp(log_totals) / 2
    distance = np.linalg.norm(places[:, None] - places[None], axis=2)
    np.fill_diagonal(distance, np.inf)
    neighbors = torch.from_numpy(np.argsort(distance, axis=1, kind="stable")[:, :4].astype(np.int32))
    velocity = np.tile(np.array([[speed, 0.0]], dtype=np.float32), (len(places), 1))
    components = Components(torch.from_numpy(places), torch.eye(2))
    average = GraphAverage(adata)
    return growth_rates(
        adata, velocity, components, neighbors, average, chosen=BOTH, settings=config.Settings()
    )


def in_a_row():
    return np.stack([np.arange(N), np.zeros(N)], axis=1).astype(np.float32)


@pytest.mark.parametrize("speed", [1.0, -1.0, 3.0])
def test_growth_is_the_slope_of_the_log_total_times_the_velocity(speed):
    found = rates(in_a_row(), 7 + 0.05 * np.arange(N), speed=speed)
    np.testing.assert_allclose(found, 0.05 * speed, rtol=1e-4)


def test_cells_without_a_velocity_do_not_grow():
    assert not rates(in_a_row(), 7 + 0.05 * np.arange(N), speed=0.0).any()


def test_totals_that_stay_the_same_are_no_growth():
    assert not rates(in_a_row(), np.full(N, 7.0)).any()


def test_totals_that_differ_across_the_velocity_are_no_growth():
    places = np.stack([np.repeat(np.arange(N / 2), 2), np.tile([0, 0.5], N // 2)], axis=1).astype(np.float32)
    grows = 0.05 * places[:, 0]
    alone = rates(places, 7 + grows)
    beside = rates(places, 7 + grows + np.tile([0.0, 1.0], N // 2))
    assert alone.min() > 0.04
    assert np.abs(beside[2:-2]).max() < 0.1 * alone.min()


def test_growth_is_not_known_without_the_totals_of_both_layers():
    assert rates(in_a_row(), np.full(N, 7.0), without=keys.INITIAL_SIZES[1:]) is None


def test_totals_are_those_of_both_layers_and_finite():
    adata = AnnData(np.zeros((2, 1), dtype=np.float32))
    adata.obs[keys.INITIAL_SIZES[0]], adata.obs[keys.INITIAL_SIZES[1]] = [3, 4], [1.0, 2.0]
    assert total_counts(adata).tolist() == [4, 6]
    adata.obs[keys.INITIAL_SIZES[1]] = [1.0, np.nan]
    assert total_counts(adata) is None


def test_growth_times_the_averaged_moments_is_added():
    graph = sp.csr_matrix(np.array([[0, 1], [1, 0]], dtype=np.float32))
    average = GraphAverage(AnnData(np.zeros((2, 2), dtype=np.float32), obsp={keys.CONNECTIVITIES: graph}))
    layer = np.array([[1, np.nan], [1, np.nan]], dtype=np.float32)
    chosen = np.array([True, False])
    add_growth(layer, np.array([0.5, -1.0]), torch.tensor([[2.0], [4.0]]), average, chosen=chosen, times=1)
    assert layer[:, 0].tolist() == [1 + 0.5 * 3, 1 - 3]
    assert np.isnan(layer[:, 1]).all()
