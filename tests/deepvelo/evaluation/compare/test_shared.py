"""Cells and genes of results that call them otherwise."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from deepvelo.errors import InputError
from deepvelo.evaluation.compare import match
from deepvelo.evaluation.compare.shared import same_cells


def barcodes(n, seed=0):
    letters = np.random.default_rng(seed).choice(list("ACGT"), (n, 16))
    return ["".join(code) for code in letters]


def test_cells_are_matched_by_barcode_where_names_are_dressed_otherwise(fitted):
    velocity = np.arange(36.0).reshape(9, 4) + 1
    first, other = fitted(velocity), fitted(velocity)
    first.obs_names = [f"{code}-1" for code in barcodes(9)]
    other.obs_names = [f"{code}-1-0" for code in barcodes(9)]
    matched = match({"a": first, "b": other[::-1].copy()})
    assert list(matched.reference.obs_names) == list(first.obs_names)
    assert np.array_equal(matched.velocities["a"], matched.velocities["b"])
    assert np.array_equal(matched.arrows["a"], matched.arrows["b"])
    (note,) = matched.warnings
    assert "9 cells of b matched under another name" in note


def test_cells_of_other_samples_are_never_taken_for_the_same(fitted):
    first, other = fitted(), fitted()
    first.obs_names, other.obs_names = ([f"{code}-1" for code in barcodes(9, seed)] for seed in (0, 1))
    with pytest.raises(InputError, match="share 0 of the 9 cells"):
        match({"a": first, "b": other})


def test_names_that_are_the_same_need_no_barcodes():
    first = pd.DataFrame(index=["a", "b", "c", "d"])
    assert same_cells(first, pd.DataFrame(index=["d", "b", "x"])).tolist() == [-1, 1, -1, 0]


def test_barcodes_in_a_column_go_before_row_numbers():
    codes = barcodes(6)
    first = pd.DataFrame({"barcode": codes}, index=list("012345"))
    other = pd.DataFrame({"barcode": codes[::-1]}, index=list("012345"))
    assert same_cells(first, other).tolist() == [5, 4, 3, 2, 1, 0]


def test_row_numbers_alone_are_taken_with_a_warning_where_as_many(fitted):
    first, other = fitted(), fitted()
    for adata in (first, other):
        adata.obs_names = [str(i) for i in range(9)]
    assert any("row number" in warning for warning in match({"a": first, "b": other}).warnings)
    with pytest.raises(InputError, match="share 0 of the 6 cells"):
        match({"a": first, "b": other[3:].copy()})


@pytest.mark.parametrize(
    ("names", "column"),
    [
        ([f"GENE{i}" for i in range(4)], None),
        ([f"ENSG0000000000{i}.{i}" for i in range(4)], [f"gene{i}" for i in range(4)]),
    ],
)
def test_genes_are_matched_by_any_of_their_names(fitted, names, column):
    other = fitted()
    other.var_names = names
    if column is not None:
        other.var["gene_name"] = column
    matched = match({"a": fitted(), "b": other})
    assert list(matched.reference.var_names) == [f"gene{i}" for i in range(4)]
    assert any("4 genes of b matched under another name" in warning for warning in matched.warnings)


def plates(*names):
    """Cells of two plates, 60 of each, with the same barcodes: ``names`` are the samples of -0 and -1."""
    codes = barcodes(60)
    index = [f"{code}-{i}" for i in range(2) for code in codes]
    return pd.DataFrame({"sample": np.repeat(names, 60)}, index=index)


def test_equal_names_of_other_samples_are_never_taken_for_the_same():
    found = same_cells(plates("a", "b"), plates("b", "a"))
    assert np.array_equal(found, np.roll(np.arange(120), 60))


@pytest.mark.parametrize("drop", [[], ["sample"]])
def test_equal_names_are_matched_in_any_order_where_nothing_says_otherwise(drop):
    cells = plates("a", "b")
    assert np.array_equal(same_cells(cells, cells[::-1].drop(columns=drop)), np.arange(120)[::-1])


def test_names_that_count_up_are_taken_where_both_files_have_them():
    cells = pd.DataFrame({"kind": list("aabb") * 5}, index=[f"cell{i}" for i in range(20)])
    assert np.array_equal(same_cells(cells, cells[5:].assign(more=1)), [*[-1] * 5, *range(15)])


def test_tables_that_tell_the_same_are_not_searched(monkeypatch):
    monkeypatch.setattr("deepvelo.evaluation.compare.shared.match_cells", None)
    cells = plates("a", "b")
    assert np.array_equal(same_cells(cells, cells[::-1].assign(score=0.5)), np.arange(120)[::-1])
