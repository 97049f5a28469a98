"""Directions and pairs of methods whose velocities are written out."""

from __future__ import annotations

import numpy as np
import pytest

from deepvelo.compare import match
from deepvelo.compare.region import direction_parts, pair_agreement

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
    parts = direction_parts(matched, ALL)
    assert parts.index.tolist() == ["gene0", "gene1", "gene2"]  # the last has no velocity in c
    assert parts["a"].tolist() == pytest.approx([0.6, 0.8, 0])
    assert parts["b"].tolist() == pytest.approx([0.6 * 7 / 9, 0.8 * 7 / 9, 0])
    assert parts["c"].tolist() == pytest.approx([0, 0, 1])


def test_parts_of_a_region_are_those_of_its_cells(matched):
    assert direction_parts(matched, np.array([0]))["b"].tolist() == pytest.approx([-0.6, -0.8, 0])


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
    assert direction_parts(matched, np.array([0]))["c"].isna().all()
