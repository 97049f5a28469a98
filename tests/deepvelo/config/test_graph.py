"""How many candidates a cell gets in a data set of some size."""

from __future__ import annotations

import pytest

from deepvelo.config import GraphConfig


@pytest.mark.parametrize(
    ("graph", "n_cells", "expected"),
    [
        ({}, 3000, 120),
        ({}, 200, 25),
        ({}, 8, 2),
        ({"n_candidates": 7}, 200, 7),
        ({"n_candidates": 30}, 20, 30),
    ],
)
def test_candidates_are_as_many_as_asked_or_a_share_of_the_cells(graph, n_cells, expected):
    assert GraphConfig(**graph).candidates_of(n_cells) == expected


@pytest.mark.parametrize(
    ("graph", "n_cells", "expected"),
    [
        ({}, 300, 1),
        ({}, 3000, 1),
        ({}, 8000, 2),
        ({}, 24_000, 4),
        ({"smooth_inputs": 2}, 24_000, 8),
        ({"smooth_inputs": 0}, 24_000, 0),
    ],
)
def test_averages_reach_as_far_in_many_cells_as_in_few(graph, n_cells, expected):
    assert GraphConfig(**graph).smoothings_of(n_cells) == expected


@pytest.mark.parametrize(
    ("graph", "n_cells", "expected"),
    [({}, 3000, 120), ({}, 200, 25), ({"n_candidates": 30}, 20, 19)],
)
def test_a_neighborhood_has_as_many_cells_as_candidates_but_never_more_than_the_others(
    graph, n_cells, expected
):
    assert GraphConfig(**graph).neighborhood_of(n_cells) == expected
