from __future__ import annotations

from pathlib import Path

import anndata as ad
import numpy as np
import pandas as pd
import pytest
from scipy import sparse

from deepvelo import keys
from deepvelo.errors import InputError
from deepvelo.io import join
from deepvelo.io.samples import read_samples, sample_names

RNG = np.random.default_rng(0)
BARCODES = ["".join(RNG.choice(list("ACGT"), 16)) for _ in range(50)]


def counts(barcodes, genes, first: int = 1) -> ad.AnnData:
    """Each cell's own number is its count of the first gene."""
    spliced = RNG.poisson(2, (len(barcodes), len(genes))).astype("float32")
    spliced[:, 0] = np.arange(len(barcodes)) + first
    return ad.AnnData(
        obs=pd.DataFrame(index=[f"{b}-1" for b in barcodes]),
        var=pd.DataFrame(index=genes),
        layers={"spliced": sparse.csr_matrix(spliced), "unspliced": sparse.csr_matrix(spliced + 1)},
    )


@pytest.fixture
def files(tmp_path: Path) -> list[Path]:
    """Two samples that share five barcodes; each has a gene that the other lacks."""
    found = []
    for name, barcodes, genes, first in (
        ("ctrl", BARCODES[:30], ["Sox2", "Cpe", "Meg3"], 1),
        ("treat", BARCODES[25:], ["Sox2", "Tmsb10", "Cpe"], 101),
    ):
        (tmp_path / name).mkdir()
        counts(barcodes, genes, first).write_h5ad(tmp_path / name / "adata.h5ad")
        found.append(tmp_path / name / "adata.h5ad")
    return found


def test_all_cells_and_genes_of_all_samples(files):
    adata = read_samples(files)
    assert adata.shape == (55, 4)
    assert list(adata.obs_names[[0, -1]]) == [f"ctrl:{BARCODES[0]}-1", f"treat:{BARCODES[-1]}-1"]
    assert adata.obs["sample"].value_counts().to_dict() == {"ctrl": 30, "treat": 25}
    assert list(adata.var_names) == ["Sox2", "Cpe", "Meg3", "Tmsb10"]
    for layer in ("spliced", "unspliced"):
        matrix = adata.layers[layer]
        assert matrix.format == "csr"
        assert matrix.dtype == np.float32
        for path, rows in zip(files, (slice(0, 30), slice(30, 55)), strict=True):
            given = ad.read_h5ad(path)
            np.testing.assert_array_equal(
                matrix[rows][:, adata.var_names.get_indexer(given.var_names)].toarray(),
                given.layers[layer].toarray(),
            )
    assert adata[:30, "Tmsb10"].layers["spliced"].nnz == 0
    assert "2 of 4 genes are in all" in adata.uns[keys.NOTES][-1]


def test_genes_are_one_by_id_or_symbol(files):
    first, second = (ad.read_h5ad(path) for path in files)
    first.var["gene_id"] = ["ENSMUSG00000000001.2", "ENSMUSG00000000002.1", "ENSMUSG00000000003.1"]
    second.var_names = ["ENSMUSG00000000001", "ENSMUSG00000000009", "ENSMUSG00000000002"]
    first.write_h5ad(files[0])
    second.write_h5ad(files[1])
    adata = read_samples(files)
    assert list(adata.var_names) == ["Sox2", "Cpe", "Meg3", "ENSMUSG00000000009"]
    np.testing.assert_array_equal(adata[30:, "Sox2"].layers["spliced"].toarray().ravel(), np.arange(101, 126))


@pytest.mark.parametrize("header", ["sample,file,condition", "name\tpath\tcondition", "file;condition"])
def test_sheet_names_samples_and_adds_columns(files, tmp_path, header):
    separator = next(sign for sign in ",\t;" if sign in header)
    rows = [["B", "treat/adata.h5ad", "drug"], ["A", "ctrl/adata.h5ad", "none"]]
    rows = [row[-header.count(separator) - 1 :] for row in rows]
    sheet = tmp_path / "samples.txt"
    sheet.write_text("\n".join([header, *(separator.join(row) for row in rows)]))
    names = ["A", "B"] if header.count(separator) == 2 else ["ctrl", "treat"]
    adata = read_samples(files, sheet=sheet)
    table = adata.obs.groupby("sample", observed=True)["condition"].agg(["unique", "size"])
    assert {name: list(found) for name, found in table["unique"].items()} == {
        names[0]: ["none"],
        names[1]: ["drug"],
    }
    assert table["size"][names[0]] == 30


def test_sheet_of_one_column(files, tmp_path):
    (tmp_path / "sheet.csv").write_text("sample\nTREAT\nctrl\n")
    assert list(read_samples(files, sheet=tmp_path / "sheet.csv").obs["sample"].cat.categories) == [
        "TREAT",
        "ctrl",
    ]


def test_sheet_that_is_no_table(files, tmp_path):
    (tmp_path / "sheet.xlsx").write_bytes(bytes(range(256)) * 9)
    with pytest.raises(InputError, match=r"sheet.xlsx is not plain text"):
        read_samples(files, sheet=tmp_path / "sheet.xlsx")


def test_sheet_may_know_files_by_their_sample(files, tmp_path):
    (tmp_path / "sheet.csv").write_text("age,sample\n3,treat\n12,ctrl\n")
    adata = read_samples(files, sheet=tmp_path / "sheet.csv")
    assert list(adata.obs["age"].iloc[[0, -1]]) == ["12", "3"]
    assert list(adata.obs["sample"].cat.categories) == ["ctrl", "treat"]


@pytest.mark.parametrize(
    ("paths", "names"),
    [
        (["s1/Solo.out/Velocyto/filtered", "s2/Solo.out/Velocyto/filtered"], ["s1", "s2"]),
        (["a/s1.loom", "a/s2.loom"], ["s1", "s2"]),
        (["s1/adata.h5ad", "s2/adata.h5ad"], ["s1", "s2"]),
        (["s1/velocyto/possorted_genome_bam_X1.loom", "s2/velocyto/s2.loom"], ["s1", "s2"]),
        (["x/s1/counts_unfiltered/adata.h5ad", "x/s2.v2/counts_unfiltered/adata.h5ad.gz"], ["s1", "s2.v2"]),
        (["s1.zarr.zip", "s2.zarr"], ["s1", "s2"]),
        (["a/x.h5ad", "b/x.h5ad"], ["a", "b"]),
    ],
)
def test_sample_is_the_part_of_the_path_that_differs(paths, names):
    assert sample_names([Path("/data") / path for path in paths]) == names


def test_samples_are_told_apart_in_a_join(files):
    """The shared barcodes too, because both files name the samples; the other way round they stay unmatched."""
    adata = read_samples(files)
    truth = adata.layers["spliced"][:, 0].toarray().ravel()
    order = RNG.permutation(55)
    names = [f"{s}_{b.split(':')[1]}" for s, b in zip(adata.obs["sample"], adata.obs_names, strict=True)]
    processed = ad.AnnData(obs=pd.DataFrame({"truth": truth[order]}, index=[names[i] for i in order]))
    joined, report = join(processed, adata)
    np.testing.assert_array_equal(joined.layers["spliced"][:, 0].toarray().ravel(), joined.obs["truth"])
    assert report.n_matched == 55
    assert set(report.by_sample.values()) == {1.0}


def test_bad_samples_are_one_sentence(files, tmp_path):
    with pytest.raises(InputError, match=r"No files"):
        read_samples([])
    with pytest.raises(InputError, match=r"same file .*ctrl.*twice|given twice"):
        read_samples([files[0], files[0]])
    with pytest.raises(InputError, match=r"no file .*lost"):
        read_samples([files[0], tmp_path / "lost.loom"])
    copy = tmp_path / "copy.h5ad"
    copy.write_bytes(files[0].read_bytes())
    with pytest.raises(InputError, match=r"'ctrl' and 'copy' have the same cells"):
        read_samples([files[0], copy])
    bare = tmp_path / "bare.h5ad"
    ad.AnnData(np.ones((3, 2), "float32")).write_h5ad(bare)
    with pytest.raises(InputError, match=r"bare.h5ad has no layer 'spliced' and no 'unspliced'"):
        read_samples([files[0], bare])


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        ("sample,file\nA,ctrl/adata.h5ad\n", r"files without a row.*treat"),
        ("sample,file\nA,ctrl/adata.h5ad\nB,treat/adata.h5ad\nC,other.h5ad\n", r"fit no file.*'other.h5ad'"),
        ("sample,file\nA,ctrl/adata.h5ad\nB,ctrl/adata.h5ad\n", r"several rows: 'ctrl'"),
        ("sample,file\n", r"no rows"),
    ],
)
def test_sheet_that_does_not_fit_the_files(files, tmp_path, rows, said):
    (tmp_path / "sheet.csv").write_text(rows)
    with pytest.raises(InputError, match=said):
        read_samples(files, sheet=tmp_path / "sheet.csv")


def test_sheet_that_is_not_there(files, tmp_path):
    with pytest.raises(InputError, match=r"no sample sheet"):
        read_samples(files, sheet=tmp_path / "none.csv")


def test_sheet_is_read_by_its_column_of_files_and_not_crosswise(files, tmp_path):
    """Each sample's control is the other one."""
    sheet = tmp_path / "sheet.csv"
    sheet.write_text("control,file,condition\ntreat,ctrl/adata.h5ad,none\nctrl,treat/adata.h5ad,drug\n")
    adata = read_samples(files, sheet=sheet)
    assert dict(zip(adata.obs["sample"], adata.obs["condition"], strict=True)) == {
        "ctrl": "none",
        "treat": "drug",
    }
    assert adata.obs["control"].iloc[0] == "treat"


@pytest.mark.parametrize("header", ["control,reference", "sample,file"])
def test_sheet_with_columns_that_disagree_is_refused(files, tmp_path, header):
    (tmp_path / "sheet.csv").write_text(f"{header}\ntreat,ctrl\nctrl,treat\n")
    with pytest.raises(InputError, match=r"'\w+', '\w+'|'\w+' and '\w+'.*different files"):
        read_samples(files, sheet=tmp_path / "sheet.csv")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("sample\n" + "treat\n" * 200_000, r"sheet\.csv is larger than 1 MB"),
        ("sample\n" + "treat\n" * 2000, r"more than 1,000 rows"),
        (",".join(f"c{n}" for n in range(2000)) + "\n", r"more than 1,000 rows or columns"),
        ("sample,file\na,b\na,b,c,d\n", r"could not be read as a table"),
        ("sample\ntre\0at\n", r"is not plain text"),
    ],
)
def test_sheet_that_is_too_large_or_damaged_is_a_sentence(files, tmp_path, text, message):
    (tmp_path / "sheet.csv").write_text(text)
    with pytest.raises(InputError, match=message):
        read_samples(files, sheet=tmp_path / "sheet.csv")


def test_columns_of_a_file_keep_names_of_their_own(files):
    adata = ad.read_h5ad(files[0])
    adata.obs["sample"], adata.obs["sample_in_file"] = "a", "b"
    adata.write_h5ad(files[0])
    obs = read_samples(files).obs
    first = obs[obs["sample"] == "ctrl"]
    assert set(first["sample_in_file"]) == {"b"}
    assert set(first["sample_in_file_in_file"]) == {"a"}


def test_embeddings_of_single_samples_are_left_out_with_a_note(files):
    adata = ad.read_h5ad(files[0])
    adata.obsm["X_umap"] = RNG.normal(size=(30, 2))
    adata.write_h5ad(files[0])
    joined = read_samples(files)
    assert not joined.obsm
    (note,) = (note for note in joined.uns[keys.NOTES] if "X_umap" in note)
    assert note.startswith("ctrl: ")
