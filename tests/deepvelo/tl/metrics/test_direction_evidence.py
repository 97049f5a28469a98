"""Whether spliced and unspliced moments are correlated, where that is known."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from deepvelo.tl.metrics.direction_evidence import _correlation

N, GENES = 2000, 30
ERROR = 3 / N**0.5


def noise(seed: int) -> torch.Tensor:
    return torch.from_numpy(np.random.default_rng(seed).normal(size=(N, GENES)).astype(np.float32))


def test_independent_noise_is_not_correlated():
    assert _correlation(noise(0), noise(1), np.zeros(N, dtype=int)) == pytest.approx([-ERROR], abs=0.05)


def test_what_both_follow_is():
    trend = torch.linspace(-3, 3, N)[:, None]
    found = _correlation(noise(0) + trend, 5 * (noise(1) + trend), np.zeros(N, dtype=int))
    assert found == pytest.approx([3 / (3 + 1) - ERROR], abs=0.02)  # the variance of the trend is 3


def test_each_part_has_its_own():
    shared, part = noise(2), np.arange(N) % 2
    apart = torch.from_numpy(part == 0)[:, None]
    found = _correlation(noise(0) * apart + shared, noise(1) * apart + shared, part)
    error = 3 / (N // 2) ** 0.5
    assert found == pytest.approx([0.5 - error, 1 - error], abs=0.05)


def test_cells_that_do_not_differ_have_none():
    assert _correlation(torch.ones(5, 2), torch.ones(5, 2), np.zeros(5, dtype=int)).tolist() == [0]
