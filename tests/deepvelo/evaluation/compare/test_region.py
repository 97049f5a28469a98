"""Directions and pairs of methods whose velocities are written out."""

from __future__ import annotations

import numpy as np
import pytest

from deepvelo.evaluation.compare import disagreeing_genes, match, pair_agreement

N_CELLS = 9
ALL = np.ones(N_CELLS, dtype=bool)


def moving(*directions: list[float]) -> np.ndarray:
    """Velocities of the nine cells, the first cells with one direction, the others with the last."""
    rows = [*directions, *[directions[-1]] * (N_CELLS - len(directions))]
    return np.array(rows, dtype=float)


@pytest.fixture
def matched(fitted):
    """`b` is ten times as fast as `a` and moves the first cell the other way; `c` lacks the last gene."""
    return match(
        {
            "a": fitted(moving([3, 4, 0, 0])),
            "b": fitted(moving([-30, -40, 0, 0], [30, 40, 0, 0])),
            "c": fitted(moving([0, 0, 2, np.nan])),
        }
    )


def test_parts_do_not_know_speed_and_know_signs(matched):
    parts = disagreeing_genes(matched, ALL).sort_index()
    assert parts.index.tolist() == ["gene0", "gene1", "gene2"]  # the last has no velocity in c
    assert parts["a"].tolist() == pytest.approx([0.6, 0.8, 0])
    assert parts["b"].tolist() == pytest.approx([0.6 * 7 / 9, 0.8 * 7 / 9, 0])
    assert parts["c"].tolist() == pytest.approx([0, 0, 1])


def test_parts_of_a_region_are_those_of_its_cells(matched):
    parts = disagreeing_genes(matched, np.array([0])).sort_index()
    assert parts["b"].tolist() == pytest.approx([-0.6, -0.8, 0])


def test_genes_that_disagree_most_come_first_with_their_share(fitted, field):
    matched = match({"a": fitted(field([1.0, 1, 1, 0])), "b": fitted(field([1.0, -1, 1, 0]))})
    found = disagreeing_genes(matched, np.array([0, 1]))
    assert list(found.columns) == ["contribution", "share", "a", "b"]
    assert found.index[0] == "gene1"
    part = 1 / np.sqrt(3)
    assert found.loc["gene1"].tolist() == pytest.approx([2 / 3, 1, part, -part])
    assert disagreeing_genes(match({"a": fitted()}), np.array([0])).empty


def test_pairs_least_alike_first(matched):
    pairs = pair_agreement(matched, ALL)
    assert set(pairs.index[:2]) == {("a", "c"), ("b", "c")}
    assert pairs.tolist() == pytest.approx([0, 0, 7 / 9])
    alone = pair_agreement(matched, np.array([0]))
    assert alone.index[0] == ("a", "b")
    assert alone.iloc[0] == pytest.approx(-1)


def test_a_method_at_rest_in_the_region_has_no_pair_there(fitted):
    matched = match(
        {
            "a": fitted(moving([1, 0, 0, 0])),
            "b": fitted(moving([1, 0, 0, 0])),
            "c": fitted(moving([0] * 4, [1, 0, 0, 0])),
        }
    )
    assert pair_agreement(matched, np.array([0])).to_dict() == {("a", "b"): pytest.approx(1)}
    assert disagreeing_genes(matched, np.array([0]))["c"].isna().all()
