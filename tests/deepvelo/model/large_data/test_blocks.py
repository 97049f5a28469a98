"""The blocked objective against the published release's known answers and against finite differences."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from deepvelo.config import VARIANTS, Variant
from deepvelo.model.assignment.candidates import Candidates
from deepvelo.model.assignment.neighborhoods import NeighborhoodRates, Neighborhoods
from deepvelo.model.assignment.targets import ComponentTargets, GeneTargets
from deepvelo.model.gcn import RateNetwork, Rates
from deepvelo.model.graph.averaging import as_tensor
from deepvelo.model.graph.cell_graph import principal_components
from deepvelo.model.large_data import blocks
from deepvelo.model.large_data.blocks import BlockedObjective, Sample
from deepvelo.model.large_data.mini_batches import averaging_graph
from deepvelo.model.loss import direction_weight

WEIGHTS = 0.35, 0.65
REFERENCE = Path(__file__).parent / "published_loss_cases.npz"


class FixedRates(torch.nn.Module):
    """Stands in for the network: its parameters are the rates themselves."""

    def __init__(self, alpha, beta, gamma):
        super().__init__()
        self.values = torch.nn.Parameter(torch.stack([alpha, beta, gamma]))

    def rates(self, hidden, genes=slice(None)):
        return Rates(*hidden[:, :, genes])


def step(objective, rates, variant, *, share_done=0.0, reassigns=True):
    """One epoch as the training does it, all cells at once."""
    direction = objective.reassign_targets(rates, rates.values.detach()) if reassigns else 0.0
    weight = direction_weight(
        direction, n_columns=objective.n_columns, share_done=share_done, variant=variant
    )
    return objective.backward(rates, rates.values * 1, sample(objective), weight=weight)


def sample(objective, cells=None):
    return Sample(cells, *objective.of(cells))


def in_blocks_of(n_genes, monkeypatch):
    monkeypatch.setattr(blocks, "_BLOCK_NUMBERS", 0)
    monkeypatch.setattr(blocks, "_BLOCK_GENES", n_genes)


def reference_case(number):
    """Values of the released code on random cells: moments, candidates, rates, and the terms it computes."""
    with np.load(REFERENCE, allow_pickle=False) as cases:
        prefix = f"case{number}_"
        return {k.removeprefix(prefix): torch.from_numpy(v) for k, v in cases.items() if k.startswith(prefix)}


def published_variant(case, *, unspliced):
    return replace(
        VARIANTS["published"],
        direction_weight=float(case["direction_scale"]),
        unspliced_velocity=unspliced,
    )


@pytest.mark.parametrize("number", [0, 1, 2])
@pytest.mark.parametrize("unspliced", [False, True])
@pytest.mark.parametrize("genes_per_block", [5, 128])
def test_published_objective_matches_the_release(monkeypatch, number, unspliced, genes_per_block):
    in_blocks_of(genes_per_block, monkeypatch)
    case = reference_case(number)
    lambdas = float(case["lambda_u"]), float(case["lambda_s"])
    variant = published_variant(case, unspliced=unspliced)
    objective = BlockedObjective(
        case["spliced"],
        case["unspliced"],
        GeneTargets(Candidates(case["neighbors"]), case["spliced"], case["unspliced"]),
        correlation_weights=tuple(weight / sum(lambdas) for weight in lambdas),
        variant=variant,
    )
    rates = FixedRates(case["alpha"], case["beta"], case["gamma"])
    terms = step(objective, rates, variant)
    suffix = "_with_unspliced" if unspliced else ""
    assert terms["continuity_future"] + terms["continuity_past"] == pytest.approx(
        float(case[f"continuity{suffix}"]), rel=1e-4
    )
    assert terms["direction"] == pytest.approx(float(case["direction"]), rel=1e-4)
    assert terms["total"] == pytest.approx(float(case[f"total{suffix}"]), rel=1e-4)


@pytest.mark.parametrize("number", [0, 1, 2])
def test_future_and_past_match_the_release(number):
    case = reference_case(number)
    candidates = Candidates(case["neighbors"])
    velocity = case["beta"] * case["unspliced"] - case["gamma"] * case["spliced"]
    nothing = candidates.no_products(velocity.dtype)
    sides = candidates.sides(candidates.products(velocity, case["spliced"], add_to=nothing))
    assert torch.equal(sides.future, case["is_future"])
    assert torch.equal(sides.past, case["is_past"])


def small_problem(variant):
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
    if variant.continuity == "genes":
        targets = GeneTargets(Candidates(neighbors), spliced, unspliced)
    else:
        components = (
            type(found)(*(part.double() for part in found))
            for found in (principal_components(x, n_components=3, seed=0) for x in (spliced, unspliced))
        )
        targets = ComponentTargets(neighbors, *components)
    objective = BlockedObjective(spliced, unspliced, targets, correlation_weights=WEIGHTS, variant=variant)
    return objective, rates


def explained_by_rates(objective):
    """Rates of the anchors 0 and 7 and the seven cells that begin with each."""
    around = Neighborhoods.__new__(Neighborhoods)
    around.nearest = torch.arange(14) // 7
    beta, gamma = torch.rand(
        2, 2, objective.n_genes, generator=torch.Generator().manual_seed(3), dtype=torch.float64
    )
    return NeighborhoodRates(beta, gamma, torch.stack((beta.mean(0), gamma.mean(0))), around)


@pytest.mark.parametrize("explained", [False, True])
@pytest.mark.parametrize("continuity", ["components", "genes"])
@pytest.mark.parametrize("unspliced", [False, True])
def test_gradient_matches_finite_differences(monkeypatch, unspliced, continuity, explained):
    in_blocks_of(4, monkeypatch)
    variant = Variant(direction_weight=2.0, unspliced_velocity=unspliced, continuity=continuity)
    objective, rates = small_problem(variant)
    if explained:
        objective.explained = explained_by_rates(objective)
    step(objective, rates, variant, share_done=0.1)
    gradient = rates.values.grad.clone()
    little = 1e-6
    for index in [(0, 3, 1), (1, 0, 0), (1, 7, 5), (2, 2, 2), (2, 13, 4)]:
        totals = []
        for sign in (1, -1):
            with torch.no_grad():
                rates.values[index] += sign * little
            # in an epoch that reassigns nothing: the targets are given, as for the gradient
            totals.append(step(objective, rates, variant, share_done=0.1, reassigns=False)["total"])
            with torch.no_grad():
                rates.values[index] -= sign * little
        assert gradient[index].item() == pytest.approx(
            (totals[0] - totals[1]) / (2 * little), rel=1e-4, abs=1e-8
        )


def test_gradient_reaches_the_network(monkeypatch):
    """Blocks give the network the gradient that one pass over all genes gives."""
    torch.manual_seed(0)
    network = RateNetwork(6, Variant(hidden_sizes=(8, 4))).double()
    inputs = torch.rand(14, 12, dtype=torch.float64)
    ring = (torch.arange(14)[:, None] + 1) % 14
    graph = as_tensor(averaging_graph(ring)).double()
    gradients = []
    for per_block in (6, 2):
        in_blocks_of(per_block, monkeypatch)
        objective, _ = small_problem(Variant(direction_weight=3.0))
        network.zero_grad()
        hidden = network.hidden(inputs, [graph])
        objective.reassign_targets(network, hidden.detach())
        objective.backward(network, hidden, sample(objective), weight=3.0)
        gradients.append([parameter.grad.clone() for parameter in network.parameters()])
    for one, other in zip(*gradients, strict=True):
        assert torch.allclose(one, other)
        assert one.abs().sum() > 0


def test_rates_that_are_explained_leave_no_gradient_of_spliced_velocities():
    variant = Variant(direction_weight=0.0, unspliced_velocity=False)
    objective, rates = small_problem(variant)
    step(objective, rates, variant)
    assert rates.values.grad.abs().max() > 1e-3
    objective.explained = explained_by_rates(objective)
    beta, gamma = (
        rate[objective.explained.neighborhoods.nearest]
        for rate in (objective.explained.beta, objective.explained.gamma)
    )
    found = FixedRates(torch.ones_like(beta), beta, gamma)
    step(objective, found, variant, reassigns=False)
    assert found.values.grad.abs().max() < 1e-12


@pytest.mark.parametrize("explained", [False, True])
@pytest.mark.parametrize("continuity", ["components", "genes"])
def test_batches_make_up_the_whole(continuity, explained):
    """Without a direction term, terms and gradient of all cells are the means over batches of one size."""
    variant = Variant(continuity=continuity, direction_weight=0.0)
    objective, rates = small_problem(variant)
    if explained:
        objective.explained = explained_by_rates(objective)
    whole = step(objective, rates, variant)
    expected = rates.values.grad.clone()
    rates.values.grad = None
    parts = [
        objective.backward(rates, rates.values[:, cells], sample(objective, cells), weight=0.0)
        for cells in torch.randperm(14, generator=torch.Generator().manual_seed(0)).split(7)
    ]
    assert sum(part["total"] for part in parts) / 2 == pytest.approx(whole["total"])
    assert torch.allclose(rates.values.grad / 2, expected)


@pytest.mark.parametrize("schedule", ["annealed", "published"])
def test_another_order_of_the_cells_is_the_same_objective_and_gradient(schedule):
    variant = Variant(continuity="genes", direction_schedule=schedule)
    objective, rates = small_problem(variant)
    order = torch.randperm(14, generator=torch.Generator().manual_seed(2))
    spliced, unspliced = objective.spliced[order], objective.unspliced[order]
    # the same cells by their new places
    neighbors = torch.argsort(order)[objective.targets.candidates.neighbors[order]]
    targets = GeneTargets(Candidates(neighbors), spliced, unspliced)
    reordered = BlockedObjective(spliced, unspliced, targets, correlation_weights=WEIGHTS, variant=variant)
    permuted = FixedRates(*rates.values.detach()[:, order])
    assert step(reordered, permuted, variant, share_done=0.1) == pytest.approx(
        step(objective, rates, variant, share_done=0.1)
    )
    assert torch.allclose(permuted.values.grad, rates.values.grad[:, order])
