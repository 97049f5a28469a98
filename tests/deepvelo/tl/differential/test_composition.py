"""Shares and enrichment of groups among selected cells, by hand."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from anndata import AnnData

from deepvelo.errors import InputError
from deepvelo.tl.differential.composition import composition

SELECTED = np.array(
    [1] * 6 + [0] * 2 + [1] * 2 + [0] * 10, dtype=bool
)  # 6 of 8 A, 2 of 10 B, none of 2 without


@pytest.fixture
def adata():
    groups = pd.Categorical(["A"] * 8 + ["B"] * 10 + [None] * 2, categories=["B", "A", "C"])
    obs = pd.DataFrame({"clusters": groups, "sample": ["x", "y"] * 10}, index=[f"c{i}" for i in range(20)])
    return AnnData(np.zeros((20, 1), dtype=np.float32), obs=obs)


def test_counts_and_shares(adata):
    table = composition(adata, SELECTED, by="clusters").set_index("group")
    assert list(table.index) == ["B", "A", "unassigned"]  # in the column's order, without empty groups
    assert table["n_cells"].tolist() == [2, 6, 0]
    assert table["n_reference"].tolist() == [8, 2, 2]
    assert table["share_of_selection"].tolist() == pytest.approx([2 / 8, 6 / 8, 0])
    assert table["share_of_reference"].tolist() == pytest.approx([8 / 12, 2 / 12, 2 / 12])
    assert table["share_of_group"].tolist() == pytest.approx([2 / 10, 6 / 8, 0])


def test_enrichment_has_the_interval_of_katz(adata):
    row = composition(adata, SELECTED, by="clusters").set_index("group").loc["A"]
    error = np.sqrt(1 / 6.5 - 1 / 8.5 + 1 / 2.5 - 1 / 12.5)
    expected = np.log2((6.5 / 8.5) / (2.5 / 12.5))
    assert row["log2_enrichment"] == pytest.approx(expected)
    assert row["ci_low"] == pytest.approx(expected - 1.959964 * error / np.log(2))
    assert row["ci_high"] == pytest.approx(expected + 1.959964 * error / np.log(2))


def test_several_columns_and_another_side(adata):
    other = np.zeros(20, dtype=bool)
    other[[10, 11]] = True
    table = composition(adata, SELECTED, other, by=["clusters", "sample"])
    assert table[["column", "group", "n_cells", "n_reference"]].values.tolist() == [
        ["clusters", "B", 2, 2],
        ["clusters", "A", 6, 0],
        ["sample", "x", 4, 1],
        ["sample", "y", 4, 1],
    ]
    assert np.isfinite(table["ci_high"]).all()  # none of a group on one side


def test_all_cells_have_no_enrichment(adata):
    table = composition(adata, np.ones(20, dtype=bool), cluster_key="clusters")
    assert table["share_of_group"].tolist() == [1, 1, 1]
    assert table[["share_of_reference", "log2_enrichment", "ci_low", "ci_high"]].isna().all(axis=None)


def test_one_cell_and_a_group_of_which_only_some_are_compared(adata):
    table = composition(adata, ["c0"], within="A", cluster_key="clusters", by="sample")
    assert table[["group", "n_cells", "n_reference"]].values.tolist() == [["x", 1, 3], ["y", 0, 4]]


@pytest.mark.parametrize(
    ("cells", "choice", "message"),
    [
        (np.zeros(20, dtype=bool), {"by": "clusters"}, "There are 0 selected cells"),
        (SELECTED, {"by": "types"}, "There is no grouping 'types'"),
        (SELECTED, {"by": "clusters", "confidence_level": 0}, "must be between 0 and 1"),
    ],
)
def test_what_has_no_composition(adata, cells, choice, message):
    with pytest.raises(InputError, match=message):
        composition(adata, cells, **choice)
