"""Groups by name, as columns store them and as users write them."""

from __future__ import annotations

import anndata as ad
import numpy as np
import pandas as pd
import pytest

from deepvelo.groups import colors_by_group, find_group, group_colors, group_names, split_groups


@pytest.mark.parametrize(
    ("stored", "names", "order"),
    [
        ([10.0, 2.0, np.nan], ["10", "2", None], ["2", "10"]),
        (["10", "2", ""], ["10", "2", None], ["2", "10"]),
        (pd.array([10, 2, None], dtype="Int64"), ["10", "2", None], ["2", "10"]),
        (pd.Categorical([1.0, 0.0, None], categories=[1.0, 0.0, 2.0]), ["1", "0", None], ["1", "0"]),
        (pd.Categorical(["b", "a", " "], categories=["b", "a", " "]), ["b", "a", None], ["b", "a"]),
        ([b"b ", b"a", None], ["b ", "a", None], ["a", "b "]),
        (pd.array([True, False, None], dtype="boolean"), ["True", "False", None], ["False", "True"]),
    ],
)
def test_names_are_the_same_however_they_are_stored(stored, names, order):
    groups = group_names(pd.Series(stored, index=["x", "y", "z"], name="g"))
    assert groups.astype(object).where(groups.notna(), None).tolist() == names
    assert list(groups.cat.categories) == order
    named = group_names(pd.Series(stored), missing="none")
    assert named.tolist() == [*names[:2], "none"]


@pytest.mark.parametrize(
    ("name", "found"),
    [
        ("mature ", "mature "),
        ("mature", "mature"),
        (" mature", None),
        ("late", " late"),
        ("1.0", "1"),
        ("2", None),
    ],
)
def test_blanks_and_decimals_do_not_matter_unless_several_groups_fit(name, found):
    assert find_group(name, ["mature ", "mature", " late", "1"]) == found


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("a,b", ["a", "b"]),
        ("L2/3 IT, deep", ["L2/3 IT, deep"]),
        ("a, L2/3 IT, deep , b", ["a", "L2/3 IT, deep", "b"]),
        ("a, nobody", ["a", "nobody"]),
    ],
)
def test_names_may_hold_the_comma_that_separates_them(text, found):
    assert split_groups(text, ["a", "b", "L2/3 IT, deep"]) == found


@pytest.mark.parametrize(
    "stored",
    [
        ["tab:blue", "C1"],
        np.array(["#1f77b4", "#FF7F0E"], dtype=object),
        np.array([[31, 119, 180, 255], [255, 127, 14, 255]]) / 255,
        {"b": "C1", "a": np.array([[31, 119, 180]]) / 255},
    ],
)
def test_every_spelling_of_a_colour_becomes_hexadecimal(stored):
    assert colors_by_group(stored, ["a", "b"]) == {"a": "#1f77b4", "b": "#ff7f0e"}


@pytest.mark.parametrize(
    "stored",
    [None, "red", 3, np.array("red"), [], ["red"], ["red", "nan"], [1.0, 2.0], ["red", "lime", "blue"]],
)
def test_what_gives_no_colour_to_a_group_gives_none(stored):
    assert colors_by_group(stored, ["a", "b"]) == {}


def test_colours_by_name_are_of_groups_that_were_numbers():
    assert colors_by_group({"1.0": "red", "0.0": "lime"}, ["0", "1"]) == {"0": "#00ff00", "1": "#ff0000"}


@pytest.mark.parametrize(("third", "found"), [("red", {"a": "#ff0000", "b": "#0000ff"}), ("blue", {})])
def test_one_colour_a_cell_is_the_groups_if_its_cells_agree(third, found):
    adata = ad.AnnData(np.zeros((4, 1)), obs=pd.DataFrame({"g": ["a", "b", "a", None]}, index=list("wxyz")))
    adata.uns["g_colors"] = np.array(["red", "blue", third, "lime"])
    assert group_colors(adata, "g") == found
