"""Boundary correctness of a few cells whose answer is worked out by hand."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import sparse

from deepvelo.arrays import layers
from deepvelo.tl.metrics import boundary
from deepvelo.tl.metrics.boundary import boundary_correctness, boundary_means

POSITIONS = np.array([[0.0, 0], [0, 0], [1, 0], [0, 1], [5, 5]])
GROUPS = np.array(["A", "A", "B", "B", "A"])
# cell 0 sees a neighbour to the right and one above, cell 1 only the right one, cell 4 none of the other group
GRAPH = sparse.csr_matrix(([1.0] * 4, ([0, 0, 1, 4], [2, 3, 2, 0])), shape=(5, 5))


def score(arrows, positions=POSITIONS, groups=GROUPS, **options):
    edge = {"source": "A", "target": "B"} | options
    return boundary_correctness(np.array(arrows, dtype=float), positions, graph=GRAPH, groups=groups, **edge)


def test_it_is_the_mean_cosine_with_the_ways_across():
    found = score([[3, 0], [-1, 0], [0, 0], [0, 0], [1, 1]])
    assert found[:2].tolist() == pytest.approx([0.5, -1])
    assert np.isnan(found[2:]).all()  # in the target, in the target, and without a neighbour there


def test_length_does_not_count_and_orthogonal_is_zero():
    found = score([[100, 100], [0, 0.01], [0, 0], [0, 0], [0, 0]])
    assert found[:2].tolist() == pytest.approx([np.sqrt(0.5), 0])


def test_the_other_direction_has_no_neighbours_here():
    assert np.isnan(score([[1, 0]] * 5, source="B", target="A")).all()


def test_a_gene_without_velocity_is_left_out_on_both_sides():
    arrows = np.column_stack([[3.0, -1, 0, 0, 1], np.zeros(5), np.full(5, np.nan)])
    positions = np.column_stack([POSITIONS, [0.0, 0, 1000, 1000, 0]])
    assert score(arrows, positions)[:2].tolist() == pytest.approx([0.5, -1])


def test_a_cell_without_arrow_does_not_cost_the_others_theirs():
    found = score([[3, 0], [np.nan, np.nan], [0, 0], [0, 0], [0, 0]])
    assert found[0] == pytest.approx(0.5)
    assert np.isnan(found[1])


def test_a_cell_at_rest_has_no_score_unless_given_one():
    resting = [[0, 0], [1, 0], [0, 0], [0, 0], [0, 0]]
    assert np.isnan(score(resting)[0])
    assert score(resting, zero_velocity_score=0.0)[:2].tolist() == [0, 1]


def test_a_neighbour_at_the_same_place_is_no_way():
    same = POSITIONS.copy()
    same[3] = same[0]
    assert score([[3, 0], [1, 0], [0, 0], [0, 0], [0, 0]], same)[:2].tolist() == pytest.approx([1, 1])
    same[2] = same[0]
    assert np.isnan(score([[3, 0], [1, 0], [0, 0], [0, 0], [0, 0]], same)).all()


def test_means_are_over_the_cells_that_have_a_score():
    arrows = np.array([[3.0, 0], [-1, 0], [0, 0], [0, 0], [1, 1]])
    found = boundary_means(arrows, POSITIONS, graph=GRAPH, groups=GROUPS, edges=[("A", "B"), ("B", "A")])
    assert found[0] == pytest.approx((0.5 - 1) / 2)
    assert np.isnan(found[1])  # no cell of B sees one of A


def test_genes_in_blocks_and_several_edges_at_once_give_the_same(monkeypatch):
    rng = np.random.default_rng(0)
    arrows, positions = rng.normal(size=(2, 50, 12)).astype(np.float32)
    arrows[3], arrows[:, 5], arrows[8] = 0, np.nan, np.nan
    graph = sparse.random(50, 50, 0.3, format="csr", random_state=0)
    groups = rng.choice(["A", "B", "C"], 50)
    monkeypatch.setattr(layers, "_BLOCK_GENES", 5)
    monkeypatch.setattr(boundary, "_BLOCK_DISPLACEMENTS", 7)
    edges = [("A", "B"), ("C", "A")]
    for edge, scores in zip(
        edges,
        boundary.boundary_scores(arrows, positions, graph=graph, groups=groups, edges=edges),
        strict=True,
    ):
        genes = np.arange(12) != 5
        for cell in np.flatnonzero(groups == edge[0]):
            around = [other for other in graph[cell].indices if groups[other] == edge[1] and other != cell]
            ways = positions[around][:, genes] - positions[cell, genes]
            v = arrows[cell, genes]
            with np.errstate(invalid="ignore"):
                cosines = ways @ v / np.linalg.norm(ways, axis=1) / np.linalg.norm(v)
            expected = cosines.mean() if len(around) else np.nan
            assert scores[cell] == pytest.approx(expected, abs=1e-6, nan_ok=True)
