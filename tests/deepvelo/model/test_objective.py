"""The terms of the objective in closed form."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from deepvelo.config import ObjectiveConfig
from deepvelo.model.objective import Correlation, direction_gradient, direction_loss, direction_weight


def correlation(velocity, abundance):
    return Correlation(velocity, abundance, mean=abundance.mean(0))


def test_correlation_equals_numpys_where_all_are_present():
    rng = np.random.default_rng(0)
    abundance, velocity = rng.random((30, 2)), rng.normal(size=(30, 2))
    ours = correlation(torch.from_numpy(velocity), torch.from_numpy(abundance)).value
    expected = [np.corrcoef(abundance[:, g], velocity[:, g])[0, 1] for g in range(2)]
    assert ours.tolist() == pytest.approx(expected, rel=1e-6)


def test_correlation_leaves_out_cells_without_the_transcript():
    abundance = torch.tensor([[0.0], [1.0], [2.0], [3.0]], dtype=torch.float64)
    velocity = torch.tensor([[99.0], [1.0], [2.0], [3.0]], dtype=torch.float64)
    assert correlation(velocity, abundance).value.item() == pytest.approx(1, abs=1e-6)


def test_correlation_of_a_constant_or_silent_gene_is_zero():
    velocity = torch.rand(6, 2)
    constant = torch.stack([torch.full((6,), 2.0), torch.zeros(6)], dim=1)
    assert torch.allclose(correlation(velocity, constant).value, torch.zeros(2), atol=1e-3)


def test_what_is_taken_off_the_abundance_first_changes_nothing():
    generator = torch.Generator().manual_seed(0)
    abundance, velocity = torch.rand(2, 30, 4, generator=generator, dtype=torch.float64)
    abundance[abundance < 0.3] = 0
    found = [
        Correlation(velocity, abundance, mean=mean).value for mean in (abundance.mean(0), torch.zeros(4))
    ]
    assert torch.allclose(*found)


@pytest.mark.parametrize("schedule", ["annealed", "published"])
def test_gradients_are_those_found_automatically(schedule):
    generator = torch.Generator().manual_seed(0)
    u, s, velocity = torch.rand(3, 20, 3, generator=generator, dtype=torch.float64)
    u[u < 0.2] = 0
    velocity.requires_grad_()
    config = ObjectiveConfig(lambda_u=0.7, lambda_s=2.3, direction_schedule=schedule)
    with_u, with_s = correlation(velocity, u), correlation(velocity, s)
    loss = direction_loss(torch.stack([with_u.value.mean(), -with_s.value.mean()]), config)
    (expected,) = torch.autograd.grad(loss, velocity)
    assert torch.allclose(direction_gradient(with_u, with_s, config) / 3, expected, atol=1e-8)


@pytest.mark.parametrize(("r_u", "r_s", "loss"), [(1.0, 1.0, 0.0), (-1.0, -1.0, 4.0), (1.0, -1.0, 1.0)])
def test_direction_loss_takes_the_weights_as_written(r_u, r_s, loss):
    config = ObjectiveConfig(lambda_u=3.0, lambda_s=1.0)
    assert direction_loss(torch.tensor([r_u, r_s]), config).item() == pytest.approx(loss)


@pytest.mark.parametrize(("r_u", "r_s", "loss"), [(1.0, 1.0, 0.0), (-1.0, -1.0, 2.0), (1.0, -1.0, 0.5)])
def test_published_direction_loss_is_divided_by_the_sum_of_the_weights(r_u, r_s, loss):
    config = ObjectiveConfig(lambda_u=3.0, lambda_s=1.0, direction_schedule="published")
    assert direction_loss(torch.tensor([r_u, r_s]), config).item() == pytest.approx(loss)


def test_doubling_one_weight_is_halving_the_other_in_the_published_schedule_alone():
    pearson = torch.tensor([0.3, -0.2])
    doubled, halved = {"lambda_u": 2.0}, {"lambda_s": 0.5}

    def losses(schedule):
        return [
            direction_loss(pearson, ObjectiveConfig(direction_schedule=schedule, **weights)).item()
            for weights in (doubled, halved)
        ]

    assert losses("annealed") == pytest.approx([0.7 + 0.6, 0.35 + 0.3])
    assert losses("published") == pytest.approx([(2 * 0.7 + 1.2) / 3] * 2)


@pytest.mark.parametrize("schedule", ["annealed", "published"])
def test_direction_loss_without_weights_is_zero(schedule):
    config = ObjectiveConfig(lambda_u=0.0, lambda_s=0.0, direction_schedule=schedule)
    assert direction_loss(torch.tensor([0.3, 0.1]), config) == 0


def test_annealed_weight_falls_to_zero_and_stays():
    config = ObjectiveConfig(direction_weight=18.0, direction_until=0.5)
    weights = [direction_weight(0.9, n_columns=4, share_done=t, config=config) for t in (0.0, 0.25, 0.5, 0.9)]
    assert weights == [18.0, 9.0, 0.0, 0.0]


def test_published_weight_depends_on_the_loss_alone():
    config = ObjectiveConfig(direction_weight=18.0, direction_schedule="published")
    weights = [direction_weight(d, n_columns=4, share_done=0.7, config=config) for d in (1.2, 0.8, 0.1)]
    assert weights == pytest.approx([18 * 2 / 0.01, 18 * 2 / 0.2, 18 * 2 / 0.5])
