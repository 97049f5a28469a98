"""The terms of the objective in closed form."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from deepvelo.config import Variant
from deepvelo.model.large_data.objective import (
    Correlation,
    direction_gradient,
    direction_loss,
    direction_weight,
)


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


def test_gradients_are_those_found_automatically():
    generator = torch.Generator().manual_seed(0)
    u, s, velocity = torch.rand(3, 20, 3, generator=generator, dtype=torch.float64)
    u[u < 0.2] = 0
    velocity.requires_grad_()
    weights = 0.35, 1.15
    with_u, with_s = correlation(velocity, u), correlation(velocity, s)
    loss = direction_loss(torch.stack([with_u.value.mean(), -with_s.value.mean()]), weights)
    (expected,) = torch.autograd.grad(loss, velocity)
    assert torch.allclose(direction_gradient(with_u, with_s, weights) / 3, expected, atol=1e-8)


@pytest.mark.parametrize(("r_u", "r_s", "loss"), [(1.0, 1.0, 0.0), (-1.0, -1.0, 4.0), (1.0, -1.0, 1.0)])
def test_direction_loss_is_a_weighted_sum(r_u, r_s, loss):
    assert direction_loss(torch.tensor([r_u, r_s]), (1.5, 0.5)).item() == pytest.approx(loss)


def test_annealed_weight_falls_to_zero_and_stays():
    variant = Variant(direction_weight=18.0)
    weights = [
        direction_weight(0.9, n_columns=4, share_done=t, variant=variant) for t in (0.0, 0.25, 0.5, 0.9)
    ]
    assert weights == [18.0, 9.0, 0.0, 0.0]


def test_published_weight_depends_on_the_loss_alone():
    variant = Variant(direction_weight=18.0, direction_schedule="published")
    weights = [direction_weight(d, n_columns=4, share_done=0.7, variant=variant) for d in (1.2, 0.8, 0.1)]
    assert weights == pytest.approx([18 * 2 / 0.01, 18 * 2 / 0.2, 18 * 2 / 0.5])
