"""What the numbers of cells and genes decide."""

from __future__ import annotations

import dataclasses
import itertools
import json

import pytest
from pydantic import TypeAdapter, ValidationError

from deepvelo import plan
from deepvelo.config import PUBLISHED, Settings, replace
from deepvelo.plan import Machine, Plan, in_words, plan_of

SIZES = (4, 200, 2000, 2001, 3000, 10_000, 100_000, 1_000_000)


def of(n_cells: int, **changes) -> Plan:
    return plan_of(n_cells, 2000, replace(Settings(), changes))


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
    assert of(n_cells, graph=graph).n_candidates == expected


@pytest.mark.parametrize(
    ("graph", "n_cells", "expected"), [({}, 3000, 120), ({}, 200, 25), ({"n_candidates": 30}, 20, 19)]
)
def test_a_neighborhood_has_as_many_cells_as_candidates_but_never_more_than_the_others(
    graph, n_cells, expected
):
    assert of(n_cells, graph=graph).neighborhood_cells == expected


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
    assert of(n_cells, graph=graph).input_averages == expected


@pytest.mark.parametrize(
    ("n_cells", "batch"),
    [
        (200, 200),
        (2000, 2000),
        (2001, 1001),
        (2500, 625),
        (2813, 469),
        (4000, 500),
        (8000, 1000),
        (100_000, 2041),
    ],
)
def test_batches_fall_to_their_smallest_and_grow_with_the_data_to_their_largest(n_cells, batch):
    assert of(n_cells).batch_cells == batch


def test_batches_of_an_epoch_are_equal_and_cost_no_more_than_a_step_of_2000_cells():
    plans = [of(n) for n in range(1500, 8500)]
    for before, after in itertools.pairwise(plans):
        assert abs(after.learning_rate_factor - before.learning_rate_factor) < 0.11
        assert 0 <= abs(after.n_batches - before.n_batches) <= 1
    for plan_ in plans:
        assert plan_.n_cells <= plan_.n_batches * plan_.batch_cells < plan_.n_cells + plan_.n_batches
        n_steps = plan_.n_batches * plan_.n_epochs
        assert 200 <= n_steps < 220
        assert plan_.n_epochs * plan_.n_cells <= 200 * max(2000, plan_.n_cells / 4), (
            "longer than of 2,000 cells"
        )


@pytest.mark.parametrize(("n_batches", "factor"), [(1, 1), (2, 0.9), (3, 0.8), (4, 0.7), (50, 0.7)])
def test_steps_are_shorter_the_more_batches(n_batches, factor):
    assert plan.learning_rate_factor(n_batches) == factor


@pytest.mark.parametrize(("asked", "batch"), [(5, 32), (300, 300), (9000, 3000)])
def test_a_batch_that_was_asked_for_is_neither_tiny_nor_larger_than_the_data(asked, batch):
    assert of(3000, training={"batch_cells": asked}).batch_cells == batch


@pytest.mark.parametrize(("batch", "together"), [(500, 16), (700, 21), (5000, 64)])
def test_a_batch_has_groups_enough_before_more_cells_go_together(batch, together):
    assert plan.group_cells(batch) == together


def test_epochs_of_batches_take_as_many_steps_and_are_eight_at_least():
    epochs = {n: of(n, training={"n_epochs": 100}).n_epochs for n in (0, *SIZES, 300_000, 500_000, 10**7)}
    assert epochs[200] == 100  # one step each
    assert epochs[3000] == 17  # of 6 steps
    assert epochs[100_000] == 8  # of 49
    assert epochs[300_000] == 8  # of 147
    assert epochs[500_000] == 5  # of 245: 1,225 steps
    assert epochs[1_000_000] == epochs[10**7] == 3
    assert of(100_000, training={"n_epochs": 2}).n_epochs == 2
    assert epochs[0] == 100  # pages ask before they know that there is no cell


def test_the_published_preset_takes_all_cells_at_once():
    found = plan_of(1_000_000, 2000, PUBLISHED)
    assert found.batch_cells == 1_000_000
    assert (found.n_batches, found.learning_rate_factor, found.input_precision) == (1, 1, "single")


@pytest.mark.parametrize(
    "changes",
    [
        {"preset": "published", "training": {"batch_cells": 512}},
        {"method": "stochastic"},
        {"training": {"batch_cells": 10**6}},
    ],
    ids=["in genes", "scvelo", "all at once"],
)
def test_only_batches_in_components_are_read_from_disk(changes):
    assert of(10**6).from_disk
    assert not of(10**6, **changes).from_disk


def test_moments_lie_in_files_from_two_gigabytes_on_where_there_is_a_folder():
    most = plan.MOST_IN_MEMORY // (2 * 4 * 2000)
    assert not of(most).from_disk
    assert of(most + 1).from_disk
    assert not plan_of(most + 1, 2000, Settings(), Machine(has_scratch=False)).from_disk


@pytest.mark.parametrize("n_cells", SIZES)
def test_a_plan_is_stored_and_read_as_it_was(n_cells):
    stored = json.dumps(dataclasses.asdict(of(n_cells)))
    assert TypeAdapter(Plan).validate_json(stored) == of(n_cells)
    with pytest.raises(ValidationError):
        TypeAdapter(Plan).validate_json(stored.replace("n_epochs", "n_passes"))


@pytest.mark.parametrize("n_cells", SIZES)
def test_a_table_has_every_number_of_a_plan(n_cells):
    found = of(n_cells)
    words = " ".join(value for _, value in in_words(found))
    for number in (found.n_candidates, found.input_averages, found.n_epochs):
        assert f"{number:,}" in words
    for number in (found.anchor_cells, found.batch_cells, found.drawn_cells):
        assert "all cells" in words if number == n_cells else f"{number:,} of {n_cells:,} cells" in words


def test_many_cells_are_sampled_and_searched_with_an_index():
    small, large = of(2000), of(1_000_000)
    assert small.neighbor_search == "exact"
    assert large.neighbor_search == "index"
    assert not small.coarse_averages
    assert large.coarse_averages
    for name in ("anchor_cells", "stretch_cells", "silhouette_cells", "drawn_cells"):
        assert getattr(small, name) == 2000
        assert getattr(large, name) < 100_000
