from __future__ import annotations

import dataclasses
import errno
import json
import os
import re
import resource
import shutil
import signal
import time
from pathlib import Path
from typing import Any

import anndata
import numpy as np
import pandas as pd
import pytest
import torch
import zarr
from scipy import sparse

from deepvelo import config
from deepvelo.arrays import layers
from deepvelo.config import PRESETS, Settings
from deepvelo.errors import InputError
from deepvelo.io import write_zarr
from deepvelo.io.runs import RESERVE_BYTES, RunStore, data_hash
from deepvelo.io.write_zarr import bytes_to_write
from deepvelo.plan import plan_of
from deepvelo.workflow import Result
from tests.full_disk import FullDisk

N_CELLS, N_GENES = 40, 12
COLORS = {"Astrocytes": "#3ba458", "Granule": "#404040", "OPC": "#d94801"}


def made_result() -> Result:
    rng = np.random.default_rng(0)
    groups = pd.Categorical(rng.choice(sorted(COLORS), N_CELLS), categories=sorted(COLORS))
    adata = anndata.AnnData(
        sparse.csr_matrix(rng.poisson(0.5, (N_CELLS, N_GENES)).astype(np.float32)),
        obs=pd.DataFrame(
            {"clusters": groups, "mito/ribo": rng.random(N_CELLS)}, index=[f"cell{i}" for i in range(N_CELLS)]
        ),
        var=pd.DataFrame({"velocity_genes": True}, index=[f"Gene{g}" for g in range(N_GENES)]),
    )
    adata.layers["spliced"] = adata.X.copy()
    adata.layers["velocity"] = rng.normal(size=(N_CELLS, N_GENES)).astype(np.float32)
    adata.layers["velocity"][:, 3] = np.nan
    adata.obsm["X_umap"] = rng.normal(size=(N_CELLS, 2)).astype(np.float32)
    adata.uns["clusters_colors"] = list(COLORS.values())
    adata.uns["velocity_graph"] = sparse.random(N_CELLS, N_CELLS, 0.1, format="csr", random_state=0)
    adata.uns["deepvelo"] = {"cluster_key": "clusters", "basis": "umap", "versions": '{"torch": "2"}'}
    return Result(
        adata=adata,
        history=pd.DataFrame({"epoch": [1, 2], "total": [2.0 / 3.0, 0.1]}),
        weights={"layer.weight": torch.arange(6.0).reshape(2, 3).T},
        settings=config.replace(Settings(), {"seed": 3, "graph": {"n_neighbors": 11}}),
        metrics={"consistency": np.float32(0.5), "n_cells": N_CELLS},
    )


@pytest.fixture
def result() -> Result:
    return made_result()


@pytest.fixture
def store(tmp_path: Path) -> RunStore:
    return RunStore(tmp_path / "runs")


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a run saved once, for tests that only read it."""
    store = RunStore(tmp_path_factory.mktemp("saved") / "runs")
    return store.folder / save(store, made_result())


@pytest.fixture
def saved(store: RunStore, template: Path) -> str:
    """Id of that run, in the store of the test."""
    shutil.copytree(template, store.folder / template.name)
    return template.name


def save(store: RunStore, result: Result, **changes: str) -> str:
    return store.save(result, **({"data_name": "dentate gyrus", "data_hash": "d" * 32} | changes))


def test_everything_saved_is_read_back(store: RunStore, result: Result) -> None:
    run = store.open(save(store, result, name="first"))

    assert run.info.name == "first"
    assert run.info.settings == result.settings
    assert run.info.metrics == {"consistency": 0.5, "n_cells": N_CELLS, "n_genes": N_GENES}
    assert run.info.versions == {"torch": "2"}
    assert (run.info.cluster_key, run.info.basis) == ("clusters", "umap")
    pd.testing.assert_frame_equal(run.history, result.history)
    assert torch.equal(run.weights()["layer.weight"], result.weights["layer.weight"])
    pd.testing.assert_frame_equal(run.obs, result.adata.obs, check_names=False)
    assert run.var.index.tolist() == result.adata.var_names.tolist()
    assert run.layers == ["spliced", "velocity"]
    assert list(run.obsm) == ["X_umap"]
    np.testing.assert_array_equal(run.obsm["X_umap"], result.adata.obsm["X_umap"])
    assert run.uns_colors("clusters") == COLORS
    assert run.uns_colors("mito/ribo") is None


def test_what_the_size_decided_is_stored_with_a_fit_of_ours(store: RunStore, result: Result) -> None:
    assert store.open(save(store, result)).info.plan is None  # as of another method
    plan = plan_of(100_000, 2000, result.settings)
    result.adata.uns["deepvelo"]["plan"] = json.dumps(dataclasses.asdict(plan))
    assert store.open(save(store, result)).info.plan == plan


@pytest.mark.parametrize("layer", ["spliced", "velocity", "X"])
def test_each_gene_is_its_column(
    store: RunStore, result: Result, layer: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(layers, "CHUNK_BYTES", N_CELLS * 4 * 5)  # five genes a chunk: 5 + 5 + 2
    run = store.open(save(store, result))
    matrix = result.adata.X if layer == "X" else result.adata.layers[layer]
    dense = matrix.toarray() if sparse.issparse(matrix) else matrix
    for g, gene in enumerate(result.adata.var_names):
        values = run.gene(layer, gene)
        assert values.dtype == np.float32
        np.testing.assert_array_equal(values, dense[:, g])


def test_one_gene_reads_one_chunk(store: RunStore, result: Result, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(layers, "CHUNK_BYTES", N_CELLS * 4 * 5)
    run_id = save(store, result)
    chunks = store.folder / run_id / "result.zarr" / "layers" / "velocity"
    stored = sorted(path.name for path in chunks.iterdir() if not path.name.startswith("."))
    assert stored == ["0.0", "0.1", "0.2"]
    (chunks / "0.0").unlink()
    (chunks / "0.2").write_bytes(b"not a chunk")
    np.testing.assert_array_equal(
        store.open(run_id).gene("velocity", "Gene7"), result.adata.layers["velocity"][:, 7]
    )


def test_a_gene_of_three_thousand_cells_reads_within_ten_milliseconds(store: RunStore) -> None:
    rng = np.random.default_rng(0)
    adata = anndata.AnnData(
        obs=pd.DataFrame(index=[str(i) for i in range(3000)]),
        var=pd.DataFrame(index=[f"g{g}" for g in range(500)]),
    )
    adata.layers["velocity"] = rng.normal(size=adata.shape).astype(np.float32)
    adata.layers["spliced"] = sparse.csr_matrix(rng.poisson(0.3, adata.shape))
    fit = Result(
        adata=adata, history=pd.DataFrame({"epoch": [1]}), weights={}, settings=Settings(), metrics={}
    )
    run = store.open(save(store, fit))
    for layer in run.layers:
        run.gene(layer, "g0")
        times = []
        for g in range(1, 500, 25):
            start = time.process_time()  # a busy machine does not count
            run.gene(layer, f"g{g}")
            times.append(time.process_time() - start)
        assert np.median(times) < 0.01


def test_anndata_reads_the_result_by_itself(store: RunStore, result: Result, saved: str) -> None:
    adata = anndata.read_zarr(store.folder / saved / "result.zarr")
    np.testing.assert_array_equal(adata.layers["velocity"], result.adata.layers["velocity"])
    assert (adata.layers["spliced"] != result.adata.layers["spliced"]).nnz == 0
    assert adata.obs["clusters"].equals(result.adata.obs["clusters"])


def test_whole_object_comes_back_as_it_was(store: RunStore, result: Result, saved: str) -> None:
    adata = store.open(saved).to_adata()
    assert adata.obs.columns.tolist() == ["clusters", "mito/ribo"]
    assert adata.layers["spliced"].format == adata.X.format == "csr"
    assert (adata.uns["velocity_graph"] != result.adata.uns["velocity_graph"]).nnz == 0
    assert list(adata.uns["clusters_colors"]) == list(COLORS.values())
    assert set(adata.uns) == set(result.adata.uns)


def test_a_part_has_the_named_layers_and_all_that_is_small(store: RunStore, saved: str) -> None:
    run = store.open(saved)
    part, whole = run.part(["velocity", "not there"]), run.to_adata()
    assert list(part.layers) == ["velocity"]
    assert part.X is None
    np.testing.assert_array_equal(part.layers["velocity"], whole.layers["velocity"])
    for group in ("obs", "var", "obsm", "obsp", "uns"):
        assert set(getattr(part, group)) == set(getattr(whole, group))


def test_on_disk_dense_layers_are_left_there_and_sparse_ones_read(
    store: RunStore, result: Result, saved: str
) -> None:
    part = store.open(saved).part(["velocity", "spliced"], on_disk=True)
    assert isinstance(part.layers["velocity"], zarr.Array)
    np.testing.assert_array_equal(part.layers["velocity"][:, 1:3], result.adata.layers["velocity"][:, 1:3])
    assert part.layers["spliced"].format == "csr"


def test_a_part_may_have_x_which_stays_on_disk_where_it_is_dense(store: RunStore, result: Result) -> None:
    assert store.open(save(store, result)).part(with_x=True, on_disk=True).X.format == "csr"
    result.adata.X = result.adata.X.toarray()
    part = store.open(save(store, result)).part(with_x=True, on_disk=True)
    assert isinstance(part.X, zarr.Array)
    np.testing.assert_array_equal(part.X[:], result.adata.X)


def test_what_is_asked_of_an_embedding_does_not_read_it(store: RunStore, result: Result, saved: str) -> None:
    run = store.open(saved)
    assert "X_umap" in run.obsm
    assert "X_none" not in run.obsm
    assert run.n_dimensions("X_umap") == result.adata.obsm["X_umap"].shape[1]
    assert not run.obsm._read


def test_saving_leaves_the_callers_object_alone(store: RunStore, result: Result) -> None:
    before = result.adata.copy()
    save(store, result)
    assert result.adata.layers["spliced"].format == "csr"
    assert list(result.adata.obs) == list(before.obs)
    assert list(result.adata.uns) == list(before.uns)


def test_what_uns_cannot_store_is_left_out(
    store: RunStore, result: Result, caplog: pytest.LogCaptureFixture
) -> None:
    result.adata.uns["odd"] = {"deep": object()}
    adata = store.open(save(store, result)).to_adata()
    assert "deep" not in adata.uns["odd"]
    assert "velocity_graph" in adata.uns
    assert "odd" in caplog.text


def test_names_that_no_folder_can_have_come_back(store: RunStore, result: Result) -> None:
    adata = result.adata
    adata.obs["Clusters"] = adata.obs["clusters"].cat.codes.to_numpy()
    adata.obs[""] = adata.obs["."] = 1
    adata.uns["Clusters_colors"] = ["#000000"]
    adata.obsm["X_UMAP"] = adata.obsm["X_umap"][:, ::-1].copy()
    adata.obsm["a/b"], adata.layers["a/b"] = adata.obsm["X_umap"], adata.layers["velocity"]
    adata.uns["x/y"] = {"/": 1}
    run = store.open(save(store, result))
    found = run.to_adata()
    pd.testing.assert_frame_equal(found.obs, adata.obs)
    assert found.uns["x/y"] == {"/": 1}
    assert sorted(run.obsm) == ["X_UMAP", "X_umap", "a/b"]
    np.testing.assert_array_equal(run.obsm["X_UMAP"], adata.obsm["X_UMAP"])
    assert run.n_dimensions("a/b") == 2
    assert run.layers == ["a/b", "spliced", "velocity"]
    np.testing.assert_array_equal(run.gene("a/b", "Gene0"), adata.layers["velocity"][:, 0])
    assert run.uns_colors("clusters") == COLORS


def test_embeddings_of_a_run_are_numbers_by_cell(store: RunStore, result: Result) -> None:
    adata = result.adata
    adata.obsm["bins"] = sparse.csr_matrix(np.eye(N_CELLS))
    adata.obsm["calls"] = pd.DataFrame({"clone": ["x"] * N_CELLS}, index=adata.obs_names)
    run = store.open(save(store, result))
    assert list(run.obsm) == ["X_umap"]
    found = run.to_adata().obsm
    assert found["calls"]["clone"].tolist() == ["x"] * N_CELLS
    np.testing.assert_array_equal(found["bins"].toarray(), np.eye(N_CELLS))


def test_newest_run_comes_first_and_survives_a_restart(store: RunStore, saved: str) -> None:
    first = store.folder / saved
    info = json.loads((first / "info.json").read_text())
    for name, day in {"b": "02", "a": "03", "c": "01"}.items():
        shutil.copytree(first, store.folder / name)
        (store.folder / name / "info.json").write_text(
            json.dumps(info | {"created": f"2001-01-{day}T00:00:00+00:00"})
        )
    assert [run.run_id for run in store.list()] == [first.name, "a", "b", "c"]
    assert RunStore(store.folder).list() == store.list()


def test_same_data_and_settings_are_found(store: RunStore, result: Result, saved: str) -> None:
    run_id = saved
    same = config.from_dict(config.to_dict(result.settings))
    assert store.find("d" * 32, same).run_id == run_id
    assert store.find("d" * 32, same, cluster_key="clusters", basis="umap").run_id == run_id
    assert store.find("d" * 32, same, cluster_key="leiden") is None
    assert store.find("d" * 32, same, basis="tsne") is None
    assert store.find("e" * 32, same) is None
    assert store.find("d" * 32, config.replace(same, {"seed": 4})) is None
    assert store.find("d" * 32, PRESETS["published"]) is None


def test_deleted_run_is_gone(store: RunStore, saved: str) -> None:
    kept, gone = saved, "gone"
    shutil.copytree(store.folder / kept, store.folder / gone)
    assert {info.run_id for info in store.list()} == {kept, gone}
    store.delete(gone)
    assert [info.run_id for info in store.list()] == [kept]
    assert [path.name for path in store.folder.iterdir()] == [kept]
    with pytest.raises(InputError, match="There is no run"):
        store.open(gone)


def test_a_run_deleted_after_it_was_opened_gives_no_zeros(store: RunStore, saved: str) -> None:
    run = store.open(saved)
    assert len(run.gene("velocity", "Gene0")) == N_CELLS
    store.delete(run.info.run_id)
    reads = [
        lambda: run.gene("velocity", "Gene1"), lambda: run.gene("spliced", "Gene1"), lambda: run.obs,
        lambda: run.obsm, lambda: run.history, run.weights, run.to_adata, run.require_stored,
    ]  # fmt: skip
    for read in reads:
        with pytest.raises(InputError, match=r"^This run was deleted\. Choose another\.$"):
            read()


@pytest.mark.parametrize("stored", [["tab:blue", "C1", "red"], np.eye(3, 4)])
def test_colours_come_back_in_one_spelling(store: RunStore, result: Result, stored: object) -> None:
    result.adata.uns["clusters_colors"] = stored
    colors = store.open(save(store, result)).uns_colors("clusters")
    assert colors is not None
    assert list(colors) == sorted(COLORS)
    assert all(re.fullmatch("#[0-9a-f]{6}", color) for color in colors.values())


def test_corrupt_folders_are_skipped_and_logged(
    store: RunStore, saved: str, caplog: pytest.LogCaptureFixture
) -> None:
    good = saved
    for name, text in {"empty": None, "garbage": "{", "partial": "{}", "list": "[]", "binary": "\0"}.items():
        (store.folder / name).mkdir()
        if text is not None:
            (store.folder / name / "info.json").write_text(text)
    shutil.copytree(store.folder / good, store.folder / "no-result")
    shutil.rmtree(store.folder / "no-result" / "result.zarr")
    (store.folder / "notes.txt").write_text("a file")
    assert [info.run_id for info in store.list()] == [good]
    damaged = {run.run_id: run.problem for run in store.damaged()}
    assert set(damaged) == {"binary", "garbage", "list", "no-result", "partial"}  # the others are no runs
    assert all(problem in caplog.text for problem in damaged.values())
    assert "result.zarr" in damaged["no-result"]
    assert "info.json" in damaged["garbage"]


def test_foreign_ids_open_nothing(store: RunStore, saved: str) -> None:
    real = saved
    shutil.copytree(store.folder / real, store.folder.parent / "outside")
    shutil.copytree(store.folder / real, store.folder / ".saving-x")
    ids = [
        "..",
        ".",
        "",
        "../outside",
        "a/b",
        "a\\b",
        "/etc",
        ".saving-x",
        "x\0y",
        "nothing-here",
        "a" * 200,
        "x\n",
    ]
    for run_id in [*ids, str(store.folder.parent / "outside"), f"{real}/../../outside", f"{real}\n"]:
        for use in (store.open, store.delete):
            with pytest.raises(InputError, match="There is no run"):
                use(run_id)
    assert (store.folder.parent / "outside").is_dir()


def test_unknown_gene_comes_with_suggestions(store: RunStore, saved: str) -> None:
    run = store.open(saved)
    with pytest.raises(InputError, match=r"'gene7' is not among.*Did you mean.*Gene7"):
        run.gene("velocity", "gene7")
    with pytest.raises(InputError, match=r"no layer 'speed'.*\['spliced', 'velocity'\]"):
        run.gene("speed", "Gene7")


def fail_after(monkeypatch: pytest.MonkeyPatch, error: BaseException) -> None:
    """Let saving fail when the layers are on disk and the tables are not."""
    write = write_zarr.write_dispatched

    def half(*args: object, **kwargs: object) -> None:
        write(*args, **kwargs)
        raise error

    monkeypatch.setattr(write_zarr, "write_dispatched", half)


@pytest.mark.parametrize(
    ("error", "sentence"),
    [
        (OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)), r"is full.*Free some space"),
        (OSError(errno.EACCES, os.strerror(errno.EACCES)), r"cannot be written to \(Permission denied\)"),
        (OSError(errno.EROFS, os.strerror(errno.EROFS)), r"cannot be written to \(Read-only file system\)"),
    ],
)
def test_failing_disk_is_one_sentence_and_leaves_nothing(
    store: RunStore, result: Result, monkeypatch: pytest.MonkeyPatch, error: OSError, sentence: str
) -> None:
    fail_after(monkeypatch, error)
    with pytest.raises(InputError, match=sentence):
        save(store, result)
    assert store.list() == []
    assert list(store.folder.iterdir()) == []


def test_disk_that_fills_up_with_the_weights_is_one_sentence_and_leaves_nothing(
    store: RunStore, result: Result, monkeypatch: pytest.MonkeyPatch
) -> None:
    def limited(folder: Path) -> None:  # the largest file this process may write from now on
        resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, before[1]))

    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    ignored = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    write = write_zarr.write_dispatched
    big = dataclasses.replace(result, weights={"w": torch.zeros(100_000)})
    monkeypatch.setattr(
        write_zarr, "write_dispatched", lambda *args, **kwargs: limited(write(*args, **kwargs))
    )
    try:
        with pytest.raises(InputError, match=r"cannot be written to \(File too large\)"):
            save(store, big)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, ignored)
    assert list(store.folder.iterdir()) == []


def test_interruption_leaves_nothing(
    store: RunStore, result: Result, monkeypatch: pytest.MonkeyPatch
) -> None:
    fail_after(monkeypatch, KeyboardInterrupt())
    with pytest.raises(KeyboardInterrupt):
        save(store, result)
    assert list(store.folder.iterdir()) == []


def test_full_disk_is_seen_before_writing(
    store: RunStore, result: Result, monkeypatch: pytest.MonkeyPatch
) -> None:
    usage = shutil.disk_usage(store.folder.parent)._replace(free=10_000_000)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage)
    with pytest.raises(InputError, match=r"has 0\.01 GB free and this run needs up to 0\.05 GB"):
        save(store, result)
    assert list(store.folder.iterdir()) == []


def test_store_below_a_file_is_one_sentence(tmp_path: Path, result: Result) -> None:
    (tmp_path / "file").write_text("not a folder")
    store = RunStore(tmp_path / "file" / "runs")
    assert store.list() == []
    with pytest.raises(InputError, match=r"cannot be written to .*Not a directory.*--runs"):
        save(store, result)


def streamed(result: Result, folder: Path) -> Result:
    """The result with its velocities on disk, as a fit leaves them that was given a folder."""
    velocity = result.adata.layers["velocity"]
    adata = result.adata.copy()
    adata.layers["velocity"] = layers.new_layer(velocity.shape, path=folder / "velocity")
    for genes in layers.gene_blocks(adata.layers["velocity"]):
        adata.layers["velocity"][:, genes] = velocity[:, genes]
    return dataclasses.replace(result, adata=adata)


def test_layers_on_disk_are_saved_as_those_in_memory_without_being_read(
    store: RunStore, result: Result, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(layers, "CHUNK_BYTES", N_CELLS * 4 * 5)
    from_memory = store.folder / save(store, result) / "result.zarr" / "layers" / "velocity"
    with store.scratch() as folder:
        on_disk = streamed(result, folder)
        read = zarr.Array.__getitem__
        with monkeypatch.context() as patch:
            patch.setattr(
                zarr.Array,
                "__getitem__",
                lambda array, at: pytest.fail("read") if array.name == "/" else read(array, at),
            )
            run_id = save(store, on_disk)
    assert not folder.exists()
    linked = store.folder / run_id / "result.zarr" / "layers" / "velocity"
    assert {path.name for path in linked.iterdir()} == {path.name for path in from_memory.iterdir()}
    for adata in (store.open(run_id).to_adata(), anndata.read_zarr(linked.parent.parent)):
        np.testing.assert_array_equal(adata.layers["velocity"], result.adata.layers["velocity"])
    assert sorted(path.name for path in store.folder.iterdir()) == sorted([run_id, from_memory.parts[-4]])


def test_a_file_system_without_links_gets_copies(
    store: RunStore, result: Result, monkeypatch: pytest.MonkeyPatch
) -> None:
    link = os.link

    def refused(source: str, target: str, **options: Any) -> None:
        if str(folder) in str(source):  # Zarr makes links of its own
            raise OSError(errno.EPERM, os.strerror(errno.EPERM))
        link(source, target, **options)

    monkeypatch.setattr(os, "link", refused)
    with store.scratch() as folder:
        run_id = save(store, streamed(result, folder))
    saved = store.open(run_id).to_adata()
    np.testing.assert_array_equal(saved.layers["velocity"], result.adata.layers["velocity"])


def test_copies_need_space_where_links_cost_none(
    store: RunStore, result: Result, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The velocities lie in the store's scratch; the disk has room for all but them."""
    velocity = result.adata.layers["velocity"]
    with store.scratch() as folder:
        on_disk = streamed(result, folder)
        small = bytes_to_write(on_disk.adata, store.folder)
        assert bytes_to_write(result.adata, store.folder) == small + velocity.nbytes
        usage = shutil.disk_usage(store.folder)._replace(free=small + RESERVE_BYTES)
        monkeypatch.setattr(shutil, "disk_usage", lambda _: usage)
        save(store, on_disk)

        def refused(*_: object, **__: object) -> None:
            raise OSError(errno.EXDEV, os.strerror(errno.EXDEV))

        monkeypatch.setattr(os, "link", refused)
        assert bytes_to_write(on_disk.adata, store.folder) == small + velocity.nbytes
        with pytest.raises(InputError, match="this run needs up to"):
            save(store, on_disk)
    assert len(list(store.folder.iterdir())) == 1


@pytest.mark.slow
def test_a_disk_that_fills_up_at_any_moment_leaves_no_half_run(
    store: RunStore, result: Result, monkeypatch: pytest.MonkeyPatch
) -> None:
    def all_of_it(patch: pytest.MonkeyPatch, **room: int) -> FullDisk:
        disk = FullDisk(patch, **room)
        with store.scratch() as folder:
            save(store, streamed(result, folder))
        return disk

    monkeypatch.setattr(layers, "CHUNK_BYTES", N_CELLS * 4 * 5)
    with monkeypatch.context() as patch:
        n_writes = all_of_it(patch).n_writes
    store.delete(store.list()[0].run_id)
    moments = {0, 5, n_writes // 2, n_writes - 2, n_writes - 1}
    for room in moments:
        with (
            monkeypatch.context() as patch,
            pytest.raises(InputError, match=r"^The disk of the run store .* is full.*Free some space"),
        ):
            all_of_it(patch, room=room)
        assert list(store.folder.iterdir()) == []


def test_layers_in_other_chunks_are_laid_out_anew(store: RunStore, result: Result, tmp_path: Path) -> None:
    values = result.adata.layers["velocity"]
    by_cell = zarr.create_array(str(tmp_path / "by_cell"), data=values, chunks=(7, N_GENES))
    result.adata.layers["velocity"] = by_cell
    run = store.open(save(store, result))
    np.testing.assert_array_equal(run.gene("velocity", "Gene7"), values[:, 7])
    stored = zarr.open_array(run.folder / "result.zarr" / "layers" / "velocity", mode="r")
    assert stored.chunks == (N_CELLS, N_GENES)


@pytest.mark.parametrize(
    ("error", "raised", "sentence"),
    [
        (OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)), InputError, r"is full.*Free some space"),
        (InputError("Too few cells."), InputError, r"^Too few cells\.$"),
        (ConnectionError("gone"), ConnectionError, "gone"),
        (KeyboardInterrupt(), KeyboardInterrupt, ""),
    ],
)
def test_a_run_that_fails_leaves_no_scratch(
    store: RunStore, error: BaseException, raised: type[BaseException], sentence: str
) -> None:
    with pytest.raises(raised, match=sentence), store.scratch() as folder:  # noqa: PT012
        layers.new_layer((3, 2), path=folder / "velocity")[:, :] = 1
        raise error
    assert store.list() == []
    assert list(store.folder.iterdir()) == []


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_scratch_that_may_not_be_written_is_one_sentence(store: RunStore) -> None:
    with (  # noqa: PT012
        pytest.raises(InputError, match=r"cannot be written to \(Permission denied\)"),
        store.scratch() as folder,
    ):
        folder.chmod(0o500)
        layers.new_layer((3, 2), path=folder / "velocity")


def test_leftovers_are_never_listed_and_swept_after_a_day(
    store: RunStore, result: Result, saved: str
) -> None:
    old, new = (store.folder / f".saving-{name}" for name in ("old", "new"))
    shutil.copytree(store.folder / saved, old)
    shutil.copytree(old, new)
    old_training, new_training = (store.checkpoint(fit) for fit in ("0a", "0b"))
    for path in (old_training, new_training):
        path.write_bytes(b"half a training")
    for path in (old, old_training):
        os.utime(path, (time.time() - 90_000,) * 2)
    assert len(store.list()) == 1
    save(store, result)
    assert not old.exists() | old_training.exists()
    assert new.exists() & new_training.exists()


def test_hash_follows_content_not_name(tmp_path: Path, result: Result) -> None:
    first, second, folder = tmp_path / "a.h5ad", tmp_path / "b.h5ad", tmp_path / "c.zarr"
    first.write_bytes(b"counts")
    second.write_bytes(b"counts")
    assert data_hash(first) == data_hash(second)
    second.write_bytes(b"counts, changed")
    assert data_hash(first) != data_hash(second)

    write_zarr.write_by_gene(result.adata, folder)
    before = data_hash(folder)
    shutil.copytree(folder, tmp_path / "d.zarr")
    assert data_hash(tmp_path / "d.zarr") == before
    (folder / "more").write_bytes(b"x")
    assert data_hash(folder) != before
    with pytest.raises(InputError, match="cannot be read"):
        data_hash(tmp_path / "missing.h5ad")


def test_hash_of_an_object_sees_every_part(result: Result) -> None:
    adata = result.adata
    before = data_hash(adata)
    assert data_hash(adata.copy()) == before
    changes = [
        lambda a: a.layers["velocity"].__setitem__((0, 0), 99),
        lambda a: a.layers["spliced"].data.__setitem__(0, 99),
        lambda a: setattr(a, "obs", a.obs.assign(clusters="other")),
        lambda a: a.obsm["X_umap"].__setitem__((0, 0), 99),
        lambda a: setattr(a, "var_names", [f"x{name}" for name in a.var_names]),
    ]
    hashes = set()
    for change in changes:
        changed = adata.copy()
        change(changed)
        hashes.add(data_hash(changed))
    assert len(hashes | {before}) == len(changes) + 1


def test_purpose_and_base_are_kept_and_older_runs_are_fits(
    store: RunStore, result: Result, saved: str
) -> None:
    base = saved
    control = save(store, result, purpose="control", base=base)
    infos = {info.run_id: info for info in RunStore(store.folder).list()}
    assert (infos[base].purpose, infos[base].base) == ("fit", "")
    assert (infos[control].purpose, infos[control].base) == ("control", base)
    file = store.folder / base / "info.json"
    old = {
        key: value for key, value in json.loads(file.read_text()).items() if key not in ("purpose", "base")
    }
    file.write_text(json.dumps(old))
    assert RunStore(store.folder).open(base).info == infos[base]


def test_what_belongs_to_a_run_is_found_through_it_alone(store: RunStore, result: Result, saved: str) -> None:
    base = saved
    settings = config.replace(result.settings, {"seed": 4})
    seed = save(store, dataclasses.replace(result, settings=settings), purpose="seed", base=base)
    assert store.find("d" * 32, settings) is None  # a fit prepares the data with its own seed
    assert store.find("d" * 32, settings, base=base).run_id == seed
    assert store.find("d" * 32, settings, base="another") is None
    assert store.find("d" * 32, result.settings, base=base).run_id == base
    assert store.find("e" * 32, settings, base=base) is None  # a control has data of its own


def test_a_run_takes_what_belongs_to_it_along(store: RunStore, result: Result, saved: str) -> None:
    base, other = saved, save(store, result)
    save(store, result, purpose="sweep", base=base)
    kept = {other, save(store, result, purpose="seed", base=other), save(store, result, base=base)}
    store.delete(base)
    assert {info.run_id for info in store.list()} == kept


@pytest.mark.parametrize("purpose", ["control", "seed", "sweep"])
def test_what_belongs_to_a_deleted_run_is_not_saved_unseen(
    store: RunStore, result: Result, saved: str, purpose: str
) -> None:
    base, other = saved, save(store, result)
    RunStore(store.folder).delete(base)  # by another process, while the fit went on
    with pytest.raises(InputError, match=f"There is no run '{base}' in .* any more.*Choose") as error:
        save(store, result, purpose=purpose, base=base)
    assert "\n" not in str(error.value)
    assert [path.name for path in store.folder.iterdir()] == [other]


def test_what_belongs_to_no_run_is_not_saved(store: RunStore, result: Result) -> None:
    with pytest.raises(InputError, match="There is no run ''"):
        save(store, result, purpose="control")
    assert not store.folder.exists()


def test_a_fit_outlives_the_run_whose_data_it_took(store: RunStore, result: Result, saved: str) -> None:
    base = saved
    store.delete(base)
    baseline = save(store, result, base=base)
    assert [info.run_id for info in store.list()] == [baseline]


def test_a_run_deleted_while_its_control_is_written_leaves_nothing(
    store: RunStore, result: Result, saved: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    base = saved
    write = write_zarr.write_dispatched

    def write_and_delete(*args: object, **kwargs: object) -> None:
        write(*args, **kwargs)
        if (store.folder / base).exists():
            RunStore(store.folder).delete(base)

    monkeypatch.setattr(write_zarr, "write_dispatched", write_and_delete)
    with pytest.raises(InputError, match=f"There is no run '{base}'"):
        save(store, result, purpose="control", base=base)
    assert list(store.folder.iterdir()) == []


def test_a_run_of_scvelo_is_named_by_its_mode(store: RunStore, result: Result) -> None:
    settings = config.replace(result.settings, {"method": "dynamical"})
    scvelo = dataclasses.replace(result, settings=settings, weights={}, history=pd.DataFrame({"epoch": []}))
    run = store.open(save(store, scvelo))
    assert run.info.name == "dentate gyrus, scVelo, dynamical"
    assert run.history.empty
    assert run.weights() == {}


def test_prepared_data_come_without_what_a_fit_wrote(store: RunStore, result: Result) -> None:
    result.adata.obs["velocity_consistency"] = 1.0
    result.adata.var["fit_alpha"] = 1.0
    result.adata.obsm["velocity_umap"] = result.adata.obsm["X_umap"]
    prepared = store.open(save(store, result)).prepared()
    assert list(prepared.layers) == ["spliced"]
    assert list(prepared.obs) == ["clusters", "mito/ribo"]
    assert list(prepared.var) == []
    assert list(prepared.obsm) == ["X_umap"]
    assert list(prepared.uns) == ["clusters_colors"]
    assert (prepared.X != result.adata.X).nnz == 0
