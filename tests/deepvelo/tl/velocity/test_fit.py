"""Rates and velocities block by block are those of all genes at once, in memory or on disk."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
import torch
import zarr
from anndata import AnnData

from deepvelo import config, keys, plan
from deepvelo.arrays import layers
from deepvelo.arrays.on_disk import ColumnsOnDisk
from deepvelo.datasets.simulation import simulate
from deepvelo.errors import CancelledError, InputError
from deepvelo.model import training
from deepvelo.model.gcn import RateNetwork
from deepvelo.model.graph.cell_graph import Components
from deepvelo.model.large_data import parallel
from deepvelo.model.large_data.parallel import ProcessGroup
from deepvelo.pp.prepare import prepare
from deepvelo.tl.metrics.confidence import direction_confidence
from deepvelo.tl.metrics.consistency import celltype_consistency, neighbor_consistency
from deepvelo.tl.rates.multikinetic import multikinetic_score
from deepvelo.tl.velocity.fit import fit_velocity
from deepvelo.tl.velocity.smoothing import smooth_moments, smooth_velocity

WRITTEN = (keys.VELOCITY, keys.VELOCITY_U, *keys.RATES)
FEW = {
    "preparation": {"n_components": 3},
    "graph": {"n_neighbors": 4, "n_candidates": 6},
    "training": {"n_epochs": 5, "device": "cpu"},
}
SETTINGS = config.replace(config.Settings(), FEW)


def cells(n_cells: int = 60, n_genes: int = 30) -> AnnData:
    """Moments of cells on a ring of neighbours; two genes have no spliced and one no unspliced counts."""
    rng = np.random.default_rng(0)
    time = np.linspace(0, 3, n_cells)[:, None]
    adata = AnnData(np.zeros((n_cells, n_genes), dtype=np.float32))
    adata.layers[keys.MU] = (rng.uniform(0.5, 2, n_genes) * (1 - np.exp(-time))).astype(np.float32)
    adata.layers[keys.MS] = (adata.layers[keys.MU] * (1 - np.exp(-0.5 * time))).astype(np.float32)
    for key in (keys.MU, keys.MS):
        adata.layers[key] += rng.uniform(0, 0.05, adata.shape).astype(np.float32)
    adata.layers[keys.MS][:, [4, 5]] = 0
    adata.layers[keys.MU][:, 20] = 0
    ring = sp.diags([0.5, 0.5, 1.0], [1, -1, n_cells - 1], shape=(n_cells, n_cells), dtype=np.float32)
    adata.obsp[keys.CONNECTIVITIES] = sp.csr_matrix(ring + ring.T)
    return adata


@pytest.fixture
def narrow(monkeypatch):
    """Blocks of 7 genes, chunks of 3."""
    monkeypatch.setattr(layers, "_BLOCK_GENES", 7)
    monkeypatch.setattr(layers, "CHUNK_BYTES", 60 * 4 * 3)


def written_out(adata: AnnData, settings: config.Settings) -> dict[str, np.ndarray]:
    """The layers by the plain formulas, of all genes at once."""
    s, u = smooth_moments(adata, settings)
    used = (s > 0).any(axis=0) & (u > 0).any(axis=0)
    s_used, u_used = torch.from_numpy(s[:, used].copy()), torch.from_numpy(u[:, used].copy())
    alpha, beta, gamma = (rate.numpy() for rate in training.train(s_used, u_used, settings=settings).rates())
    v, v_u = beta * u[:, used] - gamma * s[:, used], alpha - beta * u[:, used]
    found = dict(zip(WRITTEN, (v, v_u, alpha, beta, gamma), strict=True))
    whole = {key: np.full(adata.shape, np.nan, dtype=np.float32) for key in WRITTEN}
    for key, values in found.items():
        whole[key][:, used] = values
    for key in (keys.VELOCITY, keys.VELOCITY_U):
        whole[key] = smooth_velocity(adata, whole[key], settings=settings)
    return whole


@pytest.mark.parametrize("on_disk", [False, True])
@pytest.mark.parametrize(
    "settings",
    [
        SETTINGS,
        config.replace(SETTINGS, {"graph": {"smooth_velocity": 1}}),
        config.replace(config.PUBLISHED, FEW),
    ],
    ids=["default", "averaged once", "published"],
)
@pytest.mark.usefixtures("narrow")
def test_blocks_give_what_the_formulas_give_for_all_genes(tmp_path, settings, on_disk):
    adata = cells()
    expected = written_out(adata, settings)
    fit_velocity(adata, settings=settings, scratch=tmp_path if on_disk else None)
    for key in WRITTEN:
        assert isinstance(adata.layers[key], zarr.Array if on_disk else np.ndarray)
        np.testing.assert_allclose(adata.layers[key][:, :], expected[key], atol=1e-5)
    assert np.flatnonzero(~adata.var[keys.VELOCITY_GENES]).tolist() == [4, 5, 20]


@pytest.mark.usefixtures("narrow")
def test_a_training_from_disk_gives_the_same_and_leaves_the_layers_alone(tmp_path, monkeypatch):
    settings = config.replace(SETTINGS, {"training": {"batch_cells": 40}})
    expected, adata = cells(), cells()
    fit_velocity(expected, settings=settings, scratch=tmp_path / "memory")
    monkeypatch.setattr(plan, "MOST_IN_MEMORY", 0)
    asked = []
    train = training.train
    monkeypatch.setattr(
        training, "train", lambda *args, **options: asked.append(args) or train(*args, **options)
    )
    fit = fit_velocity(adata, settings=settings, scratch=tmp_path / "disk")
    assert [type(values) for values in asked[0]] == [ColumnsOnDisk, ColumnsOnDisk]
    assert fit.hidden.isfinite().all()
    for key in WRITTEN:
        np.testing.assert_allclose(adata.layers[key][:, :], expected.layers[key][:, :], atol=1e-5)
    assert adata.var[keys.VELOCITY_GENES].equals(expected.var[keys.VELOCITY_GENES])
    assert sorted(path.name for path in (tmp_path / "disk").iterdir()) == sorted(WRITTEN)


@pytest.mark.parametrize(
    ("on_this_machine", "kind"), [(2, ColumnsOnDisk), (1, torch.Tensor)], ids=["one machine", "two machines"]
)
def test_processes_read_from_disk_what_all_of_them_can_reach(tmp_path, monkeypatch, on_this_machine, kind):
    monkeypatch.setattr(plan, "MOST_IN_MEMORY", 0)
    two = ProcessGroup(size=2, on_this_machine=on_this_machine)
    monkeypatch.setattr(parallel, "process_group", lambda: two)
    given = []

    def cancelled(*moments, **_):
        given.extend(moments)
        raise CancelledError

    monkeypatch.setattr(training, "train", cancelled)
    with pytest.raises(CancelledError):
        fit_velocity(
            cells(), settings=config.replace(SETTINGS, {"training": {"batch_cells": 40}}), scratch=tmp_path
        )
    assert [isinstance(values, kind) for values in given] == [True, True]
    assert not list(tmp_path.iterdir()), "what was cancelled leaves nothing"


@pytest.mark.usefixtures("narrow")
def test_moments_on_disk_give_the_same(tmp_path):
    expected, adata = cells(), cells()
    for key in (keys.MS, keys.MU):
        layer = layers.new_layer(adata.shape, path=tmp_path / key)
        layer[:, :] = adata.layers[key]
        adata.layers[key] = layer
    for each in (expected, adata):
        fit_velocity(each, settings=SETTINGS)
    for key in WRITTEN:
        np.testing.assert_allclose(adata.layers[key], expected.layers[key], atol=1e-6)


def test_scores_are_the_same_in_memory_and_on_disk(tmp_path, narrow):
    adata, settings = cells(), SETTINGS
    fit_velocity(adata, settings=settings)
    on_disk = AnnData(obs=adata.obs, var=adata.var, obsp=dict(adata.obsp), layers=dict(adata.layers))
    for key in list(on_disk.layers):
        on_disk.layers[key] = layers.new_layer(adata.shape, path=tmp_path / key)
        on_disk.layers[key][:, :] = adata.layers[key]
    graph, groups = adata.obsp[keys.CONNECTIVITIES], adata.obs_names.to_series().str[-1]
    for of in (
        lambda x: neighbor_consistency(x.layers[keys.VELOCITY], graph),
        lambda x: celltype_consistency(x.layers[keys.VELOCITY], groups),
        lambda x: np.concatenate(direction_confidence(x, settings=settings)),
        lambda x: multikinetic_score(
            *(x.layers[key] for key in (keys.MU, keys.MS, keys.VELOCITY)), groups=groups
        ),
    ):
        assert np.isfinite(of(adata)).any()
        np.testing.assert_allclose(of(on_disk), of(adata), atol=1e-6)


def test_one_gene_with_both_counts_is_refused():
    adata = cells()
    adata.layers[keys.MU][:, 1:] = 0
    with pytest.raises(InputError, match=r"at least 2 genes.*Found 1 of 30"):
        fit_velocity(adata, settings=SETTINGS)


def traced_peak(work) -> int:
    """Bytes of numpy arrays that were there at once while ``work`` ran."""
    tracemalloc.start()
    try:
        work()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def test_scores_of_layers_on_disk_take_a_few_blocks_of_memory(tmp_path):
    n_cells, n_genes = 1500, 4000
    whole, block = 4 * n_cells * n_genes, 4 * n_cells * layers._BLOCK_GENES
    rng = np.random.default_rng(0)
    ring = sp.diags([1.0, 1.0], [1, -1], shape=(n_cells, n_cells), format="csr", dtype=np.float32)
    layer = layers.new_layer((n_cells, n_genes), path=tmp_path / "layer")
    for genes in layers.gene_blocks(layer):
        layer[:, genes] = rng.normal(size=(n_cells, genes.stop - genes.start))
    groups = pd.Series(rng.choice(list("abc"), n_cells))
    for score in (
        lambda: neighbor_consistency(layer, ring),
        lambda: celltype_consistency(layer, groups),
        lambda: multikinetic_score(layer, layer, layer, groups=groups),
    ):
        assert traced_peak(score) < 14 * block < whole / 2


def test_on_disk_only_the_inputs_of_the_training_are_held_whole(tmp_path, monkeypatch):
    settings, adata = SETTINGS, cells(1000, 4000)
    whole, block = adata.layers[keys.MS].nbytes, 4 * adata.n_obs * layers._BLOCK_GENES

    def untrained(spliced, unspliced, **_):
        network = RateNetwork(spliced.shape[1], settings.variant).eval()
        hidden = torch.rand(len(spliced), settings.variant.hidden_sizes[-1])
        components = Components(torch.zeros(len(spliced), 2), torch.zeros(spliced.shape[1], 2))
        nobody = torch.zeros(len(spliced), 0, dtype=torch.int64)
        return training.Fit(
            network=network, hidden=hidden, components=components, neighbors=nobody, history=[], weights={}
        )

    monkeypatch.setattr(training, "train", untrained)
    peak = traced_peak(lambda: fit_velocity(adata, settings=settings, scratch=tmp_path))
    # Both moments, and one of them once more where a gene is left out.
    assert peak < 3 * whole + 14 * block < 5 * whole


@pytest.mark.parametrize("on_disk", [False, True])
def test_growth_of_total_rna_is_added_to_both_velocities(on_disk, narrow, tmp_path):
    adata = cells()
    for key in keys.INITIAL_SIZES:
        adata.obs[key] = np.linspace(1000, 8000, adata.n_obs)
    technical = config.replace(SETTINGS, {"graph": {"total_rna": "technical"}})
    found = {}
    for name, settings in (("biological", SETTINGS), ("technical", technical)):
        own = adata.copy()
        fit_velocity(own, settings=settings, scratch=tmp_path / name if on_disk else None)
        found[name] = {key: own.layers[key][:] for key in (keys.VELOCITY, keys.VELOCITY_U)}
    known = own.var[keys.VELOCITY_GENES].to_numpy()
    twice = smooth_moments(adata, config.replace(SETTINGS, {"graph": {"smooth_inputs": 3}}))
    growth = []
    for key, moments in zip((keys.VELOCITY, keys.VELOCITY_U), twice, strict=True):
        added = (found["biological"][key] - found["technical"][key])[:, known]
        growth += [added / moments[:, known]]
    growth = np.hstack(growth)
    assert np.abs(growth).max() > 0.01
    np.testing.assert_allclose(growth, np.tile(growth[:, :1], growth.shape[1]), atol=1e-4)


@pytest.mark.slow
def test_the_sample_moves_as_it_was_simulated():
    simulated = simulate(kind="dentate", n_cells=3000, n_genes=800, depth=2000, seed=0)
    settings = config.replace(config.Settings(), {"training": {"device": "cpu"}})
    fitted = prepare(simulated, settings, cluster_key=keys.CLUSTERS)
    fit_velocity(fitted, settings=settings)
    estimate = np.nan_to_num(fitted.layers[keys.VELOCITY])
    truth = simulated[:, fitted.var_names].layers[keys.TRUE_VELOCITY]
    lengths = np.linalg.norm(estimate, axis=1) * np.linalg.norm(truth, axis=1)
    cosine = (estimate * truth).sum(axis=1) / lengths
    for group in ("Neuroblast", "Granule immature", "Granule mature"):
        assert cosine[(fitted.obs[keys.CLUSTERS] == group).to_numpy()].mean() > 0.8
