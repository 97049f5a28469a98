"""Headings of three groups in a row, whose answers are seen at once."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import sparse

from deepvelo.tl.metrics.heading import LEAST_CELLS, headings

N = 6  # cells of a group
GROUPS = np.repeat(["A", "B", "C"], N)
POSITIONS = np.column_stack([np.repeat([0.0, 1, 2], N), np.tile(np.arange(N), 3)])  # a column of cells each


def beside(n: int = N) -> sparse.csr_matrix:
    """Cells of B see the A and the C at their height, and are seen by them; only the first ``n`` heights."""
    pairs = [(i + N, i + k) for i in range(n) for k in (0, 2 * N)]
    rows, cols = np.array(pairs + [(b, a) for a, b in pairs]).T
    return sparse.csr_matrix((np.ones(len(rows)), (rows, cols)), shape=(3 * N, 3 * N))


def found(arrows, *, graph=None, sources=("A", "B", "C"), groups=GROUPS):
    graph = beside() if graph is None else graph
    return headings(np.asarray(arrows, dtype=float), POSITIONS, graph=graph, groups=groups, sources=sources)


def test_all_to_the_right():
    table = found([[1, 0]] * 3 * N)
    assert table["target"].tolist() == ["B", "C", None]
    assert table["cosine"].tolist() == pytest.approx([1, 1, -1])
    assert table["n_cells"].tolist() == [N, N, N]


def test_all_to_the_left_is_the_other_way_round():
    assert found([[-2, 0]] * 3 * N)["target"].tolist() == [None, "A", "B"]


def test_past_all_neighbours_is_nowhere():
    table = found([[0, 1]] * 3 * N)
    assert table["target"].tolist() == [None] * 3
    assert table["cosine"].tolist() == pytest.approx([0] * 3)


def test_most_cells_decide_not_the_best_mean():
    """Five cells of B have a neighbour in D straight ahead, all six have one in C, at half a right angle."""
    positions = np.vstack([POSITIONS, np.column_stack([np.full(N, 2.0), np.arange(N) + 1.0])])
    graph = sparse.lil_matrix((4 * N, 4 * N))
    for i in range(N):
        graph[N + i, 2 * N + i] = 1
        if i < LEAST_CELLS:
            graph[N + i, 3 * N + i] = 1
    groups = np.append(GROUPS, ["D"] * N)
    arrows = np.array([[1.0, 0.5]] * 4 * N)
    table = headings(arrows, positions, graph=graph, groups=groups, sources=["B"])
    to_c = 1 / np.hypot(1, 0.5)
    assert table.loc["B", "target"] == "C"
    assert table.loc["B", "cosine"] == pytest.approx(to_c)
    assert 1.5 / np.hypot(1, 0.5) / np.sqrt(2) > to_c  # D alone would have had the better mean


def test_too_few_cells_at_the_border_are_no_answer():
    table = found([[1, 0]] * 3 * N, graph=beside(LEAST_CELLS - 1))
    assert table["target"].tolist() == [None] * 3
    assert table["n_cells"].tolist() == [0] * 3
    assert table["cosine"].isna().all()


def test_cells_that_contradict_each_other_are_no_answer():
    """Four of six to the right: a mean of 1/3, and less than two standard errors of it."""
    table = found([[1, 0], [1, 0], [1, 0], [1, 0], [-1, 0], [-1, 0]] * 3, sources=["A"])
    assert table.loc["A", "cosine"] == pytest.approx(1 / 3)
    assert table.loc["A", "target"] is None


@pytest.mark.parametrize(
    ("n_a", "n_beside", "n_b", "few"),
    [(30, 30, 30, False), (29, 29, 40, True), (40, 29, 40, True), (40, 40, 29, True)],
    ids=["enough", "few of the source", "few beside the target", "few of the target"],
)
def test_few_cells_on_either_side_are_said(n_a, n_beside, n_b, few):
    groups = np.repeat(["A", "B"], [n_a, n_b])
    graph = sparse.lil_matrix((n_a + n_b,) * 2)
    for i in range(n_beside):
        graph[i, n_a + i % n_b] = 1
    positions = np.column_stack([np.repeat([0.0, 100], [n_a, n_b]), np.zeros(n_a + n_b)])
    arrows = np.array([[1.0, 0.0]] * (n_a + n_b))
    row = headings(arrows, positions, graph=graph, groups=groups, sources=["A"]).loc["A"]
    assert (row["target"], row["n_cells"], row["few"]) == ("B", n_beside, few)
    away = headings(-arrows, positions, graph=graph, groups=groups, sources=["A"]).loc["A"]
    assert (away["target"], away["few"]) == (None, n_a < 30)  # that none is reached rests on all of the group


def test_a_group_without_neighbours_or_arrows():
    arrows = np.full((3 * N, 2), np.nan)
    assert found(arrows)["n_cells"].tolist() == [0] * 3
    alone = found([[1, 0]] * 3 * N, graph=sparse.csr_matrix((3 * N, 3 * N)))
    assert alone["target"].tolist() == [None] * 3
