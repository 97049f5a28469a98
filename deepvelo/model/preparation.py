"""What is computed before the first epoch: components, graph, inputs, targets and the network's start."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import scipy.sparse as sp
import torch
from torch import Tensor

from deepvelo.arrays.on_disk import Cells, Columns
from deepvelo.config import Settings, Variant
from deepvelo.model import loss
from deepvelo.model.assignment.assign import NeighborhoodFit, assign_targets, fit_neighborhood_rates
from deepvelo.model.assignment.candidates import Candidates
from deepvelo.model.assignment.kinetics import steady_state_slope
from deepvelo.model.assignment.neighborhoods import Neighborhoods
from deepvelo.model.assignment.targets import VELOCITY_AVERAGES, ComponentTargets, GeneTargets, Targets
from deepvelo.model.autograd import AutogradObjective
from deepvelo.model.gcn import RateNetwork
from deepvelo.model.graph.averaging import as_tensor
from deepvelo.model.graph.cell_graph import (
    Components,
    nearest_neighbors,
    neighbors_within_reach,
    principal_components,
)
from deepvelo.model.large_data.blocks import BlockedObjective, means
from deepvelo.model.large_data.checkpoint import Checkpoint, CheckpointState
from deepvelo.model.large_data.inputs import in_files, in_memory, input_blocks
from deepvelo.model.large_data.mini_batches import Batch, Batches, averaging_graph, near_order, shares, whole
from deepvelo.model.large_data.parallel import process_group
from deepvelo.model.released import ReleasedNetwork
from deepvelo.plan import SMALLEST_BATCH_SET, Plan

logger = logging.getLogger(__name__)

_LEAST_RATE = 1e-3  # to start from: softplus has no inverse at 0


@dataclass(frozen=True, kw_only=True)
class Problem:
    """What the epochs need; under torchrun every process gets a copy.

    Attributes
    ----------
    inputs
        Of the network, ``(n_cells, 2 n_genes)``.
    batches
        Draws the mini-batches of an epoch; None: every step takes all cells.
    shares
        Each process's cells.
    checkpoint_state
        Where training resumes; None: from the start.
    """

    settings: Settings
    variant: Variant
    plan: Plan
    network: RateNetwork
    inputs: Cells
    objective: BlockedObjective
    batches: Batches | None
    shares: Sequence[Batch]
    checkpoint_state: CheckpointState | None


@dataclass(frozen=True, kw_only=True)
class Prepared:
    """The problem, and what only the main process needs of the cells.

    Attributes
    ----------
    components
        Of the spliced moments.
    neighbors
        Candidates of every cell, nearest first, ``(n_cells, n_candidates)``, int32.
    everything
        All cells in one batch.
    """

    problem: Problem
    components: Components
    neighbors: Tensor
    everything: Batch


def prepare(
    moments: tuple[Columns, Columns],
    device: torch.device,
    *,
    settings: Settings,
    plan: Plan,
    checkpoint: Checkpoint | None,
    folder: Path | None,
) -> Prepared:
    """Prepare a training; parameters and errors not listed here as in `deepvelo.model.training.train`.

    Parameters
    ----------
    moments
        Spliced and unspliced, ``(n_cells, n_genes)`` each.
    folder
        Where inputs and moments are written for the cells of one step at a time; None: they stay in memory.
    """
    (spliced, unspliced), variant, group = moments, settings.variant, process_group()
    components = principal_components(
        spliced, n_components=settings.preparation.n_components, seed=settings.seed
    )
    neighbors = neighbors_within_reach(
        components.scores, n_neighbors=plan.n_candidates, n_among=plan.candidate_cells
    )
    network = _network(spliced, unspliced, settings=settings).to(device)
    nearest = nearest_neighbors(components.scores, n_neighbors=settings.graph.n_neighbors)
    graph = averaging_graph(nearest)
    everything = whole(graph, n_averagings=network.n_averagings).to(device)
    batches = _batches(components, graph, n_averagings=network.n_averagings, settings=settings, plan=plan)
    group.require(device=device, fewest_cells=batches.fewest_cells if batches else plan.n_cells)

    half = plan.input_precision == "half"
    blocks = input_blocks(spliced, unspliced, graph, standardize=variant.standardize_inputs, half=half)
    inputs: Cells
    by_cell: tuple[Cells, Cells] | None = None
    if folder is None:
        inputs = in_memory(blocks, n_columns=2 * spliced.shape[1])
    else:
        order = near_order(components.scores)
        inputs, (s, u) = in_files(blocks, (spliced, unspliced), order=order, folder=folder)
        by_cell = s.to(device), u.to(device)
    inputs, spliced, unspliced = inputs.to(device), spliced.to(device), unspliced.to(device)

    moments = spliced, unspliced
    targets = _targets(neighbors.to(device), components, moments, graph=graph, settings=settings, plan=plan)
    kind = AutogradObjective if loss.AUTOGRAD else BlockedObjective
    objective = kind(
        spliced,
        unspliced,
        targets,
        correlation_weights=settings.correlation_weights,
        variant=variant,
        by_cell=by_cell,
    )
    state = checkpoint.load(spliced, unspliced, settings=settings) if checkpoint else None
    problem = Problem(
        settings=settings,
        variant=variant,
        plan=plan,
        network=network,
        inputs=inputs,
        objective=objective,
        batches=batches,
        shares=[everything]
        if group.size == 1
        else shares(components.scores, graph, n_averagings=network.n_averagings, n_shares=group.size),
        checkpoint_state=state,
    )
    if variant.reassign_every == 0:
        _assign_once(problem, everything, components.scores)
    return Prepared(problem=problem, components=components, neighbors=neighbors, everything=everything)


@torch.no_grad()
def last_hidden(network: RateNetwork, inputs: Cells, batch: Batch) -> Tensor:
    """The last hidden layer of a batch, ``(n_cells, hidden_sizes[-1])``, without gradient."""
    return network.hidden(inputs, batch.graphs, batch.inputs)


def _network(spliced: Columns, unspliced: Columns, *, settings: Settings) -> RateNetwork:
    torch.manual_seed(settings.seed)
    n_genes, variant = spliced.shape[1], settings.variant
    network = (ReleasedNetwork if variant.rate_layer == "graph" else RateNetwork)(n_genes, variant)
    if variant.start == "steady_state":
        beta = torch.ones(n_genes)
        alpha = (beta * means(unspliced)).clamp_min(_LEAST_RATE)
        network.start_from((alpha, beta, steady_state_slope(unspliced, spliced)))
    return network


def _batches(
    components: Components, graph: sp.csr_matrix, *, n_averagings: int, settings: Settings, plan: Plan
) -> Batches | None:
    """Mini-batches, or None where one step takes all cells."""
    if not plan.in_batches:
        return None
    if 0 < (asked := settings.training.batch_cells) < SMALLEST_BATCH_SET:
        logger.warning(
            "`training.batch_cells` is %d; %d is used, the smallest allowed.", asked, SMALLEST_BATCH_SET
        )
    return Batches(
        components.scores,
        graph,
        batch_cells=plan.batch_cells,
        group_cells=plan.group_cells,
        n_averagings=n_averagings,
        seed=settings.seed,
    )


def _targets(
    neighbors: Tensor,
    components: Components,
    moments: tuple[Columns, Columns],
    *,
    graph: sp.csr_matrix,
    settings: Settings,
    plan: Plan,
) -> Targets:
    """What continuity compares velocities with, not assigned yet."""
    (spliced, unspliced), device = moments, neighbors.device
    if settings.variant.continuity == "genes":
        return GeneTargets(Candidates(neighbors.long()), spliced, unspliced)
    of_unspliced = principal_components(
        unspliced, n_components=settings.preparation.n_components, seed=settings.seed
    )
    return ComponentTargets(
        neighbors,
        *(Components(*(x.to(device) for x in part)) for part in (components, of_unspliced)),
        graph=as_tensor(graph).to(device),
        averages=VELOCITY_AVERAGES * plan.n_averages,
    )


def _assign_once(problem: Problem, everything: Batch, positions: Tensor) -> None:
    """Assign targets before training, and let neighbourhood rates explain them and start the network."""
    settings, variant, plan, objective = problem.settings, problem.variant, problem.plan, problem.objective
    state = problem.checkpoint_state
    neighborhoods = Neighborhoods(
        positions,
        n_anchors=plan.anchor_cells,
        n_neighbors=plan.neighborhood_cells,
        n_among=plan.candidate_cells,
        device=problem.inputs.device,
    )
    fit = NeighborhoodFit(objective, neighborhoods)
    if state is None:
        assign_targets(
            objective,
            problem.network,
            last_hidden(problem.network, problem.inputs, everything),
            fit=fit,
            positions=positions,
            refinement_passes=variant.refinement_passes,
            seed=settings.seed,
        )
    else:
        objective.targets.assign_from(state[0]["targets"].to(problem.inputs.device))
    fit_neighborhood_rates(objective, fit)
    rates = objective.explained
    if variant.start == "steady_state" and state is None and rates is not None:
        # Each gene's typical rates: training then finds how cells differ from them.
        beta, gamma = rates.typical.clamp_min(_LEAST_RATE)
        alpha = (beta * means(objective.unspliced)).clamp_min(_LEAST_RATE)
        problem.network.start_from((alpha, beta, gamma))
