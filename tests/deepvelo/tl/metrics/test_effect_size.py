"""The test between two methods, against numbers worked out by hand and by scipy."""

from __future__ import annotations

import numpy as np
import pytest

from deepvelo.tl.metrics.effect_size import mann_whitney, p_text


def test_small_samples_have_the_exact_p():
    found = mann_whitney(np.array([4.0, 5.0, 6.0]), np.array([1.0, 2.0, 3.0]))
    assert (found.u, found.effect) == (9, 1)
    assert found.p == pytest.approx(2 / 20)  # two of the 20 orders of six values are as extreme


def test_effect_is_the_share_of_pairs_in_which_a_wins_ties_counting_half():
    found = mann_whitney(np.array([1.0, 3.0]), np.array([1.0, 2.0, np.nan]))
    assert found.effect == pytest.approx((0.5 + 0 + 1 + 1) / 4)
    other = mann_whitney(np.array([1.0, 2.0]), np.array([1.0, 3.0]))
    assert other.effect == pytest.approx(1 - found.effect)


def test_the_same_sample_is_no_difference():
    sample = np.random.default_rng(0).normal(size=100)
    found = mann_whitney(sample, sample)
    assert found.effect == 0.5
    assert found.p == pytest.approx(1)


def test_many_cells_give_a_p_that_underflows_and_is_said_in_words():
    sample = np.random.default_rng(0).random(3000)
    found = mann_whitney(sample + 2, sample)
    assert found.effect == 1
    assert p_text(found.p) == "< 1e-300"


@pytest.mark.parametrize(
    ("p", "text"), [(0.0312, "0.031"), (2.14e-14, "2.1e-14"), (0.0, "< 1e-300"), (float("nan"), "none")]
)
def test_a_p_value_in_words(p, text):
    assert p_text(p) == text


def test_nothing_to_compare():
    found = mann_whitney(np.array([np.nan]), np.array([1.0]))
    assert np.isnan([found.u, found.p, found.effect]).all()
