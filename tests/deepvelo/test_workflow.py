"""The whole path on simulated and on real cells, and what other tools make of its result."""

from __future__ import annotations

import errno
import json
import os
from importlib.metadata import PackageNotFoundError

import numpy as np
import pytest
import torch
import zarr
from scipy import sparse
from zarr.storage import LocalStore

from deepvelo import config, keys, peers, plan, workflow
from deepvelo.arrays import layers
from deepvelo.arrays.on_disk import ColumnWriter
from deepvelo.datasets.simulation import simulate
from deepvelo.errors import CancelledError, InputError
from deepvelo.evaluation.compare import GRANULE_EDGES
from deepvelo.io import temporary
from deepvelo.io.read import read
from deepvelo.io.runs import RunStore
from deepvelo.peers import fitted_here
from deepvelo.result import step_in_words
from deepvelo.tl.metrics.boundary import boundary_correctness
from tests.graphvelo_stand_in import install

WRITTEN = (keys.VELOCITY, keys.VELOCITY_U, *keys.RATES)
SHORT = config.replace(config.Settings(), {"training": {"n_epochs": 30, "device": "cpu"}})
pytestmark = pytest.mark.usefixtures("rough_rates_umap")


def simulated_cells():
    return simulate(kind="linear", n_cells=150, n_genes=60, depth=2000, seed=0)


@pytest.fixture(scope="module")
def granule_cells(shared_data):
    return read(shared_data / "dentate_gyrus_200.h5ad")


@pytest.fixture(scope="module", params=["simulated", "real"])
def cells(request):
    return simulated_cells() if request.param == "simulated" else request.getfixturevalue("granule_cells")


@pytest.fixture(scope="module")
def untouched(cells):
    return cells.copy()


@pytest.fixture(scope="module")
def told():
    """The progress that `result` told."""
    return []


@pytest.fixture(scope="module")
def result(cells, untouched, told):
    told.clear()
    return workflow.run(cells, SHORT, cluster_key="clusters", basis="umap", on_progress=told.append)


@pytest.fixture
def fitted(result):
    return result.adata.copy()


def test_documented_keys_are_there(fitted):
    for key in (keys.MS, keys.MU, keys.VELOCITY, keys.VELOCITY_U, *keys.RATES):
        assert fitted.layers[key].dtype == np.float32
    for key in (keys.CONFIDENCE, keys.CONSISTENCY, keys.CONSISTENCY_CELLTYPE, keys.PSEUDOTIME):
        assert key in fitted.obs
    for key in (keys.X_RATES_PCA, keys.X_RATES_UMAP, "velocity_umap", "X_umap"):
        assert fitted.obsm[key].shape[0] == fitted.n_obs
    for key in (keys.VELOCITY_GRAPH, keys.VELOCITY_GRAPH_NEG, keys.VELOCITY_PARAMS, keys.DEEPVELO):
        assert key in fitted.uns
    assert fitted.var[keys.VELOCITY_GENES].dtype == bool
    assert keys.MULTIKINETIC_SCORE in fitted.var
    assert keys.CONFIDENCE in fitted.var


def test_no_rate_is_negative_and_no_used_gene_has_a_nan(fitted):
    used = fitted.var[keys.VELOCITY_GENES].to_numpy()
    assert used.sum() > fitted.n_vars / 2
    for key in (keys.VELOCITY, keys.VELOCITY_U, *keys.RATES):
        assert np.isfinite(fitted.layers[key][:, used]).all()
        assert np.isnan(fitted.layers[key][:, ~used]).all()
    for key in keys.RATES:
        assert (fitted.layers[key][:, used] >= 0).all()


@pytest.mark.parametrize("cells", ["real"], indirect=True)
def test_moments_and_embedding_of_the_file_are_kept(fitted, cells):
    assert np.array_equal(fitted.layers[keys.MS], cells.layers[keys.MS])
    assert np.array_equal(fitted.obsm[keys.X_UMAP], cells.obsm[keys.X_UMAP])


def test_groups_and_their_colours_are_kept(fitted, cells):
    assert fitted.obs["clusters"].equals(cells.obs["clusters"])
    assert list(fitted.uns["clusters_colors"]) == list(cells.uns["clusters_colors"])


@pytest.mark.usefixtures("result")
def test_the_callers_object_is_not_changed(cells, untouched):
    for part in ("obs", "var", "layers", "obsm", "obsp", "uns"):
        assert list(getattr(cells, part)) == list(getattr(untouched, part))
    for layer in untouched.layers:
        given, before = (as_array(adata.layers[layer]) for adata in (cells, untouched))
        assert np.array_equal(given, before, equal_nan=True)


def test_settings_travel_with_the_result(result):
    stored = result.adata.uns[keys.DEEPVELO]
    assert json.loads(stored["plan"])["n_epochs"] == len(result.history)
    assert config.from_dict(json.loads(stored["settings"])) == SHORT
    assert stored["cluster_key"] == "clusters"
    assert stored["metrics"] == pytest.approx(result.metrics, nan_ok=True)
    assert stored["history"]["total"].tolist() == result.history["total"].tolist()
    assert "scvelo" in json.loads(stored["versions"])


def test_progress_tells_every_step_and_epoch(result, told):
    assert list(dict.fromkeys(p.step for p in told)) == [
        "prepare",
        "train",
        "graph",
        "embed",
        "scores",
        "rates",
    ]
    start, *epochs = [p for p in told if p.step == "train"]
    assert (start.epoch, start.terms) == (0, {})
    assert [p.epoch for p in epochs] == result.history["epoch"].tolist() == list(range(1, 31))
    assert {"continuity_future", "continuity_past", "pearson_u", "pearson_s", "total"} <= set(epochs[0].terms)


def test_cancelling_ends_it_between_epochs():
    def stop(progress):
        if progress.epoch == 2:
            raise CancelledError

    with pytest.raises(CancelledError):
        workflow.run(simulated_cells(), SHORT, on_progress=stop)


@pytest.mark.slow
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


@pytest.mark.slow
def test_same_seed_same_result(cells, result):
    again = workflow.run(cells, SHORT, cluster_key="clusters", basis="umap")
    for key in (keys.VELOCITY, *keys.RATES):
        assert np.array_equal(again.adata.layers[key], result.adata.layers[key], equal_nan=True)
    assert np.array_equal(again.adata.obsm[keys.X_RATES_UMAP], result.adata.obsm[keys.X_RATES_UMAP])


def test_without_unspliced_velocity_alpha_is_not_estimated():
    short = {"preset": "published", "training": {"n_epochs": 2, "device": "cpu"}}
    fitted = workflow.run(simulated_cells(), config.from_dict(short)).adata
    assert np.isnan(fitted.layers[keys.ALPHA]).all()
    assert np.isnan(fitted.layers[keys.VELOCITY_U]).all()
    assert keys.X_ALPHA_UMAP not in fitted.obsm


@pytest.mark.slow
def test_granule_cells_mature_in_the_right_direction(granule_cells):
    fitted = workflow.run(granule_cells, config.Settings(), cluster_key="clusters").adata
    for source, target in GRANULE_EDGES:
        assert boundary_cosine(fitted, source, target) > 0.4


@pytest.mark.slow
def test_published_preset_scores_like_the_released_code(granule_cells):
    """The released code on these cells, three seeds: 0.87, 0.83 with each cell in its own mean, 0.65."""
    runs = [
        workflow.run(granule_cells, config.replace(config.PUBLISHED, {"seed": seed}), cluster_key="clusters")
        for seed in range(3)
    ]
    for score, expected in (("consistency", 0.87), ("consistency_celltype", 0.82)):
        assert np.mean([run.metrics[score] for run in runs]) == pytest.approx(expected, abs=0.03)
    cosines = [boundary_cosine(run.adata, *boundary) for run in runs for boundary in GRANULE_EDGES]
    assert np.mean(cosines) == pytest.approx(0.65, abs=0.1)


@pytest.mark.slow
def test_raw_counts_without_groups_or_embedding(shared_data):
    fitted = workflow.run(read(shared_data / "dentate_gyrus_raw_100.h5ad"), SHORT).adata
    assert keys.LEIDEN in fitted.obs
    used = fitted.var[keys.VELOCITY_GENES].to_numpy()
    assert np.isfinite(fitted.layers[keys.VELOCITY][:, used]).all()
    assert np.isfinite(fitted.obsm["velocity_umap"]).all()


def as_array(layer):
    return layer.toarray() if sparse.issparse(layer) else layer


def boundary_cosine(adata, source: str, target: str) -> float:
    scores = boundary_correctness(
        adata.obsm["velocity_umap"],
        adata.obsm["X_umap"],
        graph=adata.obsp["distances"],
        groups=adata.obs["clusters"].to_numpy(),
        source=source,
        target=target,
    )
    return float(np.nanmean(scores))


@pytest.fixture(scope="module", params=["stochastic", pytest.param("dynamical", marks=pytest.mark.slow)])
def scvelo_run(request):
    """One of scVelo's modes, and the progress it told."""
    seen = []
    settings = config.replace(SHORT, {"method": request.param})
    result = workflow.run(simulated_cells(), settings, cluster_key="clusters", on_progress=seen.append)
    return result, seen


def test_a_mode_of_scvelo_is_a_run_without_rates(scvelo_run):
    result, _ = scvelo_run
    fitted = result.adata
    for key in (keys.CONSISTENCY, keys.CONSISTENCY_CELLTYPE, keys.PSEUDOTIME):
        assert np.isfinite(fitted.obs[key]).mean() > 0.9
    assert {"velocity_umap", keys.X_UMAP} <= set(fitted.obsm)
    assert not set(keys.RATES) & set(fitted.layers)
    assert not {keys.X_RATES_PCA, keys.X_RATES_UMAP} & set(fitted.obsm)
    assert not {keys.CONFIDENCE, keys.RATES_LEIDEN} & set(fitted.obs)
    assert fitted.var[keys.MULTIKINETIC_SCORE].isna().all()
    assert (result.history.empty, result.weights) == (True, {})
    assert not {"confidence", "silhouette_rates", "ari_rates", "n_epochs"} & set(result.metrics)
    assert result.metrics["n_velocity_genes"] == fitted.var[keys.VELOCITY_GENES].sum() < fitted.n_vars
    assert result.metrics["consistency"] == pytest.approx(fitted.obs[keys.CONSISTENCY].mean())
    method = result.settings.method
    assert config.from_dict(json.loads(fitted.uns[keys.DEEPVELO]["settings"])).method == method
    assert fitted.uns[keys.VELOCITY_PARAMS]["mode"] == method


def test_a_mode_of_scvelo_tells_steps_and_genes(scvelo_run):
    result, seen = scvelo_run
    assert list(dict.fromkeys(p.step for p in seen)) == ["prepare", "train", "graph", "embed", "scores"]
    fitting = [p for p in seen if p.step == "train"]
    assert {p.unit for p in fitting} == {"gene"}
    assert not any(p.terms for p in fitting)
    words = [step_in_words(p) for p in fitting]
    if result.settings.method == "stochastic":
        assert words == ["Fitting genes"]
    else:
        n_genes = fitting[-1].n_epochs
        assert words[:2] == ["Fitting genes", f"Fitting genes, 0 of {n_genes}"]
        assert words[-1] == f"Fitting genes, {n_genes} of {n_genes}"


@pytest.mark.skipif(torch.cuda.is_available(), reason="this machine has a GPU")
def test_scvelo_takes_no_notice_of_a_device_that_is_not_there():
    changes = {"method": "steady_state", "training": {"device": "cuda"}}
    result = workflow.run(simulated_cells(), config.replace(SHORT, changes), cluster_key="clusters")
    assert keys.VELOCITY_GRAPH in result.adata.uns


def test_a_graph_that_scvelo_cannot_make_is_a_sentence(monkeypatch):
    def fails(_, *, device):
        raise ValueError("corrupted")

    monkeypatch.setattr("deepvelo.tl.velocity_graph", fails)
    stochastic = config.replace(SHORT, {"method": "stochastic"})
    with pytest.raises(
        InputError, match=r"stochastic mode failed at the velocity graph \(ValueError: corrupted"
    ):
        workflow.run(simulated_cells(), stochastic)


def test_graphvelo_is_a_run_without_rates_that_tells_cells(monkeypatch):
    install(monkeypatch)
    seen = []
    settings = config.replace(SHORT, {"method": "graphvelo"})
    cells = simulated_cells()
    result = workflow.run(cells, settings, cluster_key="clusters", on_progress=seen.append)
    assert keys.VELOCITY_GRAPH in result.adata.uns
    assert not {*keys.RATES, keys.VELOCITY_U} & set(result.adata.layers)
    assert result.metrics["n_velocity_genes"] == result.adata.n_vars
    record = result.adata.uns[keys.DEEPVELO]
    assert "plan" not in record, "it would be of a training"
    assert json.loads(record["versions"])["graphvelo"] == "graphvelo 1"
    assert config.from_dict(json.loads(record["settings"])).method == "graphvelo"
    words = [step_in_words(p) for p in seen if p.step == "train"]
    n_cells = cells.n_obs
    assert words[:2] == ["Fitting cells", f"Fitting cells, 0 of {n_cells}"]
    assert words[-1] == f"Fitting cells, {n_cells} of {n_cells}"


def test_a_method_that_is_not_installed_is_refused_before_anything_is_prepared(monkeypatch):
    def absent(name: str) -> str:
        raise PackageNotFoundError(name)

    monkeypatch.setattr(peers, "version", absent)
    seen = []
    with pytest.raises(InputError, match=r"pip install graphvelo=="):
        workflow.run(
            simulated_cells(), config.replace(SHORT, {"method": "graphvelo"}), on_progress=seen.append
        )
    assert seen == []


@pytest.mark.slow
@pytest.mark.skipif("graphvelo" not in fitted_here(), reason="GraphVelo is not installed")
def test_graphvelo_itself_is_scored_and_stored(tmp_path):
    result = workflow.run(
        simulated_cells(), config.replace(SHORT, {"method": "graphvelo"}), cluster_key="clusters"
    )
    store = RunStore(tmp_path)
    stored = store.open(store.save(result, data_name="cells", data_hash="0" * 32))
    assert stored.info.settings.method == "graphvelo"
    assert stored.info.versions["graphvelo"] == "0.1.9"
    assert result.metrics["consistency"] > 0.5


@pytest.mark.slow
def test_a_run_on_disk_is_stored_as_one_in_memory(tmp_path):
    store = RunStore(tmp_path)
    in_memory = workflow.run(simulated_cells(), SHORT, cluster_key="clusters")
    with store.scratch() as scratch:
        on_disk = workflow.run(simulated_cells(), SHORT, cluster_key="clusters", scratch=scratch)
        assert all(isinstance(on_disk.adata.layers[key], zarr.Array) for key in WRITTEN)
        runs = [
            store.open(store.save(result, data_name="cells", data_hash="0" * 32)).to_adata()
            for result in (in_memory, on_disk)
        ]
    assert len(list(store.folder.iterdir())) == 2
    for key in WRITTEN:
        np.testing.assert_allclose(runs[1].layers[key], runs[0].layers[key], atol=1e-5)
    for key in (keys.CONFIDENCE, keys.CONSISTENCY, keys.CONSISTENCY_CELLTYPE, keys.LATENT_TIME):
        np.testing.assert_allclose(runs[1].obs[key], runs[0].obs[key], atol=1e-4)
    np.testing.assert_allclose(
        np.abs(runs[1].obsm[keys.X_RATES_PCA]), np.abs(runs[0].obsm[keys.X_RATES_PCA]), atol=1e-2
    )


@pytest.mark.slow
def test_a_disk_that_fills_up_while_layers_are_written_leaves_no_half_run(tmp_path, monkeypatch):
    store, written = RunStore(tmp_path), []
    write = LocalStore.set

    async def full_after_twenty(self, key, *args):
        if len(written) == 20:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        written.append(key)
        await write(self, key, *args)

    monkeypatch.setattr(LocalStore, "set", full_after_twenty)
    monkeypatch.setattr(layers, "CHUNK_BYTES", 150 * 4 * 10)
    with pytest.raises(InputError, match=r"disk of the run store .* is full"), store.scratch() as scratch:
        workflow.run(simulated_cells(), SHORT, cluster_key="clusters", scratch=scratch)
    assert any(key.endswith("0.0") for key in written), "some layers had begun"
    assert list(store.folder.iterdir()) == []


def test_a_disk_that_fills_up_while_the_training_writes_leaves_no_half_run(tmp_path, monkeypatch):
    store, written = RunStore(tmp_path), []
    in_batches = config.replace(SHORT, {"training": {"batch_cells": 64}})

    def full_after_three(self, block):
        if len(written) == 3:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        written.append(block.shape)
        add(self, block)

    add = ColumnWriter.add
    monkeypatch.setattr(ColumnWriter, "add", full_after_three)
    monkeypatch.setattr(plan, "MOST_IN_MEMORY", 0)
    with pytest.raises(InputError, match=r"disk of the run store .* is full"), store.scratch() as scratch:
        workflow.run(simulated_cells(), in_batches, cluster_key="clusters", scratch=scratch)
    assert written, "a file had begun"
    assert list(store.folder.iterdir()) == []


@pytest.mark.slow
def test_a_training_from_disk_asks_for_its_room_before_it_begins(tmp_path, monkeypatch):
    in_batches = config.replace(SHORT, {"training": {"batch_cells": 64}})
    asked = []
    monkeypatch.setattr(temporary, "require_space", lambda folder, *, layers, of: asked.append(layers))
    for most in (plan.MOST_IN_MEMORY, 0):
        monkeypatch.setattr(plan, "MOST_IN_MEMORY", most)
        with RunStore(tmp_path).scratch() as scratch:
            workflow.run(simulated_cells(), in_batches, cluster_key="clusters", scratch=scratch)
    assert asked == [5, 7]
