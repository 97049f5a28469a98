"""Consistency of hand-made velocity fields, against the paper's definitions written out."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy import sparse

from deepvelo.tl.metrics.consistency import celltype_consistency, neighbor_consistency

RING = sparse.csr_matrix(np.array([[0, 1, 0, 1], [1, 0, 1, 0], [0, 1, 0, 1], [1, 0, 1, 0]]))
PARALLEL = np.array([[1.0, 2.0], [2.0, 4.0], [0.5, 1.0], [3.0, 6.0]])


def test_parallel_velocities_score_one_whatever_their_length():
    assert neighbor_consistency(PARALLEL, RING).tolist() == pytest.approx([1, 1, 1, 1])


def test_opposite_and_orthogonal_neighbours():
    opposite = np.array([[1.0, 0], [-1, 0], [1, 0], [-1, 0]])
    orthogonal = np.array([[1.0, 0], [0, 1], [1, 0], [0, 1]])
    assert neighbor_consistency(opposite, RING).tolist() == pytest.approx([-1] * 4)
    assert neighbor_consistency(orthogonal, RING).tolist() == pytest.approx([0] * 4)


def test_a_gene_without_velocity_is_left_out():
    velocity = np.column_stack([PARALLEL, np.full(4, np.nan)])
    assert neighbor_consistency(velocity, RING).tolist() == pytest.approx([1] * 4)


def test_a_cell_at_rest_has_no_score_and_does_not_count():
    velocity = PARALLEL.copy()
    velocity[0] = 0
    scores = neighbor_consistency(velocity, RING)
    assert np.isnan(scores[0])
    assert scores[1:].tolist() == pytest.approx([1] * 3)


def test_a_stored_self_neighbour_does_not_count():
    with_self = RING + sparse.eye(4)
    opposite = np.array([[1.0, 0], [-1, 0], [1, 0], [-1, 0]])
    assert neighbor_consistency(opposite, with_self).tolist() == pytest.approx([-1] * 4)


def test_both_scores_equal_the_literal_definition():
    rng = np.random.default_rng(0)
    velocity, groups = rng.normal(size=(20, 5)), pd.Series(rng.choice(list("abc"), 20))
    graph = sparse.random(20, 20, density=0.3, random_state=0, format="csr")
    graph.setdiag(0)
    graph.eliminate_zeros()
    unit = velocity / np.linalg.norm(velocity, axis=1, keepdims=True)
    cosine = unit @ unit.T
    for cell, score in enumerate(neighbor_consistency(velocity, graph)):
        assert score == pytest.approx(cosine[cell, graph[cell].indices].mean())
    for cell, score in enumerate(celltype_consistency(velocity, groups)):
        others = (groups == groups[cell]).to_numpy() & (np.arange(20) != cell)
        assert score == pytest.approx(cosine[cell, others].mean())


def test_a_group_of_one_has_no_score():
    scores = celltype_consistency(PARALLEL, pd.Series(pd.Categorical(["a", "a", "b", "a"])))
    assert np.isnan(scores[2])
    assert scores[[0, 1, 3]].tolist() == pytest.approx([1] * 3)
