"""The training: from moments to a network that has learned, in all cells at once or in batches."""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import closing, nullcontext
from dataclasses import dataclass, replace
from functools import partial
from itertools import chain
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

import scipy.sparse as sp
import torch
from torch import Tensor

from deepvelo.arrays.on_disk import (
    Cells,
    CellsOnDisk,
    Columns,
    ColumnsOnDisk,
    ColumnWriter,
    read_ahead,
    written_by_cell,
)
from deepvelo.config import Settings, Variant
from deepvelo.errors import InputError
from deepvelo.model.assignment.assign import assign_targets, fit_neighborhood_rates
from deepvelo.model.assignment.candidates import Candidates
from deepvelo.model.assignment.kinetics import steady_state_slope
from deepvelo.model.assignment.neighborhoods import Neighborhoods
from deepvelo.model.assignment.targets import VELOCITY_AVERAGES, ComponentTargets, GeneTargets, Targets
from deepvelo.model.device import on_device, rounded_products
from deepvelo.model.gcn import RateNetwork, Rates
from deepvelo.model.graph.averaging import Averaging, as_tensor
from deepvelo.model.graph.cell_graph import (
    Components,
    nearest_neighbors,
    neighbors_within_reach,
    principal_components,
)
from deepvelo.model.large_data.blocks import BlockedObjective, blocks_of_genes, means
from deepvelo.model.large_data.checkpoint import Checkpoint, CheckpointState, TrainState
from deepvelo.model.large_data.mini_batches import Batch, Batches, averaging_graph, near_order, shares, whole
from deepvelo.model.large_data.objective import direction_weight
from deepvelo.model.large_data.parallel import process_group
from deepvelo.model.loss import Terms
from deepvelo.model.released import ReleasedNetwork

logger = logging.getLogger(__name__)

# Of the learning rate: a batch's gradient is noisier than that of all cells, and full steps lose accuracy.
BATCH_RATE = 0.7
_LEAST_RATE = 1e-3  # to start from: softplus has no inverse at 0
_NOT_ALWAYS_KNOWN = ("pearson_u", "pearson_s", "direction")


class EpochTerms(NamedTuple):
    """The terms of one epoch, `deepvelo.model.loss.Terms`, means over its steps.

    In batches correlations are those of the first step alone once they have no weight.
    """

    epoch: int
    continuity_future: float
    continuity_past: float
    pearson_u: float
    pearson_s: float
    direction: float
    total: float


OnEpoch = Callable[[EpochTerms], None]


@dataclass(frozen=True, kw_only=True)
class Fit:
    """A trained network, on the CPU and no longer learning, and its last hidden layer ``(n_cells, hidden_sizes[-1])``.

    ``components`` are those of the spliced moments it was given, ``neighbors`` the candidates, nearest first,
    ``(n_cells, n_candidates)``.
    """

    network: RateNetwork
    hidden: Tensor
    components: Components
    neighbors: Tensor
    history: list[EpochTerms]
    weights: dict[str, Tensor]

    def rates(self, genes: slice = slice(None)) -> Rates:
        """Rates of all cells for a block of genes: all genes at once may not fit into memory."""
        with torch.inference_mode():
            return self.network.rates(self.hidden, genes)


def train(
    spliced: Columns,
    unspliced: Columns,
    *,
    settings: Settings,
    on_epoch: OnEpoch | None = None,
    checkpoint: Checkpoint | None = None,
) -> Fit:
    """Fit cell-specific rates.

    Within `deepvelo.model.large_data.parallel.run_main`, all processes of the group take part in the epochs.

    Parameters
    ----------
    spliced, unspliced
        Moments, smoothed as wanted, shape ``(n_cells, n_genes)``, float32. Where they lie on disk, what
        the training asks of them cell by cell is written beside them, and is gone at its end.
    on_epoch
        Called after every epoch with its terms. Whatever it raises stops the training and is passed on:
        a caller cancels by raising `CancelledError`.
    checkpoint
        File with the state of the training; if it exists and is of this fit, training resumes from it.

    Raises
    ------
    InputError
        More neighbours than cells, no such device or too little memory on it, more processes than can take part, or a loss
        that is not finite.
    OSError
        Moments lie on disk, and there is no room beside them.
    """
    beside = (
        TemporaryDirectory(dir=spliced.path.parent) if isinstance(spliced, ColumnsOnDisk) else nullcontext()
    )
    with beside as folder:
        fit_on = partial(
            _train,
            spliced,
            unspliced,
            settings=settings,
            on_epoch=on_epoch,
            checkpoint=checkpoint,
            folder=Path(folder) if folder else None,
        )
        return on_device(fit_on, asked=settings.training.device)


def _train(
    spliced: Columns,
    unspliced: Columns,
    device: torch.device,
    *,
    settings: Settings,
    on_epoch: OnEpoch | None,
    checkpoint: Checkpoint | None,
    folder: Path | None,
) -> Fit:
    n_cells = len(spliced)
    variant = settings.variant
    components = principal_components(
        spliced, n_components=settings.preparation.n_components, seed=settings.seed
    )
    n_neighbors, n_candidates = settings.graph.n_neighbors, settings.graph.candidates_of(n_cells)
    n_among = variant.candidate_cells
    neighbors = neighbors_within_reach(components.scores, n_neighbors=n_candidates, n_among=n_among)
    network = _network(spliced, unspliced, settings=settings).to(device)
    nearest = nearest_neighbors(components.scores, n_neighbors=n_neighbors)
    graph = averaging_graph(nearest)
    everything = whole(graph, n_averagings=network.n_averagings).to(device)
    batch_cells = settings.training.batch_of(n_cells)
    in_batches = batch_cells < n_cells
    if in_batches and 0 < settings.training.batch_cells < batch_cells:
        asked = settings.training.batch_cells
        logger.warning(
            "`training.batch_cells` is %d; steps take %d cells, as few as there may be.", asked, batch_cells
        )
    batches = None
    if in_batches:
        batches = Batches(
            components.scores,
            graph,
            batch_cells=batch_cells,
            n_averagings=network.n_averagings,
            seed=settings.seed,
        )
    group = process_group()
    group.require(device=device, fewest_cells=batches.fewest_cells if batches else n_cells)
    # Counts that are not standardised may be more than half precision holds.
    half = in_batches and variant.standardize_inputs
    blocks = _input_blocks(spliced, unspliced, graph, settings=settings, half=half)
    inputs: Cells
    by_cell: tuple[Cells, Cells] | None = None
    if folder is None:
        inputs = _side_by_side(blocks, n_columns=2 * spliced.shape[1])
    else:
        order = near_order(components.scores)
        inputs, s, u = _by_cell(blocks, spliced, unspliced, order=order, folder=folder)
        by_cell = s.to(device), u.to(device)
    inputs, spliced, unspliced = inputs.to(device), spliced.to(device), unspliced.to(device)
    targets = _targets(
        neighbors.to(device),
        components,
        spliced,
        unspliced,
        graph=as_tensor(graph).to(device),
        settings=settings,
    )
    objective = BlockedObjective(
        spliced,
        unspliced,
        targets,
        correlation_weights=settings.correlation_weights,
        variant=variant,
        by_cell=by_cell,
    )
    checkpoint_state = checkpoint.load(spliced, unspliced, settings=settings) if checkpoint else None
    if variant.reassign_every == 0:
        neighborhoods = Neighborhoods(
            components.scores,
            n_neighbors=settings.graph.neighborhood_of(n_cells),
            n_among=n_among,
            device=device,
        )
        if checkpoint_state is None:
            assign_targets(
                objective,
                network,
                _hidden(network, inputs, everything),
                neighborhoods=neighborhoods,
                positions=components.scores,
                refinement_passes=variant.refinement_passes,
                seed=settings.seed,
            )
        else:
            targets.assign_from(checkpoint_state[0]["targets"].to(device))
        fit_neighborhood_rates(objective, neighborhoods)
        if variant.start == "steady_state" and checkpoint_state is None:
            _start_from_neighborhoods(network, objective)
    of_each = [everything]
    if group.size > 1:
        of_each = shares(components.scores, graph, n_averagings=network.n_averagings, n_shares=group.size)
    learn = partial(
        _learn,
        network,
        inputs,
        of_each,
        objective,
        batches,
        settings=settings,
        variant=variant,
        checkpoint_state=checkpoint_state,
    )
    with group.run_on_others(learn):
        history = learn(on_epoch=on_epoch, checkpoint=checkpoint)
    network.eval()
    hidden = _hidden(network, inputs, everything).cpu()
    weights = {name: value.detach().cpu().contiguous() for name, value in network.state_dict().items()}
    return Fit(
        network=network.cpu(),
        hidden=hidden,
        components=components,
        neighbors=neighbors,
        history=history,
        weights=weights,
    )


@rounded_products()
def _learn(
    network: RateNetwork,
    inputs: Cells,
    of_each: Sequence[Batch],
    objective: BlockedObjective,
    batches: Batches | None,
    *,
    settings: Settings,
    variant: Variant,
    checkpoint_state: CheckpointState | None = None,
    on_epoch: OnEpoch | None = None,
    checkpoint: Checkpoint | None = None,
) -> list[EpochTerms]:
    """All epochs, each a pass over the cells: in one step, or in one a batch; ``of_each`` are each process's cells."""
    group = process_group()
    share = of_each[group.rank].to(inputs.device)
    n_batches = len(batches) if batches else 1
    n_epochs = settings.training.epochs_of(objective.n_cells)
    n_steps = n_epochs * n_batches
    rate = settings.training.learning_rate * (BATCH_RATE if batches else 1)
    optimizer = torch.optim.Adam(network.parameters(), lr=rate, amsgrad=True)
    # As slow at the end as it would be after that many epochs of one step.
    decay = variant.learning_rate_decay ** (settings.training.n_epochs / n_steps)
    schedule = torch.optim.lr_scheduler.ExponentialLR(optimizer, gamma=decay)
    history: list[EpochTerms] = []
    state = TrainState(
        network=network, targets=objective.targets, optimizer=optimizer, schedule=schedule, batches=batches
    )
    if checkpoint_state is not None:
        state.restore(checkpoint_state)
        history += [EpochTerms(*terms) for terms in checkpoint_state[1]["history"]]
        if checkpoint is not None:
            checkpoint.report_resume(epoch=len(history), n_epochs=n_epochs)
    if not group.is_main:
        # With dropout each drops values of its own, and others than in the epochs before.
        torch.manual_seed(settings.seed + group.rank + group.size * len(history))
    direction = 0.0
    network.train()
    for epoch in range(len(history) + 1, n_epochs + 1):
        found = []
        reassigns = variant.reassign_every > 0 and (epoch - 1) % variant.reassign_every == 0
        if reassigns and batches:
            hidden = _hidden(network, inputs, share)
            direction = objective.reassign_targets(network, hidden, cells=share.cells, group=group)
        drawn = batches.shuffled(group) if batches else [share]
        with closing(read_ahead(_read(drawn, inputs, objective), device=inputs.device)) as steps:
            for step, (batch, some_inputs, moments) in enumerate(steps):
                optimizer.zero_grad(set_to_none=True)
                hidden = network.hidden(some_inputs, batch.graphs, batch.inputs)
                if reassigns and not batches:
                    direction = objective.reassign_targets(
                        network, hidden.detach(), cells=batch.cells, group=group
                    )
                weight = direction_weight(
                    direction,
                    n_columns=objective.n_columns,
                    share_done=((epoch - 1) * n_batches + step) / n_steps,
                    variant=variant,
                )
                terms = objective.backward(
                    network,
                    hidden,
                    weight=weight,
                    cells=batch.cells,
                    moments=moments,
                    with_pearson=step
                    == 0,  # of the others only where it counts: it takes as long as the rest
                    group=group,
                )
                del hidden  # it holds its inputs
                group.all_reduce(*(x.grad for x in network.parameters() if x.grad is not None))
                _check_finite(terms, epoch=epoch, known=step == 0 or weight > 0)
                optimizer.step()
                schedule.step()
                found.append(terms)
        means = EpochTerms(epoch, *(_mean(values) for values in zip(*found, strict=True)))
        history.append(means)
        with group.stop_all_with_main():
            if on_epoch is not None:
                on_epoch(means)
        if checkpoint is not None:
            checkpoint.save(state, history)
    return history


class _Step(NamedTuple):
    """A batch, the inputs its rows are of, and its moments; None: to be taken from all."""

    batch: Batch
    inputs: Cells
    moments: tuple[Columns, Columns] | None


def _read(batches: Iterable[Batch], inputs: Cells, objective: BlockedObjective) -> Iterator[_Step]:
    """Batches, with what lies on disk of them.

    They are few enough cells for that: inputs are asked for twice, and near ones are read together.
    """
    for batch in batches:
        batch = batch.to(inputs.device)
        if isinstance(inputs, Tensor) or batch.inputs is None:
            yield _Step(batch, inputs, None)
        else:
            of_batch = inputs.index_select(0, batch.inputs)
            yield _Step(replace(batch, inputs=None), of_batch, objective.of(batch.cells))


def _mean(values: tuple[float, ...]) -> float:
    """Mean over steps, ignoring NaN."""
    known = [value for value in values if not math.isnan(value)]
    return sum(known) / len(known) if known else math.nan


@torch.no_grad()
def _hidden(network: RateNetwork, inputs: Cells, batch: Batch) -> Tensor:
    """The last hidden layer of a batch, or of all cells."""
    return network.hidden(inputs, batch.graphs, batch.inputs)


def _targets(
    neighbors: Tensor,
    components: Components,
    spliced: Columns,
    unspliced: Columns,
    *,
    graph: Tensor,
    settings: Settings,
) -> Targets:
    if settings.variant.continuity == "genes":
        return GeneTargets(Candidates(neighbors.long()), spliced, unspliced)
    of_unspliced = principal_components(
        unspliced, n_components=settings.preparation.n_components, seed=settings.seed
    )
    return ComponentTargets(
        neighbors,
        *(Components(*(x.to(spliced.device) for x in part)) for part in (components, of_unspliced)),
        graph=graph,
        averages=VELOCITY_AVERAGES * settings.graph.averages_of(len(neighbors)),
    )


def _input_blocks(
    spliced: Columns, unspliced: Columns, graph: sp.csr_matrix, *, settings: Settings, half: bool
) -> Iterator[Tensor]:
    """What the network sees, [u, s] averaged once over the graph, ``(n_cells, 2 n_genes)``, some columns at a time.

    In half precision where there are many cells, since it is the largest array of the training: a rounding of one in
    two thousand is far below what the counts know.
    """
    average = Averaging(graph)
    # The release's order; the network is indifferent to it, its random start is not.
    for values in (unspliced, spliced):
        for features in _blocks(values):
            if settings.variant.standardize_inputs:
                # A gene that is the same in every cell becomes 0 and tells the network nothing.
                deviation = features.std(0, correction=0).clamp_min(1e-6)
                features = (features - features.mean(0)) / deviation
            averaged = average(features)
            yield averaged.half() if half else averaged


def _blocks(values: Columns) -> Iterator[Tensor]:
    """All cells, some genes at a time."""
    for genes in blocks_of_genes(*values.shape):
        yield values[:, genes]


def _by_cell(
    inputs: Iterable[Tensor], spliced: Columns, unspliced: Columns, *, order: Tensor, folder: Path
) -> list[CellsOnDisk]:
    """Inputs, which come in blocks of columns, and moments, which are on disk, in files of cells in this order."""
    columns = folder / "columns"
    with ColumnWriter(columns) as file:
        for block in inputs:
            file.add(block)
    by_cell = [written_by_cell(file.values(), folder / "inputs", order=order)]
    columns.unlink()
    for name, moments in (("spliced", spliced), ("unspliced", unspliced)):
        assert isinstance(moments, ColumnsOnDisk)
        by_cell.append(written_by_cell(moments, folder / name, order=order))
    return by_cell


def _side_by_side(blocks: Iterator[Tensor], *, n_columns: int) -> Tensor:
    """So many columns that come in blocks; put in their place one by one, since twice all of them may not fit."""
    first = next(blocks)
    out = first.new_empty(len(first), n_columns)
    start = 0
    for block in chain([first], blocks):
        out[:, start : start + block.shape[1]] = block
        start += block.shape[1]
    return out


def _network(spliced: Columns, unspliced: Columns, *, settings: Settings) -> RateNetwork:
    """The network, ready to train."""
    torch.manual_seed(settings.seed)
    network = _new_network(spliced.shape[1], settings)
    if settings.variant.start == "steady_state":
        beta = torch.ones(spliced.shape[1])
        alpha = (beta * means(unspliced)).clamp_min(_LEAST_RATE)
        network.start_from((alpha, beta, steady_state_slope(unspliced, spliced)))
    return network


def _start_from_neighborhoods(network: RateNetwork, objective: BlockedObjective) -> None:
    """Start from each gene's typical neighbourhood rates: training then finds how cells differ from them."""
    rates = objective.explained
    if rates is None:
        return
    beta, gamma = rates.typical.clamp_min(_LEAST_RATE)
    alpha = (beta * means(objective.unspliced)).clamp_min(_LEAST_RATE)
    network.start_from((alpha, beta, gamma))


def _new_network(n_genes: int, settings: Settings) -> RateNetwork:
    kind = ReleasedNetwork if settings.variant.rate_layer == "graph" else RateNetwork
    return kind(n_genes, settings.variant)


def _check_finite(terms: Terms, *, epoch: int, known: bool) -> None:
    """Stop before a step that would spoil the network; without ``known`` correlations were not computed."""
    for name, value in terms._asdict().items():
        if not math.isfinite(value) and (known or name not in _NOT_ALWAYS_KNOWN):
            msg = (
                f"The loss is not finite: `{name}` became {value} in epoch {epoch}, most likely because the "
                "steps are too large; nothing was stored. Lower `training.learning_rate` and train again."
            )
            raise InputError(msg)
