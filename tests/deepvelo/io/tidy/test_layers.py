"""Layers get their standard names whoever wrote them, and no count is lost or taken for another."""

from __future__ import annotations

import anndata as ad
import dask.array as da
import numpy as np
import pandas as pd
import pytest
from scipy import sparse

from deepvelo import keys
from deepvelo.contents.layer_names import standard_layers
from deepvelo.errors import InputError
from deepvelo.io.tidy import tidied
from deepvelo.io.tidy.layers import (
    place_ambiguous,
    split_genes,
    use_x_as_spliced,
)
from tests.counters import as_anndata, small_counts


@pytest.mark.parametrize(
    ("spliced", "unspliced"),
    [
        ("Spliced", "Unspliced"),
        ("mature", "nascent"),
        ("counts_spliced", "counts_unspliced"),
        ("X_spliced", "X_unspliced"),
        ("exon", "intron"),
        ("exonic", "intronic"),
        ("spliced_counts", "unspliced_counts"),
        ("spliced-UMI", "unspliced-UMI"),
        ("SplicedCounts", "UnsplicedCounts"),
        ("raw.spliced", "raw.un-spliced"),
    ],
)
def test_counts_are_known_by_any_tools_names(spliced, unspliced):
    assert standard_layers([unspliced, "matrix", spliced]) == {spliced: "spliced", unspliced: "unspliced"}


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (["M_s", "M_u", "velocity_S"], {"M_s": "Ms", "M_u": "Mu", "velocity_S": "velocity"}),
        (["mu"], {}),  # scVI's mean
        (["mu", "Ms"], {"mu": "Mu"}),
        (["spliced", "X_spliced", "unspliced"], {}),
        (["spanning"], {"spanning": "ambiguous"}),
        (["counts_spliced", "spliced_raw_counts"], {"counts_spliced": "spliced"}),
        (["variance_velocity", "fit_t", "counts", "logcounts", "scaled", "total"], {}),
    ],
)
def test_other_layers_and_standard_ones_keep_their_names(names, expected):
    assert standard_layers(names) == expected


def test_renamed_layers_are_noted_once():
    adata = as_anndata(small_counts())
    adata.layers["mature"], adata.layers["nascent"] = (
        adata.layers.pop("spliced"),
        adata.layers.pop("unspliced"),
    )
    adata = tidied(tidied(adata))
    assert set(adata.layers) == {"spliced", "unspliced", "ambiguous"}
    notes = [note for note in adata.uns[keys.NOTES] if "are used as" in note]
    assert notes == ["Layers 'mature' and 'nascent' are used as spliced and unspliced."]


def usa(suffixes: list[str], *, n: int = 6) -> tuple[ad.AnnData, np.ndarray]:
    """Genes once for each suffix, one block after the other, in mixed order."""
    rng = np.random.default_rng(0)
    x = rng.poisson(2, (5, n * len(suffixes))).astype("float32")
    names = np.array([f"G{i}{suffix}" for suffix in suffixes for i in range(n)])
    order = rng.permutation(len(names))
    var = pd.DataFrame(index=names[order])
    return ad.AnnData(sparse.csr_matrix(x[:, order]), var=var), x


@pytest.mark.parametrize("lazy", [False, True])
@pytest.mark.parametrize("suffixes", [["", "-U", "-A"], ["", "-U"], ["", "-I"]])
def test_copies_of_genes_are_taken_apart(suffixes, lazy):
    adata, x = usa(suffixes)
    if lazy:
        adata.X = da.from_array(adata.X.toarray(), chunks=(2, -1))
    out, (note,) = split_genes(adata)
    assert sorted(out.var_names) == [f"G{i}" for i in range(6)]
    order = out.var_names.get_indexer([f"G{i}" for i in range(6)])
    for i, layer in enumerate(("spliced", "unspliced", "ambiguous")[: len(suffixes)]):
        found = out.layers[layer].compute() if lazy else out.layers[layer].toarray()
        np.testing.assert_array_equal(found[:, order], x[:, 6 * i : 6 * i + 6])
    assert f"6 genes came {len(suffixes)} times" in note
    assert f"{suffixes[1]} is unspliced" in note


def test_genes_are_taken_apart_only_where_all_copies_are_there():
    whole, _ = usa(["", "-U", "-A"])
    incomplete = whole[:, whole.var_names != "G3-U"].copy()
    assert split_genes(incomplete)[0] is incomplete
    empty = whole[:, :0].copy()
    assert split_genes(empty)[0] is empty
    alone, _ = usa(["-U"])  # genes that happen to end so
    assert split_genes(alone)[0] is alone
    counted = whole.copy()
    counted.layers["unspliced"] = counted.X
    assert split_genes(counted)[0] is counted


@pytest.mark.parametrize("suffixes", [["", "-U", "-A"], ["", ".U", ".A"], ["", "_U"]])
def test_genes_that_end_like_copies_are_taken_apart_too(suffixes):
    genes = ["Actb", *(f"{stem}{suffix}" for stem in ("HLA", "H2") for suffix in ("-A", "-U", ".A", "_U"))]
    names = [f"{gene}{suffix}" for suffix in suffixes for gene in genes]
    adata = ad.AnnData(np.arange(len(names), dtype="float32")[None], var=pd.DataFrame(index=names))
    out, _ = split_genes(adata)
    assert list(out.var_names) == genes
    for i, layer in enumerate(("spliced", "unspliced", "ambiguous")[: len(suffixes)]):
        np.testing.assert_array_equal(out.layers[layer][0], np.arange(len(genes)) + i * len(genes))


def test_copies_of_genes_that_share_a_name_are_kept_apart():
    names = ["G", "G", "G-U", "G-U"]
    adata = ad.AnnData(np.arange(8, dtype="float32").reshape(2, 4), var=pd.DataFrame(index=names))
    out, _ = split_genes(adata)
    np.testing.assert_array_equal(out.layers["spliced"], [[0, 1], [4, 5]])
    np.testing.assert_array_equal(out.layers["unspliced"], [[2, 3], [6, 7]])


def with_main(main: np.ndarray, unspliced: np.ndarray) -> ad.AnnData:
    return ad.AnnData(sparse.csr_matrix(main), layers={"unspliced": sparse.csr_matrix(unspliced)})


def test_whole_counts_in_x_are_spliced_where_only_unspliced_is_a_layer():
    rng = np.random.default_rng(0)
    s, u = rng.poisson(1.0, (2, 30, 20)).astype("float32")
    adata = with_main(s, u)
    (note,) = use_x_as_spliced(adata)
    assert "X is used as spliced" in note
    np.testing.assert_array_equal(adata.layers["spliced"].toarray(), s)
    assert use_x_as_spliced(adata) == []


@pytest.mark.parametrize("make", [lambda s, u: s + u, lambda s, u: np.log1p(s), lambda s, u: s - 1])
def test_totals_logarithms_and_scaled_values_are_not_taken_as_spliced(make):
    rng = np.random.default_rng(0)
    s, u = rng.poisson(1.0, (2, 30, 20)).astype("float32")
    adata = with_main(make(s, u), u)
    assert use_x_as_spliced(adata) == []
    assert list(adata.layers) == ["unspliced"]


@pytest.mark.parametrize("lazy", [False, True])
@pytest.mark.parametrize("place", ["spliced", "unspliced"])
def test_ambiguous_counts_go_where_they_are_asked_for(place, lazy):
    counts = small_counts()
    adata = as_anndata(counts)
    if lazy:
        for layer in list(adata.layers):
            adata.layers[layer] = da.from_array(adata.layers[layer].toarray(), chunks=(2, -1))
    (note,) = place_ambiguous(adata, place)
    share = counts.ambiguous.sum() / sum(matrix.sum() for matrix in counts.layers.values())
    assert f"Ambiguous counts ({share:.0%}) were added to {place}" in note
    expected = (counts.layers[place] + counts.ambiguous).toarray()
    np.testing.assert_array_equal(
        np.asarray(adata.layers[place].compute() if lazy else adata.layers[place].toarray()), expected
    )
    assert "ambiguous" not in adata.layers


def test_a_large_share_of_ambiguous_counts_is_said_once_when_left_out():
    adata = as_anndata(small_counts())
    adata = tidied(tidied(adata))
    (note,) = (note for note in adata.uns[keys.NOTES] if note.startswith("Ambiguous counts ("))
    assert "left out" in note
    few = as_anndata(small_counts())
    for layer in ("spliced", "unspliced"):
        few.layers[layer] = few.layers[layer] * 100
    assert place_ambiguous(few) == []


def test_ambiguous_counts_are_not_added_to_normalised_layers():
    adata = as_anndata(small_counts())
    adata.layers["spliced"] = adata.layers["spliced"] * 0.3
    assert place_ambiguous(adata) == []
    with pytest.raises(InputError, match="cannot be added to 'unspliced'"):
        place_ambiguous(adata, "unspliced")
