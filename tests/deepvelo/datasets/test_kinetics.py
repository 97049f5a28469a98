from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy.integrate import solve_ivp

from deepvelo.datasets.genes import draw_kinetics
from deepvelo.datasets.kinetics import Kinetics, advance
from deepvelo.datasets.tissue import Boost
from deepvelo.datasets.tissues import TISSUES

SWITCHING = [kind for kind, tissue in TISSUES.items() if tissue.process == "switches"]


def one_gene(
    *, knots: list[float], alpha: list[float], beta: float, gamma: float, u0: float, s0: float
) -> Kinetics:
    return Kinetics(
        knots=np.array(knots)[None, :, None],
        alpha=np.array(alpha)[None, :, None],
        beta=np.array([[beta]]),
        gamma=np.array([[gamma]]),
        u0=np.array([[u0]]),
        s0=np.array([[s0]]),
    )


def test_rest_does_not_move():
    gene = one_gene(knots=[0, np.inf], alpha=[6, 99], beta=2.0, gamma=0.5, u0=3.0, s0=12.0)
    states = gene.at(np.zeros(3, dtype=int), np.array([0.0, 1.0, 50.0]))
    np.testing.assert_allclose(states.u, 3.0)
    np.testing.assert_allclose(states.s, 12.0)
    np.testing.assert_allclose(states.du, 0.0, atol=1e-12)
    np.testing.assert_allclose(states.ds, 0.0, atol=1e-12)


def test_decay_has_its_half_life():
    # no transcription and nothing unspliced: s halves every ln 2 / gamma
    gene = one_gene(knots=[0], alpha=[0], beta=2.0, gamma=0.5, u0=0.0, s0=8.0)
    states = gene.at(np.zeros(2, dtype=int), np.log(2) / 0.5 * np.array([1.0, 3.0]))
    np.testing.assert_allclose(states.s[:, 0], [4.0, 1.0])


def test_induction_ends_at_the_steady_state():
    gene = one_gene(knots=[0, 1], alpha=[0, 6], beta=2.0, gamma=0.5, u0=0.0, s0=0.0)
    states = gene.at(np.zeros(1, dtype=int), np.array([100.0]))
    assert states.u[0, 0] == pytest.approx(6 / 2.0)
    assert states.s[0, 0] == pytest.approx(6 / 0.5)


@pytest.mark.parametrize(
    ("beta", "gamma"), [(2.0, 0.5), (0.5, 2.0), (1.0, 1.0), (1.0, 1.0 + 1e-9), (40.0, 0.2)]
)
def test_closed_form_agrees_with_a_numerical_solver(beta: float, gamma: float):
    alpha, u0, s0, tau = 3.0, 0.7, 5.0, 1.8
    solved = solve_ivp(
        lambda _, y: [alpha - beta * y[0], beta * y[0] - gamma * y[1]],
        (0, tau), [u0, s0], rtol=1e-10, atol=1e-12, method="LSODA",
    )  # fmt: skip
    u, s = advance(
        *(np.array(x) for x in (u0, s0)),
        alpha=np.array(alpha), beta=np.array(beta), gamma=np.array(gamma), tau=np.array(tau),
    )  # fmt: skip
    np.testing.assert_allclose([u, s], solved.y[:, -1], rtol=1e-7)


def test_transcription_changes_at_its_knot_and_not_before():
    gene = one_gene(knots=[0, 2, 5], alpha=[1, 7, 3], beta=1.0, gamma=0.5, u0=1.0, s0=2.0)
    states = gene.at(np.zeros(4, dtype=int), np.array([1.9, 2.0, 4.9, 5.0]))
    assert states.alpha[:, 0].tolist() == [1, 7, 7, 3]


@pytest.mark.parametrize("kind", SWITCHING)
def test_finite_differences_of_the_path_are_the_velocity(kind):
    tissue, rng = TISSUES[kind], np.random.default_rng(3)
    kinetics, _ = draw_kinetics(tissue, 40, rng=rng)
    step = 1e-5
    for index, lineage in enumerate(tissue.lineages):
        time = np.linspace(lineage.start + 0.01, lineage.end, 57)
        here = np.full(len(time), index)
        before, now, after = (kinetics.at(here, time + shift) for shift in (-step, 0.0, step))
        # where alpha jumps within the step, du/dt has no single value
        smooth = before.alpha == after.alpha
        assert smooth.mean() > 0.99
        scale = now.s.max()
        np.testing.assert_allclose(
            (after.u - before.u)[smooth] / (2 * step), now.du[smooth], atol=1e-5 * scale
        )
        np.testing.assert_allclose(
            (after.s - before.s)[smooth] / (2 * step), now.ds[smooth], atol=1e-5 * scale
        )


def test_a_branch_starts_with_the_rna_of_its_parent():
    tissue = TISSUES["branch_rates"]
    kinetics, differ = draw_kinetics(tissue, 60, rng=np.random.default_rng(0))
    end_of_root = kinetics.at(np.array([0]), np.array([tissue.lineages[1].start]))
    start_of_branches = kinetics.at(np.array([1, 2]), np.full(2, tissue.lineages[1].start))
    for branch in range(2):
        np.testing.assert_allclose(start_of_branches.u[branch], end_of_root.u[0])
        np.testing.assert_allclose(start_of_branches.s[branch], end_of_root.s[0])
    assert differ.sum() == 30


def test_branches_keep_the_total_rna():
    kinetics, _ = draw_kinetics(TISSUES["branch"], 2000, rng=np.random.default_rng(0))
    time = np.linspace(4.0, 11.0, 15)
    for branch in (1, 2):
        total = kinetics.at(np.full(len(time), branch), time).s.sum(axis=1)
        assert total.max() / total.min() < 1.2


def test_a_cycle_comes_back_to_where_it_starts():
    tissue = TISSUES["cycle"]
    kinetics, _ = draw_kinetics(tissue, 200, rng=np.random.default_rng(0))
    start, end = (kinetics.at(np.array([0]), np.array([time])) for time in (0.0, tissue.lineages[0].end))
    np.testing.assert_allclose(end.u, start.u, rtol=1e-9)
    np.testing.assert_allclose(end.s, start.s, rtol=1e-9)
    np.testing.assert_allclose(end.alpha, start.alpha, rtol=1e-12)
    np.testing.assert_allclose(end.ds, start.ds, atol=1e-9 * start.s.max())


@pytest.mark.slow
def test_over_a_period_nothing_is_gained_or_lost():
    tissue = TISSUES["cycle"]
    period = tissue.lineages[0].end
    kinetics, _ = draw_kinetics(tissue, 100, rng=np.random.default_rng(0))
    n_steps = 20_000
    states = kinetics.at(np.zeros(n_steps, dtype=int), (np.arange(n_steps) + 0.5) * period / n_steps)
    size = np.abs(states.ds).mean(axis=0)
    moving = size > 1e-9 * states.s.max()
    assert moving.mean() == pytest.approx(tissue.lineages[0].dynamic, abs=0.15)
    assert (np.abs(states.ds.mean(axis=0)) <= 1e-4 * size + 1e-9).all()
    # so the mean of s is that of alpha / gamma: transcription in, degradation out
    np.testing.assert_allclose(states.s.mean(axis=0), (states.alpha / states.gamma).mean(axis=0), rtol=1e-3)


def test_every_gene_of_a_cycle_is_on_for_its_own_part_of_the_period():
    tissue = TISSUES["cycle"]
    period = tissue.lineages[0].end
    kinetics, _ = draw_kinetics(tissue, 300, rng=np.random.default_rng(0))
    alpha = kinetics.at(np.zeros(4000, dtype=int), np.linspace(0, period, 4000, endpoint=False)).alpha
    on = (alpha > np.sqrt(alpha.min(axis=0) * alpha.max(axis=0)))[:, np.ptp(alpha, axis=0) > 0]
    share = on.mean(axis=0)
    assert 0.19 < share.min() < 0.25
    assert 0.55 < share.max() < 0.61
    begins = on & ~np.roll(on, 1, axis=0)
    assert (begins.sum(axis=0) == 1).all(), "once a period"
    quarter = np.bincount(begins.argmax(axis=0) // 1000, minlength=4) / on.shape[1]
    assert (quarter > 0.15).all(), "phases all round the cycle"


def test_a_boost_raises_alpha_where_and_when_stated_and_nowhere_else():
    tissue, n_genes = TISSUES["boost"], 200
    plain = replace(tissue, lineages=tuple(replace(part, boost=None) for part in tissue.lineages))
    boosted, _ = draw_kinetics(tissue, n_genes, rng=np.random.default_rng(0))
    same, _ = draw_kinetics(plain, n_genes, rng=np.random.default_rng(0))
    assert [part.boost is not None for part in tissue.lineages] == [False, True, False]
    boost = tissue.lineages[1].boost
    assert isinstance(boost, Boost)

    def rise(lineage: int, time: np.ndarray) -> np.ndarray:
        """How much larger alpha is against the start of the root, beside the same tissue without boost."""
        here, root = np.full(len(time), lineage), (np.zeros(1, dtype=int), np.zeros(1))
        begin = boosted.at(*root).alpha / same.at(*root).alpha
        return boosted.at(here, time).alpha / same.at(here, time).alpha / begin

    before, during, after = [4.0, 5.0, boost.time[0]], np.linspace(*boost.time, 101), [boost.time[1], 11.0]
    np.testing.assert_allclose(rise(0, np.array([0.5, 2.0, 4.0])), 1.0)
    np.testing.assert_allclose(rise(2, np.array([*before, *during, *after])), 1.0)
    np.testing.assert_allclose(rise(1, np.array(before)), 1.0)

    fold = rise(1, np.array(after))
    np.testing.assert_allclose(fold[0], fold[1])
    is_boosted = fold[0] > 1.01
    assert is_boosted.sum() == round(boost.share * n_genes)
    np.testing.assert_allclose(fold[0][~is_boosted], 1.0)
    assert boost.fold[0] <= fold[0][is_boosted].min() < boost.fold[0] + 0.5
    assert boost.fold[1] - 0.5 < fold[0][is_boosted].max() <= boost.fold[1]
    # one step, from nothing to all of it, at the gene's own time
    steps = rise(1, during)[:, is_boosted]
    np.testing.assert_allclose(np.where(steps > 1.01, fold[0][is_boosted], 1.0), steps)
    own_time = (steps > 1.01).argmax(axis=0)
    assert np.ptp(own_time) > 80


@pytest.mark.parametrize("kind", SWITCHING)
def test_rates_differ_says_in_which_genes_they_do(kind):
    kinetics, differ = draw_kinetics(TISSUES[kind], 100, rng=np.random.default_rng(1))
    found = (np.ptp(kinetics.beta, axis=0) > 0) | (np.ptp(kinetics.gamma, axis=0) > 0)
    np.testing.assert_array_equal(found, differ)
    assert (kinetics.beta > 0).all()
    assert (kinetics.gamma > 0).all()
