"""Parts by size and times on a neighbour graph of its own; times with a root are tested in test_trajectory.py."""

from __future__ import annotations

import numpy as np
import pytest
from anndata import AnnData
from scipy import sparse

from deepvelo import keys
from deepvelo.tl.lineage import latent_time as stages
from deepvelo.tl.lineage.latent_time import LEAST_PART, large_parts, latent_time, latent_times
from tests.on_plane import N, fork, order


def test_large_parts_are_the_first():
    part = np.repeat([1, 0, 2], [LEAST_PART, LEAST_PART + 5, LEAST_PART - 1])
    found = large_parts(part)
    assert [len(cells) for cells in found] == [LEAST_PART + 5, LEAST_PART]
    assert found[1].tolist() == list(range(LEAST_PART))


def test_latent_time_is_averaged_and_scaled_part_by_part():
    n = 6
    row = sparse.diags([1.0, 1.0], offsets=[-1, 1], shape=(n, n)).tolil()
    row[2, 3] = row[3, 2] = 0  # two chains of three cells
    adata = AnnData(np.zeros((n, 1), dtype=np.float32), obsp={keys.CONNECTIVITIES: row.tocsr()})
    time = np.array([0.0, 1, 5, 10, 30, 20])
    found = latent_times(adata, time, parts=[np.array([0, 1, 2]), np.array([3, 4, 5])])
    # the middle cell becomes the mean of all three, so a peak between two lower cells is levelled
    assert (found[0], found[2]) == (0, 1)
    assert 0 < found[1] < 1
    assert found[3] == 0
    assert found[5] == pytest.approx(1)
    assert np.isnan(latent_times(adata, time, parts=[np.array([0, 1, 2])])[3:]).all()


def test_times_of_a_fit_begin_with_the_stem_and_turn_no_branch_round():
    adata = fork()
    latent_time(adata)
    for key in (keys.LATENT_TIME, keys.PSEUDOTIME):
        time = adata.obs[key].to_numpy()
        assert (time.min(), time.max()) == (0, 1)
        for branch in (1, 2):
            assert order(time[np.r_[:N, branch * N : (branch + 1) * N]], np.arange(2 * N)) > 0.98


def test_a_diffusion_map_of_the_users_changes_no_times():
    plain, mapped = fork(), fork()
    mapped.obsm["X_diffmap"] = np.random.default_rng(0).normal(
        size=(mapped.n_obs, 4)
    )  # without its eigenvalues
    for adata in (plain, mapped):
        latent_time(adata)
    np.testing.assert_allclose(plain.obs[keys.PSEUDOTIME], mapped.obs[keys.PSEUDOTIME], atol=1e-4)
    assert mapped.obsm["X_diffmap"].shape == (mapped.n_obs, 4)


def test_of_many_cells_the_arrows_between_neighbours_tell_the_same_order(monkeypatch):
    whole, many = fork(), fork()
    latent_time(whole)
    monkeypatch.setattr(stages, "MOST_WALKED", 10)
    latent_time(many)
    assert order(many.obs[keys.PSEUDOTIME].to_numpy(), whole.obs[keys.PSEUDOTIME].to_numpy()) > 0.98
    np.testing.assert_array_equal(many.obs[keys.LATENT_TIME], whole.obs[keys.LATENT_TIME])


def test_cells_without_arrows_have_no_times():
    adata = fork()
    for key in (keys.VELOCITY_GRAPH, keys.VELOCITY_GRAPH_NEG):
        adata.uns[key] = adata.uns[key] * 0
    latent_time(adata)
    assert adata.obs[[keys.LATENT_TIME, keys.PSEUDOTIME]].isna().all(axis=None)
