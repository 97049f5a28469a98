from __future__ import annotations

import anndata as ad
import numpy as np
import pytest
from scipy import sparse

from deepvelo import keys
from deepvelo.errors import InputError
from deepvelo.io import join, read, write_h5ad
from deepvelo.io.join import match

RNG = np.random.default_rng(0)
BARCODES = ["".join(RNG.choice(list("ACGT"), 16)) for _ in range(40)]
A, B, C, D = BARCODES[:4]


@pytest.mark.parametrize(
    ("processed", "counts"),
    [
        ("{}-1", "sample1:{}x"),
        ("{}", "sample1:{}x"),
        ("{}-1-0", "{}-1"),
        ("sample1_{}-1", "sample1:{}x"),
        ("sample1_{}-1-0", "sample1:{}x"),
        ("{}-1_1", "possorted_genome_bam_ABC12:{}x"),
        ("10x81_2_{}-", "10X81_2:{}x"),
        ("{}", "{}"),
        ("sampleA#{}-1", "{}.1"),
    ],
)
def test_one_sample_in_any_dress(processed, counts):
    order = RNG.permutation(len(BARCODES))
    found = match([processed.format(b) for b in BARCODES], [counts.format(BARCODES[i]) for i in order])
    np.testing.assert_array_equal(order[found], np.arange(len(BARCODES)))


@pytest.mark.parametrize(
    ("processed", "counts", "expected"),
    [
        # the sample's name decides
        ([f"s1_{A}-1", f"s2_{A}-1"], [f"s2:{A}x", f"s1:{A}x"], [1, 0]),
        ([f"s2_{A}-1-0"], [f"s1:{A}x", f"s2:{A}x"], [1]),
        # exact names come first
        ([f"{A}-1", f"{A}-2"], [f"{A}-2", f"{A}-1"], [1, 0]),
        # nothing tells them apart: no guess
        ([f"{A}-1"], [f"s1:{A}x", f"s2:{A}x"], [-1]),
        ([f"{A}-1", f"{A}-2"], [f"s1:{A}x", f"s2:{A}x"], [-1, -1]),
        ([f"{A}-1", f"{A}-2"], [f"s1:{A}x"], [-1, -1]),
        ([A], [f"s1:{A}x", f"s2:{A}x"], [-1]),
        # a cell of another sample with the same barcode is another cell
        ([f"{A}-2", f"{A}-1"], [f"{A}-3", f"{A}-1"], [-1, 1]),
        # no barcodes at all
        (["Cell 1", "cell_2"], ["cell-2", "cell.1"], [1, 0]),
        (["Cell 1", "cell_1"], ["cell.1"], [-1, -1]),
        (["neuron"], ["glia"], [-1]),
        # two barcodes in one name
        ([f"{A}-{B}-1", f"{A}-{C}-1"], [f"x:{A}-{C}", f"x:{A}-{B}"], [1, 0]),
    ],
)
def test_samples_are_never_mixed_up(processed, counts, expected):
    assert match(processed, counts).tolist() == expected


def test_suffix_learns_which_sample_it_means():
    """Barcodes that occur once show that -1 is 'old' and -2 is 'young'; that settles the shared one."""
    young, old, shared = BARCODES[:10], BARCODES[10:20], BARCODES[20]
    processed = [f"{b}-1" for b in [*old, shared]] + [f"{b}-2" for b in [*young, shared]]
    counts = [f"young:{b}x" for b in [*young, shared]] + [f"old:{b}x" for b in [*old, shared]]
    found = match(processed, counts)
    assert [counts[i] for i in found] == [f"old:{b}x" for b in [*old, shared]] + [
        f"young:{b}x" for b in [*young, shared]
    ]


def test_chance_meeting_of_two_samples_is_not_a_match():
    """Of sample 2 only one barcode is in the counts, and there it belongs to sample 1."""
    processed = [f"{b}-1" for b in BARCODES[:20]] + [f"{BARCODES[30]}-1"]
    counts = [f"one:{b}x" for b in BARCODES[:20]] + [f"two:{BARCODES[30]}x"]
    assert match(processed, counts)[-1] == -1
    assert (match(processed, counts)[:-1] == np.arange(20)).all()


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
    assert "6 of 6 cells were found" in read(tmp_path / "joined.h5ad").uns[keys.NOTES][-1]


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
