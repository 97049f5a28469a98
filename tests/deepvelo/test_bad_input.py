"""Bad input in the terminal: one sentence, exit code 2, and no file left behind."""

from __future__ import annotations

import errno
import os

import pandas as pd
import pytest

from deepvelo.arrays.layers import new_layer
from deepvelo.io import write
from deepvelo.io.read import read
from deepvelo.result import Result
from tests import bad_input
from tests.bad_input import ODD, TOO_SMALL, UNUSABLE
from tests.full_disk import FullDisk

GIGABYTE = 2**30


@pytest.fixture
def good(tmp_path):
    bad_input.written()(tmp_path / "good.h5ad")
    return tmp_path / "good.h5ad"


def one_sentence(captured: str) -> str:
    """What was printed on stderr, which is one line that begins like an error."""
    assert captured.startswith("Error: ")
    assert len(captured.splitlines()) == 1
    assert "Traceback" not in captured
    return captured


@pytest.mark.parametrize("name", [*UNUSABLE, *TOO_SMALL])
def test_run_says_one_sentence_and_writes_nothing(deepvelo, capfd, tmp_path, name):
    case = (UNUSABLE | TOO_SMALL)[name]
    case.write(tmp_path / "bad.h5ad")
    assert deepvelo("run", tmp_path / "bad.h5ad", "-o", tmp_path / "out.h5ad") == 2
    assert case.words in one_sentence(capfd.readouterr().err)
    assert [path.name for path in tmp_path.iterdir()] == ["bad.h5ad"]


@pytest.mark.parametrize("name", UNUSABLE)
def test_check_names_what_makes_a_file_unusable(deepvelo, capfd, tmp_path, name):
    UNUSABLE[name].write(tmp_path / "bad.h5ad")
    assert deepvelo("check", tmp_path / "bad.h5ad") == 2
    said = capfd.readouterr()
    assert UNUSABLE[name].words in said.out + said.err
    assert "Traceback" not in said.err


@pytest.mark.parametrize("name", TOO_SMALL)
def test_check_refuses_what_a_run_with_the_default_settings_refuses(deepvelo, capfd, tmp_path, name):
    TOO_SMALL[name].write(tmp_path / "bad.h5ad")
    assert deepvelo("check", tmp_path / "bad.h5ad") == 2
    assert TOO_SMALL[name].words in one_sentence(capfd.readouterr().err)


@pytest.mark.parametrize("name", ODD)
def test_check_tells_what_is_odd_and_ends_well(deepvelo, capfd, tmp_path, name):
    ODD[name].write(tmp_path / "odd.h5ad")
    assert deepvelo("check", tmp_path / "odd.h5ad") == 0
    assert f": {ODD[name].words}" in capfd.readouterr().out


@pytest.mark.slow
def test_run_copes_with_everything_odd_at_once(deepvelo, tmp_path):
    bad_input.written(bad_input.everything_odd)(tmp_path / "odd.h5ad")
    assert deepvelo("run", tmp_path / "odd.h5ad", "-o", tmp_path / "out.h5ad", "--epochs", 1) == 0
    fitted = read(tmp_path / "out.h5ad")
    assert {"Gene1", "Gene1-1"} < set(fitted.var_names)
    assert "Gene2" not in fitted.var_names
    assert {"cell1", "cell1-1", "cell5"} < set(fitted.obs_names)


@pytest.mark.parametrize(
    ("spoil", "key", "words"),
    [
        (bad_input.one_group, "clusters", "Grouping 'clusters' has one group ('Granule'), and two are needed."),
        (bad_input.group_of_one, "celltype", "There is no grouping 'celltype'. Found 'clusters'."),
    ],
)  # fmt: skip
def test_a_grouping_that_groups_nothing(deepvelo, capfd, tmp_path, spoil, key, words):
    bad_input.written(spoil)(tmp_path / "bad.h5ad")
    options = ["-o", tmp_path / "out.h5ad", "--cluster-key", key]
    assert deepvelo("run", tmp_path / "bad.h5ad", *options) == 2
    assert words in one_sentence(capfd.readouterr().err)
    assert not (tmp_path / "out.h5ad").exists()


@pytest.mark.slow
def test_cells_that_do_not_differ(deepvelo, capfd, tmp_path):
    bad_input.written(bad_input.all_cells_the_first)(tmp_path / "bad.h5ad")
    assert deepvelo("run", tmp_path / "bad.h5ad", "-o", tmp_path / "out.h5ad") == 2
    assert "nothing tells them apart" in one_sentence(capfd.readouterr().err)
    assert not (tmp_path / "out.h5ad").exists()


@pytest.mark.parametrize(
    ("toml", "words"),
    [
        ("[graph]\nn_neighbors = 0", "Setting `graph.n_neighbors` should be greater than or equal to 1. Got 0."),
        ("[graph]\nn_candidates = 1", "Setting `graph.n_candidates` should be 0 or at least 2, one ahead and one behind."),
        ("[training]\nlearning_rate = 'fast'", "Setting `training.learning_rate` should be a number"),
        ("[graph]\nneighbours = 5", "There is no setting `graph.neighbours`."),
        ("[grahp]\nn_neighbors = 5", "There is no setting `grahp`."),
        ("preset = 'best'", "`preset` must be one of ['default', 'published']. Got 'best'."),
        ("seed = -1", "Setting `seed` should be greater than or equal to 0. Got -1."),
        ("graph = 5", "Setting `graph` should be"),
        ("[graph", "settings.toml is not a readable TOML file"),
    ],
)  # fmt: skip
def test_settings_out_of_range(deepvelo, capfd, tmp_path, good, toml, words):
    (tmp_path / "settings.toml").write_text(toml, encoding="utf-8")
    options = ["-o", tmp_path / "out.h5ad", "--config", tmp_path / "settings.toml"]
    assert deepvelo("run", good, *options) == 2
    assert words in one_sentence(capfd.readouterr().err)
    assert not (tmp_path / "out.h5ad").exists()


def test_not_enough_memory_for_the_fit(deepvelo, capfd, tmp_path, good, monkeypatch):
    monkeypatch.setattr("deepvelo.memory.available_memory", lambda: GIGABYTE // 8)
    assert deepvelo("run", good, "-o", tmp_path / "out.h5ad") == 2
    said = one_sentence(capfd.readouterr().err)
    assert "A fit of 40 cells and 40 genes needs about 0.2 GB of memory. Found 0.1 GB free." in said


def test_not_enough_memory_for_the_file(deepvelo, capfd, tmp_path, good, monkeypatch):

    monkeypatch.setattr("deepvelo.memory.available_memory", lambda: 0)
    for command in (["run", good, "-o", tmp_path / "out.h5ad"], ["check", good]):
        assert deepvelo(*command) == 2
        assert "good.h5ad needs 0.0 GB of memory. Found 0.0 GB free." in one_sentence(capfd.readouterr().err)


@pytest.mark.parametrize(
    ("number", "words"),
    [
        (errno.ENOSPC, "out.h5ad could not be written: no space is left on the disk."),
        (errno.EACCES, "out.h5ad could not be written: permission denied."),
        (errno.EROFS, "out.h5ad could not be written: permission denied."),
    ],
)
def test_a_disk_that_fails_while_the_result_is_written(
    deepvelo, capfd, tmp_path, good, monkeypatch, number, words
):
    def half(adata, path, **_):
        path.write_bytes(b"half")  # HDF5 would not open a file by name that its writer holds locked
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(write, "_write_hdf5", half)
    assert deepvelo("simulate", tmp_path / "out.h5ad", "--cells", 40, "--genes", 20) == 2
    assert words in one_sentence(capfd.readouterr().err)
    assert [path.name for path in tmp_path.iterdir()] == ["good.h5ad"]


@pytest.mark.slow
def test_a_disk_that_fills_up_at_any_moment_of_a_run(deepvelo, capfd, tmp_path, good, monkeypatch):
    """The layers are written beside the output, then the output."""

    def run(adata, settings, *, scratch, **_):
        adata.layers["velocity"] = new_layer(adata.shape, path=scratch / "velocity")
        adata.layers["velocity"][:, :] = 1.0
        return Result(adata=adata, history=pd.DataFrame(), weights={}, settings=settings, metrics={})

    monkeypatch.setattr("deepvelo.workflow.run", run)
    command = ["run", good, "-o", tmp_path / "out.h5ad"]
    with monkeypatch.context() as patch:
        disk = FullDisk(patch)
        assert deepvelo(*command) == 0
    (tmp_path / "out.h5ad").unlink()
    capfd.readouterr()
    for room in (0, 1, 2, disk.n_writes // 2, disk.n_writes - 1):
        with monkeypatch.context() as patch:
            FullDisk(patch, room=room)
            assert deepvelo(*command) == 2
        said = one_sentence(capfd.readouterr().err)
        assert "out.h5ad could not be written: no space is left on the disk." in said
        assert [path.name for path in tmp_path.iterdir()] == ["good.h5ad"]


def test_an_output_folder_that_may_not_be_written(deepvelo, capfd, tmp_path, good):
    folder = tmp_path / "locked"
    folder.mkdir(mode=0o500)
    if os.access(folder, os.W_OK):
        pytest.skip("this user may write everywhere")
    assert deepvelo("run", good, "-o", folder / "out.h5ad", "--epochs", 1) == 2
    assert "permission denied" in one_sentence(capfd.readouterr().err)


def test_an_output_folder_that_is_a_file(deepvelo, capfd, tmp_path, good):
    assert deepvelo("run", good, "-o", good / "out.h5ad", "--epochs", 1) == 2
    assert "could not be written" in one_sentence(capfd.readouterr().err)
    assert [path.name for path in tmp_path.iterdir()] == ["good.h5ad"]
