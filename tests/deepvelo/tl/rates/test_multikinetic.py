"""The multi-kinetic score in closed form."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from deepvelo.tl.rates.multikinetic import multikinetic_score

GROUPS = pd.Series(["a"] * 6 + ["b"] * 6)
MANY = 1e6  # so many counts that their noise is nothing


def by_group(a, b):
    return np.repeat([float(a), float(b)], 6)[:, None]


def score(u, s, *, v=None, groups=GROUPS):
    v = np.zeros_like(u) if v is None else v
    return multikinetic_score(MANY * u, MANY * s, MANY * v, groups=groups)


def test_one_ratio_scores_zero():
    assert score(by_group(0.2, 0.6), by_group(1, 3)).tolist() == [0]


def test_two_ratios_in_closed_form():
    # gamma / beta is 0.1 and 0.4 at rest, groups weigh the same: half the difference of the logarithms
    assert score(by_group(0.1, 0.4), by_group(1, 1)).tolist() == pytest.approx([np.log(4) / 2], rel=1e-3)


def test_movement_is_no_difference_in_rates():
    # every gene has gamma / beta = 0.3; groups rise and fall with du/ds = 0.3 s + v / beta, beta = 2
    rng = np.random.default_rng(0)
    s = np.repeat(rng.uniform(1, 2, (2, 9)), 6, axis=0)
    v = np.repeat(rng.uniform(-0.2, 0.2, (2, 9)), 6, axis=0)
    u = 0.3 * s + v / 2
    assert score(u, s, v=v) == pytest.approx(np.zeros(9), abs=1e-3)
    assert score(u, s).max() > 0.05, "without the velocity it looks like one"


def test_the_unit_of_time_does_not_matter():
    rng = np.random.default_rng(0)
    u, s, v = rng.uniform(0.5, 1, (3, 12, 7))
    assert score(u, s, v=100 * v).tolist() == pytest.approx(score(u, s, v=v).tolist())


def test_counting_noise_is_no_difference():
    rng = np.random.default_rng(0)
    groups = pd.Series(np.repeat(list("abcd"), 50))
    u, s = rng.poisson(0.2, (200, 300)).astype(float), rng.poisson(1.0, (200, 300)).astype(float)
    found = multikinetic_score(u, s, np.zeros_like(u), groups=groups)
    assert np.median(found) < 0.1


def test_differences_within_a_group_do_not_count():
    u = np.tile([0.1, 0.3], 6)[:, None]
    assert score(u, np.ones((12, 1))).tolist() == pytest.approx([0])


def test_a_tiny_group_is_left_out():
    groups = pd.Series(["a"] * 11 + ["b"])
    u = np.full((12, 1), 0.1)
    u[11] = 5
    assert score(u, np.ones((12, 1)), groups=groups).tolist() == [0]


def test_a_gene_without_velocity_has_no_score():
    u = by_group(0.1, 0.4)
    assert np.isnan(score(u, np.ones((12, 1)), v=np.full((12, 1), np.nan))).all()
