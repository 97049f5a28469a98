"""Where continuity wants cells to go, in closed form on a line of cells."""

from __future__ import annotations

import pytest
import torch

from deepvelo.model.assignment import targets as module
from deepvelo.model.assignment.candidates import Candidates
from deepvelo.model.assignment.targets import ComponentTargets, GeneTargets
from deepvelo.model.graph.cell_graph import principal_components

# Five cells on a line in the plane of two genes, one apart; unspliced is twice spliced.
PLACE = torch.arange(5.0)
DIRECTION = torch.tensor([0.6, 0.8])
SPLICED = PLACE[:, None] * DIRECTION
NEIGHBORS = torch.tensor([[other for other in range(5) if other != cell] for cell in range(5)])


def assigned(targets, velocity):
    targets.clear()
    targets.add(velocity, slice(None))
    targets.assign()
    return targets.of(slice(None))


def in_components(**averaging):
    found = (principal_components(x, n_components=1, seed=0) for x in (SPLICED, 2 * SPLICED))
    return ComponentTargets(NEIGHBORS, *found, **averaging)


def in_genes():
    return GeneTargets(Candidates(NEIGHBORS), SPLICED, 2 * SPLICED)


def test_in_components_far_candidates_weigh_more():
    found = assigned(in_components(), DIRECTION.expand(5, 2))
    # Cell 1 has one candidate 1 behind, and others 1, 2, 3 ahead: of a weight of 7, 6 lie ahead.
    assert torch.allclose(found.spliced.ahead[1], (1 + 4 + 9) / (7 / 2) * DIRECTION, atol=1e-5)
    assert torch.allclose(found.spliced.behind[1], -1 / (7 / 2) * DIRECTION, atol=1e-5)
    twice = 2 * found.spliced.ahead
    assert torch.allclose(found.unspliced.ahead, twice, atol=1e-5), "unspliced counts are twice as far"


def test_in_components_the_end_of_a_line_is_not_held_back():
    ahead, behind = assigned(in_components(), DIRECTION.expand(5, 2)).spliced
    assert torch.allclose(behind[0], torch.zeros(2), atol=1e-5)
    # what the velocity is drawn to, (ahead - behind) / 2, is the mean displacement ahead itself
    assert torch.allclose((ahead - behind)[0] / 2, (1 + 4 + 9 + 16) / 10 * DIRECTION, atol=1e-5)


def test_the_other_direction_swaps_the_sides():
    targets = in_components()
    ahead, behind = assigned(targets, DIRECTION.expand(5, 2)).spliced
    turned = assigned(targets, -DIRECTION.expand(5, 2)).spliced
    assert torch.allclose(torch.stack(turned), torch.stack([behind, ahead]), atol=1e-5)


def test_in_genes_all_candidates_of_a_side_weigh_the_same():
    found = assigned(in_genes(), DIRECTION.expand(5, 2)).spliced
    assert torch.allclose(found.ahead[1], 2 * DIRECTION, atol=1e-5)
    assert torch.allclose(found.behind[1], -DIRECTION, atol=1e-5)


@pytest.mark.parametrize("make", [in_components, in_genes])
def test_a_cell_at_rest_has_no_sides(make):
    for sides in assigned(make(), torch.zeros(5, 2)):
        for side in sides:
            assert torch.equal(side, torch.zeros(5, 2))


@pytest.mark.parametrize("make", [in_components, in_genes])
def test_some_cells_have_the_targets_they_have_among_all(make):
    targets, chosen = make(), torch.tensor([3, 0])
    everywhere = assigned(targets, DIRECTION.expand(5, 2))
    for sides, of_all in zip(targets.of(slice(None), chosen), everywhere, strict=True):
        for side, all_cells in zip(sides, of_all, strict=True):
            assert torch.allclose(side, all_cells[chosen], atol=1e-6)


@pytest.mark.parametrize("make", [in_components, in_genes])
@pytest.mark.parametrize("cells", [None, torch.tensor([4, 1, 2])])
def test_the_displacement_is_half_of_that_from_past_to_future(make, cells):
    targets = make()
    assigned(targets, DIRECTION.expand(5, 2))
    for genes in (slice(None), slice(1, 2)):
        ahead, behind = targets.of(genes, cells).spliced
        assert torch.allclose(targets.displacement(genes, cells), (ahead - behind) / 2, atol=1e-6)


def test_cells_are_assigned_along_their_displacements_or_against_them():
    targets = in_components()
    before = assigned(targets, DIRECTION.expand(5, 2)).spliced
    against = torch.tensor([[False], [True], [False], [False], [True]])
    targets.assign_along(torch.where(against, -1.0, 1.0))
    ahead, behind = targets.of(slice(None)).spliced
    assert torch.allclose(ahead, torch.where(against, before.behind, before.ahead), atol=1e-5)
    assert torch.allclose(behind, torch.where(against, before.ahead, before.behind), atol=1e-5)


@pytest.mark.parametrize("unspliced", [False, True])
@pytest.mark.parametrize("make", [in_components, in_genes])
@pytest.mark.parametrize("cells", [None, torch.tensor([4, 1, 2])])
def test_misses_are_the_squares_as_written(make, unspliced, cells):
    targets = make()
    ahead, behind = assigned(targets, DIRECTION.expand(5, 2))[unspliced]
    if cells is not None:
        ahead, behind = ahead[cells], behind[cells]
    velocity = torch.rand(len(ahead), 2, generator=torch.Generator().manual_seed(0))
    # gene by gene, as blocks are: the squares add up
    found = [
        targets.residuals(velocity[:, g : g + 1], slice(g, g + 1), cells, unspliced=unspliced) for g in (0, 1)
    ]
    assert sum(f.ahead for f in found).item() == pytest.approx(
        (velocity - ahead).square().sum().item(), rel=1e-5
    )
    assert sum(f.behind for f in found).item() == pytest.approx(
        (velocity + behind).square().sum().item(), rel=1e-5
    )
    residual = torch.cat([f.residual for f in found], dim=1)
    assert torch.allclose(residual, velocity - (ahead - behind) / 2, atol=1e-5)


@pytest.mark.parametrize("make", [in_components, in_genes])
def test_another_middle_moves_both_sides_by_the_difference(make):
    targets = make()
    ahead, behind = assigned(targets, DIRECTION.expand(5, 2)).spliced
    generator = torch.Generator().manual_seed(0)
    velocity, middle = torch.rand(2, 5, 2, generator=generator)
    moved = middle - (ahead - behind) / 2
    found = targets.residuals(velocity, slice(None), None, unspliced=False, middle=middle)
    assert torch.allclose(found.residual, velocity - middle, atol=1e-6)
    assert found.ahead.item() == pytest.approx((velocity - ahead - moved).square().sum().item(), rel=1e-5)
    assert found.behind.item() == pytest.approx((velocity + behind - moved).square().sum().item(), rel=1e-5)


@pytest.mark.parametrize(
    ("n_near", "expected"),
    [
        # The first two candidates of cell 0 lie 1 and 2 ahead, of cell 1 one behind and one ahead; and so on.
        (2, [(1 + 4) / 3, (1 + 1) / 2, (4 + 1) / 3, (9 + 4) / 5, (16 + 9) / 7]),
        (30, [30 / 10, 15 / 7, 10 / 6, 15 / 7, 30 / 10]),
    ],
)
def test_near_displacements_are_means_weighed_by_how_far_along_candidates_lie(n_near, expected, monkeypatch):
    monkeypatch.setattr(module, "NEAR_CANDIDATES", n_near)
    targets = in_components()
    assigned(targets, DIRECTION.expand(5, 2))
    by_hand = torch.tensor(expected)[:, None] * DIRECTION
    assert torch.allclose(targets.near_displacement(None)(SPLICED), by_hand, atol=1e-5)
    some = torch.tensor([4, 0])
    assert torch.allclose(targets.near_displacement(some)(SPLICED), by_hand[some], atol=1e-5)
    # of any values of the cells, such as one gene of a block
    assert torch.allclose(
        targets.near_displacement(some)(3 * SPLICED[:, :1]), 3 * by_hand[some, :1], atol=1e-5
    )


def test_near_displacements_follow_the_velocity():
    targets = in_components()
    assigned(targets, DIRECTION.expand(5, 2))
    forward = targets.near_displacement(None)(SPLICED)
    assigned(targets, -DIRECTION.expand(5, 2))
    assert torch.allclose(targets.near_displacement(None)(SPLICED), -forward, atol=1e-5)
    assigned(targets, torch.zeros(5, 2))
    assert not targets.near_displacement(None)(SPLICED).any()


# Each cell counts as much as the next one, in a ring.
RING = (0.5 * (torch.eye(5) + torch.eye(5).roll(1, 1))).to_sparse_csr()


@pytest.mark.parametrize("averages", [0, 1, 2])
def test_velocities_are_averaged_before_candidates_are_weighed(averages):
    lengths = torch.tensor([-4.0, 1.0, 1.5, -1.0, 0.5])
    targets = in_components(graph=RING, averages=averages)
    averaged = lengths
    for _ in range(averages):
        averaged = (averaged + averaged.roll(-1)) / 2
    ahead, behind = assigned(targets, lengths[:, None] * DIRECTION).spliced
    along = ((ahead - behind) @ DIRECTION).sign()
    assert torch.equal(along, averaged.sign())
    assert averages == 0 or not torch.equal(along, lengths.sign())


def test_what_is_kept_to_assign_again_is_from_before_the_averages():
    targets = in_components(graph=RING, averages=2)
    found = assigned(targets, torch.tensor([[-4.0], [1], [1.5], [-1], [0.5]]) * DIRECTION)
    again = in_components(graph=RING, averages=2)
    again.assign_from(targets.sums.clone())
    for sides, others in zip(found, again.of(slice(None)), strict=True):
        for side, other in zip(sides, others, strict=True):
            assert torch.equal(side, other)
    assert torch.equal(again.near_displacement(None)(SPLICED), targets.near_displacement(None)(SPLICED))
