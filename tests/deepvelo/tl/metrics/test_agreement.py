"""Agreement of methods: known answers, and genes whose contributions add up."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from deepvelo.tl.metrics.agreement import agreement, common_genes, disagreement


def unit_rows(velocity):
    return velocity / np.linalg.norm(velocity, axis=1, keepdims=True)


@pytest.fixture
def velocity():
    return np.random.default_rng(0).normal(size=(30, 12)).astype(np.float32)


def test_two_equal_runs_agree_everywhere(velocity):
    assert agreement([velocity, velocity]).tolist() == pytest.approx([1] * 30, abs=1e-5)
    assert agreement([velocity, 7 * velocity, velocity]).tolist() == pytest.approx([1] * 30, abs=1e-5)
    assert disagreement([velocity, velocity], cells=np.arange(30)).tolist() == pytest.approx(
        [0] * 12, abs=1e-6
    )


def test_a_run_and_its_sign_flipped_copy_are_opposite_everywhere(velocity):
    assert agreement([velocity, -velocity]).tolist() == pytest.approx([-1] * 30, abs=1e-5)


def test_it_is_the_mean_cosine_over_all_pairs(velocity):
    methods = [velocity, velocity[::-1], velocity[:, ::-1], np.roll(velocity, 3, axis=0)]
    unit = [unit_rows(v) for v in methods]
    pairs = [(a * b).sum(axis=1) for a, b in itertools.combinations(unit, 2)]
    assert agreement(methods).tolist() == pytest.approx(np.mean(pairs, axis=0).tolist(), abs=1e-5)


def test_only_genes_of_all_methods_count():
    a = np.array([[1.0, 5.0, np.nan], [1.0, 5.0, np.nan]])
    b = np.array([[2.0, np.nan, 9.0], [-2.0, np.nan, 9.0]])
    assert common_genes([a, b]).tolist() == [True, False, False]
    assert agreement([a, b]).tolist() == pytest.approx([1, -1])
    assert np.isnan(agreement([a[:, 1:], b[:, 1:]])).all()
    assert np.isnan(disagreement([a[:, 1:], b[:, 1:]], cells=np.array([0, 1]))).all()


def test_a_method_at_rest_in_a_cell_does_not_count_there():
    a = np.array([[1.0, 0.0], [1.0, 0.0]])
    b = np.array([[0.0, 0.0], [1.0, 0.0]])
    assert np.isnan(agreement([a, b])[0])
    assert agreement([a, b])[1] == pytest.approx(1)
    assert agreement([a, b, -a]).tolist() == pytest.approx([-1, -1 / 3])


def test_contributions_add_up_to_what_is_missing_to_agreement(velocity):
    methods = [velocity, velocity[::-1].copy(), velocity[:, ::-1].copy()]
    methods[1][3] = 0
    methods[2][:, 4] = np.nan
    cells = np.array([0, 3, 7, 20])
    found = disagreement(methods, cells=cells)
    assert np.isnan(found[4])
    assert (found[np.arange(12) != 4] >= -1e-7).all()
    assert np.nansum(found) == pytest.approx(1 - agreement(methods)[cells].mean(), abs=1e-5)


def test_the_gene_whose_sign_differs_is_the_one_found():
    a, b = np.ones((2, 3)), np.ones((2, 3))
    b[:, 1] = -1
    found = disagreement([a, b], cells=np.array([True, False]))
    # unit vectors differ by 2 / sqrt(3) in one gene: half the square is 2/3
    assert found.tolist() == pytest.approx([0, 2 / 3, 0], abs=1e-6)
