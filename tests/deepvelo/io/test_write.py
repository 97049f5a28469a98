"""Files that are whole or not there."""

from __future__ import annotations

import errno
import threading
import time
from pathlib import Path

import anndata as ad
import numpy as np
import pytest

from deepvelo.errors import InputError
from deepvelo.io import require_writable, scratch_beside, write_h5ad, write_text


def small() -> ad.AnnData:
    return ad.AnnData(np.ones((3, 2), dtype=np.float32))


def test_written_file_is_whole_or_not_there(tmp_path, monkeypatch):
    adata = small()
    write_h5ad(adata, tmp_path / "out.h5ad")
    before = (tmp_path / "out.h5ad").read_bytes()

    def fill_the_disk(self, path, **_):
        Path(path).write_bytes(b"half")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(ad.AnnData, "write_h5ad", fill_the_disk)
    with pytest.raises(InputError, match=r"out\.h5ad could not be written: no space is left.*make room"):
        write_h5ad(adata, tmp_path / "out.h5ad")
    assert (tmp_path / "out.h5ad").read_bytes() == before
    assert [p.name for p in tmp_path.iterdir()] == ["out.h5ad"]


def test_missing_folder_and_permission_are_named(tmp_path, monkeypatch):
    with pytest.raises(InputError, match="the folder does not exist"):
        write_h5ad(small(), tmp_path / "nowhere" / "out.h5ad")

    def refuse(self, path, **_):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(ad.AnnData, "write_h5ad", refuse)
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
