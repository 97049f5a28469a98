"""Tables of cells, cellDancer's results, modalities and Seurat objects."""

from __future__ import annotations

import gzip

import anndata as ad
import h5py
import numpy as np
import pandas as pd
import pytest
import zarr

from deepvelo import keys
from deepvelo.config import Settings, replace
from deepvelo.errors import InputError
from deepvelo.io import read
from deepvelo.pp.imported import prepare_imported
from tests.counters import TEXT, as_anndata, h5seurat, loom, mudata, small_counts


@pytest.mark.parametrize(
    ("sep", "name"), [(",", "meta.csv"), ("\t", "meta.tsv"), (";", "meta.csv"), ("\t", "meta.txt")]
)
def test_a_table_of_cells_becomes_obs(tmp_path, sep, name):
    frame = pd.DataFrame(
        {"cell type": ["a", "b", None], "n": [1, 2, 3]}, index=["AAAC-1", "AAAG-1", "AAAT-1"]
    )
    frame.to_csv(tmp_path / name, sep=sep)
    adata = read(tmp_path / name)
    assert adata.shape == (3, 0)
    assert list(adata.obs_names) == list(frame.index)
    assert list(adata.obs["n"]) == [1, 2, 3]
    assert list(adata.obs["cell type"].isna()) == [False, False, True]


def test_a_table_as_r_writes_it_without_a_title_of_the_names(tmp_path):
    (tmp_path / "meta.tsv").write_text('"n"\t"group"\n"AAAC-1"\t1\t"x"\n"AAAG-1"\t2\t"y"\n')
    adata = read(tmp_path / "meta.tsv")
    assert list(adata.obs_names) == ["AAAC-1", "AAAG-1"]
    assert list(adata.obs["group"]) == ["x", "y"]


def test_numbers_with_a_comma_are_numbers(tmp_path):
    (tmp_path / "umap.csv").write_text("cell;UMAP_1;UMAP_2\nAAAC;0,5;-1,25\nAAAG;1,5;2\n")
    adata = read(tmp_path / "umap.csv")
    found = adata.obsm["X_umap"] if "X_umap" in adata.obsm else adata.obs[["UMAP_1", "UMAP_2"]].to_numpy()
    np.testing.assert_array_equal(found, [[0.5, -1.25], [1.5, 2]])


def test_numbers_with_a_point_are_numbers_whatever_separates_them(tmp_path):
    (tmp_path / "meta.csv").write_text("cell;x;y;kind\nAAAC;0.5;0,25;a\nAAAG;1.5;2;b,c\n")
    obs = read(tmp_path / "meta.csv").obs
    assert list(obs["x"]) == [0.5, 1.5]
    assert list(obs["y"]) == [0.25, 2]
    assert list(obs["kind"]) == ["a", "b,c"]


def test_names_that_look_like_numbers_stay_text(tmp_path):
    (tmp_path / "meta.csv").write_text("cell,n\n0012,1\n0013,2\n")
    assert list(read(tmp_path / "meta.csv", gene_names="index").obs_names) == ["0012", "0013"]


def test_a_table_of_counts_is_refused(tmp_path):
    pd.DataFrame(np.ones((3, 600), int)).to_csv(tmp_path / "counts.csv")
    with pytest.raises(InputError, match=r"counts\.csv is a table of 3 x 600 numbers.*unspliced"):
        read(tmp_path / "counts.csv")


@pytest.mark.parametrize("content", ["", "cell\nAAAC\n", "cell,n\n", "\x00\x01\x02"])
def test_what_is_no_table_is_refused(tmp_path, content):
    (tmp_path / "x.csv").write_text(content)
    with pytest.raises(InputError, match=r"x\.csv"):
        read(tmp_path / "x.csv")


def celldancer_lines() -> pd.DataFrame:
    """Three cells and two genes; the second gene has no line for the last cell."""
    return pd.DataFrame(
        {
            "cellIndex": [0, 1, 2, 0, 1],
            "gene_name": ["A", "A", "A", "B", "B"],
            "unsplice": [1.0, 2, 3, 4, 5],
            "splice": [2.0, 4, 6, 8, 10],
            "unsplice_predict": [1.5, 2, 2, 4, 5],
            "splice_predict": [3.0, 4, 5, 8, 12],
            "alpha": 1.0, "beta": 2.0, "gamma": 0.5, "loss": 0.1,
            "cellID": ["c0", "c1", "c2", "c0", "c1"],
            "clusters": ["x", "y", "y", "x", "y"],
            "embedding1": [0.0, 1, 2, 0, 1],
            "embedding2": [5.0, 6, 7, 5, 6],
        }
    )  # fmt: skip


def test_celldancer_lines_become_cells_by_genes(tmp_path):
    celldancer_lines().sample(frac=1, random_state=0).to_csv(tmp_path / "result.csv", index=False)
    adata = read(tmp_path / "result.csv")[["c0", "c1", "c2"], ["A", "B"]]
    np.testing.assert_array_equal(adata.layers["velocity"], [[1, 0], [0, 2], [-1, np.nan]])
    np.testing.assert_array_equal(adata.layers["Ms"], [[2, 8], [4, 10], [6, np.nan]])
    np.testing.assert_array_equal(adata.layers["Mu"], [[1, 4], [2, 5], [3, np.nan]])
    np.testing.assert_array_equal(adata.layers[keys.BETA], [[2, 2], [2, 2], [2, np.nan]])
    assert list(adata.obs["clusters"]) == ["x", "y", "y"]
    np.testing.assert_array_equal(adata.obsm["X_embedding"], [[0, 5], [1, 6], [2, 7]])
    assert keys.SPLICED not in adata.layers, "gaps are no counts"


@pytest.mark.slow
def test_celldancer_results_can_be_brought_with_gaps_and_without(tmp_path):
    lines = celldancer_lines()
    fourth = lines[lines["cellID"] == "c0"].assign(cellID="c3", splice=[4.0, 9], unsplice=[2.0, 4.5])
    lines = pd.concat([lines, fourth])  # the means of both genes stay
    whole = pd.concat([lines, lines.iloc[4:5].assign(cellID="c2", clusters="y")])
    for table in (lines, whole):
        table.to_csv(tmp_path / "result.csv", index=False)
        settings = replace(Settings(), {"method": "imported", "preparation": {"n_neighbors": 2}})
        out = prepare_imported(read(tmp_path / "result.csv"), settings)[["c0", "c1", "c2"], ["A", "B"]]
        np.testing.assert_array_equal(out.layers["velocity"], [[1, 0], [0, 2], [-1, 2 * (table is whole)]])
        np.testing.assert_array_equal(out.layers["Ms"], [[2, 8], [4, 10], [6, 9 + (table is whole)]])


def test_celldancer_lines_that_repeat_are_refused(tmp_path):
    lines = celldancer_lines()
    pd.concat([lines, lines.iloc[:1]]).to_csv(tmp_path / "result.csv", index=False)
    with pytest.raises(InputError, match=r"result\.csv has several lines for the same cell and gene"):
        read(tmp_path / "result.csv")


@pytest.mark.parametrize("name", ["multi.h5mu", "multi.h5ad", "multi.h5"])
def test_the_modality_with_counts_is_read_and_named(tmp_path, name):
    counts = small_counts()
    path = mudata(counts, tmp_path).rename(tmp_path / name)
    adata = read(path)
    assert (adata.layers["spliced"] != counts.spliced).nnz == 0
    assert any("'rna' was read" in note and "'atac'" in note for note in adata.uns[keys.NOTES])
    by_gene = read(path, by_gene=["unspliced"])
    assert set(by_gene.layers) == {"unspliced"}


@pytest.mark.parametrize("several", ["mod", "tables"])
def test_a_zarr_folder_of_several_objects_is_read_as_a_file_of_them_is(tmp_path, several):
    counts = small_counts()
    group = zarr.open_group(tmp_path / "x.zarr", mode="w", zarr_format=2)
    for name, one in (("rna", as_anndata(counts)), ("atac", ad.AnnData(np.ones((7, 2), "float32")))):
        ad.io.write_elem(group.require_group(several), name, one)
    adata = read(tmp_path / "x.zarr")
    assert (adata.layers["spliced"] != counts.spliced).nnz == 0
    assert any("'rna' was read" in note for note in adata.uns[keys.NOTES])


def test_several_or_no_fitting_modalities_are_named(tmp_path):
    path = mudata(small_counts(), tmp_path)
    with h5py.File(path, "r+") as file:
        ad.io.write_elem(file["mod"], "rna2", as_anndata(small_counts()))
    with pytest.raises(InputError, match=r"the modalities 'atac', 'rna', 'rna2', and several have"):
        read(path)
    with h5py.File(path, "r+") as file:
        del file["mod/rna"], file["mod/rna2"]
    with pytest.raises(InputError, match=r"the modalities 'atac'.*none has"):
        read(path)


def test_h5seurat_has_metadata_and_reductions(tmp_path):
    adata = read(h5seurat(small_counts(4, 3), tmp_path))
    assert list(adata.obs["celltype"].astype(object).fillna("?")) == ["B cell", "T cell", "?", "B cell"]
    assert list(adata.obs["doublet"].astype(object).fillna("?")) == [False, True, "?", False]
    assert list(adata.obs["nCount"]) == [0, 1, 2, 3]
    np.testing.assert_array_equal(adata.obsm["X_umap"], np.arange(8.0).reshape(2, 4).T)


def test_h5seurat_without_unspliced_counts_is_one_half_of_a_join(tmp_path):
    counts = small_counts(4, 3)
    path = h5seurat(counts, tmp_path)
    with h5py.File(path, "r+") as file:
        file.move("assays/spliced", "assays/RNA")
        file.attrs["active.assay"] = "RNA"
        del file["assays/unspliced"], file["assays/ambiguous"]
    adata = read(path)
    assert (adata.X != counts.spliced).nnz == 0
    assert "X_umap" in adata.obsm


def test_h5seurat_assays_with_other_genes_share_some(tmp_path):
    counts = small_counts(4, 3)
    path = h5seurat(counts, tmp_path)
    with h5py.File(path, "r+") as file:
        del file["assays/unspliced/features"], file["assays/ambiguous"]
        names = [counts.ids[2], "other", counts.ids[0]]
        file["assays/unspliced"].create_dataset("features", data=names, dtype=TEXT)
    adata = read(path)
    assert list(adata.var_names) == [counts.ids[0], counts.ids[2]]
    np.testing.assert_array_equal(adata.layers["unspliced"].toarray(), counts.unspliced.toarray()[:, [2, 0]])
    np.testing.assert_array_equal(adata.layers["spliced"].toarray(), counts.spliced.toarray()[:, [0, 2]])


def test_h5seurat_with_places_outside_of_its_matrix_is_refused(tmp_path):
    path = h5seurat(small_counts(4, 3), tmp_path)
    with h5py.File(path, "r+") as file:
        file["assays/spliced/counts/indices"][0] = 10**6
    with pytest.raises(InputError, match=r"cells\.h5Seurat"):
        read(path)


@pytest.mark.parametrize("attribute", ["target_name", "GeneID", "Symbol"])
def test_loom_genes_are_found_under_other_names(tmp_path, attribute):
    counts = small_counts()
    path = loom(counts, tmp_path)
    with h5py.File(path, "r+") as file:
        del file["row_attrs/Accession"], file["row_attrs/Symbol"]
        file["row_attrs/n"], file["row_attrs/biotype"] = np.arange(5), np.array(["x"] * 5, "S")
        file[f"row_attrs/{attribute}"] = np.array(counts.symbols, "S")
    adata = read(path)
    assert list(adata.var_names) == counts.symbols
    assert {"n", "biotype"} <= set(adata.var)


def test_loom_is_known_by_its_content(tmp_path):
    counts = small_counts()
    adata = read(loom(counts, tmp_path).rename(tmp_path / "cells.h5ad"))
    assert (adata.layers["spliced"] != counts.spliced).nnz == 0


def test_a_folder_with_several_data_sets_names_them(tmp_path):
    for name in ("a", "b"):
        as_anndata(small_counts()).write_zarr(tmp_path / "runs" / name)
    with pytest.raises(InputError, match=r"runs holds several data sets: runs/a, runs/b\. Give one"):
        read(tmp_path / "runs")


def test_a_folder_without_data_says_what_it_holds(tmp_path):
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match=r"empty holds no data set.*Found nothing"):
        read(tmp_path / "empty")


def test_a_blank_line_hides_no_columns(tmp_path):
    path = tmp_path / "cells.csv"
    path.write_text("\n\ncell" + ",x" * 30_000 + "\na" + ",1" * 30_000 + "\n")
    with pytest.raises(InputError, match=r"a table of 30,000 columns"):
        read(path)


def test_lines_may_end_as_on_old_macs(tmp_path):
    lines = ["cell,kind,x,y", *(f"c{n},a,1,2" for n in range(10_000))]
    (tmp_path / "cells.csv").write_bytes("\r".join(lines).encode())
    assert read(tmp_path / "cells.csv").shape == (10_000, 0)


def test_a_packed_table_has_no_more_lines_than_cells_fit_into_it(tmp_path, monkeypatch):
    monkeypatch.setattr("deepvelo.io.formats.table._ALWAYS_LINES", 1000)
    path = tmp_path / "cells.csv.gz"
    path.write_bytes(gzip.compress(b"cell,kind\n" + b"c,1\n" * 10_000))
    with pytest.raises(InputError, match=r"has 10,001 lines, more than its .* MB have cells"):
        read(path)
