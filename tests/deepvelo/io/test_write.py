"""Files that are whole or not there."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
import threading
import time

import anndata as ad
import h5py
import numpy as np
import pandas as pd
import pytest
from scipy import sparse

from deepvelo.errors import InputError
from deepvelo.io import write, write_h5ad
from deepvelo.io.tidy import tidied
from deepvelo.io.write import require_writable, scratch_beside, write_text
from deepvelo.io.write_zarr import write_by_gene
from tests.full_disk import FullDisk


def small() -> ad.AnnData:
    return ad.AnnData(np.ones((3, 2), dtype=np.float32))


def test_written_file_is_whole_or_not_there(tmp_path, monkeypatch):
    adata = small()
    write_h5ad(adata, tmp_path / "out.h5ad")
    before = (tmp_path / "out.h5ad").read_bytes()

    FullDisk(monkeypatch, room=3)
    with pytest.raises(InputError, match=r"out\.h5ad could not be written: no space is left.*make room"):
        write_h5ad(adata, tmp_path / "out.h5ad")
    assert (tmp_path / "out.h5ad").read_bytes() == before
    assert [p.name for p in tmp_path.iterdir()] == ["out.h5ad"]


def test_a_file_is_as_anndata_writes_it(tmp_path):
    groups = pd.DataFrame({"clusters": ["a", "b", "a"]}, index=["x", "y", "z"])
    adata = ad.AnnData(sparse.csr_matrix(np.eye(3, dtype=np.float32)), obs=groups)
    adata.layers["velocity"] = np.random.default_rng(0).normal(size=(3, 3))
    adata.obsm["X_umap"] = np.ones((3, 2))
    adata.uns["deepvelo"] = {"seed": 3, "history": {"total": np.arange(4.0)}}
    adata.raw = adata.copy()
    write_h5ad(adata, tmp_path / "ours.h5ad")
    adata.write_h5ad(tmp_path / "theirs.h5ad")
    contents = []
    for name in ("ours", "theirs"):
        content = {}
        with h5py.File(tmp_path / f"{name}.h5ad") as file:
            file.visititems(lambda key, item, to=content: to.update({key: described(item)}))
        contents.append(content)
    assert contents[0] == contents[1]
    assert ad.read_h5ad(tmp_path / "ours.h5ad").obs["clusters"].dtype == "category"


def described(item: h5py.Group | h5py.Dataset) -> tuple[dict[str, str], str]:
    values = item[()].tolist() if isinstance(item, h5py.Dataset) else None
    return {name: str(value) for name, value in item.attrs.items()}, repr(values)


def test_a_disk_that_fills_up_at_any_moment_leaves_nothing(tmp_path, monkeypatch):
    with monkeypatch.context() as patch:
        disk = FullDisk(patch)
        write_h5ad(small(), tmp_path / "out.h5ad")
    (tmp_path / "out.h5ad").unlink()
    assert disk.n_writes > 5
    for room in {0, 1, *range(2, disk.n_writes, 5), disk.n_writes - 1}:
        with monkeypatch.context() as patch:
            FullDisk(patch, room=room)
            with pytest.raises(InputError, match="could not be written: no space is left"):
                write_h5ad(small(), tmp_path / "out.h5ad")
        assert list(tmp_path.iterdir()) == []


def test_names_that_hdf5_cannot_hold_are_written(tmp_path):
    adata = small()
    adata.obs = pd.DataFrame(
        {"CD4/CD8": [1, 2, 3], "a/b": 1, "a": 2, "": 3, ".": 4, "/x": 5}, index=adata.obs_names
    )
    adata.obsm["X_a/b"] = np.ones((3, 2))
    adata.uns = {"x/y": {"/": 1, "": 2}}
    before = adata.obs.copy()
    write_h5ad(adata, tmp_path / "out.h5ad")
    plain = ad.read_h5ad(tmp_path / "out.h5ad")
    assert plain.obs["CD4/CD8"].tolist() == [1, 2, 3]
    found = tidied(plain)
    pd.testing.assert_frame_equal(found.obs, before)
    assert list(found.obsm) == ["X_a/b"]
    assert found.uns["x/y"] == {"/": 1, "": 2}


@pytest.mark.parametrize("column", ["barcode", "Barcode"])
def test_rows_may_be_named_like_a_column_of_another_table(tmp_path, column):
    adata = small()
    adata.obs.index.name = "barcode"
    adata.obsm["calls"] = pd.DataFrame({column: ["a", "b", "c"]}, index=adata.obs_names)
    write_h5ad(adata, tmp_path / "out.h5ad")
    write_by_gene(adata, tmp_path / "run")
    for found in map(tidied, (ad.read_h5ad(tmp_path / "out.h5ad"), ad.read_zarr(tmp_path / "run"))):
        assert found.obsm["calls"][column].tolist() == ["a", "b", "c"]
        assert list(found.obs_names) == list(adata.obs_names)


@pytest.mark.slow  # each column is a data set
def test_a_table_of_thousands_of_columns_is_written(tmp_path):
    adata = small()
    adata.obs = pd.DataFrame(np.ones((3, 4200)), index=adata.obs_names).add_prefix("score ")
    write_h5ad(adata, tmp_path / "out.h5ad")
    assert ad.read_h5ad(tmp_path / "out.h5ad").obs.shape == (3, 4200)


def test_what_turns_out_to_be_unwritable_is_left_out_and_logged(tmp_path, caplog):
    adata = small()
    adata.obs = pd.DataFrame({"lists": [[1], [2], [3]], "kept": [1, 2, 3]}, index=adata.obs_names)
    adata.uns = {"tool": print, "kept": 1}
    write_h5ad(adata, tmp_path / "out.h5ad")
    found = ad.read_h5ad(tmp_path / "out.h5ad")
    assert (list(found.obs), list(found.uns)) == (["kept"], ["kept"])
    assert "'lists'" in caplog.text
    assert "uns['tool']" in caplog.text
    assert "lists" in adata.obs  # the object in memory is as it was


def test_data_that_cannot_be_written_at_all_are_one_sentence(tmp_path, monkeypatch):
    def fails(*_, **__):
        msg = "no such type"
        raise TypeError(msg)

    monkeypatch.setattr("anndata.io.write_elem", fails)
    with pytest.raises(InputError, match="cannot be written: no such type"):
        write_h5ad(small(), tmp_path / "out.h5ad")
    assert list(tmp_path.iterdir()) == []


def test_text_becomes_categories_in_the_file_and_not_in_memory(tmp_path):
    adata = small()
    adata.obs["sample"] = ["s1", "s2", "s1"]
    write_h5ad(adata, tmp_path / "out.h5ad")
    assert adata.obs["sample"].dtype == object
    assert ad.read_h5ad(tmp_path / "out.h5ad").obs["sample"].dtype == "category"


@pytest.mark.slow  # a process of its own
def test_a_process_whose_disk_was_full_ends_in_peace(tmp_path):
    program = f"""
import resource, signal
import anndata, numpy
from deepvelo.io import write_h5ad
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, resource.RLIM_INFINITY))
try:
    write_h5ad(anndata.AnnData(numpy.random.default_rng(0).random((100, 500))), {str(tmp_path / "out.h5ad")!r})
except Exception as error:
    print(type(error).__name__)
"""
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert (ended.returncode, ended.stdout.strip()) == (0, "InputError")
    assert list(tmp_path.iterdir()) == []


def test_missing_folder_and_permission_are_named(tmp_path, monkeypatch):
    with pytest.raises(InputError, match="the folder does not exist"):
        write_h5ad(small(), tmp_path / "nowhere" / "out.h5ad")

    def refuse(path, mode):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(write, "FileIO", refuse)
    with pytest.raises(InputError, match="permission denied"):
        write_h5ad(small(), tmp_path / "out.h5ad")


def test_a_place_that_cannot_be_written_is_found_before_the_work(tmp_path):
    require_writable(tmp_path / "out.h5ad")
    assert not list(tmp_path.iterdir())
    with pytest.raises(InputError, match="the folder does not exist"):
        require_writable(tmp_path / "nowhere" / "out.h5ad")


def test_a_text_is_whole_or_absent(tmp_path):
    write_text("δ", tmp_path / "a.json")
    assert (tmp_path / "a.json").read_bytes() == "δ".encode()
    assert [path.name for path in tmp_path.iterdir()] == ["a.json"]
    with pytest.raises(InputError, match=r"a\.json could not be written: the folder does not exist"):
        write_text("text", tmp_path / "nowhere" / "a.json")


def test_a_scratch_folder_is_gone_even_where_others_still_write_into_it(tmp_path):
    path = tmp_path / "cells.h5ad"

    def late(folder):
        time.sleep(0.05)
        (folder / "layer").mkdir(parents=True)

    def fails(folder):
        threading.Thread(target=late, args=[folder]).start()
        raise ValueError("broken")

    with pytest.raises(ValueError, match="broken"), scratch_beside(path) as folder:
        fails(folder)
    assert list(tmp_path.iterdir()) == []


def test_a_scratch_folder_that_cannot_be_is_one_sentence(tmp_path):
    with (
        pytest.raises(InputError, match="the folder does not exist"),
        scratch_beside(tmp_path / "no" / "a.h5ad"),
    ):
        pytest.fail("there is no such folder")
    full = OSError(errno.ENOSPC, "No space left on device")
    with pytest.raises(InputError, match="no space is left on the disk"), scratch_beside(tmp_path / "a.h5ad"):
        raise full
    assert list(tmp_path.iterdir()) == []


def test_what_a_killed_process_left_beside_an_output_goes_a_day_later(tmp_path):
    with scratch_beside(tmp_path / "killed.h5ad") as folder:
        names = [f"{folder.name}{end}" for end in ("old", "new")]
    old, new = (tmp_path / name for name in names)
    for left in (old, new):
        left.mkdir()
        (left / "layer").write_text("half")
    half_a_file = tmp_path / f"{old.name}-file"
    half_a_file.write_text("half")
    mine = tmp_path / ".killed.h5ad.mine"
    mine.mkdir()
    for path in (old, half_a_file, mine):
        os.utime(path, (time.time() - write.LEFTOVER_AGE - 60,) * 2)
    with scratch_beside(tmp_path / "other.h5ad") as folder:
        assert folder.is_dir()
    assert sorted(tmp_path.iterdir()) == sorted([new, mine])


def test_a_leftover_that_another_process_removes_is_no_error(tmp_path):
    write.remove_leftovers([tmp_path / "gone"])


def test_a_leftover_that_cannot_be_removed_is_logged_and_no_error(tmp_path, monkeypatch, caplog):
    theirs = tmp_path / "theirs"
    theirs.write_text("half")
    os.utime(theirs, (0, 0))

    def refuse(self, *args, **kwargs):
        raise PermissionError(errno.EPERM, "Operation not permitted", str(self))

    monkeypatch.setattr(type(theirs), "unlink", refuse)
    write.remove_leftovers([theirs])
    assert "could not be removed" in caplog.text


def test_when_hdf5_stumbles_over_a_full_disk_the_disk_is_told_of(tmp_path, monkeypatch):
    def fails_twice(root, name, adata, **kwargs):
        raw = write._FirstErrorFile._full
        raw.error = OSError(errno.ENOSPC, "No space left on device")
        msg = "unable to read what was never written"
        raise RuntimeError(msg)

    class Remembered(write._FirstErrorFile):
        def __init__(self, raw):
            super().__init__(raw)
            write._FirstErrorFile._full = self

    monkeypatch.setattr(write._FirstErrorFile, "_full", None, raising=False)
    monkeypatch.setattr(write, "_FirstErrorFile", Remembered)
    monkeypatch.setattr("anndata.io.write_elem", fails_twice)
    with pytest.raises(InputError, match="no space is left on the disk"):
        write_h5ad(ad.AnnData(np.ones((2, 2))), tmp_path / "a.h5ad")
    assert list(tmp_path.iterdir()) == []
