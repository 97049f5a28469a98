"""Future and past settled before the training, of cells whose way is known."""

from __future__ import annotations

import pytest
import torch

from deepvelo.config import ObjectiveConfig
from deepvelo.model import blocks, settling
from deepvelo.model.blocks import BlockedObjective
from deepvelo.model.gcn import Rates
from deepvelo.model.graph import nearest_neighbors, principal_components
from deepvelo.model.kinetics import spliced_velocity
from deepvelo.model.settling import Surroundings, settle_before_training
from deepvelo.model.targets import ComponentTargets


class FixedRates:
    """Stands in for the network: its hidden layer is the rates themselves."""

    def __init__(self, alpha, beta, gamma):
        self.values = torch.stack([alpha, beta, gamma], dim=1)

    def rates(self, hidden, genes=slice(None)):
        return Rates(*hidden[:, :, genes].unbind(1))


def relaxing_cells():
    """Cells on the way to a steady state under one beta and gamma a gene: u, s and the true ds/dt."""
    time = torch.linspace(0, 3, 60)[:, None]
    level = torch.tensor([1.0, 2.0, 3.0, 4.0, 0.5, 1.5])
    beta, gamma = torch.ones(6), torch.tensor([0.4, 0.8, 1.6, 0.6, 2.0, 1.2])
    switched_on = torch.tensor([1.0, 0.0, 1.0, 0.0, 1.0, 0.0])
    decayed = torch.exp(-time)
    unspliced = level * torch.where(switched_on > 0, 1 - decayed, decayed)
    down = torch.exp(-gamma * time)
    between = (down - decayed) / (1 - gamma)
    up = level / gamma * (1 - down) - level * between
    spliced = torch.where(switched_on > 0, up, level / gamma * down + level * between)
    return unspliced, spliced, spliced_velocity(unspliced, spliced, beta=beta, gamma=gamma)


def around(positions, *, n_neighbors):
    return Surroundings(
        positions, n_neighbors=n_neighbors, n_among=len(positions), device=torch.device("cpu")
    )


def settled_backwards(backwards, config):
    """Number of relaxing cells that are settled against their true velocity, after a start with some turned round."""
    targets, true = settled(backwards, config)
    ahead, behind = targets.of(slice(None)).spliced
    cosine = torch.nn.functional.cosine_similarity(ahead - behind, true)
    return (cosine < 0).sum().item()


def settled(backwards, config):
    """The targets of relaxing cells, after a start with some turned round, and their true velocity."""
    unspliced, spliced, true = relaxing_cells()
    components = [principal_components(x, n_components=3, seed=0) for x in (spliced, unspliced)]
    targets = ComponentTargets(nearest_neighbors(components[0].scores, n_neighbors=8), *components)
    objective = BlockedObjective(spliced, unspliced, targets, config=config)

    # Such a start counts all unspliced RNA as removed.
    start = torch.where(backwards[:, None], -true, true)
    rates = FixedRates(torch.ones_like(start), start / unspliced.clamp_min(1e-6), torch.zeros_like(start))
    surroundings = around(components[0].scores, n_neighbors=40)
    settle_before_training(objective, rates, rates.values, surroundings=surroundings)
    return targets, true


@pytest.mark.parametrize("passes", [0, 2])
def test_shared_rates_outvote_arrows_that_point_backwards(passes, monkeypatch):
    monkeypatch.setattr(settling, "MOST_TURNS", 0)
    every_fifth = torch.arange(60) % 5 == 0
    wrong = settled_backwards(every_fifth, ObjectiveConfig(settle_every=0, shared_rate_passes=passes))
    assert wrong == 0 if passes else wrong >= 10


@pytest.mark.parametrize("turns", [0, 4])
def test_a_tissue_that_starts_backwards_turns_round(turns, monkeypatch):
    monkeypatch.setattr(settling, "MOST_TURNS", turns)
    every_one = torch.ones(60, dtype=torch.bool)
    wrong = settled_backwards(every_one, ObjectiveConfig(settle_every=0, shared_rate_passes=1))
    assert wrong == 0 if turns else wrong >= 30


@pytest.mark.parametrize("places", [60, 12])
def test_few_places_answer_for_the_cells_around_them(places, monkeypatch):
    monkeypatch.setattr(settling, "MOST_PLACES", places)
    config = ObjectiveConfig(settle_every=0, shared_rate_passes=2)
    assert settled_backwards(torch.arange(60) % 5 == 0, config) == 0


@pytest.mark.parametrize("places", [60, 12])
def test_cells_settled_part_after_part_are_settled_as_all_at_once(places, monkeypatch):
    monkeypatch.setattr(settling, "MOST_PLACES", places)
    config = ObjectiveConfig(settle_every=0, shared_rate_passes=2)
    whole, parts = [], []
    for cells_at_once, found in ((1000, whole), (7, parts)):
        monkeypatch.setattr(blocks, "CELLS_AT_ONCE", cells_at_once)
        for sides in settled(torch.arange(60) % 5 == 0, config)[0].settled:
            found += sides
    for one, other in zip(whole, parts, strict=True):
        torch.testing.assert_close(one, other)


def test_surroundings_are_the_mean_over_neighbours_and_the_cell_itself():
    positions, values = torch.rand(9, 2), torch.rand(9, 4, dtype=torch.float64)
    surroundings = around(positions, n_neighbors=4)
    neighbors = nearest_neighbors(positions, n_neighbors=4)
    expected = torch.stack([values[[cell, *neighbors[cell].tolist()]].mean(0) for cell in range(9)])
    assert surroundings.cells is None
    assert torch.allclose(surroundings.mean(values), expected)
    assert torch.equal(surroundings.to_cells(values), values)


def test_of_many_cells_each_takes_the_answer_of_the_nearest_place(monkeypatch):
    monkeypatch.setattr(settling, "MOST_PLACES", 3)
    positions = torch.arange(9.0)[:, None] ** 1.1  # the nearest is always the one before
    surroundings = around(positions, n_neighbors=1)
    place = surroundings.mean(positions[surroundings.cells].double())  # half a step before each place
    found = surroundings.to_cells(place).flatten()
    assert len(place) == 3
    assert len(surroundings.cells) <= 6
    assert (found - positions.flatten()).abs().max() <= 3.5
    assert (found.diff() >= 0).all()
