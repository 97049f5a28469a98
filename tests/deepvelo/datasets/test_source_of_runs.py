"""The prepared data of a stored run as a source: exactly those, without a trace of the fit."""

from __future__ import annotations

import pickle
import shutil
from pathlib import Path

import numpy as np
import pytest
from scipy import sparse

from deepvelo import config, keys, workflow
from deepvelo.config import Settings
from deepvelo.datasets.simulation import simulate
from deepvelo.datasets.source import DataSource
from deepvelo.errors import InputError
from deepvelo.io.hashing import data_hash
from deepvelo.io.runs import RunStore
from deepvelo.pp.prepare import prepare

STEADY = config.replace(Settings(), {"method": "steady_state"})


@pytest.fixture(scope="module")
def cells():
    return simulate(kind="linear", n_cells=120, n_genes=60, depth=2000, seed=0)


@pytest.fixture(scope="module")
def store(tmp_path_factory) -> RunStore:
    return RunStore(tmp_path_factory.mktemp("runs"))


@pytest.fixture(scope="module")
def base(store, cells) -> Path:
    """Folder of a stored run."""
    result = workflow.run(cells, STEADY, cluster_key=keys.CLUSTERS)
    return store.folder / store.save(result, data_name="my cells", data_hash="d" * 32)


def same(one, other) -> bool:
    one, other = (x.toarray() if sparse.issparse(x) else np.asarray(x) for x in (one, other))
    return bool(np.array_equal(one, other))


def test_it_is_what_preparation_left(base, cells):
    prepared = prepare(cells, STEADY, cluster_key=keys.CLUSTERS)
    loaded = DataSource(kind="run", path=str(base)).load()
    assert same(loaded.X, prepared.X)
    assert loaded.obs.equals(prepared.obs)
    assert loaded.var.equals(prepared.var)
    for part in ("layers", "obsm", "obsp", "varm", "uns"):
        assert set(getattr(loaded, part)) == set(getattr(prepared, part)), part
    for part in ("layers", "obsm", "obsp"):
        for key, value in getattr(prepared, part).items():
            assert same(getattr(loaded, part)[key], value), key


def test_a_fit_to_it_uses_its_moments_and_neighbours_and_leaves_the_run_alone(base):
    before = data_hash(base)
    stored = RunStore(base.parent).open(base.name).to_adata()
    source = DataSource(kind="run", path=str(base))
    stochastic = config.replace(Settings(), {"method": "stochastic"})
    fitted = workflow.run(source.load(), stochastic, cluster_key=keys.CLUSTERS, prepared=True).adata
    assert list(fitted.var_names) == list(stored.var_names)
    for layer in (keys.MS, keys.MU, keys.SPLICED, keys.UNSPLICED):
        assert same(fitted.layers[layer], stored.layers[layer])
    for graph in (keys.DISTANCES, keys.CONNECTIVITIES):
        assert same(fitted.obsp[graph], stored.obsp[graph])
    assert same(fitted.obsm[keys.X_UMAP], stored.obsm[keys.X_UMAP])
    assert not same(fitted.layers[keys.VELOCITY], stored.layers[keys.VELOCITY])
    assert data_hash(base) == before


def test_nothing_is_made_anew_even_where_the_run_was_told_to(base):
    source = DataSource(kind="run", path=str(base))
    anew = {"recompute_moments": True, "recompute_embedding": True, "n_neighbors": 10}
    anew = config.replace(STEADY, {"preparation": anew})
    given = source.load()
    assert not same(prepare(given, anew).layers[keys.MU], given.layers[keys.MU])
    fitted = workflow.run(given, anew, cluster_key=keys.CLUSTERS, prepared=True).adata
    assert same(fitted.layers[keys.MU], given.layers[keys.MU])
    assert same(fitted.obsm[keys.X_UMAP], given.obsm[keys.X_UMAP])


def test_it_counts_as_the_data_of_the_run(base):
    source = DataSource(kind="run", path=str(base))
    assert source.hash() == "d" * 32
    assert source.label == "my cells"
    assert source.is_prepared
    assert not DataSource(kind="sample").is_prepared
    assert pickle.loads(pickle.dumps(source)) == source


def test_controls_and_fewer_genes_are_data_of_their_own(base):
    whole = DataSource(kind="run", path=str(base))
    sources = [
        whole,
        DataSource(kind="run", path=str(base), n_genes=20),
        DataSource(kind="shuffled", path=str(base)),
        DataSource(kind="shuffled", path=str(base), seed=1),
        DataSource(kind="steady_state", path=str(base)),
    ]
    assert len({source.hash() for source in sources}) == 5
    assert [source.label for source in sources] == [
        "my cells", "my cells, 20 genes", "my cells, shuffled control 0", "my cells, shuffled control 1",
        "my cells, steady-state control 0",
    ]  # fmt: skip
    assert sources[1].load().n_vars == 20
    control, given = sources[2].load(), whole.load()
    assert list(control.var_names) == list(given.var_names)
    assert list(control.obs_names) == list(given.obs_names)
    assert same(control.layers[keys.SPLICED], given.layers[keys.SPLICED])
    assert not same(control.layers[keys.MU], given.layers[keys.MU])
    steady_state = sources[4].load()
    assert same(steady_state.layers[keys.SPLICED], given.layers[keys.SPLICED])
    assert not same(steady_state.layers[keys.UNSPLICED], control.layers[keys.UNSPLICED])


def test_settings_with_another_preparation_are_refused(base):
    source = DataSource(kind="run", path=str(base))
    source.require_suitable(config.replace(STEADY, {"seed": 5, "graph": {"n_neighbors": 7}}))
    DataSource(kind="sample").require_suitable(Settings())
    with pytest.raises(InputError, match=r"ask for another preparation.*`n_genes`"):
        source.require_suitable(config.replace(STEADY, {"preparation": {"n_top_genes": 20}}))


def test_a_run_that_is_gone_is_one_sentence_and_keeps_a_name(base, tmp_path):
    source = DataSource(kind="run", path=str(shutil.copytree(base, tmp_path / base.name)))
    shutil.rmtree(source.path)
    assert source.label == f"run {base.name}"
    for ask in (source.load, source.hash):
        with pytest.raises(InputError, match=f"There is no run '{base.name}'"):
            ask()


@pytest.mark.slow
def test_the_same_fit_to_the_prepared_data_is_the_same_bit_for_bit(store, cells):
    settings = config.replace(Settings(), {"training": {"n_epochs": 5, "device": "cpu"}})
    first = workflow.run(cells, settings, cluster_key=keys.CLUSTERS)
    folder = store.folder / store.save(first, data_name="", data_hash="e" * 32)
    given = DataSource(kind="run", path=str(folder)).load()
    assert not {keys.BETA, keys.VELOCITY, keys.VELOCITY_U} & set(given.layers)
    assert not {keys.CONFIDENCE, keys.RATES_LEIDEN, keys.CONSISTENCY} & {*given.obs, *given.var}
    again = workflow.run(given, settings, cluster_key=keys.CLUSTERS, prepared=True)
    for key in (keys.VELOCITY, keys.VELOCITY_U, *keys.RATES):
        assert np.array_equal(again.adata.layers[key], first.adata.layers[key], equal_nan=True)
    assert again.metrics["silhouette_rates"] == first.metrics["silhouette_rates"]
