import itertools

import numpy as np
import pandas as pd
import pytest

from deepvelo.pl.lanes import RADIUS, ROW, Names, tree_places


def edges(*rows):
    return pd.DataFrame(rows, columns=["source", "target", "confidence"])


def named(times, table):
    return Names(
        widths={name: 8.0 * len(name) for name in times.index},
        at_right=frozenset(times.index) - set(table["source"]),
    )


def place(table, times):
    times = pd.Series(times, dtype=float)
    return tree_places(table, times, names=named(times, table))


def test_a_chain_is_one_row_from_early_to_late():
    places = place(edges(("a", "b", 0.5), ("b", "c", 0.4)), {"c": 1.0, "a": 0.0, "b": 0.5})
    assert places["y"].nunique() == 1
    assert places.loc["a", "x"] < places.loc["b", "x"] < places.loc["c", "x"]
    assert places["rank"].to_dict() == {"c": 2, "a": 0, "b": 1}


def test_the_surest_branch_goes_straight_on():
    places = place(edges(("a", "b", 0.2), ("a", "c", 0.9)), {"a": 0, "b": 0.8, "c": 0.9})
    assert places.loc["a", "y"] == places.loc["c", "y"]
    assert abs(places.loc["b", "y"] - places.loc["a", "y"]) == ROW


def test_groups_of_nearly_one_time_still_have_room():
    places = place(edges(("first", "second", 0.5)), {"first": 0.50, "second": 0.51, "other": 1.0})
    assert places.loc["second", "x"] - places.loc["first", "x"] > 4 * RADIUS


def test_separate_parts_and_lonely_groups_come_below_each_other():
    table = edges(("a", "b", 0.5), ("c", "d", 0.5))
    places = place(table, {"a": 0, "b": 1, "c": 0, "d": 1, "alone": 0.5, "lost": np.nan})
    assert places["y"].max() == 0
    assert places.loc["a", "y"] == places.loc["b", "y"]
    assert len({places.loc[name, "y"] for name in ("a", "c", "alone")}) == 3
    assert np.isfinite(places[["x", "y"]]).all(axis=None)


@pytest.mark.parametrize(
    "table",
    [
        edges(("a", "b", 0.5), ("b", "c", 0.4), ("c", "a", 0.3)),
        edges(("a", "b", 0.5), ("b", "a", 0.4)),
        edges(("a", "a", 0.5)),
        edges(),
    ],
)
@pytest.mark.parametrize(
    "times", [{"a": 0.1, "b": 0.5, "c": 0.9}, dict.fromkeys("abc", 0.5), dict.fromkeys("abc")]
)
def test_cycles_ties_and_missing_times_do_not_crash(table, times):
    places = place(table, times)
    assert np.isfinite(places[["x", "y"]]).all(axis=None)
    assert not places[["x", "y"]].duplicated().any()


@pytest.mark.parametrize("seed", range(20))
@pytest.mark.parametrize("kind", ["branching", "joining", "any"])
def test_no_node_or_name_covers_another(seed, kind):
    rng = np.random.default_rng(seed)
    names = [f"group {i}" for i in range(14)]
    times = pd.Series(np.sort(rng.uniform(size=14)), index=names)
    pairs = {
        "branching": [(rng.integers(i), i) for i in range(1, 14)],
        "joining": [(i, rng.integers(i + 1, 14)) for i in range(13)],
        "any": [tuple(sorted(rng.choice(14, size=2, replace=False))) for _ in range(20)],
    }[kind]
    table = edges(*[(names[s], names[t], rng.uniform()) for s, t in dict.fromkeys(pairs)])
    labels = named(times, table)
    places = tree_places(table, times, names=labels)
    boxes = {
        name: (
            places.loc[name, "x"] - RADIUS,
            places.loc[name, "x"] + labels.after(name),
            places.loc[name, "y"],
        )
        for name in names
    }
    for (left, right, y), (other_left, other_right, other_y) in itertools.combinations(boxes.values(), 2):
        assert y != other_y or right <= other_left or other_right <= left
    forward = table[table["source"].map(places["x"]) >= table["target"].map(places["x"])]
    assert forward.empty
