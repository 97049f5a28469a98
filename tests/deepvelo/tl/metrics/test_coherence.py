"""In-cluster coherence of hand-made velocity fields."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy import sparse

from deepvelo.tl.metrics.coherence import coherence
from deepvelo.tl.metrics.consistency import neighbor_consistency

RING = sparse.csr_matrix(np.array([[0, 1, 0, 1], [1, 0, 1, 0], [0, 1, 0, 1], [1, 0, 1, 0]]))
PAIRS = pd.Series(pd.Categorical(["a", "a", "b", "b"]))


def test_only_neighbours_of_the_same_group_count():
    velocity = np.array([[1.0, 0], [1, 0], [-1, 0], [0, 1]])
    assert coherence(velocity, RING, PAIRS).tolist() == pytest.approx([1, 1, 0, 0])
    assert neighbor_consistency(velocity, RING).tolist() == pytest.approx([0.5, 0, -0.5, 0])


def test_opposite_cells_of_a_group():
    velocity = np.array([[1.0, 0], [-2, 0], [0, 1], [0, -1]])
    assert coherence(velocity, RING, PAIRS).tolist() == pytest.approx([-1] * 4)


def test_one_group_gives_the_consistency():
    velocity = np.random.default_rng(0).normal(size=(4, 3))
    found = coherence(velocity, RING, pd.Series(["a"] * 4))
    assert found.tolist() == pytest.approx(neighbor_consistency(velocity, RING).tolist())


def test_a_group_of_one_and_cells_without_group_have_no_score():
    groups = pd.Series(["a", "a", None, None])
    assert np.isnan(coherence(np.ones((4, 2)), RING, groups)[2:]).all()
    alone = coherence(np.ones((4, 2)), RING, pd.Series(["a", "a", "b", "a"]))
    assert np.isnan(alone[2])
    assert alone[[0, 1, 3]].tolist() == pytest.approx([1] * 3)


def test_a_gene_without_velocity_is_left_out():
    velocity = np.column_stack([np.ones((4, 2)), np.full(4, np.nan)])
    assert coherence(velocity, RING, PAIRS).tolist() == pytest.approx([1] * 4)
