"""Nothing outside the data folder can be reached, and uploads land inside it."""

from __future__ import annotations

import io

import pytest

from app import files
from deepvelo.datasets.source import DataSource
from deepvelo.errors import InputError


@pytest.fixture
def folder(tmp_path, monkeypatch):
    inner = tmp_path / "data"
    (inner / "mouse").mkdir(parents=True)
    (inner / "mouse" / "brain.h5ad").write_bytes(b"x")
    (inner / "counts.loom").write_bytes(b"x")
    (inner / "notes.txt").write_text("no data")
    (tmp_path / "secret.h5ad").write_bytes(b"secret")
    (inner / "link.h5ad").symlink_to(tmp_path / "secret.h5ad")
    (inner / "up").symlink_to(tmp_path)
    monkeypatch.setenv("DEEPVELO_DATA", str(inner))
    return inner


def test_a_file_of_the_folder_is_found(folder):
    assert files.inside("mouse/brain.h5ad") == folder / "mouse" / "brain.h5ad"


@pytest.mark.parametrize(
    "name",
    ["../secret.h5ad", "mouse/../../secret.h5ad", "link.h5ad", "up/secret.h5ad", "/etc/passwd", "", ".", "no.h5ad",
     "a\0b", "x" * 5000],
)  # fmt: skip
def test_nothing_outside_is_reached(folder, name):
    with pytest.raises(InputError, match="in the data folder"):
        files.inside(name)


def test_an_absolute_path_outside_is_refused(folder):
    with pytest.raises(InputError, match="in the data folder"):
        files.inside(str(folder.parent / "secret.h5ad"))


def test_listing_names_data_only_and_no_way_out(folder):
    assert files.listing() == ["counts.loom", "mouse/brain.h5ad"]


def test_a_zarr_folder_is_one_entry(folder):
    (folder / "cells.zarr" / "layers").mkdir(parents=True)
    (folder / "cells.zarr" / "layers" / "inner.h5ad").write_bytes(b"x")
    assert "cells.zarr" in files.listing()
    assert not any("inner" in name for name in files.listing())


@pytest.mark.parametrize(
    "text", ["sample", "public:pancreas", "file:mouse/brain.h5ad", "join:mouse/brain.h5ad|counts.loom"]
)
def test_a_source_survives_the_url(folder, text):
    assert files.to_text(files.from_text(text)) == text


@pytest.mark.parametrize(
    "text",
    [
        "",
        "file:",
        "file:../secret.h5ad",
        "join:counts.loom",
        "join:counts.loom|link.h5ad",
        "ftp:x",
        "samples",
    ],
)
def test_a_bad_source_in_the_url_is_one_sentence(folder, text):
    with pytest.raises(InputError, match="Choose"):
        files.from_text(text)


def test_an_upload_is_kept_under_a_new_name(folder):
    name = files.save_upload(io.BytesIO(b"cells"), "../../My cells (1).h5ad")
    assert name.startswith("uploads/My_cells_1-")
    assert files.inside(name).read_bytes() == b"cells"
    assert files.save_upload(io.BytesIO(b"cells"), "My cells (1).h5ad") != name


@pytest.mark.parametrize("filename", ["cells.pkl", "cells", "cells.h5ad.exe"])
def test_an_upload_of_another_kind_is_refused(folder, filename):
    with pytest.raises(InputError, match="not a file this app reads"):
        files.save_upload(io.BytesIO(b"cells"), filename)
    assert not (folder / "uploads").exists()


def test_an_upload_that_is_too_large_leaves_nothing(folder, monkeypatch):
    monkeypatch.setattr(files, "MAX_UPLOAD_MB", 1)
    with pytest.raises(InputError, match="larger than 1 MB"):
        files.save_upload(io.BytesIO(b"0" * (2**20 + 1)), "cells.h5ad")
    assert list((folder / "uploads").iterdir()) == []


def test_a_folder_that_cannot_be_written_is_one_sentence(folder, monkeypatch):
    (folder / "uploads").write_text("a file where the folder should be")
    with pytest.raises(InputError, match="cannot be kept"):
        files.save_upload(io.BytesIO(b"cells"), "cells.h5ad")


def test_sources_read_by_path(folder):
    source = files.join_source("mouse/brain.h5ad", "counts.loom")
    assert source == DataSource(
        kind="join",
        path=str(folder / "mouse" / "brain.h5ad"),
        counts_path=str(folder / "counts.loom"),
        name="brain.h5ad",
    )
