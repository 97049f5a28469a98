"""The objective as written: the release's values, and the same values and gradients as the blocked objective's."""

from __future__ import annotations

import doctest

import pytest
import torch

from deepvelo.config import Variant
from deepvelo.model import loss
from deepvelo.model.assignment.candidates import Candidates
from deepvelo.model.assignment.targets import Displacements, GeneTargets, Pair
from deepvelo.model.gcn import Rates
from tests.deepvelo.model.large_data.test_blocks import (
    WEIGHTS,
    explained_by_rates,
    in_blocks_of,
    published_variant,
    reference_case,
    small_problem,
    step,
)


def as_written(rates, objective, variant, *, share_done=0.0, weights=WEIGHTS):
    """Terms by `deepvelo.model.loss`, with the targets that the blocked objective has been given."""
    targets = objective.targets.of(slice(None))
    if objective.explained is not None:
        middle = objective.explained.velocity(objective.unspliced, objective.spliced, slice(None), None)
        half = (targets.spliced.ahead + targets.spliced.behind) / 2
        targets = Pair(Displacements(half + middle, half - middle), targets.unspliced)
    if not variant.unspliced_velocity:
        rates = Rates(torch.full_like(rates.beta, torch.nan), rates.beta, rates.gamma)
    velocity = rates.beta * objective.unspliced - rates.gamma * objective.spliced
    velocity = velocity.detach()
    pearson = loss.correlation(velocity, objective.unspliced), -loss.correlation(velocity, objective.spliced)
    weight = loss.direction_weight(
        float(loss.direction(*pearson, weights)),
        n_columns=objective.n_columns,
        share_done=share_done,
        variant=variant,
    )
    return loss.objective(
        rates, objective.unspliced, objective.spliced, targets, weights=weights, weight=weight
    )


@pytest.mark.parametrize("explained", [False, True])
@pytest.mark.parametrize("continuity", ["components", "genes"])
@pytest.mark.parametrize("unspliced", [False, True])
@pytest.mark.parametrize("schedule", ["annealed", "published"])
def test_blocks_have_the_values_and_gradients_of_the_loss(
    monkeypatch, schedule, unspliced, continuity, explained
):
    in_blocks_of(4, monkeypatch)
    variant = Variant(
        direction_schedule=schedule,
        direction_weight=2.0,
        unspliced_velocity=unspliced,
        continuity=continuity,
    )
    blocked, rates = small_problem(variant)
    if explained:
        blocked.explained = explained_by_rates(blocked)
    terms = step(blocked, rates, variant, share_done=0.1)
    values = rates.values.detach().clone().requires_grad_()
    expected = as_written(Rates(*values), blocked, variant, share_done=0.1)
    assert terms == pytest.approx({name: value.item() for name, value in expected.items()})
    expected["total"].backward()
    gradient = values.grad.nan_to_num()
    assert torch.allclose(rates.values.grad, gradient, atol=1e-9)
    assert gradient.abs().max() > 1e-3


@pytest.mark.parametrize("number", [0, 1, 2])
@pytest.mark.parametrize("unspliced", [False, True])
def test_values_are_those_of_the_release(number, unspliced):
    case = reference_case(number)
    variant = published_variant(case, unspliced=unspliced)
    targets = GeneTargets(Candidates(case["neighbors"]), case["spliced"], case["unspliced"])
    velocity = case["beta"] * case["unspliced"] - case["gamma"] * case["spliced"]
    targets.add(velocity, slice(None))
    targets.assign()
    lambdas = float(case["lambda_u"]), float(case["lambda_s"])
    weights = tuple(x / sum(lambdas) for x in lambdas)
    alpha = case["alpha"] if unspliced else torch.full_like(case["alpha"], torch.nan)
    rates = Rates(alpha, case["beta"], case["gamma"])
    pearson = (
        loss.correlation(velocity, case["unspliced"]),
        -loss.correlation(velocity, case["spliced"]),
    )
    n_columns = velocity.shape[1] * (2 if unspliced else 1)
    weight = loss.direction_weight(
        float(loss.direction(*pearson, weights)), n_columns=n_columns, share_done=0.0, variant=variant
    )
    terms = loss.objective(
        rates,
        case["unspliced"],
        case["spliced"],
        targets.of(slice(None)),
        weights=weights,
        weight=weight,
    )
    suffix = "_with_unspliced" if unspliced else ""
    assert (terms["continuity_future"] + terms["continuity_past"]).item() == pytest.approx(
        float(case[f"continuity{suffix}"]), rel=1e-4
    )
    assert terms["total"].item() == pytest.approx(float(case[f"total{suffix}"]), rel=1e-4)


@pytest.mark.parametrize(("r_u", "r_s", "expected"), [(1.0, 1.0, 0.0), (-1.0, -1.0, 4.0), (1.0, -1.0, 1.0)])
def test_direction_loss_is_a_weighted_sum(r_u, r_s, expected):
    assert float(loss.direction(torch.tensor(r_u), torch.tensor(r_s), (1.5, 0.5))) == pytest.approx(expected)


def test_annealed_weight_falls_to_zero_and_stays():
    variant = Variant(direction_weight=18.0)
    weights = [
        loss.direction_weight(0.9, n_columns=4, share_done=t, variant=variant) for t in (0.0, 0.25, 0.5, 0.9)
    ]
    assert weights == [18.0, 9.0, 0.0, 0.0]


def test_published_weight_depends_on_the_loss_alone():
    variant = Variant(direction_weight=18.0, direction_schedule="published")
    weights = [
        loss.direction_weight(d, n_columns=4, share_done=0.7, variant=variant) for d in (1.2, 0.8, 0.1)
    ]
    assert weights == pytest.approx([18 * 2 / 0.01, 18 * 2 / 0.2, 18 * 2 / 0.5])


def test_its_example_is_right():
    assert doctest.testmod(loss, extraglobs={"torch": torch}) == (0, 6)
