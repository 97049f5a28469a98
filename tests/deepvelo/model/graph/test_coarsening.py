"""Averages over groups of near cells reach as far as those over cells, and mix nothing that these keep apart."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.sparse as sp
import torch
from sklearn.neighbors import kneighbors_graph

from deepvelo.model.graph.averaging import Averaging
from deepvelo.model.graph.coarsening import CoarseAveraging

TIMES = 20


def averaging(positions, *, n_neighbors=15):
    """An average over each cell, its nearest cells and those whose nearest it is."""
    graph = kneighbors_graph(positions, n_neighbors, include_self=True)
    graph = graph.maximum(graph.T).astype(np.float32)
    return sp.csr_matrix(sp.diags(1 / np.asarray(graph.sum(axis=1)).ravel()) @ graph, dtype=np.float32)


@pytest.fixture(scope="module")
def square():
    """Cells all over a square, and the average over those nearby."""
    positions = np.random.default_rng(0).uniform(size=(6000, 2)).astype(np.float32)
    return positions, averaging(positions)


@pytest.fixture(scope="module")
def of_groups(square):
    _, matrix = square
    return CoarseAveraging(matrix, times=TIMES)


def over_cells(matrix, values):
    return Averaging(matrix)(values, times=TIMES)


def test_there_are_fewer_groups_and_fewer_averages(of_groups, square):
    assert of_groups.n_groups < len(square[0]) / 4
    assert 1 <= of_groups.n_averages < TIMES / 2


def test_a_wave_is_averaged_as_over_cells(of_groups, square):
    positions, matrix = square
    wave = torch.from_numpy(np.sin(6 * positions))
    exact = over_cells(matrix, wave)
    difference = (of_groups(wave) - exact).square().mean(0) / exact.var(0)
    assert difference.max() < 0.01


def test_as_much_is_left_of_noise(of_groups, square):
    noise = torch.randn(len(square[0]), 32, generator=torch.Generator().manual_seed(1))
    left, wanted = (
        float(found.square().mean(1).median()) for found in (of_groups(noise), over_cells(square[1], noise))
    )
    assert 0.75 < left / wanted < 1.33


def test_what_is_the_same_everywhere_stays(of_groups, square):
    same = torch.full((len(square[0]), 1), 3.0)
    np.testing.assert_allclose(of_groups(same), 3, rtol=1e-5)


def test_what_is_given_stays_and_the_answer_is_the_same_again(of_groups, square):
    _, matrix = square
    values = torch.rand(matrix.shape[0], 2, generator=torch.Generator().manual_seed(0))
    before = values.clone()
    found = of_groups(values)
    assert values.equal(before)
    assert CoarseAveraging(matrix, times=TIMES)(values).equal(found)


def test_what_the_graph_keeps_apart_is_never_mixed(square):
    positions, matrix = square
    twice = CoarseAveraging(sp.block_diag([matrix, matrix], format="csr", dtype=np.float32), times=TIMES)
    second = torch.zeros(2 * len(positions), 1)
    second[len(positions) :] = 1
    found = twice(second)
    assert found[: len(positions)].abs().max() == 0
    np.testing.assert_allclose(found[len(positions) :], 1, rtol=1e-5)


def test_a_rare_type_that_weakly_touches_another_does_not_become_one_with_it(square):
    positions, matrix = square
    rare = np.random.default_rng(1).uniform(0.4, 0.6, size=(60, 2)).astype(np.float32)
    both = sp.lil_matrix(sp.block_diag([matrix, averaging(rare)], dtype=np.float32))
    for cell in range(0, len(rare), 4):
        other = int(np.square(positions - rare[cell]).sum(axis=1).argmin())
        both[len(positions) + cell, other] = both[other, len(positions) + cell] = 0.01
    both = sp.csr_matrix(both)
    both = sp.csr_matrix(sp.diags(1 / np.asarray(both.sum(axis=1)).ravel()) @ both, dtype=np.float32)
    is_rare = torch.zeros(len(positions) + len(rare), 1)
    is_rare[len(positions) :] = 1
    found = CoarseAveraging(both, times=TIMES)(is_rare)[len(positions) :]
    exact = over_cells(both, is_rare)[len(positions) :]
    assert exact.mean() > 0.9  # twenty averages let a little of the others in
    assert found.mean() > exact.mean() - 0.02


def test_cells_without_neighbours_keep_their_values():
    alone = CoarseAveraging(sp.identity(40, format="csr", dtype=np.float32), times=9)
    values = torch.rand(40, 3, generator=torch.Generator().manual_seed(0))
    assert alone.n_groups == 40
    assert alone(values).equal(values)
