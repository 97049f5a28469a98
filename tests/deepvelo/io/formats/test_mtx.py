"""Folders of MatrixMarket files: which cells and genes are taken, and what is said of damaged ones."""

from __future__ import annotations

import gc
import gzip
import shutil

import numpy as np
import pytest

from deepvelo import keys
from deepvelo.errors import InputError
from deepvelo.io import read
from deepvelo.io.formats import mtx
from tests.counters import (
    dnbelab,
    features,
    folders,
    from_r,
    kb_lamanno,
    kb_nac,
    small_counts,
    starsolo,
    starsolo_three_columns,
    write_mtx,
    write_text,
)


def notes(adata) -> str:
    return " ".join(adata.uns[keys.NOTES])


def test_filtered_cells_are_preferred_and_said(tmp_path):
    few, all_ = small_counts(4), small_counts(7)
    starsolo(all_, tmp_path, inside="raw")
    adata = read(starsolo(few, tmp_path))
    assert adata.n_obs == 4
    assert "'filtered' was read, not 'raw'" in notes(adata)
    assert read(tmp_path / "Solo.out" / "Velocyto" / "raw").n_obs == 7


def test_kb_filtered_cells_are_preferred_and_said(tmp_path):
    kb_nac(small_counts(7), tmp_path, inside="counts_unfiltered")
    adata = read(kb_nac(small_counts(4), tmp_path))
    assert adata.n_obs == 4
    assert "'counts_filtered' was read, not 'counts_unfiltered'" in notes(adata)
    assert "unfiltered droplets" in notes(read(tmp_path / "kb" / "counts_unfiltered"))


@pytest.mark.parametrize("write", [lambda c, f: starsolo(c, f, inside="raw"), starsolo_three_columns])
def test_droplets_without_counts_are_left_out_and_said(tmp_path, write):
    counts = small_counts(7)
    for matrix in counts.layers.values():
        matrix[[1, 4]] = 0
    adata = read(write(counts, tmp_path))
    assert list(adata.obs_names) == [cell for i, cell in enumerate(counts.cells) if i not in (1, 4)]
    assert "2 of 7 barcodes without any count" in notes(adata)
    assert "unfiltered droplets" in notes(adata)


def test_droplets_are_reduced_to_the_cells_called_by_genes(tmp_path):
    counts = small_counts(7)
    path = starsolo(counts, tmp_path, inside="raw")
    write_text(path / "Gene" / "filtered" / "barcodes.tsv", counts.cells[2:5])
    adata = read(path)
    assert list(adata.obs_names) == counts.cells[2:5]
    assert "3 of 7 droplets were taken: the cells of Gene/filtered" in notes(adata)
    assert "unfiltered droplets" not in notes(adata)


def test_one_of_the_matrices_stands_for_its_folder(tmp_path):
    counts = small_counts()
    dnbelab(counts, tmp_path)
    adata = read(tmp_path / "RNAvelocity_matrix" / "spliced.mtx.gz")
    assert list(adata.obs_names) == counts.cells
    assert (adata.layers["unspliced"] != counts.unspliced).nnz == 0


def test_cells_of_both_matrices_are_shared_and_said(tmp_path):
    counts = small_counts(7)
    adata = read(kb_lamanno(counts, tmp_path))
    assert list(adata.obs_names) == counts.cells
    assert "7 cells (8 in spliced, 7 in unspliced)" in notes(adata)


def test_only_shared_genes_of_matrices_with_lists_of_their_own(tmp_path):
    counts = small_counts(7, 5)
    path = kb_lamanno(counts, tmp_path) / "counts_unfiltered"
    write_mtx(path / "unspliced.mtx", counts.unspliced[:, 1:])
    write_text(path / "unspliced.barcodes.txt", counts.cells)
    write_text(path / "unspliced.genes.txt", counts.ids[1:])
    adata = read(path)
    assert adata.shape == (7, 4)
    np.testing.assert_array_equal(adata.layers["spliced"].toarray(), counts.spliced[:, 1:].toarray())
    np.testing.assert_array_equal(adata.layers["unspliced"].toarray(), counts.unspliced[:, 1:].toarray())


def test_symbols_and_types_beside_the_ids_are_kept(tmp_path):
    counts = small_counts()
    adata = read(starsolo(counts, tmp_path), gene_names="index")
    assert list(adata.var_names) == counts.ids
    assert list(adata.var["gene_name"]) == counts.symbols
    assert set(adata.var["feature_types"]) == {"Gene Expression"}
    assert list(read(kb_nac(counts, tmp_path), gene_names="index").var["gene_name"]) == counts.symbols


def test_a_damaged_matrix_is_named(tmp_path):
    path = starsolo(small_counts(), tmp_path) / "Velocyto" / "filtered" / "unspliced.mtx"
    lines = path.read_text().splitlines()
    path.write_text("\n".join([*lines[:6], "2 x 1", *lines[7:]]))
    with pytest.raises(InputError, match=r"filtered/unspliced\.mtx is damaged.*[Ll]ine 7.*again"):
        read(tmp_path / "Solo.out")


@pytest.mark.parametrize("packed", ["", ".gz"])
def test_a_truncated_matrix_is_named(tmp_path, packed):
    starsolo(small_counts(200, 40), tmp_path, packed=packed)
    path = tmp_path / "Solo.out" / "Velocyto" / "filtered" / f"spliced.mtx{packed}"
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises(InputError, match=r"filtered/spliced\.mtx.* is damaged or truncated"):
        read(tmp_path / "Solo.out")


def test_a_truncated_list_of_names_is_named(tmp_path):
    path = (
        starsolo(small_counts(200, 40), tmp_path, packed=".gz") / "Velocyto" / "filtered" / "barcodes.tsv.gz"
    )
    path.write_bytes(path.read_bytes()[:-30])
    with pytest.raises(InputError, match=r"filtered/barcodes\.tsv\.gz is damaged or truncated"):
        read(tmp_path / "Solo.out")


@pytest.mark.parametrize("packed", ["", ".gz"])
def test_a_matrix_that_claims_more_than_it_holds_is_refused_before_it_is_read(tmp_path, monkeypatch, packed):
    starsolo(small_counts(), tmp_path, packed=packed)
    path = tmp_path / "Solo.out" / "Velocyto" / "filtered" / f"spliced.mtx{packed}"
    write_text(path, ["%%MatrixMarket matrix coordinate integer general", "5 7 9000000000", "1 1 1"])
    monkeypatch.setattr("scipy.io.mmread", lambda *_: pytest.fail("nothing may be allocated"))
    with pytest.raises(InputError, match=r"filtered/spliced\.mtx.* claims 9,000,000,000 entries"):
        read(tmp_path / "Solo.out")


def test_a_matrix_larger_than_memory_is_refused_before_it_is_read(tmp_path, monkeypatch):
    starsolo(small_counts(), tmp_path)
    monkeypatch.setattr("deepvelo.memory.available_memory", lambda: 1300)
    monkeypatch.setattr("scipy.io.mmread", lambda *_: pytest.fail("nothing may be allocated"))
    with pytest.raises(InputError, match=r"filtered.* needs .* GB of memory"):
        read(tmp_path / "Solo.out")


def test_sizes_that_fit_no_names_are_refused(tmp_path):
    counts = small_counts(7, 5)
    path = starsolo(counts, tmp_path) / "Velocyto" / "filtered"
    write_text(path / "barcodes.tsv", counts.cells[:4])
    with pytest.raises(InputError, match=r"matrix of 5 x 7.*name 4 cells and 5 genes.*same run"):
        read(path)


def test_missing_names_are_said(tmp_path):
    path = dnbelab(small_counts(), tmp_path)
    (path / "barcodes.tsv.gz").unlink()
    with pytest.raises(
        InputError, match=r"no list of the names of cells beside RNAvelocity_matrix/.*barcodes\.tsv"
    ):
        read(path)


def test_several_samples_in_a_folder_are_named(tmp_path):
    path = from_r(small_counts(), tmp_path)
    shutil.copy(path / "GSM1_exon.mtx", path / "GSM2_exon.mtx")
    with pytest.raises(
        InputError, match=r"several matrices of spliced counts: 'GSM1_exon\.mtx', 'GSM2_exon\.mtx'"
    ):
        read(path)


def test_gzip_is_known_by_its_first_bytes(tmp_path):
    counts = small_counts()
    path = starsolo(counts, tmp_path) / "Velocyto" / "filtered" / "spliced.mtx"
    path.write_bytes(gzip.compress(path.read_bytes()))
    assert (read(tmp_path / "Solo.out").layers["spliced"] != counts.spliced).nnz == 0


def test_cells_x_genes_are_told_from_genes_x_cells_by_the_names(tmp_path):
    counts = small_counts(7, 5)
    path = folders(counts, tmp_path)
    for layer, matrix in counts.layers.items():
        (path / layer / "matrix.mtx.gz").unlink()
        write_mtx(path / layer / "matrix.mtx", matrix)
    assert (read(path).layers["spliced"] != counts.spliced).nnz == 0


def test_fractions_and_dense_matrices_are_read(tmp_path):
    counts = small_counts(4, 3)
    path = starsolo(counts, tmp_path) / "Velocyto" / "filtered"
    write_mtx(path / "spliced.mtx", counts.spliced.T * 0.25)
    values = counts.unspliced.toarray().ravel()  # genes x cells, column by column
    write_text(path / "unspliced.mtx", ["%%MatrixMarket matrix array real general", "3 4", *map(str, values)])
    adata = read(path)
    np.testing.assert_array_equal(adata.layers["spliced"].toarray(), counts.spliced.toarray() * 0.25)
    np.testing.assert_array_equal(adata.layers["unspliced"].toarray(), counts.unspliced.toarray())


def test_three_columns_with_places_outside_are_refused(tmp_path):
    path = starsolo_three_columns(small_counts(7, 5), tmp_path) / "Velocyto" / "raw" / "matrix.mtx"
    path.write_text(path.read_text() + "9 1 1 1 1\n")
    with pytest.raises(InputError, match=r"raw/matrix\.mtx is damaged.*outside"):
        read(tmp_path / "Solo.out")


def test_a_file_without_sizes_is_no_matrix(tmp_path):
    with pytest.raises(InputError, match=r"x\.mtx is no MatrixMarket file"):
        mtx.header(write_text(tmp_path / "x.mtx", ["%%MatrixMarket matrix coordinate real general"]))


def test_features_of_one_column_name_the_genes(tmp_path):
    counts = small_counts()
    path = starsolo(counts, tmp_path) / "Velocyto" / "filtered"
    write_text(path / "features.tsv", counts.symbols)
    assert list(read(path).var_names) == counts.symbols
    write_text(path / "features.tsv", ["id\tsymbol\ttype", *features(counts)])  # a title line
    assert list(read(path, gene_names="index").var_names) == counts.ids


@pytest.mark.parametrize(
    ("before", "between", "after"),
    [
        ("", "\n", "\n\n"),
        ("\n", "\n", ""),
        ("", "  \r\n", "\r\n"),
        ("\ufeff", "\n", "\n"),
        ("cell_barcodes\n", "\n", "\n\n"),
        ('"x"\n"', '"\n"', '"\n'),
    ],
)
def test_lines_around_names_move_no_name_to_another_cell(tmp_path, before, between, after):
    counts = small_counts()
    path = starsolo(counts, tmp_path) / "Velocyto" / "filtered"
    (path / "barcodes.tsv").write_bytes((before + between.join(counts.cells) + after).encode())
    adata = read(path)
    assert list(adata.obs_names) == counts.cells
    np.testing.assert_array_equal(adata.layers["spliced"].toarray(), counts.spliced.toarray())


def test_one_name_too_many_is_no_title(tmp_path):
    counts = small_counts()
    path = starsolo(counts, tmp_path) / "Velocyto" / "filtered"
    write_text(path / "barcodes.tsv", ["TTTTTTTTTTTTTTTT", *counts.cells])
    with pytest.raises(InputError, match=f"name {len(counts.cells) + 1} cells"):
        read(path)


def test_names_are_separated_by_tabs_or_else_by_commas(tmp_path):
    path = tmp_path / "features.tsv"
    assert mtx.read_names(write_text(path, ["id1,a", "id2,b"])).to_numpy().tolist() == [
        ["id1", "a"],
        ["id2", "b"],
    ]
    assert mtx.read_names(write_text(path, ["id1\ta,1", "id2"])).to_numpy().tolist() == [
        ["id1", "a,1"],
        ["id2", ""],
    ]


def test_a_single_matrix_is_named_and_hidden_files_are_passed_over(tmp_path):
    path = starsolo(small_counts(), tmp_path) / "Velocyto" / "filtered"
    (path / "._spliced.mtx").write_bytes(b"\0\5")
    assert read(tmp_path / "Solo.out").n_obs == len(small_counts().cells)
    (path / "unspliced.mtx").unlink()
    with pytest.raises(InputError, match=r"both spliced and unspliced.*Velocyto/filtered/spliced\.mtx"):
        read(tmp_path / "Solo.out")


@pytest.mark.parametrize(
    ("where", "given"),
    [
        ("Solo.out/Velocyto", "raw"),
        ("Solo.out/Velocyto/raw", "."),
        ("Solo.out/Velocyto", "."),
        ("Solo.out/Gene", "../Velocyto"),
    ],
)
def test_starsolo_is_known_from_inside_its_folders(tmp_path, monkeypatch, where, given):
    path = starsolo(small_counts(), tmp_path, inside="raw")
    (path / "Gene").mkdir()
    monkeypatch.chdir(tmp_path / where)
    assert "unfiltered droplets" in notes(read(given))


def test_long_comments_are_passed_over(tmp_path):
    """A line of sizes in a comment says nothing, wherever the comment is cut."""
    counts = small_counts()
    path = starsolo(counts, tmp_path) / "Velocyto" / "filtered" / "spliced.mtx"
    first, _, *rest = path.read_text().splitlines()
    write_text(path, [first, "%" + " " * 4095 + "1 1 1", "%" + "x" * 20_000, *rest])
    assert (read(tmp_path / "Solo.out").layers["spliced"] != counts.spliced).nnz == 0


def test_a_failed_allocation_ends_in_a_sentence(tmp_path, monkeypatch):
    """The process would end if scipy's reader outlived the file."""
    path = starsolo(small_counts(), tmp_path) / "Velocyto" / "filtered" / "spliced.mtx"
    write_text(path, ["%%MatrixMarket matrix coordinate integer general", f"5 7 {10**15}", "1 1 1"])
    monkeypatch.setattr(mtx, "require_plausible", lambda *_: None)
    monkeypatch.setattr(mtx, "require_memory", lambda *_: None)
    with pytest.raises(InputError, match=r"does not fit into memory"):
        read(tmp_path / "Solo.out")
    gc.collect()


def test_a_dense_matrix_of_single_digits_is_read(tmp_path):
    values = np.arange(600) % 10
    lines = ["%%MatrixMarket matrix array integer general", "20 30", *map(str, values)]
    path = write_text(tmp_path / "x.mtx", lines)
    found = mtx.read_matrix(path, mtx.header(path))
    np.testing.assert_array_equal(found.toarray(), values.reshape(30, 20).T)
    lines[1] = "20 3000"
    with pytest.raises(InputError, match="claims 60,000 entries"):
        mtx.read_matrix(path, mtx.header(write_text(path, lines)))
