"""Which cells are on both sides, and what cannot be compared."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from anndata import AnnData

from deepvelo.errors import InputError
from deepvelo.tl.differential.sides import Sides, require_cells, sides_of


@pytest.fixture
def adata():
    obs = pd.DataFrame({"clusters": pd.Categorical(list("aaabbb"))}, index=[f"c{i}" for i in range(6)])
    return AnnData(np.zeros((6, 1), dtype=np.float32), obs=obs)


def rows(sides):
    return [side.tolist() for side in sides]


def test_a_mask_is_compared_with_all_other_cells(adata):
    assert rows(sides_of(adata, adata.obs["clusters"] == "a", None)) == [[0, 1, 2], [3, 4, 5]]
    assert rows(sides_of(adata, [True, *[False] * 5], None)) == [[0], [1, 2, 3, 4, 5]]


def test_a_mask_with_missing_values_and_one_of_other_cells(adata):
    mask = pd.Series([True, None, *[False] * 4], index=adata.obs_names, dtype="boolean")
    assert rows(sides_of(adata, mask, None))[0] == [0]
    with pytest.raises(InputError, match="The mask of selected cells has other names than the data"):
        sides_of(adata, mask[::-1], None)


def test_names_in_any_order(adata):
    assert rows(sides_of(adata, ["c4", "c1"], ["c0"])) == [[1, 4], [0]]


def test_within_a_group(adata):
    mask = np.array([1, 0, 0, 1, 0, 0], dtype=bool)
    assert rows(sides_of(adata, mask, None, within="b", cluster_key="clusters")) == [[3], [4, 5]]


@pytest.mark.parametrize(
    ("cells", "against", "choice", "message"),
    [
        (["c0", "c9"], None, {}, "1 of 2 names of selected cells are not in the data, such as 'c9'"),
        (["c0", "c1"], ["c1", "c2"], {}, "The sides share 1 cell. Take"),
        ([True, False], None, {}, "must have a value for each of 6 cells"),
        ("a", None, {}, "must be a mask or names of cells. Got the text 'a'"),
        (["c0"], None, {"within": "z", "cluster_key": "clusters"}, "has no group 'z'. Found 'a', 'b'"),
        (["c0"], None, {"within": "a", "cluster_key": "types"}, "There is no grouping 'types'"),
    ],
)
def test_what_cannot_be_compared(adata, cells, against, choice, message):
    with pytest.raises(InputError, match=message):
        sides_of(adata, cells, against, **choice)


def test_names_of_several_cells(adata):
    adata.obs_names = ["c0", "c0", "c1", "c2", "c3", "c4"]
    with pytest.raises(InputError, match="Several cells have the same name"):
        sides_of(adata, ["c0"], None)


def test_too_few_cells_say_how_many_are_needed():
    sides = Sides(np.arange(3), np.arange(3, 9))
    with pytest.raises(InputError, match=r"There are 3 selected cells in 'OPC', and a test needs at least 5"):
        require_cells(sides, least=5, why="a test", within="OPC")
    require_cells(sides, least=3, why="a test", within=None)


def test_many_cells_are_thinned_alike_with_the_same_seed():
    sides = Sides(np.arange(50), np.arange(50, 55))
    thin = sides.thinned(seed=1, most=10)
    assert len(thin.selected) == 10
    assert (np.diff(thin.selected) > 0).all()
    assert thin.reference.tolist() == list(range(50, 55))
    assert rows(thin) == rows(sides.thinned(seed=1, most=10))
    assert rows(thin) != rows(sides.thinned(seed=2, most=10))
