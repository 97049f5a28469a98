"""Formats that cannot be read are recognized, and the sentence says what is missing or what to do."""

from __future__ import annotations

import gzip
import re

import h5py
import numpy as np
import pytest

from deepvelo.errors import InputError
from deepvelo.io import read
from tests.counters import features, small_counts, write_mtx, write_text


@pytest.mark.parametrize("name", ["matrix.h5", "filtered.h5ad", "x.loom"])
@pytest.mark.parametrize("group", ["matrix", "GRCh38"], ids=["Cell Ranger 3", "Cell Ranger 2"])
def test_tenx_file_lacks_unspliced_counts(tmp_path, name, group):
    with h5py.File(tmp_path / name, "w") as file:
        for part in ("data", "indices", "indptr", "barcodes"):
            file[f"{group}/{part}"] = np.zeros(3)
    with pytest.raises(InputError, match=r"10x.*no unspliced counts.*velocyto, kb.*alevin-fry.*STARsolo"):
        read(tmp_path / name)


@pytest.mark.parametrize("given", ["", "outs", "outs/filtered_feature_bc_matrix"])
def test_tenx_folder_lacks_unspliced_counts(tmp_path, given):
    counts = small_counts()
    folder = tmp_path / "outs" / "filtered_feature_bc_matrix"
    write_mtx(folder / "matrix.mtx.gz", counts.spliced.T)
    write_text(folder / "barcodes.tsv.gz", counts.cells)
    write_text(folder / "features.tsv.gz", features(counts))
    write_text(tmp_path / "outs" / "metrics_summary.csv", ["Cells,Reads", "7,1000"])
    with pytest.raises(InputError, match=r"10x.*no unspliced counts"):
        read(tmp_path / given)


@pytest.mark.parametrize(
    ("name", "load"),
    [
        ("cells.rds", r'readRDS("cells.rds")'),
        ("cells.RDS", r'readRDS("cells.RDS")'),
        ("cells.RData", r'get(load("cells.RData")[1])'),
        ("cells.qs", r'qs::qread("cells.qs")'),
        ("GSM1.rds.gz", r'readRDS("GSM1.rds")'),
        ('a"); stop("\\.rds', r'readRDS("a\"); stop(\"\\.rds")'),
    ],
)
def test_r_objects_are_exported_in_r(tmp_path, name, load):
    (tmp_path / name).write_bytes(gzip.compress(b"RDX3"))
    with pytest.raises(InputError, match=re.escape(load)) as error:
        read(tmp_path / name)
    assert "\n" not in str(error.value)
    assert "GetAssayData" in str(error.value)


def test_dropest_matrices_are_exported_in_r(tmp_path):
    (tmp_path / "cell.counts.matrices.rds").write_bytes(b"\x1f\x8b")
    with pytest.raises(InputError, match=r"only R can read.*names\(o\).*writeMM"):
        read(tmp_path / "cell.counts.matrices.rds")


def test_a_single_matrix_is_not_enough(tmp_path):
    with pytest.raises(InputError, match=r"counts\.mtx is a single matrix.*folder"):
        read(write_mtx(tmp_path / "counts.mtx", small_counts().spliced))


def test_alevin_fry_needs_usa_mode(tmp_path):
    counts = small_counts()
    write_mtx(tmp_path / "alevin" / "quants_mat.mtx", counts.spliced)
    write_text(tmp_path / "alevin" / "quants_mat_rows.txt", counts.cells)
    write_text(tmp_path / "alevin" / "quants_mat_cols.txt", counts.ids)
    with pytest.raises(InputError, match=r"alevin holds one count for each gene.*USA mode"):
        read(tmp_path)
    (tmp_path / "alevin" / "quants_mat_cols.txt").unlink()
    with pytest.raises(InputError, match=r"lacks quants_mat_cols\.txt"):
        read(tmp_path)
    (tmp_path / "alevin" / "quants_mat.mtx").rename(tmp_path / "alevin" / "quants_mat.gz")
    with pytest.raises(InputError, match=r"binary matrix.*--use-mtx"):
        read(tmp_path)
