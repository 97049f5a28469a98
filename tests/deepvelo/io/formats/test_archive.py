"""Packed files are unpacked into a folder of their own, which is gone afterwards, and never beyond what is free."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import os
import tarfile
import tempfile
import zipfile

import pytest

from deepvelo import keys
from deepvelo.errors import InputError
from deepvelo.io import read
from deepvelo.io.formats import archive, declared_sizes, zips
from tests.counters import h5ad, h5ad_packed, loom, small_counts, starsolo, zipped


@pytest.fixture
def temporary(tmp_path, monkeypatch):
    """The folder for temporary files."""
    folder = tmp_path / "temporary"
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    return folder


def test_nothing_is_left_behind(tmp_path, temporary):
    counts = small_counts()
    assert read(h5ad_packed(counts, tmp_path)).shape == (7, 5)
    assert read(zipped(starsolo(counts, tmp_path))).shape == (7, 5)
    assert list(temporary.iterdir()) == []


def test_gzip_under_another_name_is_said(tmp_path):
    path = h5ad_packed(small_counts(), tmp_path).rename(tmp_path / "sample.loom")
    with pytest.raises(InputError, match=r"sample\.loom is packed with gzip.*Unpack it"):
        read(path)


def test_layers_of_a_packed_file_can_be_asked_for(tmp_path):
    adata = read(h5ad_packed(small_counts(), tmp_path), by_gene=["spliced"])
    assert adata.layers["spliced"].sum() > 0


@pytest.mark.parametrize(("ending", "pack"), [("bz2", bz2.compress), ("xz", lzma.compress)])
def test_other_ways_to_pack_are_read(tmp_path, ending, pack):
    path = h5ad(small_counts(), tmp_path)
    (tmp_path / f"x.h5ad.{ending}").write_bytes(pack(path.read_bytes()))
    assert read(tmp_path / f"x.h5ad.{ending}").shape == (7, 5)


@pytest.mark.parametrize("name", ["x.h5ad.gz", "x.zip", "x.tar.gz"])
def test_a_damaged_archive_is_said(tmp_path, name, temporary):
    content = gzip.compress(os.urandom(5000))[:2000]
    (tmp_path / name).write_bytes(b"PK\x03\x04" + content if name == "x.zip" else content)
    with pytest.raises(InputError, match=rf"{name} is not a .* file, or its end is missing"):
        read(tmp_path / name)
    assert list(temporary.iterdir()) == []


def pack(path, kind: str, name: str, content: bytes):
    if kind == "zip":
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr(name, content)
    else:
        with tarfile.open(path, "w") as archive:
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    return path


@pytest.mark.parametrize("kind", ["zip", "tar"])
@pytest.mark.parametrize("name", ["../../evil.h5ad", "/evil.h5ad", "a/../../evil.h5ad"])
def test_nothing_is_written_outside(tmp_path, kind, name, temporary):
    with pytest.raises(InputError, match="leads out of its folder"):
        read(pack(tmp_path / f"x.{kind}", kind, name, b"x"))
    assert list(temporary.iterdir()) == []
    assert not list(tmp_path.rglob("evil*"))


@pytest.mark.parametrize("kind", ["zip", "tar", "gz"])
def test_bombs_stop_where_memory_ends(tmp_path, monkeypatch, kind, temporary):
    monkeypatch.setattr("deepvelo.memory.available_memory", lambda: 10_000)
    path = tmp_path / f"x.h5ad.{kind}"
    if kind == "gz":
        path.write_bytes(gzip.compress(b"0" * 5_000_000))
    else:
        pack(path, kind, "x.h5ad", b"0" * 5_000_000)
    with pytest.raises(InputError, match=r"x\.h5ad is larger unpacked than the free disk or memory"):
        read(path)
    assert list(temporary.iterdir()) == []


def linked(path, target: str, *, hard: bool = False):
    """An archive with a link and nothing else."""
    if path.suffix == ".tar":
        with tarfile.open(path, "w") as archive:
            link = tarfile.TarInfo("a/x.h5ad")
            link.type, link.linkname = tarfile.LNKTYPE if hard else tarfile.SYMTYPE, target
            archive.addfile(link)
    else:
        with zipfile.ZipFile(path, "w") as archive:
            member = zipfile.ZipInfo("a/x.h5ad")
            member.external_attr = 0o120777 << 16
            archive.writestr(member, target)
    return path


@pytest.mark.parametrize("hard", [False, True])
@pytest.mark.parametrize("target", ["/etc/passwd", "../../x.h5ad", "b/../../../x"])
@pytest.mark.parametrize("name", ["x.tar", "x.zip"])
def test_links_out_of_an_archive_are_refused(tmp_path, name, target, hard):
    with pytest.raises(InputError, match=r"must not hold the link '.+'.*leads out"):
        read(linked(tmp_path / name, target, hard=hard))


@pytest.mark.parametrize("name", ["x.tar", "x.zip"])
def test_links_within_an_archive_are_left_out(tmp_path, name):
    with pytest.raises(InputError, match="holds no data set"):
        read(linked(tmp_path / name, "../other.h5ad"))


def test_an_archive_of_itself_ends(tmp_path):
    """Each archive of it holds one more."""
    path = tmp_path / "x.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("x.h5ad", b"x")
    for n in range(6):
        content = path.read_bytes()
        path = tmp_path / f"x{n}.zip"
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("inner.zip", content)
    with pytest.raises(InputError, match="packed more than 3 times"):
        read(path)


@pytest.mark.parametrize("kind", ["zip", "tar.gz", "gz"])
def test_what_unpacks_to_far_more_than_data_do_is_refused(tmp_path, monkeypatch, kind, temporary):
    """Whatever memory is free, and though archives lie in each other."""
    monkeypatch.setattr(declared_sizes, "ALWAYS_ALLOWED", 2**20)
    path, zeros = tmp_path / f"x.h5ad.{kind}", b"\0" * 2**22
    if kind == "zip":
        pack(path, kind, "x.h5ad", zeros)
    elif kind == "gz":
        path.write_bytes(gzip.compress(zeros))
    else:
        path = tmp_path / "x.tar.gz"
        path.write_bytes(gzip.compress(pack(tmp_path / "x.tar", "tar", "x.h5ad", zeros).read_bytes()))
    with pytest.raises(InputError, match=r"unpacks to more than 200 times"):
        read(path)
    assert list(temporary.iterdir()) == []


def test_what_fits_into_the_free_memory_is_unpacked(tmp_path, monkeypatch):
    content = h5ad(small_counts(), tmp_path).read_bytes()
    monkeypatch.setattr("deepvelo.memory.available_memory", lambda: len(content) + 2**17)
    monkeypatch.setattr(archive, "_BLOCK", 1000)
    for kind in ("zip", "tar"):
        assert read(pack(tmp_path / f"x.{kind}", kind, "x.h5ad", content)).shape == (7, 5)


def test_a_long_description_in_an_archive_is_refused(tmp_path):
    """`tarfile` would read it as a whole."""
    with tarfile.open(tmp_path / "x.tar", "w", format=tarfile.PAX_FORMAT) as archive:
        member = tarfile.TarInfo("x.h5ad")
        member.pax_headers = {"comment": "x" * 2**23}
        archive.addfile(member)
    with pytest.raises(InputError, match=r"x\.tar is not a tar file"):
        read(tmp_path / "x.tar")


def test_a_long_list_of_members_is_not_read(tmp_path, monkeypatch):
    monkeypatch.setattr(zips, "_LARGEST_LIST", 1000)
    with zipfile.ZipFile(tmp_path / "x.zip", "w") as archive:
        for n in range(50):
            archive.writestr(f"{n}.h5ad", b"")
    with pytest.raises(InputError, match=r"x\.zip lists more files"):
        read(tmp_path / "x.zip")


def test_several_data_sets_in_an_archive_are_named(tmp_path):
    counts = small_counts()
    inside = tmp_path / "both"
    inside.mkdir()
    h5ad(counts, inside)
    loom(counts, inside)
    with pytest.raises(InputError, match=r"several data sets: both/both/cells\.h5ad, both/both/cells\.loom"):
        read(zipped(inside))


def test_the_place_of_the_data_in_an_archive_is_said(tmp_path):
    inside = tmp_path / "one"
    inside.mkdir()
    h5ad(small_counts(), inside)
    assert "'one/one/cells.h5ad' was read." in read(zipped(inside)).uns[keys.NOTES]
