"""Sparse candidate arithmetic against the literal triple loop."""

from __future__ import annotations

import torch

from deepvelo.model.assignment.candidates import TINY, Candidates
from deepvelo.model.graph.averaging import average

GENERATOR = torch.Generator().manual_seed(3)
SPLICED = torch.rand(9, 4, generator=GENERATOR)
VELOCITY = torch.randn(9, 4, generator=GENERATOR)
NEIGHBORS = torch.tensor([[(cell + step) % 9 for step in (1, 2, 4, 7)] for cell in range(9)])


def products_of(candidates, velocity, spliced):
    return candidates.products(velocity, spliced, add_to=candidates.no_products(spliced.dtype))


def sides_of(spliced, velocity, neighbors):
    candidates = Candidates(neighbors)
    return candidates, candidates.sides(products_of(candidates, velocity, spliced))


def test_sides_are_the_sign_of_the_cosine():
    _, sides = sides_of(SPLICED, VELOCITY, NEIGHBORS)
    difference = SPLICED[NEIGHBORS] - SPLICED[:, None]
    cosine = torch.nn.functional.cosine_similarity(difference, VELOCITY[:, None], dim=2)
    assert torch.equal(sides.future, cosine > 0)
    assert torch.equal(sides.past, cosine < 0)


def test_products_of_blocks_add_up():
    candidates = Candidates(NEIGHBORS)
    first = products_of(candidates, VELOCITY[:, :1], SPLICED[:, :1])
    both = candidates.products(VELOCITY[:, 1:], SPLICED[:, 1:], add_to=first)
    whole = products_of(candidates, VELOCITY, SPLICED)
    assert torch.allclose(both.values(), whole.values(), atol=1e-6)


def test_means_equal_the_literal_triple_loop():
    candidates, sides = sides_of(SPLICED, VELOCITY, NEIGHBORS)
    for chosen in sides:
        expected = torch.zeros_like(SPLICED)
        for cell in range(9):
            for gene in range(4):
                total, count = 0.0, 0
                for place, other in enumerate(NEIGHBORS[cell]):
                    if chosen[cell, place]:
                        total += float(SPLICED[other, gene] - SPLICED[cell, gene])
                        count += 1
                expected[cell, gene] = total / (count + TINY)
        assert torch.allclose(average(candidates.averaging(chosen), SPLICED), expected, atol=1e-6)


def test_an_empty_set_gives_zero():
    candidates = Candidates(NEIGHBORS)
    nobody = torch.zeros_like(NEIGHBORS, dtype=torch.bool)
    assert torch.equal(average(candidates.averaging(nobody), SPLICED), torch.zeros_like(SPLICED))


def test_a_duplicate_is_on_neither_side():
    torch.manual_seed(0)
    spliced = 1000 * torch.rand(40, 333)  # long sums, so that any difference in their order would show
    spliced[7] = spliced[3]
    neighbors = torch.tensor([[(cell + step) % 40 for step in (1, 4, 36)] for cell in range(40)])
    _, sides = sides_of(spliced, torch.randn(40, 333), neighbors)
    assert not sides.future[3, 1]
    assert not sides.past[3, 1]
    assert not sides.future[7, 2]
    assert not sides.past[7, 2]


def test_rows_of_a_matrix_are_those_of_the_whole():
    candidates, sides = sides_of(SPLICED, VELOCITY, NEIGHBORS)
    averaging, chosen = candidates.averaging(sides.future), torch.tensor([7, 0, 3])
    assert torch.allclose(
        average(candidates.rows(averaging, chosen), SPLICED), average(averaging, SPLICED)[chosen], atol=1e-6
    )
