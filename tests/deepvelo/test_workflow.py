"""The whole path on the real cells, and what other tools make of its result."""

from __future__ import annotations

import json

import numpy as np
import pytest

from deepvelo import config, keys, workflow
from deepvelo.errors import CancelledError
from deepvelo.io.read import read

SHORT = config.replace(config.Settings(), {"training": {"n_epochs": 30, "device": "cpu"}})


@pytest.fixture(scope="module")
def granule_cells(shared_data):
    return read(shared_data / "dentate_gyrus_200.h5ad")


@pytest.fixture(scope="module")
def result(granule_cells):
    return workflow.run(granule_cells, SHORT, cluster_key="clusters", basis="umap")


@pytest.fixture
def fitted(result):
    return result.adata.copy()


def test_documented_keys_are_there(fitted):
    for key in (keys.MS, keys.MU, keys.VELOCITY, keys.VELOCITY_U, *keys.RATES):
        assert fitted.layers[key].dtype == np.float32
    for key in (keys.CONSISTENCY, keys.CONSISTENCY_CELLTYPE, keys.PSEUDOTIME):
        assert key in fitted.obs
    for key in (keys.X_RATES_PCA, keys.X_RATES_UMAP, "velocity_umap", "X_umap"):
        assert fitted.obsm[key].shape[0] == fitted.n_obs
    for key in (keys.VELOCITY_GRAPH, keys.VELOCITY_GRAPH_NEG, keys.VELOCITY_PARAMS, keys.DEEPVELO):
        assert key in fitted.uns
    assert fitted.var[keys.VELOCITY_GENES].dtype == bool
    assert keys.MULTIKINETIC_SCORE in fitted.var


def test_no_rate_is_negative_and_no_used_gene_has_a_nan(fitted):
    used = fitted.var[keys.VELOCITY_GENES].to_numpy()
    assert used.sum() > 500
    for key in (keys.VELOCITY, keys.VELOCITY_U, *keys.RATES):
        assert np.isfinite(fitted.layers[key][:, used]).all()
        assert np.isnan(fitted.layers[key][:, ~used]).all()
    for key in keys.RATES:
        assert (fitted.layers[key][:, used] >= 0).all()


def test_what_the_file_brought_is_kept(fitted, granule_cells):
    assert np.array_equal(fitted.layers[keys.MS], granule_cells.layers[keys.MS])
    assert np.array_equal(fitted.obsm[keys.X_UMAP], granule_cells.obsm[keys.X_UMAP])
    assert list(fitted.uns["clusters_colors"]) == list(granule_cells.uns["clusters_colors"])


def test_the_callers_object_is_not_changed(shared_data, granule_cells, result):
    again = read(shared_data / "dentate_gyrus_200.h5ad")
    assert set(again.layers) == set(granule_cells.layers)
    assert set(again.uns) == set(granule_cells.uns)
    assert np.array_equal(again.layers["velocity"], granule_cells.layers["velocity"], equal_nan=True)


def test_settings_travel_with_the_result(result):
    stored = result.adata.uns[keys.DEEPVELO]
    assert config.from_dict(json.loads(stored["settings"])) == SHORT
    assert stored["cluster_key"] == "clusters"
    assert stored["metrics"] == pytest.approx(result.metrics, nan_ok=True)
    assert stored["history"]["total"].tolist() == result.history["total"].tolist()
    assert "scvelo" in json.loads(stored["versions"])


def test_progress_tells_every_step_and_epoch(granule_cells):
    seen = []
    settings = config.replace(SHORT, {"training": {"n_epochs": 2}})
    workflow.run(granule_cells, settings, on_progress=seen.append)
    assert list(dict.fromkeys(p.step for p in seen)) == [
        "prepare",
        "train",
        "graph",
        "embed",
        "scores",
        "rates",
    ]
    assert [p.epoch for p in seen if p.step == "train"] == [1, 2]
    assert {"continuity_future", "continuity_past", "pearson_u", "pearson_s", "total"} <= set(seen[1].terms)


def test_cancelling_ends_it_between_epochs(granule_cells):
    def stop(progress):
        if progress.epoch == 2:
            raise CancelledError

    with pytest.raises(CancelledError):
        workflow.run(granule_cells, SHORT, on_progress=stop)


def test_scvelo_draws_our_stream_unchanged(fitted):
    import matplotlib as mpl

    mpl.use("Agg")
    import scvelo as scv

    axes = scv.pl.velocity_embedding_stream(fitted, basis="umap", color="clusters", show=False)
    assert axes is not None


@pytest.mark.slow
def test_cellrank_reads_our_velocities_unchanged(fitted):
    from cellrank.kernels import VelocityKernel

    kernel = VelocityKernel(fitted).compute_transition_matrix(show_progress_bar=False)
    assert np.asarray(kernel.transition_matrix.sum(axis=1)).ravel() == pytest.approx(np.ones(fitted.n_obs))


def test_same_seed_same_result(granule_cells, result):
    again = workflow.run(granule_cells, SHORT, cluster_key="clusters", basis="umap")
    for key in (keys.VELOCITY, *keys.RATES):
        assert np.array_equal(again.adata.layers[key], result.adata.layers[key], equal_nan=True)
    assert np.array_equal(again.adata.obsm[keys.X_RATES_UMAP], result.adata.obsm[keys.X_RATES_UMAP])


def test_without_unspliced_velocity_alpha_is_not_estimated(granule_cells):
    settings = config.replace(
        SHORT, {"objective": {"unspliced_velocity": False}, "training": {"n_epochs": 2}}
    )
    fitted = workflow.run(granule_cells, settings).adata
    assert np.isnan(fitted.layers[keys.ALPHA]).all()
    assert np.isnan(fitted.layers[keys.VELOCITY_U]).all()
    assert keys.X_ALPHA_UMAP not in fitted.obsm


@pytest.mark.slow
def test_granule_cells_mature_in_the_right_direction(granule_cells):
    fitted = workflow.run(granule_cells, config.Settings(), cluster_key="clusters").adata
    for source, target in (("Neuroblast", "Granule immature"), ("Granule immature", "Granule mature")):
        assert boundary_cosine(fitted, source, target) > 0.3


@pytest.mark.slow
def test_raw_counts_without_groups_or_embedding(shared_data):
    fitted = workflow.run(read(shared_data / "dentate_gyrus_raw_100.h5ad"), SHORT).adata
    assert keys.LEIDEN in fitted.obs
    used = fitted.var[keys.VELOCITY_GENES].to_numpy()
    assert np.isfinite(fitted.layers[keys.VELOCITY][:, used]).all()
    assert np.isfinite(fitted.obsm["velocity_umap"]).all()


def boundary_cosine(adata, source: str, target: str) -> float:
    """Mean cosine of the arrows in `source` with the way to their neighbours in `target`, on the UMAP."""
    groups, positions = adata.obs["clusters"].to_numpy(), adata.obsm["X_umap"]
    scores = []
    for cell in np.flatnonzero(groups == source):
        neighbors = adata.obsp["distances"][cell].indices
        way = positions[neighbors[groups[neighbors] == target]] - positions[cell]
        arrow = adata.obsm["velocity_umap"][cell]
        if len(way):
            scores.append((way @ arrow / np.linalg.norm(way, axis=1) / np.linalg.norm(arrow)).mean())
    return float(np.nanmean(scores))
