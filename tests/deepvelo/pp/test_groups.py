from __future__ import annotations

import anndata as ad
import numpy as np
import pandas as pd
import pytest

from deepvelo.contents.groups import UNASSIGNED
from deepvelo.pp.groups import tidy_groups
from deepvelo.pp.prepare import chosen_cluster_key


def grouped(values: object, colors: object = None) -> ad.AnnData:
    adata = ad.AnnData(np.zeros((4, 1), dtype="float32"))
    adata.obs["g"] = values
    if colors is not None:
        adata.uns["g_colors"] = colors
    return adata


@pytest.mark.parametrize(
    "values", [["b", "a", "a", "b"], [2, 1, 1, 2], [True, False, False, True], [2.0, 1.0, 1.0, 2.0]]
)
def test_groups_become_text(values):
    adata = grouped(values)
    assert tidy_groups(adata, "g") == []
    assert isinstance(adata.obs["g"].dtype, pd.CategoricalDtype)
    assert list(adata.obs["g"]) == [str(v).removesuffix(".0") for v in values]


def test_colours_follow_their_groups_when_others_go():
    adata = grouped(
        pd.Categorical(["c", "a", "a", "c"], categories=["a", "b", "c"]), ["red", "lime", "#0000ff"]
    )
    tidy_groups(adata, "g")
    assert list(adata.obs["g"].cat.categories) == ["a", "c"]
    assert list(adata.uns["g_colors"]) == ["#ff0000", "#0000ff"]


def test_cells_without_group_get_one_and_it_is_said():
    adata = grouped(pd.Categorical(["a", None, None, "b"]), ["#000000", "#ffffff"])
    assert tidy_groups(adata, "g") == ["2 cells without a group in 'g' are shown as 'unassigned'."]
    assert list(adata.obs["g"]) == ["a", UNASSIGNED, UNASSIGNED, "b"]
    assert list(adata.uns["g_colors"]) == ["#000000", "#ffffff", "#c8c8c8"]


def test_colours_by_name_are_understood():
    """As scVelo's hippocampus set stores them."""
    adata = grouped(["a", "b", "b", "a"], {"b": [0.0, 0.0, 1.0], "a": [1.0, 0.0, 0.0]})
    tidy_groups(adata, "g")
    assert list(adata.uns["g_colors"]) == ["#ff0000", "#0000ff"]


@pytest.mark.parametrize(
    "colors", [["#000000"], ["#000000", "no colour"], {"a": "#000000"}, ["#000000", "#00ff00", "#0000ff"]]
)
def test_colours_that_are_not_one_per_group_are_dropped_and_it_is_said(colors):
    adata = grouped(["a", "b", "b", "a"], colors)
    (note,) = tidy_groups(adata, "g")
    assert "colours of 'g' were left out" in note
    assert "g_colors" not in adata.uns


@pytest.mark.parametrize(
    ("obs", "key"),
    [
        ({"leiden": [0.0, 1.0, 1.0, 0.0]}, "leiden"),
        ({"leiden": "all"}, "deepvelo_leiden"),
        ({"leiden": [0.1, 0.2, 0.3, 0.1]}, "deepvelo_leiden"),
        ({"leiden": "all", "deepvelo_leiden": ["0", "1", "1", "0"]}, "deepvelo_leiden"),
        ({"leiden": [0, 1, 1, 0], "cell_type": [0.0, 1.0, np.nan, 0.0]}, "leiden"),
        ({"leiden": [0, 1, 1, 0], "cell_type": [0.0, 1.0, 1.0, 0.0]}, "cell_type"),
        ({"other": [0, 1, 1, 0]}, "leiden"),
    ],
)
def test_numbers_can_be_the_grouping_and_no_column_is_overwritten(obs, key):
    adata = ad.AnnData(obs=pd.DataFrame(obs, index=list("wxyz")))
    assert chosen_cluster_key(adata, None) == key
