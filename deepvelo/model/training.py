"""The training: from moments to a network that has learned, in all cells at once or in mini-batches."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

import torch
from torch import Tensor

from deepvelo.arrays.on_disk import Columns, ColumnsOnDisk, read_ahead
from deepvelo.config import Settings
from deepvelo.errors import InputError
from deepvelo.model import loss
from deepvelo.model.device import on_device, rounded_products
from deepvelo.model.gcn import RateNetwork, Rates
from deepvelo.model.graph.cell_graph import Components
from deepvelo.model.large_data.checkpoint import Checkpoint, TrainState
from deepvelo.model.large_data.inputs import steps
from deepvelo.model.large_data.parallel import process_group
from deepvelo.model.loss import Terms, direction_weight
from deepvelo.model.preparation import Prepared, Problem, last_hidden, prepare
from deepvelo.plan import Plan, plan_of

OnEpoch = Callable[[int, Terms], None]
"""Called with the epoch, from 1, and its terms."""


@dataclass(frozen=True, kw_only=True)
class Fit:
    """A trained network, on the CPU and no longer learning, and its last hidden layer ``(n_cells, hidden_sizes[-1])``.

    ``components`` are those of the spliced moments it was given, ``neighbors`` the candidates, nearest first,
    ``(n_cells, n_candidates)``; ``history`` has the terms of every epoch, means over its steps.
    """

    network: RateNetwork
    hidden: Tensor
    components: Components
    neighbors: Tensor
    history: list[Terms]
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
    plan: Plan | None = None,
    on_epoch: OnEpoch | None = None,
    checkpoint: Checkpoint | None = None,
) -> Fit:
    """Fit cell-specific rates.

    Within `deepvelo.model.large_data.parallel.run_main`, all processes of the group take part in the epochs.

    Parameters
    ----------
    spliced, unspliced
        Moments, smoothed as wanted, shape ``(n_cells, n_genes)``, float32. If they lie on disk, temporary files beside
        them hold what the training reads cell by cell.
    plan
        What the sizes decide; by default `deepvelo.plan.plan_of` these moments.
    on_epoch
        Called after every epoch with its number and terms. Its errors stop the training and are passed on: a caller
        cancels by raising `CancelledError`.
    checkpoint
        File with the state of the training; if it exists and is of this fit, training resumes from it. Not used with
        `deepvelo.model.loss.AUTOGRAD`: the file may be of another loss.

    Raises
    ------
    InputError
        More neighbours than cells, no such device or too little memory on it, more processes than GPUs or cells in a
        step, or a loss that is not finite.
    OSError
        Moments lie on disk, and there is no room beside them.
    """
    if loss.AUTOGRAD:
        checkpoint = None
    plan = plan or plan_of(spliced.shape[0], spliced.shape[1], settings)
    with _folder_beside(spliced) as folder:

        def fit_on(device: torch.device) -> Fit:
            moments = spliced, unspliced
            prepared = prepare(
                moments, device, settings=settings, plan=plan, checkpoint=checkpoint, folder=folder
            )
            return _fit(prepared, on_epoch=on_epoch, checkpoint=checkpoint)

        return on_device(fit_on, asked=settings.training.device)


def _fit(prepared: Prepared, *, on_epoch: OnEpoch | None, checkpoint: Checkpoint | None) -> Fit:
    problem, network = prepared.problem, prepared.problem.network
    with process_group().run_on_others(partial(learn, problem)):
        history = learn(problem, on_epoch=on_epoch, checkpoint=checkpoint)
    network.eval()
    hidden = last_hidden(network, problem.inputs, prepared.everything).cpu()
    weights = {name: value.detach().cpu().contiguous() for name, value in network.state_dict().items()}
    return Fit(
        network=network.cpu(),
        hidden=hidden,
        components=prepared.components,
        neighbors=prepared.neighbors,
        history=history,
        weights=weights,
    )


@rounded_products()
def learn(
    problem: Problem, *, on_epoch: OnEpoch | None = None, checkpoint: Checkpoint | None = None
) -> list[Terms]:
    """Train the network of a problem, in place; the terms of every epoch, means over its steps.

    An epoch is one step over all cells, or one step for each mini-batch. Every process of a group calls this; each
    computes its share of the cells of every step.
    """
    group = process_group()
    settings, variant, n_epochs = problem.settings, problem.variant, problem.plan.n_epochs
    network, inputs, objective, batches = problem.network, problem.inputs, problem.objective, problem.batches
    share = problem.shares[group.rank].to(inputs.device)
    n_batches = len(batches) if batches else 1
    n_steps = n_epochs * n_batches

    learning_rate = settings.training.learning_rate * problem.plan.learning_rate_factor
    optimizer = torch.optim.Adam(network.parameters(), lr=learning_rate, amsgrad=True)
    # The same decay over the whole training, however many steps it has.
    decay = variant.learning_rate_decay ** (settings.training.n_epochs / n_steps)
    schedule = torch.optim.lr_scheduler.ExponentialLR(optimizer, gamma=decay)
    state = TrainState(
        network=network, targets=objective.targets, optimizer=optimizer, schedule=schedule, batches=batches
    )
    history: list[Terms] = []
    if problem.checkpoint_state is not None:
        state.restore(problem.checkpoint_state)
        history += problem.checkpoint_state[1]["history"]
        if checkpoint is not None:
            checkpoint.report_resume(epoch=len(history), n_epochs=n_epochs)
    if not group.is_main:
        # Dropout: every process draws other values, and after resuming others than in earlier epochs.
        torch.manual_seed(settings.seed + group.rank + group.size * len(history))

    network.train()
    direction = 0.0  # the loss when targets were last assigned
    for epoch in range(len(history) + 1, n_epochs + 1):
        reassigns = variant.reassign_every > 0 and (epoch - 1) % variant.reassign_every == 0
        if reassigns and batches:
            hidden = last_hidden(network, inputs, share)
            direction = objective.reassign_targets(network, hidden, cells=share.cells, group=group)
        terms_of_steps = []
        drawn = batches.shuffled(group) if batches else [share]
        with closing(read_ahead(steps(drawn, inputs, objective), device=inputs.device)) as read:
            for i, step in enumerate(read):
                optimizer.zero_grad(set_to_none=True)
                hidden = network.hidden(step.inputs, step.batch.graphs, step.batch.inputs)
                if reassigns and not batches:
                    direction = objective.reassign_targets(
                        network, hidden.detach(), cells=step.batch.cells, group=group
                    )
                weight = direction_weight(
                    direction,
                    n_columns=objective.n_columns,
                    share_done=((epoch - 1) * n_batches + i) / n_steps,
                    variant=variant,
                )
                terms = objective.backward(
                    network,
                    hidden,
                    step.sample(objective),
                    weight=weight,
                    with_correlations=i == 0,  # without weight they take as long as the rest
                    group=group,
                )
                del hidden  # it holds its inputs
                group.all_reduce(*(x.grad for x in network.parameters() if x.grad is not None))
                _check_finite(terms, epoch=epoch)
                optimizer.step()
                schedule.step()
                terms_of_steps.append(terms)
        history.append(_means(terms_of_steps))
        with group.stop_all_with_main():
            if on_epoch is not None:
                on_epoch(epoch, history[-1])
        if checkpoint is not None:
            checkpoint.save(state, history)
    return history


def _means(steps: Sequence[Terms]) -> Terms:
    """Mean of every term over the steps that have it."""
    values = {name: [terms[name] for terms in steps if name in terms] for name in steps[0]}
    return {name: sum(found) / len(found) for name, found in values.items()}


def _check_finite(terms: Terms, *, epoch: int) -> None:
    """Stop before a step that would spoil the network."""
    for name, value in terms.items():
        if not math.isfinite(value):
            msg = (
                f"The loss is not finite: `{name}` became {value} in epoch {epoch}, most likely because the "
                "steps are too large; nothing was stored. Lower `training.learning_rate` and train again."
            )
            raise InputError(msg)


@contextmanager
def _folder_beside(spliced: Columns) -> Iterator[Path | None]:
    """A temporary folder beside moments that lie on disk; None for moments in memory."""
    if isinstance(spliced, ColumnsOnDisk):
        with TemporaryDirectory(dir=spliced.path.parent) as folder:
            yield Path(folder)
    else:
        yield None
