"""Target assignment before training: which candidates lie in each cell's future, and which in its past."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor

from deepvelo.model.assignment.candidates import TINY
from deepvelo.model.assignment.kinetics import SharedRates, spliced_velocity, steady_state_slope
from deepvelo.model.assignment.neighborhoods import NeighborhoodRates, Neighborhoods
from deepvelo.model.assignment.stretches import Evidence, Layout, Stretches, best_signs
from deepvelo.model.assignment.targets import ComponentTargets
from deepvelo.model.gcn import RateNetwork
from deepvelo.model.graph.cell_graph import even_anchors
from deepvelo.model.large_data.blocks import BlockedObjective, blocks_of_genes
from deepvelo.plan import MOST_IN_STRETCHES

# Maximum rounds of finding stretches and reversing them.
_MOST_ROUNDS = 4
_LEAST_SQUARE = 1e-3  # floor of a neighbourhood's mean square, relative to the gene's overall mean
# Power-iteration steps to the principal axis of each cell's candidates, and the minimum gain in explained share.
_AXIS_STEPS, _AXIS_GAIN = 3, 0.01


@torch.no_grad()
def assign_targets(
    objective: BlockedObjective,
    network: RateNetwork,
    hidden: Tensor,
    *,
    fit: NeighborhoodFit,
    positions: Tensor,
    refinement_passes: int,
    seed: int,
) -> None:
    r"""Assign each cell's future and past by the initial velocity of a network, and refine them.

    First, stretches of cells are reversed while that increases the explained share of the squared displacements
    (`deepvelo.model.assignment.stretches`). Then, every refinement pass fits rates to each neighbourhood's displacements
    and reassigns future and past by the velocity with those rates.

    If most initial velocities are wrong, displacements lie across the lineage, and neither sign is right. Therefore both
    steps are repeated from displacements along the principal axis of each cell's candidates, and the assignment that
    explains more is kept. The displacement converges to that axis under the power iteration

    .. math:: d \leftarrow C_i d / \lVert C_i d \rVert, \qquad C_i = \sum_j (z_j - z_i) (z_j - z_i)^T

    of which one step is an assignment by the displacements: eq. 4 to 6 weight candidates by their position along d.

    Parameters
    ----------
    hidden
        The network's last hidden layer of all cells.
    fit
        Neighbourhood rates of the objective's moments.
    positions
        Positions of the cells, ``(n_cells, n_dimensions)``.
    """
    targets, neighborhoods = objective.targets, fit.neighborhoods

    def start(genes: slice) -> Iterator[tuple[slice, Tensor]]:
        for cells in objective.parts():
            rates = network.rates(hidden[cells], genes)
            s, u = objective.spliced[cells, genes], objective.unspliced[cells, genes]
            yield cells, spliced_velocity(u, s, beta=rates.beta, gamma=rates.gamma)

    def refined(genes: slice) -> Iterator[tuple[slice, Tensor]]:
        rates = fit.rates(targets.displacement(genes, neighborhoods.cells), genes)
        for cells in objective.parts():
            s, u = objective.spliced[cells, genes], objective.unspliced[cells, genes]
            beta, gamma = (neighborhoods.to_cells(rate, cells) for rate in rates)
            yield cells, spliced_velocity(u, s, beta=beta, gamma=gamma)

    def refine() -> None:
        for _ in range(refinement_passes):
            objective.assign_targets(refined)

    objective.assign_targets(start)
    if not isinstance(targets, ComponentTargets) or refinement_passes == 0:
        refine()
        return
    whole = _WholeTissue(objective, targets, positions, seed=seed)

    def improve() -> float:
        whole.reverse_stretches()
        refine()
        return whole.explained()

    explained, before = improve(), targets.sums
    for _ in range(_AXIS_STEPS):
        targets.assign_along()
    if improve() < explained + _AXIS_GAIN:
        targets.assign_from(before)


@torch.no_grad()
def fit_neighborhood_rates(objective: BlockedObjective, fit: NeighborhoodFit) -> None:
    """Fit neighbourhood rates to the assigned targets, as the target of the continuity term in training.

    Displacements are those to the nearest candidates, in all genes: near candidates follow a curved lineage, and
    neighbourhood rates average their noise.
    """
    targets = objective.targets
    if not isinstance(targets, ComponentTargets):
        return
    neighborhoods = fit.neighborhoods
    n_anchors, device = neighborhoods.n_anchors, objective.spliced.device
    beta, gamma = rates = torch.empty(2, n_anchors, objective.n_genes, device=device)
    typical = torch.empty(2, objective.n_genes, device=device)
    displacement = targets.near_displacement(neighborhoods.cells)
    for genes in blocks_of_genes(objective.n_cells, objective.n_genes):
        beta[:, genes], gamma[:, genes] = fit.rates(displacement(objective.spliced[:, genes]), genes)
        squares = fit.squares(genes)
        typical[:, genes] = ((rates[:, :, genes] * squares).sum(1) / squares.sum(1).clamp_min(TINY)).to(
            typical
        )
    objective.explained = NeighborhoodRates(beta, gamma, typical, neighborhoods)


class NeighborhoodFit:
    """Rates of every neighbourhood. Mean squares of the moments are cached, because only displacements change."""

    def __init__(self, objective: BlockedObjective, neighborhoods: Neighborhoods) -> None:
        self.neighborhoods = neighborhoods
        self._spliced, self._unspliced = objective.of(neighborhoods.cells)
        # Preallocated, 240 MB for 5,000 anchors and 2,000 genes, to avoid heap fragmentation.
        shape = 3, neighborhoods.n_anchors, objective.n_genes
        self._squares = torch.empty(shape, dtype=torch.float64, device=objective.spliced.device)
        self._known: set[int] = set()

    def squares(self, genes: slice) -> Tensor:
        """Means of u u and s s, ``(2, n_anchors, n_genes_of_the_block)``, for genes whose `rates` were fitted."""
        return self._squares[::2, :, genes]

    def rates(self, displacement: Tensor, genes: slice) -> tuple[Tensor, Tensor]:
        """Beta and gamma, float32 ``(n_anchors, n_genes_of_the_block)``, from displacements of the cells in any neighbourhood."""
        s, u = self._spliced[:, genes], self._unspliced[:, genes]
        squares = self._squares[:, :, genes]
        if genes.start not in self._known:
            uu, us, ss = SharedRates.squares(u, s, mean=self.neighborhoods.mean)
            # Without a floor, rates are unbounded in neighbourhoods that hardly express the gene.
            uu, ss = (torch.maximum(values, _LEAST_SQUARE * values.mean(0)) for values in (uu, ss))
            for stored, values in zip(squares, (uu, us, ss), strict=True):
                stored.copy_(values)
            self._known.add(genes.start)
        beta, gamma = SharedRates(
            displacement, u, s, mean=self.neighborhoods.mean, squares=squares.unbind()
        ).rates()
        return beta.to(s.dtype), gamma.to(s.dtype)


class _WholeTissue:
    """Share of the squared displacements explained by rates, over evenly chosen cells of the whole tissue."""

    def __init__(
        self, objective: BlockedObjective, targets: ComponentTargets, positions: Tensor, *, seed: int
    ) -> None:
        self._targets, self._seed = targets, seed
        self._chosen: Tensor | slice = slice(None)
        self._nearest: Tensor | slice = slice(None)
        chosen: Tensor | None = None
        if len(positions) > MOST_IN_STRETCHES:
            chosen, self._nearest = even_anchors(positions, MOST_IN_STRETCHES)
            positions, chosen = positions[chosen], chosen.to(objective.spliced.device)
            self._chosen = chosen
        self._layout = Layout(positions.numpy())
        self._spliced, self._unspliced = (values[:, :] for values in objective.of(chosen))
        self._slope = steady_state_slope(self._unspliced, self._spliced)

    def explained(self) -> float:
        """Explained share of the squared displacements."""
        evidence, stretches = self._evidence()
        return evidence.of(np.ones(stretches.n_stretches))

    def reverse_stretches(self) -> None:
        """Reverse stretches of cells while the explained share increases."""
        for _ in range(_MOST_ROUNDS):
            evidence, stretches = self._evidence()
            signs = best_signs(evidence, stretches)
            if (signs > 0).all():
                return
            of_cells = torch.from_numpy(signs[stretches.labels])[self._nearest, None].to(self._spliced)
            self._targets.assign_along(of_cells)

    def _evidence(self) -> tuple[Evidence, Stretches]:
        displacements = [(ahead - behind)[self._chosen] / 2 for ahead, behind in self._targets.displacements]
        stretches = Stretches(self._layout, torch.cat(displacements, dim=1).cpu().numpy(), seed=self._seed)
        in_genes = displacements[0] @ self._targets.spliced.loadings.T
        evidence = Evidence(
            self._layout, in_genes, self._unspliced, self._spliced, slope=self._slope, stretches=stretches
        )
        return evidence, stretches
