"""Nothing outside of a folder is opened, whatever links or pipes lie in it, and it is said; nothing waits for a pipe."""

from __future__ import annotations

import os
import shutil

import h5py
import pytest

from deepvelo.errors import InputError
from deepvelo.io import read
from deepvelo.io.formats import format_of, is_data_folder
from deepvelo.io.formats.links import is_inside
from tests.counters import (
    alevin_fry,
    as_anndata,
    h5ad,
    kb_nac,
    small_counts,
    starsolo,
    starsolo_three_columns,
    write_text,
)


def zarr_folder(counts, folder):
    as_anndata(counts).write_zarr(folder / "cells.zarr")
    return folder / "cells.zarr"


FOLDERS = [
    (zarr_folder, "var/_index/**/*", "0"),
    (starsolo, "**/barcodes.tsv", ""),
    (starsolo_three_columns, "**/matrix.mtx", ""),
    (kb_nac, "**/*.mature.mtx", ""),
    (alevin_fry, "**/quants_mat_rows.txt", ""),
]


def a_file(folder, pattern, name):
    """One that is read, of the data and not of what describes them."""
    found = [path for path in sorted(folder.glob(pattern)) if path.is_file() and path.name.endswith(name)]
    return next(path for path in found if not path.name.startswith((".", "zarr.json")))


@pytest.mark.parametrize(("write", "pattern", "name"), FOLDERS)
def test_a_link_out_of_a_folder_is_refused(tmp_path, write, pattern, name):
    (tmp_path / "data").mkdir()
    folder = write(small_counts(), tmp_path / "data")
    file = a_file(folder, pattern, name)
    shutil.move(file, tmp_path / "secret")
    file.symlink_to(tmp_path / "secret")
    with pytest.raises(InputError, match=r"outside of it|link out of it") as error:
        read(folder)
    assert str(tmp_path) not in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(("write", "pattern", "name"), FOLDERS[1:])
def test_a_folder_reached_by_a_link_out_is_refused(tmp_path, write, pattern, name):
    (tmp_path / "data").mkdir()
    folder = write(small_counts(), tmp_path / "data")
    inner = a_file(folder, pattern, name).parent
    if inner == folder:
        pytest.skip("the folder itself")
    shutil.move(inner, tmp_path / "elsewhere")
    inner.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(InputError, match=r"outside of it|link out of it|no data set"):
        read(folder)


@pytest.mark.parametrize(("write", "pattern", "name"), FOLDERS[1:])
def test_links_within_a_folder_and_to_a_folder_are_followed(tmp_path, write, pattern, name):
    (tmp_path / "data").mkdir()
    folder = write(small_counts(), tmp_path / "data")
    file = a_file(folder, pattern, name)
    shutil.move(file, folder / "moved")
    file.symlink_to(folder / "moved")
    (tmp_path / folder.name).symlink_to(folder)
    assert read(tmp_path / folder.name).n_obs == 7


@pytest.mark.parametrize("where", ["cells.zarr", "cells.zarr/uns"])
def test_links_of_a_zarr_folder_are_refused(tmp_path, where):
    """As those of an HDF5 file: a circle would be read without end."""
    folder = zarr_folder(small_counts(), tmp_path)
    (tmp_path / where / "again").symlink_to(folder / "obs")
    with pytest.raises(InputError, match=r"holds links.*again"):
        read(folder)


@pytest.mark.parametrize(("write", "pattern", "name"), FOLDERS)
def test_a_pipe_in_a_folder_is_refused(tmp_path, write, pattern, name):
    folder = write(small_counts(), tmp_path)
    file = a_file(folder, pattern, name)
    file.unlink()
    os.mkfifo(file)
    with pytest.raises(InputError, match=r"neither a file nor a folder|no data set"):
        read(folder)


@pytest.mark.parametrize("name", ["x.h5ad", "x.loom", "x.csv", "x.zip", "x.mtx", "x"])
@pytest.mark.parametrize("to_device", [False, True])
def test_a_pipe_or_device_is_refused(tmp_path, name, to_device):
    if to_device:
        (tmp_path / name).symlink_to("/dev/zero")
    else:
        os.mkfifo(tmp_path / name)
    with pytest.raises(InputError, match="neither a file nor a folder"):
        read(tmp_path / name)
    assert format_of(tmp_path) is None


def test_looking_for_data_opens_nothing_outside(tmp_path):
    """A link to a pipe in an HDF5 file would wait for it without end; so would a link to a matrix."""
    os.mkfifo(tmp_path / "pipe")
    folder = tmp_path / "kb" / "counts_filtered"
    folder.mkdir(parents=True)
    with h5py.File(folder / "adata.h5ad", "w") as file:
        for name in ("X", "obs", "layers"):
            file[name] = h5py.ExternalLink(str(tmp_path / "pipe"), "/x")
    assert not is_data_folder(tmp_path / "kb")
    (folder / "adata.h5ad").unlink()
    h5ad(small_counts(), tmp_path)
    (folder / "adata.h5ad").symlink_to(tmp_path / "cells.h5ad")
    write_text(tmp_path / "matrix.mtx", ["secret"])
    (folder / "matrix.mtx").symlink_to(tmp_path / "matrix.mtx")
    assert not is_data_folder(tmp_path / "kb")
    assert not is_data_folder(folder)


def test_a_zarr_table_names_no_column_elsewhere(tmp_path):
    folder = zarr_folder(small_counts(), tmp_path)
    (attributes,) = (path for path in (folder / "obs/.zattrs", folder / "obs/zarr.json") if path.exists())
    text = attributes.read_text()
    attributes.write_text(text.replace('"_index": "_index"', '"_index": "../var/_index"'))
    with pytest.raises(InputError, match=r"table 'obs' lists a column"):
        read(folder)


def test_is_inside(tmp_path):
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "loop").symlink_to(tmp_path / "a" / "loop")
    (tmp_path / "a" / "up").symlink_to(tmp_path)
    found = {
        name: is_inside(tmp_path / "a" / name, tmp_path / "a")
        for name in ("x", "loop", "up", "up/a/x", "../x")
    }
    assert found == {"x": True, "loop": False, "up": False, "up/a/x": True, "../x": False}
