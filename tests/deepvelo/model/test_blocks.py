"""The blocked objective against the published release's known answers and against finite differences."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from deepvelo.config import NetworkConfig, ObjectiveConfig
from deepvelo.model import blocks
from deepvelo.model.blocks import BlockedObjective
from deepvelo.model.candidates import Candidates
from deepvelo.model.gcn import RateNetwork, Rates
from deepvelo.model.graph import nearest_neighbors, principal_components
from deepvelo.model.kinetics import spliced_velocity
from deepvelo.model.targets import ComponentTargets, GeneTargets


class FixedRates(torch.nn.Module):
    """Stands in for the network: its parameters are the rates themselves."""

    def __init__(self, alpha, beta, gamma):
        super().__init__()
        self.values = torch.nn.Parameter(torch.stack([alpha, beta, gamma]))

    def hidden(self, features, edge_index):
        return self.values

    def rates(self, hidden, genes=slice(None)):
        return Rates(*hidden[:, :, genes])


def reference_case(folder, number):
    with np.load(folder / "published_loss_cases.npz", allow_pickle=False) as cases:
        prefix = f"case{number}_"
        return {k.removeprefix(prefix): torch.from_numpy(v) for k, v in cases.items() if k.startswith(prefix)}


def targets_in_genes(neighbors, spliced):
    return GeneTargets(Candidates(neighbors), dtype=spliced.dtype)


def published(case, *, unspliced):
    return ObjectiveConfig(
        continuity="genes",
        settle_every=1,
        direction_schedule="published",
        direction_weight=float(case["direction_scale"]),
        lambda_u=float(case["lambda_u"]),
        lambda_s=float(case["lambda_s"]),
        unspliced_velocity=unspliced,
    )


@pytest.mark.parametrize("number", [0, 1, 2])
@pytest.mark.parametrize("unspliced", [False, True])
@pytest.mark.parametrize("genes_per_block", [5, 128])
def test_published_objective_matches_the_release(
    shared_reference, monkeypatch, number, unspliced, genes_per_block
):
    monkeypatch.setattr(blocks, "GENES_PER_BLOCK", genes_per_block)
    case = reference_case(shared_reference, number)
    objective = BlockedObjective(
        case["spliced"],
        case["unspliced"],
        targets_in_genes(case["neighbors"], case["spliced"]),
        config=published(case, unspliced=unspliced),
    )
    rates = FixedRates(case["alpha"], case["beta"], case["gamma"])
    terms = objective.backward(rates, None, None, epoch=1, share_done=0.0)
    suffix = "_with_unspliced" if unspliced else ""
    assert terms.continuity_future + terms.continuity_past == pytest.approx(
        float(case[f"continuity{suffix}"]), rel=1e-4
    )
    assert terms.direction == pytest.approx(float(case["direction"]), rel=1e-4)
    assert terms.total == pytest.approx(float(case[f"total{suffix}"]), rel=1e-4)


@pytest.mark.parametrize("number", [0, 1, 2])
def test_future_and_past_match_the_release(shared_reference, number):
    case = reference_case(shared_reference, number)
    candidates = Candidates(case["neighbors"])
    velocity = case["beta"] * case["unspliced"] - case["gamma"] * case["spliced"]
    nothing = candidates.no_products(velocity.dtype)
    sides = candidates.sides(candidates.products(velocity, case["spliced"], add_to=nothing))
    assert torch.equal(sides.future, case["is_future"])
    assert torch.equal(sides.past, case["is_past"])


def small_problem(config):
    generator = torch.Generator().manual_seed(1)
    n_cells, n_genes = 14, 6
    spliced = torch.rand(n_cells, n_genes, generator=generator, dtype=torch.float64)
    unspliced = torch.rand(n_cells, n_genes, generator=generator, dtype=torch.float64)
    unspliced[unspliced < 0.2] = 0
    neighbors = torch.stack(
        [
            (torch.randperm(n_cells - 1, generator=generator)[:5] + 1 + cell) % n_cells
            for cell in range(n_cells)
        ]
    )
    rates = FixedRates(*torch.rand(3, n_cells, n_genes, generator=generator, dtype=torch.float64))
    if config.continuity == "genes":
        targets = targets_in_genes(neighbors, spliced)
    else:
        components = (
            type(found)(*(part.double() for part in found))
            for found in (principal_components(x, n_components=3, seed=0) for x in (spliced, unspliced))
        )
        targets = ComponentTargets(Candidates(neighbors), *components)
    return BlockedObjective(spliced, unspliced, targets, config=config), rates


@pytest.mark.parametrize("continuity", ["components", "genes"])
@pytest.mark.parametrize("unspliced", [False, True])
def test_gradient_matches_finite_differences(monkeypatch, unspliced, continuity):
    monkeypatch.setattr(blocks, "GENES_PER_BLOCK", 4)
    config = ObjectiveConfig(
        lambda_u=0.7,
        lambda_s=1.3,
        direction_weight=2.0,
        settle_every=4,
        unspliced_velocity=unspliced,
        continuity=continuity,
    )
    objective, rates = small_problem(config)
    objective.backward(rates, None, None, epoch=1, share_done=0.1)
    gradient = rates.values.grad.clone()
    step = 1e-6
    for index in [(0, 3, 1), (1, 0, 0), (1, 7, 5), (2, 2, 2), (2, 13, 4)]:
        totals = []
        for sign in (1, -1):
            with torch.no_grad():
                rates.values[index] += sign * step
            # in an epoch that settles nothing: the targets are given, as for the gradient
            totals.append(objective.backward(rates, None, None, epoch=2, share_done=0.1).total)
            with torch.no_grad():
                rates.values[index] -= sign * step
        assert gradient[index].item() == pytest.approx(
            (totals[0] - totals[1]) / (2 * step), rel=1e-4, abs=1e-8
        )


def test_gradient_reaches_the_network(monkeypatch):
    """Blocks give the network the gradient that one pass over all genes gives."""
    torch.manual_seed(0)
    network = RateNetwork(6, NetworkConfig(hidden_sizes=(8, 4), dropout=0.0)).double()
    features = torch.rand(14, 12, dtype=torch.float64)
    edge_index = torch.tensor([[0, 1, 2, 3, 4, 5], [1, 0, 3, 2, 5, 4]])
    gradients = []
    for per_block in (6, 2):
        monkeypatch.setattr(blocks, "GENES_PER_BLOCK", per_block)
        objective, _ = small_problem(ObjectiveConfig(direction_weight=3.0, settle_every=1))
        network.zero_grad()
        objective.backward(network, features, edge_index, epoch=1, share_done=0.0)
        gradients.append([parameter.grad.clone() for parameter in network.parameters()])
    for one, other in zip(*gradients, strict=True):
        assert torch.allclose(one, other)
        assert one.abs().sum() > 0


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


def settled_backwards(backwards, config):
    """Number of relaxing cells that are settled against their true velocity, after a start with some turned round."""
    unspliced, spliced, true = relaxing_cells()
    components = [principal_components(x, n_components=3, seed=0) for x in (spliced, unspliced)]
    neighbors = nearest_neighbors(components[0].scores, n_neighbors=40)
    targets = ComponentTargets(Candidates(neighbors[:, :8]), *components)
    objective = BlockedObjective(spliced, unspliced, targets, config=config)

    # Such a start counts all unspliced RNA as removed.
    start = torch.where(backwards[:, None], -true, true)
    rates = FixedRates(torch.ones_like(start), start / unspliced.clamp_min(1e-6), torch.zeros_like(start))
    surroundings = Candidates(neighbors).surrounding()
    objective.settle_before_training(rates, None, None, surroundings=surroundings)

    ahead, behind = targets.of(objective.blocks[0])
    cosine = torch.nn.functional.cosine_similarity((ahead - behind)[:, :6], true)
    return (cosine < 0).sum().item()


@pytest.mark.parametrize("passes", [0, 2])
def test_shared_rates_outvote_arrows_that_point_backwards(passes, monkeypatch):
    monkeypatch.setattr(blocks, "MOST_TURNS", 0)
    every_fifth = torch.arange(60) % 5 == 0
    wrong = settled_backwards(every_fifth, ObjectiveConfig(settle_every=0, shared_rate_passes=passes))
    assert wrong == 0 if passes else wrong >= 10


@pytest.mark.parametrize("turns", [0, 4])
def test_a_tissue_that_starts_backwards_turns_round(turns, monkeypatch):
    monkeypatch.setattr(blocks, "MOST_TURNS", turns)
    every_one = torch.ones(60, dtype=torch.bool)
    wrong = settled_backwards(every_one, ObjectiveConfig(settle_every=0, shared_rate_passes=1))
    assert wrong == 0 if turns else wrong >= 30


def test_what_was_settled_before_the_training_stays():
    objective, rates = small_problem(ObjectiveConfig(settle_every=0, shared_rate_passes=1))
    surroundings = objective.targets.candidates.surrounding()
    objective.settle_before_training(rates, None, None, surroundings=surroundings)
    before = [side.clone() for side in objective.targets.of(objective.blocks[0])]
    with torch.no_grad():
        rates.values.mul_(torch.rand_like(rates.values))
    objective.backward(rates, None, None, epoch=1, share_done=0.0)
    assert all(map(torch.equal, before, objective.targets.of(objective.blocks[0])))


@pytest.mark.parametrize("schedule", ["annealed", "published"])
def test_another_order_of_the_cells_is_the_same_objective_and_gradient(schedule):
    config = ObjectiveConfig(continuity="genes", settle_every=1, direction_schedule=schedule)
    objective, rates = small_problem(config)
    order = torch.randperm(14, generator=torch.Generator().manual_seed(2))
    block, neighbors = objective.blocks[0], objective.targets.candidates.neighbors
    reordered = BlockedObjective(
        block.spliced[order],
        block.unspliced[order],
        # the same cells by their new places
        targets_in_genes(torch.argsort(order)[neighbors[order]], block.spliced),
        config=objective.config,
    )
    permuted = FixedRates(*rates.values.detach()[:, order])
    terms = objective.backward(rates, None, None, epoch=1, share_done=0.1)
    assert reordered.backward(permuted, None, None, epoch=1, share_done=0.1) == pytest.approx(terms)
    assert torch.allclose(permuted.values.grad, rates.values.grad[:, order])
