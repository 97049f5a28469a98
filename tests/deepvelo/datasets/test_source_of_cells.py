"""Some cells of a stored run as a data set of their own: its counts, prepared again."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy import sparse

from deepvelo import config, keys, workflow
from deepvelo.config import Settings
from deepvelo.datasets.derived import of_cells
from deepvelo.datasets.simulation import simulate
from deepvelo.datasets.source import DataSource
from deepvelo.errors import InputError
from deepvelo.io.runs import RunStore
from deepvelo.pp.prepare import prepare
from deepvelo.selections import Grouping, GroupingStore
from deepvelo.selections import store as selections
from deepvelo.task import Job, from_request, to_request

STEADY = config.replace(Settings(), {"method": "steady_state"})
QUICK = config.replace(
    Settings(), {"training": {"n_epochs": 3, "device": "cpu"}, "preparation": {"min_shared_counts": 5}}
)


@pytest.fixture(scope="module")
def store(tmp_path_factory) -> RunStore:
    return RunStore(tmp_path_factory.mktemp("runs"))


@pytest.fixture(scope="module")
def base(store):
    """A stored run of 160 cells, with the groups of one of which the colours are known."""
    cells = simulate(kind="branch", n_cells=160, n_genes=60, depth=4000, seed=0)
    result = workflow.run(cells, STEADY, cluster_key=keys.CLUSTERS)
    return store.open(store.save(result, data_name="my cells", data_hash="d" * 32))


@pytest.fixture(scope="module")
def rows(base):
    return np.sort(np.random.default_rng(0).choice(160, 90, replace=False))


@pytest.fixture(scope="module")
def source(base, rows):
    saved = selections.save(base.folder, "tip", base.obs.index[rows][::-1])
    return DataSource.of_cells(base.folder, selection=saved.selection_id)


def same(one, other) -> bool:
    one, other = (x.toarray() if sparse.issparse(x) else np.asarray(x) for x in (one, other))
    return bool(np.array_equal(one, other))


def test_the_cells_come_with_their_counts_annotation_and_places(source, base, rows):
    loaded, whole = source.load(), base.prepared()
    assert list(loaded.obs_names) == list(base.obs.index[rows])
    assert list(loaded.var_names) == list(whole.var_names)
    assert sorted(loaded.layers) == [keys.SPLICED, keys.UNSPLICED]
    for key in loaded.layers:
        assert same(loaded.layers[key], whole.layers[key][rows])
    assert same(loaded.obsm[keys.X_UMAP], whole.obsm[keys.X_UMAP][rows])
    assert keys.X_PCA not in loaded.obsm
    assert not loaded.obsp
    assert loaded.obs[keys.CLUSTERS].tolist() == whole.obs[keys.CLUSTERS].iloc[rows].tolist()
    assert loaded.uns[keys.NOTES][-1] == "90 of 160 cells of my cells are used: tip."


def test_groups_without_cells_go_with_their_colors(base):
    whole = base.prepared()
    groups = list(whole.obs[keys.CLUSTERS].cat.categories)
    colors = [f"#0000{i:02x}" for i in range(len(groups))]
    whole.uns[keys.colors(keys.CLUSTERS)] = np.array(colors)
    chosen = (whole.obs[keys.CLUSTERS] != groups[0]).to_numpy()
    few = of_cells(whole, chosen)
    assert list(few.obs[keys.CLUSTERS].cat.categories) == groups[1:]
    assert list(few.uns[keys.colors(keys.CLUSTERS)]) == colors[1:]
    assert whole.n_obs == 160


def test_they_are_prepared_anew(source, base, rows):
    assert not source.is_prepared
    prepared = prepare(source.load(), STEADY, cluster_key=keys.CLUSTERS)
    whole = base.prepared()
    assert prepared.n_obs == 90
    assert not same(prepared.layers[keys.MS], whole[rows, prepared.var_names].layers[keys.MS])
    counts = (prepared.obsp[keys.DISTANCES] != 0).sum(axis=1)
    assert counts.min() >= STEADY.preparation.n_neighbors - 1  # of the 90 cells, none is lost


def test_they_are_data_of_their_own(source, base, rows):
    assert source.label == "my cells, 90 cells: tip"
    again = selections.save(base.folder, "again", base.obs.index[rows])
    others = selections.save(base.folder, "others", base.obs.index[rows[1:]])
    same_cells, other_cells = (
        DataSource.of_cells(base.folder, selection=saved.selection_id) for saved in (again, others)
    )
    assert source.hash() == same_cells.hash() != base.info.data_hash
    assert other_cells.hash() != source.hash()
    assert len(source.hash()) == 32
    assert source.load_with_hash()[1] == source.hash()
    one = selections.save(base.folder, "x" * 200, base.obs.index[:1])
    assert (
        DataSource.of_cells(base.folder, selection=one.selection_id).label == f"my cells, 1 cell: {'x' * 200}"
    )


def test_their_hash_follows_the_groups_made_by_hand(source, base, store):
    groupings = GroupingStore(store.folder, base.info.data_hash)
    hashes = [source.hash()]
    cells = base.obs.index
    saved = groupings.create("mine", Grouping.empty(cells).assign(cells[:80], "a").assign(cells[80:], "b"))
    try:
        hashes.append(source.hash())
        groupings.change(saved.grouping_id, lambda it: it.assign(cells[:40], "b"), what="Moved")
        hashes.append(source.hash())
        adata, data_hash = source.load_with_hash()
        assert data_hash == hashes[-1]
        assert (adata.obs["mine"] == "a").sum() == np.isin(adata.obs_names, cells[40:80]).sum()
    finally:
        groupings.delete(saved.grouping_id)
    assert len(set(hashes)) == 3
    assert source.hash() == hashes[0]


def test_a_file_names_the_cells_as_well(base, rows, source, tmp_path):
    file = tmp_path / "barcodes.txt"
    file.write_text("barcode\n" + "\n".join([*base.obs.index[rows], "someone else"]) + "\n")
    of_file = DataSource.of_cells(base.folder, cells_file=str(file))
    assert of_file.label == "my cells, 90 cells: barcodes.txt"
    assert of_file.hash() == source.hash()
    assert str(file) in of_file.files
    loaded = of_file.load()
    assert list(loaded.obs_names) == list(base.obs.index[rows])
    assert loaded.uns[keys.NOTES][-1] == (
        "90 of 160 cells of my cells are used: barcodes.txt. 90 of 91 names found. 1 is not in this run: 'someone else'."
    )


def test_a_journal_keeps_it(source, store):
    job = Job(
        job_id="job-1", name="", source=source, settings=STEADY, cluster_key=None, basis=None, store_folder=store.folder
    )  # fmt: skip
    assert from_request(to_request(job), store_folder=store.folder) == job


@pytest.mark.parametrize(
    ("method", "n", "message"),
    [
        (
            "deepvelo",
            30,
            r"at least 31 cells because `preparation.n_neighbors` is 30\. 30 cells selected\. Select more",
        ),
        ("steady_state", 1, r"at least 31 cells because `preparation.n_neighbors` is 30\. 1 cell selected"),
    ],
)
def test_too_few_cells_are_refused_before_a_fit(base, method, n, message):
    saved = selections.save(base.folder, "few", base.obs.index[:n])
    few = DataSource.of_cells(base.folder, selection=saved.selection_id)
    with pytest.raises(InputError, match=message):
        few.require_suitable(config.replace(Settings(), {"method": method}))


def test_settings_that_lower_the_neighbours_allow_fewer_cells(base):
    saved = selections.save(base.folder, "some", base.obs.index[:12])
    few = DataSource.of_cells(base.folder, selection=saved.selection_id)
    neighbors = {"preparation": {"n_neighbors": 5}, "graph": {"n_neighbors": 11, "n_candidates": 4}}
    few.require_suitable(config.replace(Settings(), neighbors))
    neighbors["graph"]["n_neighbors"] = 12
    with pytest.raises(InputError, match=r"at least 13 cells because `graph.n_neighbors` is 12"):
        few.require_suitable(config.replace(Settings(), neighbors))
    neighbors = {"preparation": {"n_neighbors": 2}, "graph": {"n_neighbors": 2, "n_candidates": 2}}
    three = selections.save(base.folder, "three", base.obs.index[:3])
    with pytest.raises(InputError, match=r"at least 4 cells\. 3 cells selected\. Select more cells\."):
        DataSource.of_cells(base.folder, selection=three.selection_id).require_suitable(
            config.replace(Settings(), neighbors)
        )


def test_cells_that_are_gone_are_one_sentence_and_keep_a_name(base, tmp_path):
    folder = shutil.copytree(base.folder, tmp_path / base.info.run_id)
    saved = selections.save(folder, "tip", base.obs.index[:50])
    source = DataSource.of_cells(folder, selection=saved.selection_id)
    selections.delete(folder, saved.selection_id)
    for ask in (source.load, source.hash, lambda: source.require_suitable(STEADY)):
        with pytest.raises(InputError, match=r"saved selection was deleted or replaced\. Choose another"):
            ask()
    assert source.label == "my cells, 50 cells: tip"
    nameless = DataSource("cells", path=str(folder), selection=saved.selection_id)
    assert nameless.label == "my cells, selected cells"
    shutil.rmtree(folder)
    with pytest.raises(InputError, match="There is no run"):
        source.load()
    assert nameless.label == f"run {base.info.run_id}, selected cells"


def test_cells_of_other_data_are_refused(base, tmp_path):
    saved = selections.save(base.folder, "strangers", ["a", "b"])
    file = tmp_path / "strangers.txt"
    file.write_text("a\nb\n")
    for cells in ({"selection": saved.selection_id}, {"cells_file": str(file)}):
        with pytest.raises(
            InputError, match=r"^No cell of strangers(.txt)? is in run .* 0 of 2 names found\..*Choose"
        ):
            DataSource.of_cells(base.folder, **cells)
    with pytest.raises(InputError, match="cannot be read"):
        DataSource.of_cells(base.folder, cells_file=str(tmp_path / "missing.txt"))
    for cells in ({}, {"selection": "0" * 16, "cells_file": "x"}):
        with pytest.raises(InputError, match="either a saved selection or a file"):
            DataSource("cells", path=str(base.folder), **cells)


@pytest.mark.slow
def test_a_fit_of_selected_cells_is_stored_as_a_run(source, base, store, rows):
    adata, data_hash = source.load_with_hash()
    source.require_suitable(QUICK)
    result = workflow.run(adata, QUICK, cluster_key=keys.CLUSTERS, basis="umap")
    run_id = store.save(result, data_name=source.label, data_hash=data_hash, base=base.info.run_id)
    run = store.open(run_id)
    assert run.info.data_name == "my cells, 90 cells: tip"
    assert store.find(data_hash, QUICK).run_id == run_id
    assert list(run.obs.index) == list(base.obs.index[rows])
    assert np.isfinite(run.gene(keys.GAMMA, run.var.index[0])).all()
    assert same(run.obsm[keys.X_UMAP], base.obsm[keys.X_UMAP][rows])  # on the same map
    assert store.verify(base.info.run_id) is None


@pytest.mark.slow
def test_the_least_number_of_cells_can_be_fitted(base):
    saved = selections.save(base.folder, "least", base.obs.index[:31])
    least = DataSource.of_cells(base.folder, selection=saved.selection_id)
    least.require_suitable(QUICK)
    result = workflow.run(least.load(), QUICK)
    assert result.adata.n_obs == 31
    assert np.isfinite(result.adata.layers[keys.GAMMA]).all()


def test_the_command_line_fits_cells_of_a_run(base, rows, deepvelo, tmp_path, capsys):
    from deepvelo.io import read

    file, out = tmp_path / "barcodes.csv", tmp_path / "out.h5ad"
    pd.DataFrame({"cell": base.obs.index[rows], "kind": 1}).to_csv(file)
    command = ["run", base.folder, "-o", out, "--cells", file, "--method", "steady_state"]
    assert deepvelo(*command) == 0
    assert list(read(out).obs_names) == list(base.obs.index[rows])
    assert "90 of 160 cells of my cells are used: barcodes.csv." in " ".join(capsys.readouterr().out.split())
    file.write_text("\n".join(base.obs.index[:20]))
    out.unlink()
    assert deepvelo(*command) == 2
    assert "A fit needs at least 31 cells" in capsys.readouterr().err
    assert deepvelo("run", base.folder / "result.zarr", "-o", out, "--cells", file) == 2
    assert "takes the folder of one finished run" in capsys.readouterr().err
    assert not Path(out).exists()
