"""The training loop, one block of genes at a time."""

from __future__ import annotations

import logging
import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from deepvelo.config import Device, Settings
from deepvelo.errors import InputError
from deepvelo.model.blocks import BlockedObjective, EpochTerms
from deepvelo.model.candidates import Candidates
from deepvelo.model.gcn import RateNetwork, Rates
from deepvelo.model.graph import Components, message_edges, nearest_neighbors, principal_components
from deepvelo.model.kinetics import steady_state_slope
from deepvelo.model.released import ReleasedNetwork
from deepvelo.model.targets import ComponentTargets, GeneTargets, Targets

logger = logging.getLogger(__name__)


OnEpoch = Callable[[EpochTerms], None]


@dataclass(frozen=True, kw_only=True)
class Fit:
    """A trained network, on the CPU and no longer learning, and its last hidden layer ``(n_cells, hidden_sizes[-1])``."""

    network: RateNetwork
    hidden: Tensor
    history: list[EpochTerms]
    weights: dict[str, Tensor]

    def rates(self, genes: slice = slice(None)) -> Rates:
        """Rates of all cells for a block of genes: all genes at once may not fit into memory."""
        with torch.inference_mode():
            return self.network.rates(self.hidden, genes)


def choose_device(device: Device) -> torch.device:
    """The device to train on; ``auto`` takes a GPU when there is one.

    Raises
    ------
    InputError
        A GPU was asked for and there is none.
    """
    if device == "cuda" and not torch.cuda.is_available():
        msg = "Setting `training.device` is 'cuda', and no CUDA GPU was found. Choose 'auto' or 'cpu'."
        raise InputError(msg)
    if device == "auto":
        device = "cuda" if torch.cuda.is_available() else "cpu"
    return torch.device(device)


def train(spliced: Tensor, unspliced: Tensor, *, settings: Settings, on_epoch: OnEpoch | None = None) -> Fit:
    """Fit cell-specific rates.

    Parameters
    ----------
    spliced, unspliced
        Moments, smoothed as wanted, shape ``(n_cells, n_genes)``, float32.
    on_epoch
        Called after every epoch with its terms. Whatever it raises stops the training and is passed on:
        a caller cancels by raising `CancelledError`.

    Raises
    ------
    InputError
        More neighbours than cells, no such device, or a loss that is not finite.
    """
    device = choose_device(settings.training.device)
    components = principal_components(spliced, n_components=settings.graph.n_components, seed=settings.seed)
    n_neighbors, n_candidates = settings.graph.n_neighbors, settings.graph.candidates_of(len(spliced))
    n_surrounding = settings.graph.surroundings_of(len(spliced))
    neighbors = nearest_neighbors(
        components.scores, n_neighbors=max(n_neighbors, n_candidates, n_surrounding)
    )
    candidates = Candidates(neighbors[:, :n_candidates].to(device))
    objective = BlockedObjective(
        spliced.to(device),
        unspliced.to(device),
        _targets(candidates, components, unspliced, settings=settings),
        config=settings.objective,
    )
    network, features, edge_index = _network(
        spliced, unspliced, neighbors[:, :n_neighbors], settings=settings
    )
    network, features, edge_index = network.to(device), features.to(device), edge_index.to(device)

    if settings.objective.settle_every == 0:
        objective.settle_before_training(
            network,
            features,
            edge_index,
            # Not kept: it takes twice the memory of the candidates.
            surroundings=Candidates(neighbors[:, :n_surrounding].to(device)).surrounding(),
        )
    n_epochs = settings.training.n_epochs
    optimizer = torch.optim.Adam(network.parameters(), lr=settings.training.learning_rate, amsgrad=True)
    schedule = torch.optim.lr_scheduler.ExponentialLR(optimizer, gamma=settings.training.learning_rate_decay)
    history: list[EpochTerms] = []
    stop = _EarlyStop(settings)
    network.train()
    for epoch in range(1, n_epochs + 1):
        optimizer.zero_grad(set_to_none=True)
        terms = objective.backward(
            network, features, edge_index, epoch=epoch, share_done=(epoch - 1) / n_epochs
        )
        _check_finite(terms)
        optimizer.step()
        schedule.step()
        history.append(terms)
        if on_epoch is not None:
            on_epoch(terms)
        if stop.now(terms):
            logger.info("Stopped after %d epochs: the loss no longer falls.", epoch)
            break
    network.eval()
    with torch.inference_mode():
        hidden = network.hidden(features, edge_index).cpu()
    weights = {name: value.detach().cpu().contiguous() for name, value in network.state_dict().items()}
    return Fit(network=network.cpu(), hidden=hidden, history=history, weights=weights)


def _targets(
    candidates: Candidates, spliced: Components, unspliced: Tensor, *, settings: Settings
) -> Targets:
    if settings.objective.continuity == "genes":
        return GeneTargets(candidates, dtype=unspliced.dtype)
    of_unspliced = principal_components(
        unspliced, n_components=settings.graph.n_components, seed=settings.seed
    )
    device = candidates.neighbors.device
    return ComponentTargets(
        candidates, *(Components(*(x.to(device) for x in part)) for part in (spliced, of_unspliced))
    )


def _network(
    spliced: Tensor, unspliced: Tensor, neighbors: Tensor, *, settings: Settings
) -> tuple[RateNetwork, Tensor, Tensor]:
    """Network, features and edges, ready to train."""
    # The release's order; the network is indifferent to it, its random start is not.
    features = torch.cat([unspliced, spliced], dim=1)
    if settings.network.standardize_inputs:
        features -= features.mean(0)
        # A gene that is the same in every cell becomes 0 and tells the network nothing.
        features /= features.std(0, correction=0).clamp_min(1e-6)
    torch.manual_seed(settings.seed)
    network = _new_network(spliced.shape[1], settings)
    if settings.network.start == "steady_state":
        beta = torch.ones(spliced.shape[1])
        alpha = (beta * unspliced.mean(0)).clamp_min(1e-3)
        network.start_from((alpha, beta, steady_state_slope(unspliced, spliced)))
    return network, features, message_edges(neighbors)


def _new_network(n_genes: int, settings: Settings) -> RateNetwork:
    if settings.network.rate_layer == "graph":
        with_alpha = settings.objective.unspliced_velocity
        return ReleasedNetwork(n_genes, settings.network, with_alpha=with_alpha)
    return RateNetwork(n_genes, settings.network)


class _EarlyStop:
    """Stops when the total has not fallen for `patience` epochs, counted from when its weights stay the same."""

    def __init__(self, settings: Settings) -> None:
        self._patience = settings.training.patience
        annealed = settings.objective.direction_schedule == "annealed"
        self._first = settings.objective.direction_until * settings.training.n_epochs if annealed else 0
        self._best = math.inf
        self._best_epoch = 0

    def now(self, terms: EpochTerms) -> bool:
        # While the direction term is annealed, the total falls without anything being learned.
        if self._patience == 0 or terms.epoch <= self._first:
            return False
        if terms.total < self._best:
            self._best, self._best_epoch = terms.total, terms.epoch
        return terms.epoch - self._best_epoch >= self._patience


def _check_finite(terms: EpochTerms) -> None:
    for name, value in terms._asdict().items():
        if not math.isfinite(value):
            msg = (
                f"The loss is not finite: `{name}` became {value} in epoch {terms.epoch}, most likely because the "
                "steps are too large; nothing was stored. Lower `training.learning_rate` and train again."
            )
            raise InputError(msg)
