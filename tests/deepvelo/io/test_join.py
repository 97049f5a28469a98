from __future__ import annotations

import anndata as ad
import numpy as np
import pandas as pd
import pytest
from scipy import sparse

from deepvelo import keys
from deepvelo.errors import InputError
from deepvelo.io import join, read, write_h5ad

RNG = np.random.default_rng(0)
BARCODES = ["".join(RNG.choice(list("ACGT"), 16)) for _ in range(40)]
A, B, C, D = BARCODES[:4]


def pair(n_cells: int = 6) -> tuple[ad.AnnData, ad.AnnData]:
    rng = np.random.default_rng(1)
    processed = ad.AnnData(rng.normal(size=(n_cells, 3)).astype("float32"))
    processed.obs_names = [f"{b}-1" for b in BARCODES[:n_cells]]
    processed.var_names = ["Cpe", "Sox2", "Gone"]
    processed.obs["clusters"] = np.array(["a", "b"] * (n_cells // 2))
    processed.obsm["X_umap"] = rng.normal(size=(n_cells, 2))
    processed.uns["clusters_colors"] = np.array(["#ff0000", "#00ff00"])
    counts = ad.AnnData(sparse.csr_matrix(rng.poisson(2, size=(8, 4)).astype("float32")))
    counts.obs_names = [f"run1:{b}x" for b in BARCODES[:8][::-1]]
    counts.var_names = ["Sox2", "Cpe", "Tmsb10", "Meg3"]
    counts.layers["spliced"] = sparse.csr_matrix(rng.poisson(2, size=(8, 4)))
    counts.layers["unspliced"] = sparse.csr_matrix(rng.poisson(1, size=(8, 4)))
    return processed, counts


def test_joined_object_has_the_best_of_both(tmp_path):
    processed, counts = pair()
    joined, report = join(processed, counts)
    assert list(joined.obs_names) == list(processed.obs_names)
    assert list(joined.var_names) == list(counts.var_names)
    assert list(joined.obs["clusters"]) == ["a", "b"] * 3
    np.testing.assert_array_equal(joined.obsm["X_umap"], processed.obsm["X_umap"])
    for name in ("spliced", "unspliced"):
        for i, cell in enumerate(joined.obs_names):
            row = list(counts.obs_names).index(f"run1:{cell.removesuffix('-1')}x")
            np.testing.assert_array_equal(
                joined.layers[name][i].toarray(), counts.layers[name][row].toarray()
            )
    assert (report.n_matched, report.n_processed, report.n_counts, report.rate) == (6, 6, 8, 1.0)
    assert report.genes_shared == 2
    assert report.unmatched_processed == []
    assert report.unmatched_counts == [f"run1:{b}x" for b in (BARCODES[7], BARCODES[6])]
    write_h5ad(joined, tmp_path / "joined.h5ad")
    note = read(tmp_path / "joined.h5ad").uns[keys.NOTES][-1]
    assert "6 of 6 cells were found" in note
    assert report.rule in note
    assert "barcodes in the cell names of both files" in report.rule


def test_cells_without_counts_are_left_out_and_named():
    processed, counts = pair()
    joined, report = join(processed, counts[2:6].copy())
    assert report.rate == pytest.approx(4 / 6)
    assert report.unmatched_processed == [f"{BARCODES[0]}-1", f"{BARCODES[1]}-1"]
    assert list(joined.obs_names) == [f"{b}-1" for b in BARCODES[2:6]]


def test_neither_object_is_changed():
    processed, counts = pair()
    before = str(processed), str(counts), processed.X.copy(), counts.layers["spliced"].toarray()
    joined, _ = join(processed, counts)
    joined.obsm["X_umap"][:] = 0
    joined.layers["spliced"].data[:] = 0
    joined.uns["clusters_colors"][0] = "black"
    assert (str(processed), str(counts)) == before[:2]
    assert processed.uns["clusters_colors"][0] == "#ff0000"
    assert processed.obsm["X_umap"].any()
    np.testing.assert_array_equal(counts.layers["spliced"].toarray(), before[3])


def test_low_rate_prints_three_names_of_each_side():
    processed, counts = pair()
    counts.obs_names = [f"run1:{b}x" for b in BARCODES[20:28]]
    expected = (
        rf"Only 0 of 6 processed cells \(0%\).*8 cells with counts.*'{A}-1', '{B}-1', '{C}-1'; "
        rf".*'run1:{BARCODES[20]}x', 'run1:{BARCODES[21]}x', 'run1:{BARCODES[22]}x'.*same samples"
    )
    with pytest.raises(InputError, match=expected) as error:
        join(processed, counts)
    assert D not in str(error.value), "three names are enough"


def test_half_is_enough():
    processed, counts = pair()
    assert join(processed, counts[5:].copy())[1].rate == 0.5
    with pytest.raises(InputError, match=r"Only 2 of 6 processed cells \(33%\)"):
        join(processed, counts[6:].copy())


def test_counts_without_layers_are_refused():
    processed, counts = pair()
    del counts.layers["unspliced"]
    with pytest.raises(InputError, match=r"no layer 'unspliced'. Found \['spliced'\].*velocyto"):
        join(processed, counts)


def test_real_counts_meet_a_renamed_processed_object(shared_data):
    counts = read(shared_data / "dentate_gyrus_raw_100.h5ad")
    processed = ad.AnnData(np.zeros((100, 2), dtype="float32"), obsm={"X_umap": RNG.normal(size=(100, 2))})
    order = RNG.permutation(100)
    processed.obs_names = [f"10X43_1_{counts.obs_names[i]}-1" for i in order]
    joined, report = join(processed, counts)
    assert report.rate == 1
    assert (joined.layers["spliced"] != counts.layers["spliced"][order]).nnz == 0


def test_five_pairs_show_what_was_matched():
    processed, counts = pair()
    _, report = join(processed, counts)
    assert len(report.pairs) == 5
    assert report.pairs[0] == (f"{A}-1", f"run1:{A}x")
    assert report.pairs[-1] == (f"{BARCODES[5]}-1", f"run1:{BARCODES[5]}x")


def test_pairs_show_the_barcode_of_a_cell_without_a_name():
    processed, counts = pair()
    processed.obs["barcode"], processed.obs_names = list(processed.obs_names), [str(i) for i in range(6)]
    joined, report = join(processed, counts)
    assert report.pairs[0] == (f"0 ({A}-1)", f"run1:{A}x")
    assert list(joined.obs_names) == [str(i) for i in range(6)]


def test_row_numbers_are_refused_with_the_columns_that_look_like_barcodes():
    processed, counts = pair()
    processed.obs["CB"], processed.obs_names = list(processed.obs_names), [str(i) for i in range(6)]
    counts.obs_names = [str(i) for i in range(8)]
    with pytest.raises(InputError, match=r"row numbers.*'CB'.*counts: none") as error:
        join(processed, counts)
    assert "clusters" not in str(error.value)


def test_samples_that_nothing_tells_apart_are_refused():
    names = [f"{b}-{k}" for k in (0, 1) for b in BARCODES]
    processed = ad.AnnData(obs=pd.DataFrame(index=names))
    layers = {name: np.ones((80, 3), "float32") for name in ("spliced", "unspliced")}
    counts = ad.AnnData(obs=pd.DataFrame(index=names), layers=layers)
    with pytest.raises(
        InputError, match=r"0 of 80 .*barcodes or names of 80 .*which sample.*column 'sample'"
    ):
        join(processed, counts)


def test_rate_of_each_sample():
    processed, counts = pair()
    processed.obs["sample"] = pd.Categorical(["ctrl", "treat"] * 3)
    _, report = join(processed, counts[2:7].copy())
    assert report.by_sample == pytest.approx({"ctrl": 2 / 3, "treat": 1})
    assert join(*pair())[1].by_sample == {}


def test_genes_are_shared_by_any_of_their_names():
    processed, counts = pair()
    processed.var["gene_ids"] = ["ENSMUSG00000000001", "ENSMUSG00000000002", "ENSMUSG00000000003"]
    counts.var_names = [f"ENSMUSG0000000000{i}.4" for i in (2, 1, 8, 9)]
    assert join(processed, counts)[1].genes_shared == 2


def test_tables_of_cells_become_numbers_or_are_noted():
    processed, counts = pair()
    xy = processed.obsm["X_umap"]
    processed.obsm["X_umap"] = pd.DataFrame(xy, index=processed.obs_names, columns=["UMAP_1", "UMAP_2"])
    processed.obsm["bins"] = sparse.random(6, 5, 0.5, format="csc")
    processed.obsm["motif"] = pd.DataFrame({"first": list("abcdef")}, index=processed.obs_names)
    processed.obsp["distances"] = sparse.csr_matrix(np.arange(36.0).reshape(6, 6))
    joined, _ = join(processed, counts[:7].copy())
    np.testing.assert_array_equal(joined.obsm["X_umap"], xy[1:] if joined.n_obs == 5 else xy)
    kept = processed.obs_names.get_indexer(joined.obs_names)
    assert (joined.obsm["bins"] != processed.obsm["bins"].tocsr()[kept]).nnz == 0
    assert (joined.obsp["distances"] != processed.obsp["distances"][kept][:, kept]).nnz == 0
    assert "motif" not in joined.obsm
    assert "'motif'" in joined.uns[keys.NOTES][-1]


@pytest.mark.parametrize("dtype", [object, "category"])
def test_groups_that_keep_cells_keep_their_colours(dtype):
    processed, counts = pair()
    processed.obs["clusters"] = pd.Series(list("aabbcc"), index=processed.obs_names, dtype=dtype)
    processed.uns["clusters_colors"] = np.array(["red", "lime", "blue"])
    kept = counts[counts.obs_names.isin([f"run1:{b}x" for b in BARCODES[2:6]])].copy()
    joined, _ = join(processed, kept)
    assert set(joined.obs["clusters"]) == {"b", "c"}
    assert list(joined.uns["clusters_colors"]) == ["#00ff00", "#0000ff"]
    assert len(processed.uns["clusters_colors"]) == 3


def test_notes_of_both_files_are_kept_however_they_are_stored():
    processed, counts = pair()
    processed.uns[keys.NOTES], counts.uns[keys.NOTES] = np.array([["one"]], dtype=object), "two"
    assert join(processed, counts)[0].uns[keys.NOTES][:2] == ["one", "two"]
