"""Projection onto the tangent space: our part with a stand-in whose weights are known, all of it with the package."""

from __future__ import annotations

import sys

import numpy as np
import pytest
from anndata import AnnData
from scipy import sparse

from deepvelo import config, keys, tl
from deepvelo.datasets.simulation import simulate
from deepvelo.errors import CancelledError, InputError
from deepvelo.peers import fitted_here
from deepvelo.pp.prepare import prepare
from tests.graphvelo_stand_in import WEIGHT, install

needs_package = pytest.mark.skipif("graphvelo" not in fitted_here(), reason="GraphVelo is not installed")


@pytest.fixture
def package(monkeypatch):
    return install(monkeypatch)


def on_a_line(n_cells: int = 120) -> AnnData:
    """Cells in a row, each with the one behind it and the one ahead as neighbours; gene C has no velocity."""
    place = np.arange(n_cells, dtype=np.float32)
    velocity = np.ones((n_cells, 3), dtype=np.float32)
    velocity[:, 2] = np.nan
    layers = {
        keys.MS: np.column_stack([place, 2 * place, place**2]),
        keys.VELOCITY: velocity,
        keys.VELOCITY_U: velocity.copy(),
    }
    adata = AnnData(np.zeros((n_cells, 3), dtype=np.float32), layers=layers)
    adata.obsp[keys.DISTANCES] = sparse.diags([1.0, 1.0], [-1, 1], shape=(n_cells, n_cells), format="csr")
    adata.var[keys.VELOCITY_GENES] = [True, True, False]
    adata.var["velocity_gamma"] = 1.0
    return adata


def test_every_gene_moves_by_the_weighted_ways_to_the_neighbours(package):
    adata = on_a_line()
    tl.graphvelo_velocity(adata)
    velocity, moments = adata.layers[keys.VELOCITY], adata.layers[keys.MS]
    assert velocity.dtype == np.float32
    inside = WEIGHT * (moments[2:] + moments[:-2] - 2 * moments[1:-1])
    assert velocity[1:-1] == pytest.approx(inside)
    assert velocity[0] == pytest.approx(WEIGHT * (moments[1] - moments[0]))
    assert velocity[-1] == pytest.approx(WEIGHT * (moments[-2] - moments[-1]))
    assert adata.var[keys.VELOCITY_GENES].all()
    assert (package.genes, package.n_pcs) == (2, 1)


def test_the_search_starts_from_cosines_less_their_mean(package):
    tl.graphvelo_velocity(on_a_line())
    assert package.starts[1].tolist() == [0.0, -1.0, 1.0]
    assert package.starts[0].tolist() == [0.0, 0.0]


def test_what_belongs_to_the_given_velocities_is_removed(package):
    adata = on_a_line()
    adata.layers[keys.BETA] = np.ones(adata.shape)
    adata.obs[keys.LATENT_TIME] = adata.obs[keys.CONFIDENCE] = 1.0
    adata.obs["velocity_batch"] = "a"
    adata.obsm["X_umap"] = adata.obsm["velocity_umap"] = np.ones((adata.n_obs, 2))
    adata.uns[keys.VELOCITY_GRAPH] = adata.obsp[keys.DISTANCES]
    tl.graphvelo_velocity(adata)
    assert set(adata.layers) == {keys.MS, keys.VELOCITY}
    assert list(adata.var) == [keys.VELOCITY_GENES]
    assert list(adata.obs) == ["velocity_batch"]
    assert list(adata.obsm) == ["X_umap"]
    assert keys.VELOCITY_GRAPH not in adata.uns


def test_a_gene_without_moments_stays_without_velocity(package):
    adata = on_a_line()
    adata.layers[keys.MS][3, 2] = np.nan
    tl.graphvelo_velocity(adata)
    assert np.isnan(adata.layers[keys.VELOCITY][:, 2]).all()
    assert adata.var[keys.VELOCITY_GENES].tolist() == [True, True, False]


def test_progress_counts_cells_and_can_cancel(package):
    told = []
    tl.graphvelo_velocity(on_a_line(), on_cells=lambda *counts: told.append(counts))
    assert told == [(0, 120), (50, 120), (100, 120), (120, 120)]

    def cancel(done: int, total: int) -> None:
        if done == 50:
            raise CancelledError

    adata = on_a_line()
    before = adata.layers[keys.VELOCITY].copy()
    with pytest.raises(CancelledError):
        tl.graphvelo_velocity(adata, on_cells=cancel)
    assert np.array_equal(adata.layers[keys.VELOCITY], before, equal_nan=True)


def test_an_error_of_the_package_is_a_sentence(package, monkeypatch):
    def fails(*_):
        raise ZeroDivisionError("no length\nmore")

    monkeypatch.setattr(sys.modules["graphvelo.tangent_space"], "cos_corr", fails)
    with pytest.raises(
        InputError,
        match=r"GraphVelo failed at the tangent space projection \(ZeroDivisionError: no length\)\.",
    ):
        tl.graphvelo_velocity(on_a_line())


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (lambda adata: adata.layers.pop(keys.MS), r"GraphVelo needs the layers \['Ms'\]"),
        (lambda adata: adata.layers.pop(keys.VELOCITY), r"\['velocity'\].*pp\.moments"),
        (lambda adata: adata.obsp.pop(keys.DISTANCES), "needs a neighbour graph"),
        (
            lambda adata: adata.obsp.update(
                {keys.DISTANCES: sparse.csr_matrix(adata.obsp[keys.DISTANCES].shape)}
            ),
            "120 of 120 cells have none",
        ),
        (
            lambda adata: adata.layers[keys.VELOCITY].__setitem__((0, 1), np.nan),
            "velocities of at least 2 genes. Found 1 of 3",
        ),
    ],
    ids=["moments", "velocity", "neighbours", "alone", "genes"],
)
def test_what_is_missing_is_named(package, spoil, said):
    adata = on_a_line()
    spoil(adata)
    with pytest.raises(InputError, match=said):
        tl.graphvelo_velocity(adata)


@pytest.fixture(scope="module")
def cells() -> AnnData:
    simulated = simulate(kind="linear", n_cells=120, n_genes=60, depth=400, seed=0)
    prepared = prepare(simulated, config.Settings(), cluster_key=keys.CLUSTERS)
    tl.scvelo_velocity(prepared, mode="stochastic")
    return prepared


@needs_package
@pytest.mark.slow
def test_cell_by_cell_is_what_the_package_computes_from_its_dense_matrices(cells):
    from graphvelo.graph_velocity import GraphVelo
    from graphvelo.tangent_space import corr_kernel, density_corrected_transition_matrix

    own = cells.copy()
    tl.graphvelo_velocity(own)
    distances = sparse.csr_matrix(cells.obsp[keys.DISTANCES])
    theirs = cells[:, cells.var[keys.VELOCITY_GENES].to_numpy()].copy()
    theirs.uns[keys.NEIGHBORS] = {"indices": np.split(distances.indices, distances.indptr[1:-1])}
    model = GraphVelo(theirs, n_pcs=min(30, theirs.n_vars - 1))
    kernel = corr_kernel(model.X, model.V, model.nbrs_idx)
    model.train(transition_matrix=density_corrected_transition_matrix(kernel).toarray())
    expected = model.project_velocity(np.asarray(cells.layers[keys.MS]))
    scale = np.abs(expected).max()
    assert own.layers[keys.VELOCITY] / scale == pytest.approx(expected / scale, abs=1e-4)


@needs_package
def test_projected_velocities_point_where_the_cells_go(cells):
    truth = simulate(kind="linear", n_cells=120, n_genes=60, depth=400, seed=0)[:, cells.var_names]
    exact = truth.layers[keys.TRUE_VELOCITY]

    def mean_cosine(velocity: np.ndarray) -> float:
        known = np.isfinite(velocity).all(axis=0)
        a, b = velocity[:, known], exact[:, known]
        return float(np.mean((a * b).sum(axis=1) / np.linalg.norm(a, axis=1) / np.linalg.norm(b, axis=1)))

    own = cells.copy()
    tl.graphvelo_velocity(own)
    assert mean_cosine(own.layers[keys.VELOCITY]) > max(0.3, mean_cosine(cells.layers[keys.VELOCITY]))
