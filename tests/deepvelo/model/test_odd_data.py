"""Graphs and batches at the edge of what there can be: trained all the same, or refused in a sentence."""

from __future__ import annotations

import logging
import math

import pytest
import torch

from deepvelo import config, plan
from deepvelo.errors import InputError
from deepvelo.model.graph.cell_graph import nearest_neighbors
from deepvelo.model.large_data.mini_batches import Batches, averaging_graph
from deepvelo.model.training import Fit, train

N_GENES = 6


def moving_cells(n_cells: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Cells along an induction, each gene at a speed of its own: u and s grow throughout (eq. 1)."""
    time = torch.linspace(0.05, 3, n_cells)[:, None]
    alpha, gamma = torch.linspace(1, 5, N_GENES), torch.linspace(0.3, 0.8, N_GENES)
    decayed, down = torch.exp(-time), torch.exp(-gamma * time)
    return alpha / gamma * (1 - down) + alpha / (gamma - 1) * (down - decayed), alpha * (1 - decayed)


def settings(*, batch_cells: int = 0, n_epochs: int = 20, **graph: float) -> config.Settings:
    few = {"n_neighbors": 4, "n_candidates": 6} | graph
    training = {"n_epochs": n_epochs, "device": "cpu", "batch_cells": batch_cells}
    changes = {"preparation": {"n_components": 3}, "graph": few, "training": training}
    return config.replace(config.Settings(), changes)


def fitted(cells: tuple[torch.Tensor, torch.Tensor], wanted: config.Settings) -> Fit:
    """A fit with finite rates, twice the same."""
    first, again = (train(*cells, settings=wanted) for _ in range(2))
    for rate, repeated in zip(first.rates(), again.rates(), strict=True):
        assert torch.isfinite(rate).all()
        assert torch.equal(rate, repeated)
    assert first.history == again.history
    return first


def rising(fit: Fit, cells: tuple[torch.Tensor, torch.Tensor]) -> torch.Tensor:
    """Whether spliced RNA is said to rise, ``(n_cells, n_genes)``."""
    spliced, unspliced = cells
    rates = fit.rates()
    return (rates.beta * unspliced - rates.gamma * spliced > 0).float()


def test_one_cell_a_batch_becomes_as_few_as_there_may_be_and_is_said(caplog):
    cells = moving_cells(120)
    with caplog.at_level(logging.WARNING, "deepvelo.model.training"):
        fit = fitted(cells, settings(batch_cells=1))
    assert "`training.batch_cells` is 1; 32 is used" in caplog.text
    of_32 = train(*cells, settings=settings(batch_cells=32))
    assert torch.equal(fit.rates().beta, of_32.rates().beta)


def test_a_batch_of_all_cells_is_no_reason_to_speak(caplog):
    with caplog.at_level(logging.WARNING, "deepvelo.model.training"):
        train(*moving_cells(20), settings=settings(batch_cells=1, n_epochs=1))
    assert caplog.text == ""


def test_two_tissues_that_have_nothing_to_do_with_each_other():
    """Half of the genes are expressed in one alone, half in the other: no edge joins them, and both move forward."""
    first = torch.tensor([1.0, 1.0, 1.0, 0.0, 0.0, 0.0])
    part = [values[13:] for values in moving_cells(93)]  # at their very begin they would be alike
    both = tuple(torch.cat([values * first, values * (1 - first)]) for values in part)
    fit = fitted(both, settings(n_epochs=60, n_neighbors=6))
    own = torch.arange(160) < 80
    neighbors = nearest_neighbors(fit.components.scores, n_neighbors=6)
    assert (own[neighbors] == own[:, None]).all()
    forward = rising(fit, both)
    assert forward[:50, :3].mean() > 0.8
    assert forward[80:130, 3:].mean() > 0.8


@pytest.mark.parametrize("batch_cells", [0, 32])
def test_many_cells_alike_in_everything(batch_cells):
    cells = tuple(torch.cat([part, part[-1:].expand(60, -1)]) for part in moving_cells(60))
    fit = fitted(cells, settings(batch_cells=batch_cells))
    assert torch.isfinite(torch.tensor([terms["total"] for terms in fit.history])).all()


@pytest.mark.parametrize(
    ("n_cells", "sizes"),
    [(40, [1.0]), (8, [1.0] * 5), (40, [1e6, *[1.0] * 5])],
    ids=["gene", "cells", "variance"],
)
def test_one_gene_eight_cells_and_a_gene_that_carries_all_variance(n_cells, sizes):
    generator = torch.Generator().manual_seed(0)
    spliced, unspliced = torch.rand(2, n_cells, len(sizes), generator=generator) * torch.tensor(sizes)
    fit = fitted((spliced, unspliced), settings(n_epochs=5))
    assert all(math.isfinite(terms["total"]) for terms in fit.history)


def test_no_velocity_is_made_of_cells_that_do_not_differ():
    still = torch.ones(40, N_GENES)
    rates = fitted((still, still), settings(n_epochs=5)).rates()
    assert not (rates.beta * still - rates.gamma * still).any()


def test_cells_alike_do_not_all_go_into_one_batch():
    positions = torch.cat([torch.randn(200, 2), torch.zeros(600, 2)])
    graph = averaging_graph(nearest_neighbors(positions, n_neighbors=4))
    batches = Batches(positions, graph, batch_cells=100, group_cells=16, n_averagings=1, seed=0)
    sizes = [len(batch.cells) for batch in batches.shuffled()]
    assert sum(sizes) == 800
    assert max(sizes) <= 100 + 2 * plan.SMALLEST_GROUP


@pytest.mark.parametrize("n_cells", [101, 115, 130])
def test_the_last_batch_is_as_large_as_the_others(n_cells):
    positions = torch.randn(n_cells, 2)
    graph = averaging_graph(nearest_neighbors(positions, n_neighbors=4))
    batches = Batches(positions, graph, batch_cells=50, group_cells=16, n_averagings=1, seed=0)
    sizes = [len(batch.cells) for batch in batches.shuffled()]
    assert sum(sizes) == n_cells
    assert max(sizes) - min(sizes) <= 2 * plan.SMALLEST_GROUP


@pytest.mark.parametrize("graph", [{"n_neighbors": 12}, {"n_candidates": 12}])
def test_as_many_neighbours_as_cells_are_refused_and_one_more_cell_is_enough(graph):
    with pytest.raises(InputError, match=r"must be below the number of cells\. Got 12 for 12 cells\. Lower"):
        train(*moving_cells(12), settings=settings(**graph))
    fitted(moving_cells(13), settings(n_epochs=3, **graph))


def test_one_cell_more_than_are_taken_at_once():
    largest = plan.LARGEST_WHOLE
    cells = moving_cells(largest + 1)
    fit = train(*cells, settings=settings(n_epochs=8))
    assert len(fit.history) == 8
    assert all(torch.isfinite(rate).all() for rate in fit.rates())


def test_candidates_of_one_cell_more_than_they_are_chosen_among():
    among = 1500
    cells = moving_cells(among + 1)
    with config.ablation(candidate_cells=among):
        fit = train(*cells, settings=settings(n_epochs=2))
    found = set(fit.neighbors.flatten().tolist())
    assert 1400 < len(found) <= among
    assert (fit.neighbors != torch.arange(among + 1)[:, None]).all()


def test_one_cell_more_than_anchors(monkeypatch):
    monkeypatch.setattr(plan, "MOST_ANCHORS", 79)
    cells = moving_cells(80)
    assert rising(fitted(cells, settings(n_epochs=60)), cells)[:50].mean() > 0.9
