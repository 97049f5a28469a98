"""Nothing outside the data folder can be reached, and uploads land inside it."""

from __future__ import annotations

import io
import os

import pytest

from app.shared import files
from deepvelo.datasets import public
from deepvelo.datasets.source import DataSource
from deepvelo.errors import InputError
from tests.counters import dnbelab, small_counts, starsolo


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


def test_pipes_and_devices_are_not_listed_and_not_found(folder):
    os.mkfifo(folder / "pipe.h5ad")
    (folder / "device.h5ad").symlink_to("/dev/zero")
    (folder / "loop.h5ad").symlink_to(folder / "loop.h5ad")
    assert files.listing() == ["counts.loom", "mouse/brain.h5ad"]
    for name in ("pipe.h5ad", "device.h5ad", "loop.h5ad"):
        with pytest.raises(InputError, match="in the data folder"):
            files.inside(name)


def test_a_data_folder_that_is_a_link_is_listed(folder, monkeypatch):
    (folder.parent / "lab").symlink_to(folder)
    monkeypatch.setenv("DEEPVELO_DATA", str(folder.parent / "lab"))
    assert files.listing() == ["counts.loom", "mouse/brain.h5ad"]
    assert files.inside("mouse/brain.h5ad") == folder / "mouse" / "brain.h5ad"


def test_looking_through_the_folder_opens_nothing_outside(folder):
    """A counter's folder whose matrix is a link out, or whose h5ad file is."""
    starsolo(small_counts(), folder.parent)
    (folder / "Velocyto").symlink_to(folder.parent / "Solo.out" / "Velocyto")
    (folder / "counts_filtered").mkdir()
    (folder / "counts_filtered" / "adata.h5ad").symlink_to(folder.parent / "secret.h5ad")
    assert files.listing() == ["counts.loom", "mouse/brain.h5ad"]


def test_a_zarr_folder_is_one_entry(folder):
    (folder / "cells.zarr" / "layers").mkdir(parents=True)
    (folder / "cells.zarr" / "layers" / "inner.h5ad").write_bytes(b"x")
    assert "cells.zarr" in files.listing()
    assert not any("inner" in name for name in files.listing())


def test_listing_reads_a_part_of_a_very_large_folder(folder, monkeypatch):
    deep = folder / "a" / "b"
    deep.mkdir(parents=True)
    for i in range(50):
        (deep / f"{i}.h5ad").write_bytes(b"x")
    monkeypatch.setattr(files, "MAX_SEEN", 8)
    seen = []
    walk = files._walk
    monkeypatch.setattr(files, "_walk", lambda folder: (seen.append(path) or path for path in walk(folder)))
    assert files.listing() == ["counts.loom", "mouse/brain.h5ad"]  # upper folders come first
    assert len(seen) == 8


@pytest.mark.parametrize("text", ["sample", "file:mouse/brain.h5ad", "join:mouse/brain.h5ad|counts.loom"])
def test_a_source_survives_the_url(folder, text):
    assert files.to_text(files.from_text(text)) == text


@pytest.mark.parametrize("name", ["a|b.h5ad", "50%.h5ad", "%7C.h5ad", "a b:c.h5ad"])
def test_a_name_with_the_urls_own_signs_survives_it(folder, name):
    (folder / name).write_bytes(b"x")
    for source in (files.file_source(name), files.join_source("mouse/brain.h5ad", name)):
        assert files.from_text(files.to_text(source)) == source
    assert files.names_in(files.to_text(source)) == ["mouse/brain.h5ad", name]


def test_a_url_opens_a_public_set_that_is_here_and_downloads_none(folder, monkeypatch):
    def download(*_):
        pytest.fail("a URL must not download")

    monkeypatch.setenv("HOME", str(folder.parent))
    monkeypatch.setattr(public, "_download", download)
    with pytest.raises(InputError, match=r"'gastrulation' is not on this server yet\. Press Load"):
        files.from_text("public:gastrulation")
    with pytest.raises(InputError, match="no public set 'liver'"):
        files.from_text("public:liver")
    kept = folder.parent / ".cache" / "deepvelo" / "pancreas.h5ad"
    kept.parent.mkdir(parents=True)
    kept.write_bytes(b"x")
    assert files.from_text("public:pancreas") == DataSource(kind="public", name="pancreas")
    assert files.to_text(files.from_text("public:pancreas")) == "public:pancreas"


def test_a_public_set_is_downloaded_when_asked_for(folder, monkeypatch):
    asked = []
    monkeypatch.setenv("HOME", str(folder.parent))
    monkeypatch.setattr(public, "_download", lambda name, kept: asked.append((name, kept)))
    files.public_source("pancreas", download=True)
    assert asked == [("pancreas", folder.parent / ".cache" / "deepvelo" / "pancreas.h5ad")]


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
    assert files.uploads() == [name]


def test_the_same_content_is_kept_once(folder):
    name = files.save_upload(io.BytesIO(b"cells"), "a.h5ad")
    assert files.save_upload(io.BytesIO(b"cells"), "a.h5ad") == name
    assert files.save_upload(io.BytesIO(b"cells"), "renamed.h5ad") == name
    other = files.save_upload(io.BytesIO(b"other cells"), "a.h5ad")
    assert files.uploads() == sorted([name, other])
    assert len(list((folder / "uploads").iterdir())) == 2


def test_an_upload_can_be_removed_and_nothing_else(folder):
    name = files.save_upload(io.BytesIO(b"cells"), "a.h5ad")
    for other in ("counts.loom", "mouse/brain.h5ad", "uploads/../counts.loom", "uploads"):
        with pytest.raises(InputError, match="is not an upload"):
            files.remove_upload(other)
    (folder / "uploads" / "link.h5ad").symlink_to(folder / "counts.loom")
    with pytest.raises(InputError, match="is not an upload"):
        files.remove_upload("uploads/link.h5ad")
    files.remove_upload(name)
    assert name not in files.uploads()
    assert (folder / "counts.loom").exists()
    with pytest.raises(InputError, match="There is no file"):
        files.remove_upload(name)


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


@pytest.mark.parametrize("kind", ["run", "shuffled"])
def test_data_of_a_run_have_no_address(folder, kind):
    with pytest.raises(InputError, match="no address"):
        files.to_text(DataSource(kind=kind, path=str(folder)))


def test_folders_of_counters_are_entries_and_not_looked_into(folder):
    counts = small_counts(3, 3)
    starsolo(counts, folder / "sample")
    dnbelab(counts, folder)
    (folder / "SAMPLE.H5AD").write_bytes(b"x")
    (folder / "cells.h5ad.gz").write_bytes(b"x")
    (folder / "reads.fastq.gz").write_bytes(b"x")
    # What lies around the matrices belongs to the data set: one entry for all.
    assert files.listing() == [
        "RNAvelocity_matrix", "SAMPLE.H5AD", "cells.h5ad.gz", "counts.loom", "mouse/brain.h5ad", "sample",
    ]  # fmt: skip


def test_a_packed_upload_keeps_its_whole_ending(folder):
    name = files.save_upload(io.BytesIO(b"cells"), "GSM1_sample.H5AD.gz")
    assert name.startswith("uploads/GSM1_sample-")
    assert name.endswith(".h5ad.gz")
    with pytest.raises(InputError, match=r"reads\.fastq\.gz.*\.h5ad"):
        files.save_upload(io.BytesIO(b"reads"), "reads.fastq.gz")


def test_an_upload_belongs_to_who_brought_it_first(folder):
    name = files.save_upload(io.BytesIO(b"cells"), "a.h5ad", owner="1", owner_name="anna@lab")
    assert files.save_upload(io.BytesIO(b"cells"), "b.h5ad", owner="2") == name
    assert files.upload_owner(name) == ("1", "anna@lab")
    for damage in (b"", b"{}", b"[1]", b"\xff", b"[" * 100_000):
        next((folder / files.OWNERS).iterdir()).write_bytes(damage)
        assert files.upload_owner(name) == ("", "")
    files.remove_upload(name)
    assert files.upload_owner(name) == ("", "")
    assert list((folder / files.OWNERS).iterdir()) == []
