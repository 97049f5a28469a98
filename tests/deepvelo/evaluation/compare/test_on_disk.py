"""Comparisons of layers that lie on disk: the numbers of those in memory, and never a whole layer."""

from __future__ import annotations

import json
import tracemalloc
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from anndata import AnnData
from scipy import sparse

from deepvelo import keys
from deepvelo.arrays import layers, views
from deepvelo.arrays.layers import new_layer
from deepvelo.evaluation.compare import LAYERS, Matched, compare, disagreeing_genes, match, pair_agreement
from deepvelo.evaluation.controls import scores_of_run, seed_agreement, sensitivity_table

EDGES = [("A", "B"), ("B", "C")]


def made_up(n_cells: int, n_genes: int, *, seed: int) -> AnnData:
    """A result of a smoothing fit, cells in a row with 10 neighbours each; velocities are noise."""
    rng = np.random.default_rng(seed)
    around = np.clip(np.arange(n_cells), 5, n_cells - 6)[:, None] + np.arange(-5, 6)
    rows = np.repeat(np.arange(n_cells), 11)
    between = rows != around.ravel()
    graph = sparse.csr_matrix(
        (np.ones(between.sum()), (rows[between], around.ravel()[between])), shape=(n_cells, n_cells)
    )
    groups = np.array(list("ABC"))[np.arange(n_cells) * 3 // n_cells]
    adata = AnnData(
        obs=pd.DataFrame({keys.CLUSTERS: pd.Categorical(groups)}, index=[f"cell{i}" for i in range(n_cells)]),
        var=pd.DataFrame(
            {keys.VELOCITY_GENES: rng.random(n_genes) < 0.9}, index=[f"g{i}" for i in range(n_genes)]
        ),
        layers={key: rng.normal(1, 1, (n_cells, n_genes)).astype(np.float32) for key in LAYERS},
        obsp={keys.DISTANCES: graph, keys.CONNECTIVITIES: graph},
        uns={
            keys.NEIGHBORS: {"params": {"n_neighbors": 11}},
            keys.DEEPVELO: {"settings": json.dumps({"graph": {"smooth_velocity": 1}})},
        },
    )
    adata.obs[[keys.CONSISTENCY, keys.CONSISTENCY_CELLTYPE]] = rng.random((n_cells, 2))
    adata.layers[keys.MS] += np.linspace(0, 5, n_cells, dtype=np.float32)[:, None]
    adata.obsm[keys.X_UMAP] = np.column_stack([np.arange(n_cells), rng.random(n_cells)])
    adata.obsm[keys.velocity_embedding("umap")] = rng.normal(size=(n_cells, 2))
    return adata


def on_disk(adata: AnnData, folder: Path) -> AnnData:
    """The same with its layers in a folder."""
    light = AnnData(obs=adata.obs, var=adata.var, obsm=adata.obsm, obsp=adata.obsp, uns=adata.uns)
    for key in LAYERS:
        layer = new_layer(adata.shape, path=folder / key)
        layer[:, :] = adata.layers[key]
        light.layers[key] = layer
    return light


@pytest.fixture
def by_block(monkeypatch):
    """Nothing is small enough to be kept, and blocks are of few genes."""
    monkeypatch.setattr(views, "_BLOCK_KEPT", 0)
    monkeypatch.setattr(layers, "_BLOCK_GENES", 7)


@pytest.fixture
def memory():
    """Two methods, the second without some of the genes and with the others in another order."""
    first, second = (made_up(60, 40, seed=seed) for seed in (1, 2))
    return {"a": first, "b": second[:, np.random.default_rng(0).permutation(40)[:30]].copy()}


@pytest.fixture
def disk(memory, tmp_path):
    """The same on disk."""
    return {name: on_disk(adata, tmp_path / name) for name, adata in memory.items()}


@pytest.mark.parametrize("smooth", [None, 0, 1])
@pytest.mark.slow
def test_scores_are_those_of_layers_in_memory(memory, disk, by_block, smooth):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(layers, "_BLOCK_GENES", 10**6)
        expected = compare(match(memory).smoothed(smooth), edges=EDGES)
    matched = match(disk).smoothed(smooth)
    assert not any(isinstance(layer, np.ndarray) for layer in [matched.moments, *matched.velocities.values()])
    found = compare(matched, edges=EDGES)
    pd.testing.assert_frame_equal(found.table, expected.table, rtol=1e-5)
    pd.testing.assert_series_equal(found.agreement, expected.agreement, rtol=0, atol=1e-6)
    for name in "ab":
        pd.testing.assert_frame_equal(found.cells[name], expected.cells[name], rtol=0, atol=1e-5)
    assert (found.n_common_genes, found.warnings) == (expected.n_common_genes, expected.warnings)


def test_what_a_region_disagrees_about_is_that_of_whole_arrays(disk, by_block):
    matched, cells = match(disk), np.arange(10, 30)
    a, b = (
        np.hstack([velocity[:, gene : gene + 1] for gene in range(30)])[cells]
        for velocity in matched.velocities.values()
    )
    common = np.isfinite(a).all(axis=0) & np.isfinite(b).all(axis=0)
    unit_a, unit_b = (v[:, common] / np.linalg.norm(v[:, common], axis=1, keepdims=True) for v in (a, b))
    genes = disagreeing_genes(matched, cells).loc[matched.reference.var_names[common]]
    np.testing.assert_allclose(genes["contribution"], ((unit_a - unit_b) ** 2 / 2).mean(axis=0), atol=1e-6)
    np.testing.assert_allclose(
        genes[["a", "b"]], np.transpose([unit_a.mean(axis=0), unit_b.mean(axis=0)]), atol=1e-6
    )
    assert pair_agreement(matched, cells)["a", "b"] == pytest.approx(
        (unit_a * unit_b).sum(axis=1).mean(), abs=1e-6
    )


def test_controls_say_the_same_of_layers_on_disk(memory, disk, by_block):
    def of(results):
        base, velocity = results["a"], results["a"].layers[keys.VELOCITY]
        sweep = sensitivity_table(base, [("b", results["b"])], edges=EDGES, cluster_key=keys.CLUSTERS)
        scores = scores_of_run(base, edges=EDGES, cluster_key=keys.CLUSTERS, basis="umap")
        return sweep, scores, seed_agreement([velocity, results["a"].layers[keys.MS]])

    (sweep, scores, seeds), (sweep_disk, scores_disk, seeds_disk) = of(memory), of(disk)
    pd.testing.assert_frame_equal(sweep_disk, sweep, rtol=1e-5)
    pd.testing.assert_series_equal(scores_disk, scores, rtol=1e-5)
    np.testing.assert_allclose(seeds_disk, seeds, atol=1e-6)


def all_scores(matched: Matched) -> None:
    cells = np.arange(matched.reference.n_obs)
    compare(matched, edges=EDGES)
    disagreeing_genes(matched, cells)
    pair_agreement(matched, cells)


@pytest.mark.slow  # every allocation is traced
def test_memory_stays_far_below_one_layer(tmp_path, by_block, memory, monkeypatch):
    all_scores(match(memory))  # modules that are imported here would count as well
    monkeypatch.setattr(layers, "CHUNK_BYTES", 2**17)  # one of a layer of usual size is a small part of it
    results = {
        name: on_disk(made_up(5000, 1000, seed=seed), tmp_path / name) for seed, name in enumerate("ab")
    }
    one_layer = 4 * 5000 * 1000
    tracemalloc.start()
    try:
        all_scores(match(results))
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < one_layer / 2
