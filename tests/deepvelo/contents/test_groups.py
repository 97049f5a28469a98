"""Groups by name, as columns store them and as users write them."""

from __future__ import annotations

import anndata as ad
import numpy as np
import pandas as pd
import pytest
from scipy import sparse

from deepvelo.contents.groups import (
    coded_cell_types,
    colors_by_group,
    count_groups,
    find_group,
    group_colors,
    group_names,
    natural_order,
    split_groups,
    tidy_colors,
    too_many_groups,
)
from tests.long_text import within


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
    ("values", "n"),
    [
        ([0.0, 1.0, 1.0, 0.0, np.nan], 2),
        ([0.0, 0.5, 0.5, 0.0, 1.0], 0),  # measurements
        ([301.0, 255.0, 480.0, 97.0, 97.0], 0),  # counts
        ([np.nan] * 5, 0),
        (pd.Categorical([0.5, 1.5, 0.5, 1.5, 1.5]), 2),
        (pd.array([1.0, 2.0, 2.0, 1.0, None], dtype="Float64"), 2),
        (["a", "b", "", " ", None], 2),
        (pd.to_datetime(["2020-01-01"] * 5), 0),
    ],
)
def test_groups_are_told_from_measurements(values, n):
    assert count_groups(pd.Series(values)) == n


def test_columns_with_more_groups_than_colours_are_found():
    n = 260
    obs = pd.DataFrame(
        {
            "subclass": [f"type {i // 2}" for i in range(n)],
            "leiden": np.arange(n) // 2,
            "n_genes": np.arange(n) // 2,
            "cell_type": [f"type {i % 200}" for i in range(n)],
            "barcode": [f"cell {i}" for i in range(n)],
            "stage": ["early", "late"] * (n // 2),
        },
        index=[str(i) for i in range(n)],
    )
    assert too_many_groups(ad.AnnData(obs=obs)) == {"subclass": 130, "leiden": 130, "cell_type": 200}


@pytest.mark.parametrize(
    ("name", "values", "found"),
    [
        ("celltype", [0, 1, 2, 0, 1], True),
        ("cell_type", ["0", "1", "1", "0", "0"], True),
        ("Cell.Class", pd.Categorical([0.0, 1.0, 1.0, 0.0, 0.0]), True),
        ("annotation", [1.0, 1.0, np.nan, 2.0, 2.0], True),
        ("celltype", ["T", "B", "1", "1", "T"], False),
        ("seurat_clusters", [0, 1, 2, 0, 1], False),
        ("cell_type_id", [0, 1, 2, 0, 1], False),
        ("cell_type_score", [0.1, 0.2, 0.2, 0.1, 0.5], False),
    ],
)
def test_numbers_where_names_of_cell_types_should_be_are_noticed(name, values, found):
    obs = pd.DataFrame({name: values}, index=list("vwxyz"))
    assert coded_cell_types(ad.AnnData(obs=obs)) == [name] * found


def test_colours_that_fit_stay_as_they_are_and_others_go_or_are_mended():
    obs = pd.DataFrame({key: pd.Categorical(list("abab")) for key in ("fits", "lost", "cells", "named")})
    adata = ad.AnnData(obs=obs.set_index(pd.Index(list("wxyz"))))
    adata.uns = {
        "fits_colors": ["tab:blue", "C1"],
        "lost_colors": np.array(["red", "lime", "blue"]),
        "cells_colors": np.array(["red", "blue", "red", "blue"]),
        "named_colors": {"a": "red", "b": "blue", "c": "lime"},
        "other_colors": ["red"],
    }
    notes = tidy_colors(adata)
    assert [note.split("'")[1] for note in notes] == ["lost", "cells"]
    assert set(adata.uns) == {"fits_colors", "cells_colors", "named_colors", "other_colors"}
    assert adata.uns["fits_colors"] == ["tab:blue", "C1"]
    assert list(adata.uns["cells_colors"]) == ["#ff0000", "#0000ff"]
    assert tidy_colors(adata) == []


@pytest.mark.parametrize(
    ("name", "found"),
    [
        ("mature ", "mature "),
        ("mature", "mature"),
        (" mature", None),
        ("late", " late"),
        ("1.0", "1"),
        ("2", None),
        ("1_0", None),
        ("1e0", None),
    ],
)
def test_blanks_and_decimals_do_not_matter_unless_several_groups_fit(name, found):
    assert find_group(name, ["mature ", "mature", " late", "1", "10"]) == found


@pytest.mark.parametrize(
    ("name", "found"),
    [("1" * 5000, "1" * 5000), ("0" * 5000 + "7.0", "7"), ("-0", "0"), ("-" + "9" * 5000, None)],
)
def test_groups_may_be_called_by_numbers_of_any_length(name, found):
    assert find_group(name, ["1" * 5000, "1" * 5001, "7", "0"]) == found


def test_names_are_ordered_as_people_sort_them_and_very_long_ones_by_their_beginning():
    long = "1." * 100_000
    with within(1):
        assert natural_order(["10", f"{long}b", "2", f"{long}a"]) == [f"{long}a", f"{long}b", "2", "10"]
    assert natural_order(["b", "A", "a"], ignore_case=True) == ["A", "a", "b"]


def test_splitting_takes_no_power_of_the_number_of_commas():
    groups = ["a", "a,a", "a,a,a", "b"]
    assert split_groups("a," * 30 + "c", groups) == ["a"] * 30 + ["c"]
    assert split_groups("a,a,b", groups) == ["a,a", "b"]


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
    [
        None, "red", 3, np.array("red"), [], ["red"], ["red", "nan"], [1.0, 2.0], ["red", "lime", "blue"],
        [None, None], [[1, 0, 0], [0, 1]], [["red", "lime"], {"a": 1}], np.zeros((2, 3, 3)), sparse.eye(2).tocsr(),
        pd.DataFrame({"group": ["a", "b"], "color": ["red", "lime"]}), {"a": "red", "b": [[1], [1, 2]]},
    ],
)  # fmt: skip
def test_what_gives_no_colour_to_a_group_gives_none(stored):
    assert colors_by_group(stored, ["a", "b"]) == {}


def test_colours_by_name_are_of_groups_that_were_numbers():
    assert colors_by_group({"1.0": "red", "0.0": "lime"}, ["0", "1"]) == {"0": "#00ff00", "1": "#ff0000"}


@pytest.mark.parametrize(("third", "found"), [("red", {"a": "#ff0000", "b": "#0000ff"}), ("blue", {})])
def test_one_colour_a_cell_is_the_groups_if_its_cells_agree(third, found):
    adata = ad.AnnData(np.zeros((4, 1)), obs=pd.DataFrame({"g": ["a", "b", "a", None]}, index=list("wxyz")))
    adata.uns["g_colors"] = np.array(["red", "blue", third, "lime"])
    assert group_colors(adata, "g") == found
