"""Future and past assigned before training, of cells whose direction is known."""

from __future__ import annotations

import pytest
import torch

from deepvelo.arrays.on_disk import ColumnWriter, written_by_cell
from deepvelo.config import Variant
from deepvelo.model.assignment import assign as assignment
from deepvelo.model.assignment.assign import NeighborhoodFit, assign_targets, fit_neighborhood_rates
from deepvelo.model.assignment.candidates import Candidates
from deepvelo.model.assignment.kinetics import spliced_velocity
from deepvelo.model.assignment.neighborhoods import Neighborhoods
from deepvelo.model.assignment.targets import ComponentTargets, GeneTargets
from deepvelo.model.gcn import Rates
from deepvelo.model.graph.cell_graph import nearest_neighbors, principal_components
from deepvelo.model.large_data import blocks
from deepvelo.model.large_data.blocks import BlockedObjective

N_CELLS = 60
EVERY_ONE = torch.ones(N_CELLS, dtype=torch.bool)
EVERY_FIFTH = torch.arange(N_CELLS) % 5 == 0
LAST_THIRD = torch.arange(N_CELLS) >= 40


class FixedRates:
    """Stands in for the network: its hidden layer is the rates themselves."""

    def __init__(self, alpha, beta, gamma):
        self.values = torch.stack([alpha, beta, gamma], dim=1)

    def rates(self, hidden, genes=slice(None)):
        return Rates(*hidden[:, :, genes].unbind(1))


def relaxing_cells():
    """Cells on the way to a steady state under one beta and gamma a gene: u, s and the true ds/dt."""
    time = torch.linspace(0, 3, N_CELLS)[:, None]
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


def around(positions, *, n_neighbors=40, n_anchors=60):
    return Neighborhoods(
        positions,
        n_anchors=n_anchors,
        n_neighbors=n_neighbors,
        n_among=len(positions),
        device=torch.device("cpu"),
    )


def objective_of(spliced, unspliced, *, by_cell=None):
    """With targets in components, and where the cells lie in them."""
    components = [principal_components(x, n_components=3, seed=0) for x in (spliced, unspliced)]
    targets = ComponentTargets(nearest_neighbors(components[0].scores, n_neighbors=8), *components)
    objective = BlockedObjective(
        spliced, unspliced, targets, correlation_weights=(0.5, 0.5), variant=Variant(), by_cell=by_cell
    )
    return objective, components[0].scores


def assigned(backwards, *, passes=2, order=None, n_neighbors=40, n_anchors=60):
    """The targets of relaxing cells, after a start with some reversed, and their true velocity."""
    unspliced, spliced, true = relaxing_cells()
    if order is not None:
        unspliced, spliced, true, backwards = (x[order] for x in (unspliced, spliced, true, backwards))
    objective, positions = objective_of(spliced, unspliced)
    # Such a start counts all unspliced RNA as removed.
    start = torch.where(backwards[:, None], -true, true)
    rates = FixedRates(torch.ones_like(start), start / unspliced.clamp_min(1e-6), torch.zeros_like(start))
    found = around(positions, n_neighbors=n_neighbors, n_anchors=n_anchors)
    assign_targets(
        objective,
        rates,
        rates.values,
        fit=NeighborhoodFit(objective, found),
        positions=positions,
        refinement_passes=passes,
        seed=0,
    )
    return objective.targets, true


def cosines(targets, true):
    ahead, behind = targets.of(slice(None)).spliced
    return torch.nn.functional.cosine_similarity(ahead - behind, true)


def n_against(backwards, **choices):
    """Number of relaxing cells that are assigned against their true velocity, after a start with some reversed."""
    return (cosines(*assigned(backwards, **choices)) < 0).sum().item()


@pytest.mark.parametrize("passes", [0, 2])
def test_neighborhood_rates_outvote_single_arrows_that_point_backwards(passes, monkeypatch):
    monkeypatch.setattr(assignment, "_MOST_ROUNDS", 0)  # no stretch is reversed
    wrong = n_against(EVERY_FIFTH, passes=passes)
    assert wrong == 0 if passes else wrong >= 10


@pytest.mark.parametrize("rounds", [0, 4])
@pytest.mark.parametrize("backwards", [EVERY_ONE, LAST_THIRD], ids=["all", "a third"])
def test_what_starts_backwards_is_reversed(backwards, rounds, monkeypatch):
    monkeypatch.setattr(assignment, "_MOST_ROUNDS", rounds)
    wrong = n_against(backwards, n_neighbors=12)  # too few to outvote a third of all cells
    assert wrong == 0 if rounds else wrong >= 10


@pytest.mark.parametrize("backwards", [EVERY_ONE, LAST_THIRD], ids=["all", "a third"])
def test_of_many_cells_a_choice_answers_for_the_others(backwards, monkeypatch):
    monkeypatch.setattr(assignment, "MOST_IN_STRETCHES", 30)
    assert n_against(backwards) <= 1  # of 60, of which 20 or all start backwards


@pytest.mark.parametrize("n_anchors", [60, 12])
def test_few_anchors_answer_for_the_cells_around_them(n_anchors):
    assert n_against(EVERY_FIFTH, n_anchors=n_anchors) == 0


@pytest.mark.parametrize("n_anchors", [60, 12])
def test_part_after_part_of_the_cells_is_assigned_as_all_at_once(n_anchors, monkeypatch):
    whole, parts = [], []
    for cells_at_once, found in ((1000, whole), (7, parts)):
        monkeypatch.setattr(blocks, "_BLOCK_CELLS", cells_at_once)
        for sides in assigned(EVERY_FIFTH, n_anchors=n_anchors)[0].displacements:
            found += sides
    for one, other in zip(whole, parts, strict=True):
        torch.testing.assert_close(one, other)


def test_steps_turn_displacements_to_the_principal_axis():
    generator = torch.Generator().manual_seed(0)
    axes = torch.linalg.qr(torch.randn(6, 6, generator=generator))[0]
    cells = torch.rand(400, 6, generator=generator) * torch.tensor([12.0, 1, 1, 0, 0, 0]) @ axes.T
    components = [principal_components(cells, n_components=3, seed=0)] * 2
    targets = ComponentTargets(nearest_neighbors(components[0].scores, n_neighbors=100), *components)
    objective = BlockedObjective(cells, cells, targets, correlation_weights=(0.5, 0.5), variant=Variant())
    objective.assign_targets(
        lambda genes: [(slice(None), (axes[:, 0] + 3 * axes[:, 1]).expand(400, 6)[:, genes])]
    )
    along = []
    for _ in range(4):
        ahead, behind = targets.of(slice(None)).spliced
        cosine = torch.nn.functional.cosine_similarity(ahead - behind, axes[None, :, 0])
        along.append(cosine.abs().mean().item())
        targets.assign_along()
    assert along == sorted(along)
    assert along[0] < 0.9 < 0.98 < along[-1]


@pytest.mark.parametrize(("explained", "kept"), [((0.5, 0.505), False), ((0.5, 0.6), True)])
def test_displacements_along_the_axis_are_kept_where_they_explain_more(explained, kept, monkeypatch):
    velocities, values = [], iter(explained)

    def explains(self):
        velocities.append(self._targets.sums.clone())
        return next(values)

    monkeypatch.setattr(assignment._WholeTissue, "explained", explains)
    targets, _ = assigned(EVERY_FIFTH)
    before, after = velocities
    assert not torch.equal(before, after)
    assert torch.equal(targets.sums, after if kept else before)


def test_permuted_cells_are_assigned_the_same():
    order = torch.randperm(N_CELLS, generator=torch.Generator().manual_seed(0))
    in_order, permuted = (
        targets.of(slice(None)).spliced
        for targets, _ in (assigned(LAST_THIRD), assigned(LAST_THIRD, order=order))
    )
    for one, other in zip(in_order, permuted, strict=True):
        torch.testing.assert_close(one[order], other, rtol=1e-3, atol=1e-3)


def test_cells_that_do_not_differ_are_left_without_direction():
    counts = torch.ones(N_CELLS, 6)
    objective, positions = objective_of(counts, counts)
    rates = torch.ones(N_CELLS, 6)
    network = FixedRates(rates, rates, 0 * rates)
    assign_targets(
        objective,
        network,
        network.values,
        fit=NeighborhoodFit(objective, around(positions)),
        positions=positions,
        refinement_passes=2,
        seed=0,
    )
    fit_neighborhood_rates(objective, NeighborhoodFit(objective, around(positions)))
    assert not any(side.any() for side in objective.targets.of(slice(None)).spliced)
    assert not objective.explained.beta.any()
    assert not objective.explained.gamma.any()


def displaced_cells(n_anchors, monkeypatch):
    """An objective whose displacements among near candidates are those of known rates, and these rates."""
    generator = torch.Generator().manual_seed(0)
    unspliced, spliced = torch.rand(2, N_CELLS, 6, generator=generator) + 0.1
    beta, gamma = torch.rand(2, 6, generator=generator) + 0.2
    objective, positions = objective_of(spliced, unspliced)
    moved = spliced_velocity(unspliced, spliced, beta=beta, gamma=gamma)
    of_cells = lambda cells: lambda _: moved if cells is None else moved[cells]  # noqa: E731
    monkeypatch.setattr(objective.targets, "near_displacement", of_cells)
    return objective, around(positions, n_anchors=n_anchors), beta, gamma


@pytest.mark.parametrize("n_anchors", [60, 12])
def test_rates_are_those_that_made_the_displacements(n_anchors, monkeypatch):
    monkeypatch.setattr(blocks, "_BLOCK_GENES", 6)
    objective, around_anchors, beta, gamma = displaced_cells(n_anchors, monkeypatch)
    fit_neighborhood_rates(objective, NeighborhoodFit(objective, around_anchors))
    found = objective.explained
    assert found.beta.shape == found.gamma.shape == (n_anchors, 6)
    for rate, true in ((found.beta, beta), (found.gamma, gamma)):
        torch.testing.assert_close(rate, true.expand(n_anchors, 6), rtol=1e-3, atol=1e-3)


def test_rates_are_bounded_where_a_neighbourhood_has_next_to_none_of_a_gene(monkeypatch):
    generator = torch.Generator().manual_seed(0)
    unspliced, spliced = torch.rand(2, N_CELLS, 6, generator=generator) + 0.1
    unspliced[1:, 0], spliced[1:, 1] = 1e-9, 1e-9
    objective, positions = objective_of(spliced, unspliced)
    moved = torch.rand(N_CELLS, 6, generator=generator) - 0.5
    monkeypatch.setattr(objective.targets, "near_displacement", lambda _: lambda _: moved)
    monkeypatch.setattr(blocks, "_BLOCK_GENES", 6)
    fit_neighborhood_rates(objective, NeighborhoodFit(objective, around(positions)))
    assert objective.explained.beta.max() < 100
    assert objective.explained.gamma.max() < 100


def test_typical_rates_are_those_of_neighbourhoods_with_counts(monkeypatch):
    generator = torch.Generator().manual_seed(0)
    unspliced, spliced = torch.rand(2, N_CELLS, 6, generator=generator) + 0.1
    few = torch.arange(N_CELLS) < 20
    unspliced[few], spliced[few] = unspliced[few] / 1e3, spliced[few] / 1e3
    objective, positions = objective_of(spliced, unspliced)
    # A thousandth of the RNA moves a thousand times faster.
    faster = torch.where(few, 1e3, 1.0)[:, None]
    moved = faster * spliced_velocity(unspliced, spliced, beta=torch.tensor(2.0), gamma=torch.tensor(0.5))
    monkeypatch.setattr(objective.targets, "near_displacement", lambda _: lambda _: moved)
    monkeypatch.setattr(blocks, "_BLOCK_GENES", 6)
    fit_neighborhood_rates(objective, NeighborhoodFit(objective, around(positions)))
    beta, gamma = objective.explained.typical
    torch.testing.assert_close(beta, torch.full((6,), 2.0), rtol=0.05, atol=0)
    torch.testing.assert_close(gamma, torch.full((6,), 0.5), rtol=0.05, atol=0)


@pytest.mark.parametrize("n_anchors", [60, 12])
def test_rates_of_moments_on_disk_are_those_of_memory(n_anchors, monkeypatch, tmp_path):
    # More than one block of genes.
    monkeypatch.setattr(blocks, "_BLOCK_NUMBERS", 0)
    monkeypatch.setattr(blocks, "_BLOCK_GENES", 4)
    unspliced, spliced, true = relaxing_cells()
    files, by_cell = [], []
    for name, values in (("s", spliced), ("u", unspliced)):
        with ColumnWriter(tmp_path / name) as file:
            file.add(values)
        files.append(file.values())
        by_cell.append(written_by_cell(files[-1], tmp_path / f"{name} by cell", order=torch.arange(N_CELLS)))
    found = []
    for moments, of_cells in (((spliced, unspliced), None), (files, tuple(by_cell))):
        objective, positions = objective_of(*moments, by_cell=of_cells)
        objective.assign_targets(lambda genes: [(slice(None), true[:, genes])])
        fit_neighborhood_rates(objective, NeighborhoodFit(objective, around(positions, n_anchors=n_anchors)))
        found.append(objective.explained)
    memory, disk = found
    assert memory.beta.any()
    torch.testing.assert_close(disk.beta, memory.beta)
    torch.testing.assert_close(disk.gamma, memory.gamma)


def test_in_genes_training_fits_the_displacements_themselves():
    unspliced, spliced, true = relaxing_cells()
    targets = GeneTargets(Candidates(nearest_neighbors(spliced, n_neighbors=8)), spliced, unspliced)
    objective = BlockedObjective(
        spliced, unspliced, targets, correlation_weights=(0.5, 0.5), variant=Variant()
    )
    objective.assign_targets(lambda genes: [(slice(None), true[:, genes])])
    fit_neighborhood_rates(objective, NeighborhoodFit(objective, around(spliced)))
    assert objective.explained is None
