"""The multi-kinetic score in closed form."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from deepvelo.tl import multikinetic_score

GROUPS = pd.Series(["a"] * 6 + ["b"] * 6)


def score(beta, gamma, *, groups=GROUPS, rna=None):
    rna = np.ones_like(beta) if rna is None else rna
    return multikinetic_score(beta, gamma, rna, rna, groups=groups)


def test_equal_rates_score_zero():
    assert score(np.full((12, 1), 2.0), np.full((12, 1), 0.3)).tolist() == [0]


def test_two_groups_in_closed_form():
    beta = np.repeat([1.0, 3.0], 6)[:, None]  # mean 2, deviation 1: CV 0.5
    gamma = np.repeat([1.0, 4.0], 6)[:, None]  # mean 2.5, deviation 1.5: CV 0.6
    assert score(beta, gamma).tolist() == pytest.approx([np.hypot(0.5, 0.6)])


def test_time_units_do_not_matter():
    rng = np.random.default_rng(0)
    beta, gamma = rng.random((2, 12, 3))
    assert score(100 * beta, 100 * gamma).tolist() == pytest.approx(score(beta, gamma).tolist())


def test_differences_within_a_group_do_not_count():
    beta = np.tile([1.0, 3.0], 6)[:, None]
    assert score(beta, np.ones((12, 1))).tolist() == pytest.approx([0])


def test_a_group_without_the_transcript_does_not_decide():
    beta = np.repeat([1.0, 9.0], 6)[:, None]
    rna = np.repeat([1.0, 0.0], 6)[:, None]
    assert score(beta, beta, rna=rna).tolist() == pytest.approx([0])


def test_a_tiny_group_is_left_out():
    groups = pd.Series(["a"] * 11 + ["b"])
    beta = np.ones((12, 1))
    beta[11] = 50
    assert score(beta, beta, groups=groups).tolist() == pytest.approx([0])


def test_a_gene_without_rates_has_no_score():
    assert np.isnan(score(np.full((12, 1), np.nan), np.ones((12, 1)))).all()
