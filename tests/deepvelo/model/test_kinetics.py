"""Eq. 1 and 3 in closed form."""

from __future__ import annotations

import pytest
import torch

from deepvelo.model.kinetics import spliced_velocity, steady_state_slope, unspliced_velocity


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
