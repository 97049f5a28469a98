"""Where continuity wants cells to go, in closed form on a line of cells."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
import torch

from deepvelo.model.candidates import Candidates
from deepvelo.model.graph import principal_components
from deepvelo.model.targets import ComponentTargets, GeneTargets

# Five cells on a line in the plane of two genes, one apart; unspliced is twice spliced.
PLACE = torch.arange(5.0)
DIRECTION = torch.tensor([0.6, 0.8])
SPLICED = PLACE[:, None] * DIRECTION
NEIGHBORS = torch.tensor([[other for other in range(5) if other != cell] for cell in range(5)])
BLOCK = SimpleNamespace(genes=slice(None), spliced=SPLICED, state=torch.cat([SPLICED, 2 * SPLICED], dim=1))


def settled(targets, velocity):
    targets.clear()
    targets.add(velocity, BLOCK)
    targets.settle()
    return targets.of(BLOCK)


def in_components():
    found = (principal_components(x, n_components=1, seed=0) for x in (SPLICED, 2 * SPLICED))
    return ComponentTargets(Candidates(NEIGHBORS), *found)


def test_in_components_far_candidates_weigh_more():
    ahead, behind = settled(in_components(), DIRECTION.expand(5, 2))
    # Cell 1 has one candidate 1 behind, and others 1, 2, 3 ahead: of a weight of 7, 6 lie ahead.
    assert torch.allclose(ahead[1, :2], (1 + 4 + 9) / (7 / 2) * DIRECTION, atol=1e-5)
    assert torch.allclose(behind[1, :2], -1 / (7 / 2) * DIRECTION, atol=1e-5)
    assert torch.allclose(ahead[:, 2:], 2 * ahead[:, :2], atol=1e-5), "unspliced counts are twice as far"


def test_in_components_the_end_of_a_line_is_not_held_back():
    ahead, behind = settled(in_components(), DIRECTION.expand(5, 2))
    assert torch.allclose(behind[0], torch.zeros(4), atol=1e-5)
    # what the velocity is drawn to, (ahead - behind) / 2, is the mean displacement ahead itself
    assert torch.allclose((ahead - behind)[0, :2] / 2, (1 + 4 + 9 + 16) / 10 * DIRECTION, atol=1e-5)


def test_the_other_direction_swaps_the_sides():
    targets = in_components()
    ahead, behind = settled(targets, DIRECTION.expand(5, 2))
    turned = settled(targets, -DIRECTION.expand(5, 2))
    assert torch.allclose(torch.stack(turned), torch.stack([behind, ahead]), atol=1e-5)


def test_in_genes_all_candidates_of_a_side_weigh_the_same():
    targets = GeneTargets(Candidates(NEIGHBORS), dtype=torch.float32)
    ahead, behind = settled(targets, DIRECTION.expand(5, 2))
    assert torch.allclose(ahead[1, :2], 2 * DIRECTION, atol=1e-5)
    assert torch.allclose(behind[1, :2], -DIRECTION, atol=1e-5)


@pytest.mark.parametrize("kind", ["components", "genes"])
def test_a_cell_at_rest_has_no_sides(kind):
    targets = (
        in_components() if kind == "components" else GeneTargets(Candidates(NEIGHBORS), dtype=torch.float32)
    )
    for side in settled(targets, torch.zeros(5, 2)):
        assert torch.equal(side, torch.zeros(5, 4))
