"""First and last groups of edges written out; the edges themselves are tested in test_trajectory.py."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from deepvelo.tl.graph.velocity_graph import both_signs
from deepvelo.tl.lineage.group_edges import cells_of_weak, first_group, group_edges, last_groups
from tests.on_plane import path, tissue


def edges(*pairs: str) -> pd.DataFrame:
    return pd.DataFrame([pair.split(">") for pair in pairs], columns=["source", "target"])


def first(table: pd.DataFrame, times: dict[str, float], **sizes: int) -> str:
    return first_group(table, time=pd.Series(times), sizes=pd.Series(dict.fromkeys(times, 10) | sizes))


def test_the_root_is_the_group_nothing_leads_into():
    assert first(edges("A>B", "B>C"), {"C": 0.0, "B": 0.5, "A": 0.9}) == "A"


def test_of_several_the_earliest():
    assert first(edges("A>C", "B>C"), {"A": 0.2, "B": 0.1, "C": 0.9}) == "B"


def test_the_tree_with_most_cells_decides():
    times = {"A": 0.2, "B": 0.3, "X": 0.0, "Y": 0.1}
    assert first(edges("A>B", "X>Y"), times, B=30) == "A"
    assert first(edges("A>B", "X>Y"), times, Y=30) == "X"


def test_edges_of_other_parts_do_not_count():
    assert first(edges("Z>A", "A>B"), {"A": 0.2, "B": 0.3}) == "A"


@pytest.mark.parametrize("pairs", [("A>B", "B>A"), ("A>B", "B>C", "C>A")])
def test_a_ring_begins_with_the_earliest(pairs):
    assert first(edges(*pairs), {"A": 0.5, "B": 0.1, "C": 0.9}) == "B"


def test_without_edges_the_largest_group():
    assert first(edges("X>Y"), {"A": 0.1, "B": 0.5}, B=11) == "B"


def test_edges_of_few_cells_are_weak():
    table = edges("A>B", "B>C", "D>A").assign(source_cells=[30, 80, 7], target_cells=[80, 29, 30])
    assert cells_of_weak(table).to_dict() == {"D": 7, "C": 29}
    assert cells_of_weak(table.iloc[:0]).empty


def test_last_groups():
    assert last_groups(edges("A>B", "B>D", "B>C", "X>Y")) == ["C", "D", "Y"]
    assert last_groups(edges("A>B", "B>A")) == []


def test_no_arrow_that_counts_gives_no_edge():
    positions, directions = path((0, 0), (3, 0), 0)
    cells = tissue(
        np.concatenate([positions, positions + np.array([3, 0])]),
        np.tile(directions, (2, 1)),
        ["one", "other"],
    )
    weak = both_signs(cells).multiply(0.01).tocsr()
    assert len(group_edges(cells.copy(), both_signs(cells), cluster_key="clusters", time=None)) == 1
    assert group_edges(cells.copy(), weak, cluster_key="clusters", time=None).empty
