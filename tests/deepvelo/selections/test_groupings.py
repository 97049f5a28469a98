"""Groupings by hand; every change is checked on six cells."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from deepvelo.contents.groups import PALETTE
from deepvelo.errors import InputError
from deepvelo.selections.groupings import Group, Grouping

CELLS = pd.Index(list("abcdef"))


@pytest.fixture
def three() -> Grouping:
    """Groups x (a, b), y (c) and z (d, e); f has none."""
    return Grouping.empty(CELLS).assign(["a", "b"], "x").assign(["c"], "y").assign(["d", "e"], "z")


def members(grouping: Grouping) -> dict[str, str]:
    column = np.asarray(grouping.column(CELLS), dtype=object)
    return {name: "".join(CELLS[column == name]) for name in grouping.names}


def test_selections_become_groups_with_colors_of_their_own(three):
    assert members(three) == {"x": "ab", "y": "c", "z": "de"}
    assert three.sizes == {"x": 2, "y": 1, "z": 2}
    assert list(three.colors.values()) == [color.lower() for color in PALETTE[:3]]
    assert three.hidden == []


def test_cells_leave_their_earlier_group(three):
    assert members(three.assign(["b", "c", "f"], "z")) == {"x": "a", "y": "", "z": "bcdef"}
    assert members(three.assign(list("abcdef"), "all"))["all"] == "abcdef"
    assert members(three) == {"x": "ab", "y": "c", "z": "de"}  # unchanged


def test_cells_that_other_runs_did_not_have_are_added(three):
    more = three.assign(["g", "a"], "y")
    assert members(more) == {"x": "b", "y": "ac", "z": "de"}
    assert more.column(pd.Index(["g", "h", "f"])).tolist() == ["y", np.nan, np.nan]


def test_a_color_may_be_given(three):
    assert three.assign(["f"], "w", color="tab:blue").colors["w"] == "#1f77b4"
    with pytest.raises(InputError, match=r"'blau' is not a colour\. Give one"):
        three.assign(["f"], "w", color="blau")


def test_a_removed_color_is_used_again_and_many_groups_share_the_palette(three):
    assert three.remove("y").assign(["f"], "w").colors["w"] == PALETTE[1].lower()
    grouping = Grouping.empty(CELLS)
    for i in range(100):
        grouping = grouping.assign(["a"], str(i))
    assert set(np.unique(list(grouping.colors.values()), return_counts=True)[1]) == {4, 5}
    with pytest.raises(InputError, match=r"at most 100 groups\. Got 101\. Merge"):
        grouping.assign(["a"], "one more")


@pytest.mark.parametrize("name", ["", "  ", "x" * 201, "unassigned"])
def test_a_name_that_is_none_is_refused(three, name):
    for change in (lambda: three.assign(["a"], name), lambda: three.rename("x", name)):
        with pytest.raises(InputError, match="name"):
            change()


def test_no_cell_makes_no_group(three):
    with pytest.raises(InputError, match=r"No cell is selected.*Select cells first"):
        three.assign([], "w")


def test_groups_are_renamed_recolored_and_hidden(three):
    changed = three.rename("y", " why ").recolor("why", "#FF0000").hide("why")
    assert changed.groups[1] == Group("why", "#ff0000", hidden=True)
    assert members(changed) == {"x": "ab", "why": "c", "z": "de"}
    assert changed.hidden == ["why"]
    assert changed.hide("why", hidden=False).hidden == []
    assert three.rename("x", "x").groups == three.groups
    with pytest.raises(InputError, match=r"a group 'z' already\. Merge the two"):
        three.rename("x", "z")


def test_groups_are_merged_in_the_place_of_the_first(three):
    merged = three.merge(["z", "x"], "xz")
    assert members(merged) == {"xz": "abde", "y": "c"}
    assert merged.colors["xz"] == three.colors["x"]
    assert members(three.merge(["x", "z"], "z")) == {"z": "abde", "y": "c"}
    with pytest.raises(InputError, match="a group 'y' already"):
        three.merge(["x", "z"], "y")
    with pytest.raises(InputError, match=r"two groups or more\. Got 'x', 'x'"):
        three.merge(["x", "x"], "x")


def test_groups_are_ordered_and_removed(three):
    ordered = three.order(["z", "x", "y"])
    assert ordered.names == ["z", "x", "y"]
    assert members(ordered) == members(three)
    assert ordered.colors == three.colors
    assert list(ordered.column(CELLS).categories) == ["z", "x", "y"]
    assert members(three.remove("x")) == {"y": "c", "z": "de"}
    assert np.isnan(three.remove("x").column(CELLS).tolist()[0])
    for names in (["x", "y"], ["x", "y", "y"], ["x", "y", "w"]):
        with pytest.raises(InputError, match="Name each of them once"):
            three.order(names)


@pytest.mark.parametrize(
    ("group", "by", "names"), [("y", -1, "yxz"), ("y", 1, "xzy"), ("x", 2, "yzx"), ("x", -1, "xyz"), ("z", 5, "xyz")]
)  # fmt: skip
def test_a_group_moves_among_the_others(three, group, by, names):
    moved = three.move(group, by)
    assert moved.names == list(names)
    assert members(moved) == members(three)


def test_an_unknown_group_is_named(three):
    changes = (
        lambda: three.rename("w", "v"), lambda: three.recolor("w", "red"), lambda: three.hide("w"),
        lambda: three.remove("w"), lambda: three.merge(["x", "w"], "x"),
        lambda: three.move("w", 1),
    )  # fmt: skip
    for change in changes:
        with pytest.raises(InputError, match=r"no group 'w'\. Found 'x', 'y', 'z'\. Choose"):
            change()


@pytest.mark.parametrize(
    "column",
    [
        pd.Categorical(
            ["b", "a", None, "unassigned", "b", "a"], categories=["b", "unused", "unassigned", "a"]
        ),
        ["b", "a", None, "unassigned", "b", "a"],
    ],
)
def test_a_grouping_starts_from_an_annotation(column):
    column = pd.Series(column, index=CELLS)
    grouping = Grouping.from_column(column, {"a": "#123456", "other": "#000000"})
    assert members(grouping) == {"a": "bf", "b": "ae"}
    assert grouping.names == (["b", "a"] if column.dtype == "category" else ["a", "b"])
    assert grouping.colors["a"] == "#123456"
    assert grouping.colors["b"] == PALETTE[grouping.names.index("b")].lower()


def test_an_annotation_with_a_value_a_cell_is_refused():
    with pytest.raises(InputError, match=r"at most 100 groups\. Got 101"):
        Grouping.from_column(pd.Series([f"cell {i}" for i in range(101)]))


def test_an_annotation_with_a_very_long_name_is_refused():
    assert len(Grouping.from_column(pd.Series(["x" * 200])).names[0]) == 200
    with pytest.raises(InputError, match=r"name of the group has 20,000 characters, and at most 200 fit"):
        Grouping.from_column(pd.Series(["a", "x" * 20_000]))


@pytest.mark.parametrize("name", [" tip ", "Zellen e\u0301"])
def test_a_group_of_an_annotation_gains_cells_whatever_its_name(name):
    grouping = Grouping.from_column(pd.Series([name, "other", "other"], index=list("abc")))
    more = grouping.assign(["b"], name)
    assert more.sizes == {name: 2, "other": 1}


def test_an_empty_grouping_and_no_cells():
    assert Grouping.empty(CELLS).column(CELLS).isna().all()
    assert len(Grouping.empty(CELLS[:0]).column(CELLS)) == 6
    assert Grouping.empty(CELLS[:0]).assign(["a"], "x").sizes == {"x": 1}
