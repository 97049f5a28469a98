"""Correlations and their gradient against numpy and autograd."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from deepvelo.model.large_data.correlation import Correlation, direction_gradient
from deepvelo.model.loss import direction


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
    loss = direction(with_u.value.mean(), -with_s.value.mean(), weights)
    (expected,) = torch.autograd.grad(loss, velocity)
    assert torch.allclose(direction_gradient(with_u, with_s, weights) / 3, expected, atol=1e-8)
