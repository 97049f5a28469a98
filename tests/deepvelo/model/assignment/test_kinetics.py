"""Eq. 1 and 3 in closed form."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.optimize import nnls

from deepvelo.model.assignment.kinetics import (
    SharedRates,
    non_negative_fit,
    spliced_velocity,
    steady_state_slope,
    unspliced_velocity,
)


def test_velocity_is_zero_at_steady_state():
    alpha, beta, gamma = torch.tensor(3.0), torch.tensor(2.0), torch.tensor(0.5)
    unspliced = alpha / beta
    spliced = beta * unspliced / gamma
    assert spliced_velocity(unspliced, spliced, beta=beta, gamma=gamma) == 0
    assert unspliced_velocity(unspliced, alpha=alpha, beta=beta) == 0


def test_velocity_is_the_derivative_of_the_closed_form_solution():
    alpha, beta, gamma = (torch.tensor(x, dtype=torch.float64) for x in (4.0, 1.5, 0.7))

    def solution(time):
        unspliced = alpha / beta * (1 - torch.exp(-beta * time))
        spliced = alpha / gamma * (1 - torch.exp(-gamma * time)) + alpha / (gamma - beta) * (
            torch.exp(-gamma * time) - torch.exp(-beta * time)
        )
        return unspliced, spliced

    time, step = torch.tensor(0.8, dtype=torch.float64), 1e-5
    (u0, s0), (u1, s1) = solution(time - step), solution(time + step)
    unspliced, spliced = solution(time)
    du_dt = unspliced_velocity(unspliced, alpha=alpha, beta=beta)
    ds_dt = spliced_velocity(unspliced, spliced, beta=beta, gamma=gamma)
    assert du_dt.item() == pytest.approx(((u1 - u0) / (2 * step)).item(), rel=1e-8)
    assert ds_dt.item() == pytest.approx(((s1 - s0) / (2 * step)).item(), rel=1e-8)


def test_steady_state_slope_is_the_ratio_of_extreme_cells():
    spliced = torch.linspace(0, 10, 101)[:, None].repeat(1, 3)
    # Off the line in the middle, where the fit must not look.
    bump = torch.where((spliced > 2) & (spliced < 8), 5.0, 0.0)
    unspliced = spliced * torch.tensor([0.3, 2.0, 100.0])
    slope = steady_state_slope(unspliced + bump * torch.tensor([0.01, 0.05, 0.0]), spliced)
    assert torch.allclose(slope, torch.tensor([0.3, 2.0, 20.0]))  # the last is clipped


def test_steady_state_slope_of_a_silent_gene_is_finite():
    assert torch.isfinite(steady_state_slope(torch.zeros(10, 1), torch.zeros(10, 1))).all()


def overall_mean(values):
    return values.mean(dim=0, keepdim=True).expand_as(values)


def test_shared_rates_are_those_the_velocities_were_made_with():
    generator = torch.Generator().manual_seed(0)
    unspliced, spliced = torch.rand(2, 50, 3, generator=generator, dtype=torch.float64)
    beta, gamma = torch.tensor([[1.5, 0.2, 3.0], [0.4, 0.9, 0.0]], dtype=torch.float64)
    velocity = spliced_velocity(unspliced, spliced, beta=beta, gamma=gamma)
    found = SharedRates(velocity, unspliced, spliced, mean=overall_mean).rates()
    for rate, true in zip(found, (beta, gamma), strict=True):
        torch.testing.assert_close(rate, true.expand(50, 3), rtol=1e-3, atol=1e-4)


def test_a_rate_that_would_be_negative_is_zero_and_the_other_fits_alone():
    unspliced = torch.tensor([[1.0], [2.0], [3.0]], dtype=torch.float64)
    spliced = torch.tensor([[3.0], [1.0], [2.0]], dtype=torch.float64)
    rising = SharedRates(2 * unspliced + 0.1 * spliced, unspliced, spliced, mean=overall_mean).rates()
    falling = SharedRates(-2 * spliced - 0.1 * unspliced, unspliced, spliced, mean=overall_mean).rates()
    # least squares of one column: (u . v) / (u . u), with u . u = s . s = 14 and u . s = 11
    expected = 2 + 0.1 * 11 / 14
    assert [rate[0].item() for rate in rising] == pytest.approx([expected, 0])
    assert [rate[0].item() for rate in falling] == pytest.approx([0, expected])


def test_no_velocity_and_no_counts_give_rates_of_zero():
    nothing, something = torch.zeros(4, 2), torch.ones(4, 2)
    for velocity, counts in ((nothing, something), (something, nothing)):
        beta, gamma = SharedRates(velocity, counts, counts, mean=overall_mean).rates()
        assert not beta.any()
        assert not gamma.any()


def sums_of_products(*columns):
    """Of x, y and v: those that `non_negative_fit` takes."""
    x, y, v = columns
    return [(a * b).sum(0) for a, b in ((x, x), (x, y), (y, y), (x, v), (y, v))]


def test_a_non_negative_fit_is_that_of_an_active_set_method():
    generator = torch.Generator().manual_seed(0)
    x, y, v = torch.randn(3, 12, 40, generator=generator, dtype=torch.float64)
    found = torch.stack(non_negative_fit(*sums_of_products(x, y, v)), dim=1)
    expected = np.array([nnls(np.stack([x[:, i], y[:, i]], axis=1), v[:, i].numpy())[0] for i in range(40)])
    np.testing.assert_allclose(found.numpy(), expected, rtol=1e-3, atol=1e-4)
    # each of the four cases is among them
    assert {(bool(a > 0), bool(b > 0)) for a, b in expected} == {
        (p, q) for p in (True, False) for q in (True, False)
    }


def test_order_of_the_cells_does_not_show_in_rates_of_nearly_proportional_counts():
    generator = torch.Generator().manual_seed(0)
    spliced = torch.rand(400, 20, generator=generator) + 1
    unspliced = 0.3 * spliced + 1e-2 * torch.rand(400, 20, generator=generator)
    velocity = torch.randn(400, 20, generator=generator)
    order = torch.randperm(400, generator=generator)
    one = SharedRates(velocity, unspliced, spliced, mean=overall_mean).rates()
    other = SharedRates(velocity[order], unspliced[order], spliced[order], mean=overall_mean).rates()
    for first, second in zip(one, other, strict=True):
        torch.testing.assert_close(first, second, rtol=1e-3, atol=1e-5)
