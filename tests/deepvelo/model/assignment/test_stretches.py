"""Stretches of known direction, and what the directions of cells that move by known rates explain."""

from __future__ import annotations

import random

import numpy as np
import pytest
import torch
from scipy.optimize import nnls

from deepvelo.model.assignment import stretches as module
from deepvelo.model.assignment.kinetics import spliced_velocity, steady_state_slope
from deepvelo.model.assignment.stretches import SLOPE_FACTOR, Evidence, Layout, Stretches, best_signs

# Two lines of cells, far from each other; in each the cells on both sides of a source in the middle leave it.
N_LINE = 120
PLACE = np.linspace(-1, 1, N_LINE)
LINES = np.concatenate(
    [np.stack([PLACE, np.full(N_LINE, y)], axis=1) for y in (0.0, 10.0)]
) + 0.001 * np.random.default_rng(0).normal(size=(2 * N_LINE, 2))
FROM_THE_MIDDLE = np.stack([np.sign(np.tile(PLACE, 2)), np.zeros(2 * N_LINE)], axis=1)


def same_groups(labels, others):
    """Whether they group the cells alike, whatever the groups are called."""
    return len(set(zip(labels, others, strict=True))) == len(set(labels)) == len(set(others))


def test_a_source_in_the_middle_is_where_stretches_end():
    found = Stretches(Layout(LINES), FROM_THE_MIDDLE, seed=0)
    assert found.n_stretches >= 4
    assert sorted(set(found.labels)) == list(range(found.n_stretches))
    for label in range(found.n_stretches):
        own = found.labels == label
        assert len(np.unique(FROM_THE_MIDDLE[own, 0])) == 1, "all go the same way"
        assert np.ptp(LINES[own, 1]) < 1, "and are on the same line"


def test_stretches_are_beside_each_other_along_a_line_only():
    along = np.tile([1.0, 0.0], (2 * N_LINE, 1))
    found = Stretches(Layout(LINES), along, seed=0)
    neighbors = np.zeros_like(found.beside)
    for line in found.labels[:N_LINE], found.labels[N_LINE:]:
        neighbors[line[:-1], line[1:]] = neighbors[line[1:], line[:-1]] = True
    np.fill_diagonal(neighbors, val=False)
    assert neighbors.any()
    np.testing.assert_array_equal(found.beside, neighbors)


@pytest.mark.parametrize(("n_edges", "joined"), [(3, False), (120, True)])
def test_a_few_edges_do_not_join_what_lies_apart(n_edges, joined, monkeypatch):
    monkeypatch.setattr(module, "_RESOLUTION", 0.3)  # stretches of a third of a line
    layout = Layout(LINES)
    graph = layout.graph.tolil()
    # in the layout's own order the cells of a line lie scattered
    ours, theirs = (np.flatnonzero(layout.order // N_LINE == line) for line in (0, 1))
    for one, other in zip(ours[:n_edges], theirs[:n_edges], strict=True):
        graph[one, other] = 1
    layout.graph = graph.tocoo()
    parts = Stretches(layout, np.tile([1.0, 0.0], (2 * N_LINE, 1)), seed=0).parts
    assert (len(np.unique(parts)) == 1) == joined


def test_permuted_cells_have_the_same_stretches():
    found = Stretches(Layout(LINES), FROM_THE_MIDDLE, seed=0)
    order = np.random.default_rng(1).permutation(len(LINES))
    permuted = Stretches(Layout(LINES[order]), FROM_THE_MIDDLE[order], seed=0)
    np.testing.assert_array_equal(permuted.labels, found.labels[order])
    np.testing.assert_array_equal(permuted.beside, found.beside)


def test_cells_without_displacement_are_one_stretch():
    moved = FROM_THE_MIDDLE.copy()
    moved[:30] = 0
    found = Stretches(Layout(LINES), moved, seed=0)
    still = found.labels[0]
    assert (found.labels[:30] == still).all()
    assert (found.labels[30:] != still).all()
    assert not found.beside[still].any()
    assert Stretches(Layout(LINES), 0 * moved, seed=0).n_stretches == 1


def test_seeded_communities_leave_the_global_random_numbers_alone():
    random.seed(3)
    expected = random.random()
    random.seed(3)
    Stretches(Layout(LINES), FROM_THE_MIDDLE, seed=0)
    assert random.random() == expected


def test_sets_are_single_pairs_triples_and_connected_parts():
    chain_and_one = object.__new__(Stretches)
    chain_and_one.beside = np.zeros((6, 6), dtype=bool)
    for a in range(4):  # 0 - 1 - 2 - 3 - 4, and 5 alone
        chain_and_one.beside[a, a + 1] = chain_and_one.beside[a + 1, a] = True
    found = [tuple(members.tolist()) for members in chain_and_one.sets()]
    assert sorted(found) == sorted(
        [(i,) for i in range(6)]
        + [(0, 1), (1, 2), (2, 3), (3, 4)]
        + [(0, 1, 2), (1, 2, 3), (2, 3, 4)]
        + [(0, 1, 2, 3, 4)]
    )


class Given:
    """Stretches that are known."""

    def __init__(self, labels, beside=None):
        self.labels = np.asarray(labels)
        self.n_stretches = int(self.labels.max()) + 1
        chain = np.abs(np.subtract.outer(np.arange(self.n_stretches), np.arange(self.n_stretches))) == 1
        self.beside = chain if beside is None else beside

    sets = Stretches.sets
    parts = Stretches.parts


def random_evidence(monkeypatch, *, n_cells=30, n_genes=4, wide=8):
    monkeypatch.setattr(module, "WIDE", wide)
    generator = torch.Generator().manual_seed(0)
    positions = torch.rand(n_cells, 2, generator=generator)
    v, u, s = torch.rand(3, n_cells, n_genes, generator=generator)
    v -= 0.4
    slope = torch.tensor([0.5, 1.0, 2.0, 0.8])[:n_genes]
    stretches = Given(np.arange(n_cells) * 5 // n_cells)
    return (
        Evidence(Layout(positions.numpy()), v, u, s, slope=slope, stretches=stretches),
        stretches,
        (positions, v, u, s, slope),
    )


def gene_weights(v):
    """What the squares of every gene count."""
    return v.square().mean(0).sqrt().reciprocal()


def explained_directly(positions, v, u, s, slope, *, of_cells, wide):
    """Of the squared displacements in all neighbourhoods, by an active-set method for each gene and neighbourhood."""
    v, u, s = (x * gene_weights(v).sqrt() for x in (v, u, s))
    left = total = 0.0
    for centre in positions:
        near = (positions - centre).norm(dim=1).argsort()[:wide].numpy()
        for gene, k in enumerate(slope):
            moved = of_cells[near] * v[near, gene].numpy()
            ratios = k / SLOPE_FACTOR, k * SLOPE_FACTOR
            columns = [(u - ratio * s)[near, gene].numpy() for ratio in ratios]
            _, residual = nnls(np.stack(columns, axis=1), moved)
            left, total = left + residual**2, total + (moved**2).sum()
    return 1 - left / total


@pytest.mark.parametrize("signs", [[1, 1, 1, 1, 1], [1, -1, -1, 1, 1], [-1, -1, -1, -1, -1]])
def test_evidence_is_what_least_squares_explain(signs, monkeypatch):
    evidence, stretches, data = random_evidence(monkeypatch)
    of_cells = np.array(signs)[stretches.labels]
    expected = explained_directly(*data, of_cells=of_cells, wide=8)
    assert evidence.of(np.array(signs, dtype=float)) == pytest.approx(expected, abs=1e-3)
    assert 0.02 < expected < 0.95


def test_reversals_are_the_same_as_directions_written_out(monkeypatch):
    evidence, stretches, _ = random_evidence(monkeypatch)
    signs, sets = np.array([1.0, -1.0, 1.0, 1.0, -1.0]), stretches.sets()
    expected = []
    for members in sets:
        reversed_too = signs.copy()
        reversed_too[members] *= -1
        expected.append(evidence.of(reversed_too))
    np.testing.assert_allclose(evidence.after_reversing(sets, signs), expected, rtol=1e-9)
    assert np.ptp(expected) > 0.01


def test_permuted_cells_are_the_same_evidence():
    generator = torch.Generator().manual_seed(0)
    positions = torch.rand(400, 2, generator=generator)
    v, u, s = torch.rand(3, 400, 4, generator=generator)
    order, labels, slope = torch.randperm(400, generator=generator), np.arange(400) // 100, torch.ones(4)
    assert module.MOST_NEIGHBOURHOODS < 400
    signs = np.array([1.0, -1.0, 1.0, 1.0])
    one = Evidence(Layout(positions.numpy()), v - 0.4, u, s, slope=slope, stretches=Given(labels))
    permuted = (x[order] for x in (positions, v - 0.4, u, s))
    places, *layers = permuted
    other = Evidence(Layout(places.numpy()), *layers, slope=slope, stretches=Given(labels[order]))
    assert other.of(signs) == pytest.approx(one.of(signs), rel=1e-9)


def test_shares_are_of_the_squared_displacements(monkeypatch):
    evidence, stretches, (positions, v, *_) = random_evidence(monkeypatch, wide=30)
    # at most half of the cells are in a neighbourhood
    near = [(positions - centre).norm(dim=1).argsort()[:15] for centre in positions]
    counted = torch.bincount(torch.cat(near), minlength=30)
    weight = (counted[:, None] * v.square() * gene_weights(v)).sum(1).numpy()
    expected = np.bincount(stretches.labels, weights=weight) / weight.sum()
    np.testing.assert_allclose(evidence.shares, expected, rtol=1e-5)


def test_only_the_genes_that_move_most_count(monkeypatch):
    every, _, (positions, v, u, s, slope) = random_evidence(monkeypatch)
    monkeypatch.setattr(module, "MOST_GENES", 2)
    most = v.square().sum(0).topk(2).indices
    labels = Given(np.arange(30) * 5 // 30)
    some = Evidence(Layout(positions.numpy()), v, u, s, slope=slope, stretches=labels)
    monkeypatch.setattr(module, "MOST_GENES", 300)
    expected = Evidence(
        Layout(positions.numpy()), v[:, most], u[:, most], s[:, most], slope=slope[most], stretches=labels
    )
    signs = np.ones(5)
    assert some.of(signs) == pytest.approx(expected.of(signs), rel=1e-12)
    assert some.of(signs) != pytest.approx(every.of(signs), rel=1e-3)


def test_a_gene_counts_by_its_size_not_its_square():
    place = torch.linspace(-1, 1, 30)[:, None]
    u, s = 2 + place, 1 + place**2
    moved = u - s
    nothing = torch.zeros_like(u)
    # The rates explain all of the first gene and nothing of the second, which moves 100 times as far.
    both = (torch.cat(x, dim=1) for x in ((moved, 100 * moved), (u, nothing), (s, nothing)))
    evidence = Evidence(
        Layout(place.numpy()), *both, slope=torch.ones(2), stretches=Given(np.zeros(30, dtype=int))
    )
    assert evidence.of(np.ones(1)) == pytest.approx(1 / 101, rel=1e-3)


GENES = torch.Generator().manual_seed(5)
LEVEL = 0.5 + 3 * torch.rand(30, generator=GENES)
GAMMA = 0.3 + 1.5 * torch.rand(30, generator=GENES)
START = LEVEL * torch.tensor([0.0, 2.5, 0.2]).repeat(10)  # induced, repressed, induced from a base level


def relaxing(time, level=LEVEL, start=START):
    """Cells that leave one steady state for another, under beta 1: u, s and ds/dt, ``(n_cells, n_genes)``."""
    time = torch.as_tensor(time, dtype=torch.float32)[:, None]
    decayed, down = torch.exp(-time), torch.exp(-GAMMA * time)
    u = level + (start - level) * decayed
    s = level / GAMMA * (1 - down) + start / GAMMA * down + (start - level) / (GAMMA - 1) * (decayed - down)
    return u, s, spliced_velocity(u, s, beta=torch.ones(()), gamma=GAMMA)


def found_signs(u, s, displacement, *, labels, beside=None, positions=None):
    positions = s if positions is None else positions
    given = Given(labels, beside)
    slope = steady_state_slope(u, s)
    return best_signs(
        Evidence(Layout(positions.numpy()), displacement, u, s, slope=slope, stretches=given), given
    )


def test_unconnected_stretches_share_no_neighbourhood(monkeypatch):
    monkeypatch.setattr(module, "WIDE", 12)
    generator = torch.Generator().manual_seed(1)
    v, u, s = torch.rand(3, 24, 3, generator=generator)
    positions, slope = torch.rand(24, 2, generator=generator), torch.ones(3)
    apart = Given(np.arange(24) % 2, np.zeros((2, 2), dtype=bool))
    both = Evidence(Layout(positions.numpy()), v, u, s, slope=slope, stretches=apart)
    reversed_both = both.of(np.array([1.0, -1.0])) - both.of(np.array([1.0, 1.0]))
    reversed_other = both.of(np.array([-1.0, -1.0])) - both.of(np.array([-1.0, 1.0]))
    assert reversed_both == pytest.approx(reversed_other)  # what one does is nothing to the other


FIFTHS = np.arange(300) * 5 // 300


@pytest.mark.parametrize("wrong", [[], [0], [2], [4], [1, 2], [3, 4], [0, 1, 2], [0, 1, 2, 3, 4], [0, 4]])
def test_what_is_reversed_on_a_line_is_reversed_back(wrong):
    u, s, v = relaxing(np.linspace(0.02, 4, 300))
    signs = np.ones(5)
    signs[wrong] = -1
    start = torch.from_numpy(signs[FIFTHS])[:, None].to(v)
    np.testing.assert_array_equal(found_signs(u, s, start * v, labels=FIFTHS), signs)


@pytest.mark.parametrize("wrong", [[], [1], [0, 1], [3], [0, 1, 2, 3]])
def test_a_true_source_in_the_middle_stays_one(wrong):
    """Cells leave one state both ways: other genes are induced to the left than to the right."""
    time = np.linspace(0.02, 4, 150)
    to_the_right = LEVEL * (torch.arange(30) % 2 + 0.2)
    to_the_left = LEVEL * ((torch.arange(30) + 1) % 2 + 0.2)
    middle = LEVEL * 0.2
    left, right = relaxing(time, to_the_left, middle), relaxing(time, to_the_right, middle)
    u, s, v = (torch.cat([a.flip(0), b]) for a, b in zip(left, right, strict=True))
    signs = np.ones(4)
    signs[wrong] = -1
    quarters = np.arange(300) * 4 // 300
    start = torch.from_numpy(signs[quarters])[:, None].to(v)
    found = found_signs(u, s, start * v, labels=quarters)
    np.testing.assert_array_equal(found, signs)


def cycle():
    """Transcription that goes up and down, each gene at a phase of its own: u, s and ds/dt in closed form."""
    angle = torch.linspace(0, 2 * torch.pi, 301)[:-1, None]
    phase, gamma = torch.linspace(0, 2 * torch.pi, 31)[:-1], GAMMA
    # du/dt = a - u and ds/dt = u - gamma s, a = 1 + cos(t - phase), each answered by an amplitude and a delay
    turned = torch.polar(torch.ones(()), -phase) / (1 + 1j)
    wave = torch.polar(torch.ones(()), angle)
    u = 1 + (turned * wave).real
    s = 1 / gamma + (turned / (gamma + 1j) * wave).real
    return u, s, u - gamma * s


@pytest.mark.parametrize("wrong", [[], [2], [0, 1], [0, 1, 2, 3, 4]])
def test_a_cycle_goes_round_one_way(wrong):
    u, s, v = cycle()
    signs = np.ones(5)
    signs[wrong] = -1
    ring = np.isin(np.abs(np.subtract.outer(np.arange(5), np.arange(5))), [1, 4])
    start = torch.from_numpy(signs[FIFTHS])[:, None].to(v)
    np.testing.assert_array_equal(found_signs(u, s, start * v, labels=FIFTHS, beside=ring), signs)


def test_whole_path_from_displacements_to_directions_on_a_line():
    u, s, v = relaxing(np.linspace(0.02, 4, 300))
    reversed_part = torch.where(torch.arange(300) < 120, -1.0, 1.0)[:, None]
    moved = reversed_part * v
    stretches = Stretches(Layout(s.numpy()), moved.numpy(), seed=0)
    evidence = Evidence(Layout(s.numpy()), moved, u, s, slope=steady_state_slope(u, s), stretches=stretches)
    signs = best_signs(evidence, stretches)[stretches.labels]
    np.testing.assert_array_equal(signs, reversed_part[:, 0].numpy())


def test_without_displacement_nothing_is_reversed():
    u, s, v = relaxing(np.linspace(0.02, 4, 300))
    assert (found_signs(u, s, 0 * v, labels=FIFTHS) == 1).all()


def test_four_cells_of_one_gene():
    generator = torch.Generator().manual_seed(0)
    positions, (u, s, v) = torch.rand(4, 1, generator=generator), torch.rand(3, 4, 1, generator=generator)
    stretches = Stretches(Layout(positions.numpy()), torch.cat([v, v], dim=1).numpy(), seed=0)
    evidence = Evidence(
        Layout(positions.numpy()), v, u, s, slope=steady_state_slope(u, s), stretches=stretches
    )
    signs = best_signs(evidence, stretches)
    assert 0 <= evidence.of(signs) <= 1
    assert evidence.of(signs) >= evidence.of(np.ones(stretches.n_stretches))
    assert set(np.abs(signs)) == {1.0}


def test_genes_without_counts_explain_nothing():
    nothing, v = torch.zeros(300, 3), torch.ones(300, 3)
    assert (found_signs(nothing, nothing, v, labels=FIFTHS, positions=torch.rand(300, 2)) == 1).all()
