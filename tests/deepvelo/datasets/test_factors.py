from __future__ import annotations

import numpy as np
import pytest
from scipy.integrate import solve_ivp

from deepvelo.datasets.factors import DIFFUSION, EFFECT, STEP, diffuse, draw_factors, draw_weights, integrate
from deepvelo.datasets.tissue import Lineage, Stage, Tissue
from deepvelo.datasets.tissues import TISSUES

TISSUE = TISSUES["factors"]
LINE = Tissue((Lineage("Line", "main", (Stage("All", 1, (0.0, 1.0), "#000000"),), dynamic=0.0),))


def test_rates_that_change_with_every_step_agree_with_a_numerical_solver():
    rng = np.random.default_rng(0)
    alpha, beta, gamma = (rng.uniform(0.5, 2.0, (1, 10, 1)) for _ in range(3))
    paths = integrate(LINE, alpha=alpha, beta=beta, gamma=gamma)
    expected = np.array([alpha[0, 0, 0] / beta[0, 0, 0], alpha[0, 0, 0] / gamma[0, 0, 0]])
    for step in range(7):
        a, b, c = (rate[0, step, 0] for rate in (alpha, beta, gamma))
        end = STEP if step < 6 else 0.04
        solved = solve_ivp(
            lambda _, y, a, b, c: [a - b * y[0], b * y[0] - c * y[1]],
            (0, end), expected, args=(a, b, c), rtol=1e-10, atol=1e-12,
        )  # fmt: skip
        expected = solved.y[:, -1]
    states = paths.at(np.zeros(1, dtype=int), np.array([6 * STEP + 0.04]))
    np.testing.assert_allclose([states.u[0, 0], states.s[0, 0]], expected, rtol=1e-8)
    assert states.alpha[0, 0] == alpha[0, 6, 0]


def test_finite_differences_of_a_path_are_its_velocity():
    paths = draw_factors(TISSUE, 50, rng=np.random.default_rng(0)).paths
    lineage, time = np.array([0, 1, 2]), np.array([2.03, 6.55, 10.97])
    before, now, after = (paths.at(lineage, time + shift) for shift in (-1e-5, 0.0, 1e-5))
    np.testing.assert_allclose((after.s - before.s) / 2e-5, now.ds, atol=1e-5 * now.s.max())
    np.testing.assert_allclose((after.u - before.u) / 2e-5, now.du, atol=1e-5 * now.s.max())
    moves = np.abs(now.ds) > 0.1 * now.alpha
    assert (moves.mean(axis=1) > 0.5).all()


def test_branches_go_on_from_where_the_root_is():
    paths = draw_factors(TISSUE, 50, rng=np.random.default_rng(0)).paths
    states = paths.at(np.arange(3), np.full(3, 4.0))
    for rna in (states.u, states.s):
        np.testing.assert_allclose(rna[1], rna[0])
        np.testing.assert_allclose(rna[2], rna[0])


def test_factors_diffuse_along_the_tree():
    rng = np.random.default_rng(0)
    drawn = [diffuse(TISSUE, rng=rng) for _ in range(150)]
    elapsed = drawn[0][1]
    np.testing.assert_allclose(elapsed[:, 0], [0.0, 4.0, 4.0])
    factors = np.stack([factors for factors, _ in drawn])  # draw, lineage, step, factor
    assert (factors[:, 0, 0] == 0).all()
    variance = (factors**2).mean(axis=(0, 3))
    np.testing.assert_allclose(variance[:, 10], DIFFUSION * elapsed[:, 10], rtol=0.15)
    np.testing.assert_allclose(variance[:, 69], DIFFUSION * elapsed[:, 69], rtol=0.15)
    # siblings share what happened before they part, and nothing after
    shared = (factors[:, 1, 69] * factors[:, 2, 69]).mean()
    assert shared == pytest.approx(DIFFUSION * 4.0, rel=0.15)
    steps = np.diff(factors, axis=2)
    np.testing.assert_allclose(steps.var(), DIFFUSION * STEP, rtol=0.02)
    assert abs(np.corrcoef(steps[:, :, 1:].ravel(), steps[:, :, :-1].ravel())[0, 1]) < 0.01
    first_of_branch = factors[:, 1:, 0] - factors[:, :1, 39]
    assert first_of_branch.var() == pytest.approx(DIFFUSION * STEP, rel=0.1)


def test_weights_are_sparse_and_of_equal_length():
    weights = draw_weights(10, 2000, rng=np.random.default_rng(0))
    assert (weights != 0).mean() == pytest.approx(EFFECT, abs=0.02)
    length = np.linalg.norm(weights, axis=0)
    without = length == 0
    assert without.mean() == pytest.approx((1 - EFFECT) ** 10, abs=0.015)
    np.testing.assert_allclose(length[~without], 1.0)


def test_log_rates_are_linear_in_the_factors():
    """Over the steps of all lineages they span as many dimensions as there are factors, and time for alpha's mean."""
    factors = draw_factors(TISSUE, 300, rng=np.random.default_rng(1))
    for rate, dimensions in ((factors.paths.alpha, 11), (factors.paths.beta, 10), (factors.paths.gamma, 10)):
        change = np.log(rate / rate[0, 0]).reshape(-1, 300)
        size = np.linalg.svd(change, compute_uv=False)
        assert size[dimensions - 1] > 1e-3 * size[0]
        assert size[dimensions] < 1e-9 * size[0]


def test_rates_differ_in_the_genes_that_say_so():
    factors = draw_factors(TISSUE, 300, rng=np.random.default_rng(1))
    for rate in (factors.paths.beta, factors.paths.gamma):
        differs = np.ptp(rate.reshape(-1, 300), axis=0) > 1e-9
        assert not differs[~factors.rates_differ].any()
        assert differs[factors.rates_differ].mean() > 0.9
    assert 0.4 < factors.rates_differ.mean() < 0.6


def test_the_mean_of_alpha_stays_while_genes_diffuse():
    ratio = []
    for seed in range(30):
        alpha = draw_factors(TISSUE, 100, rng=np.random.default_rng(seed)).paths.alpha
        ratio.append(alpha[1:, 69] / alpha[0, 0])
    assert np.mean(ratio) == pytest.approx(1.0, abs=0.15)
    assert np.median(ratio) < 0.7, "without the correction the median would be 1"
    assert np.std(np.log(ratio)) == pytest.approx(np.sqrt(DIFFUSION * 10.9), rel=0.1)
