"""Target assignment before training: which candidates lie in each cell's future, and which in its past."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

import torch
from torch import Tensor

from deepvelo.model.blocks import BlockedObjective, blocks_of_genes
from deepvelo.model.candidates import TINY
from deepvelo.model.gcn import RateNetwork
from deepvelo.model.graph import even_anchors
from deepvelo.model.kinetics import SharedRates, spliced_velocity, steady_state_slope
from deepvelo.model.neighborhoods import NeighborhoodRates, Neighborhoods
from deepvelo.model.stretches import Evidence, Stretches, best_signs
from deepvelo.model.targets import ComponentTargets

# Cells that are cut into stretches, and how often stretches are cut anew after a reversal.
_CELLS_IN_STRETCHES, _MOST_ROUNDS = 3000, 4
_LEAST_SQUARE = 1e-3  # of a neighbourhood, by the gene's mean square over all of them


@torch.no_grad()
def assign_targets(
    objective: BlockedObjective,
    network: RateNetwork,
    hidden: Tensor,
    *,
    neighborhoods: Neighborhoods,
    positions: Tensor,
    refinement_passes: int,
    seed: int,
) -> None:
    """Assign each cell's future and past by the velocity a network starts with, and refine them.

    First, stretches of cells are reversed while that explains more of the tissue as a whole (`deepvelo.model.stretches`).
    Then, in every refinement pass, rates are fitted to each neighbourhood's displacements, and future and past are
    assigned anew by the velocity with those rates.

    Parameters
    ----------
    hidden
        The network's last hidden layer of all cells.
    positions
        Where cells lie, ``(n_cells, n_dimensions)``.
    """
    fit = _NeighborhoodFit(objective, neighborhoods)

    def start(genes: slice) -> Iterator[tuple[slice, Tensor]]:
        for cells in objective.parts():
            rates = network.rates(hidden[cells], genes)
            s, u = objective.spliced[cells, genes], objective.unspliced[cells, genes]
            yield cells, spliced_velocity(u, s, beta=rates.beta, gamma=rates.gamma)

    def refined(genes: slice) -> Iterator[tuple[slice, Tensor]]:
        ahead, behind = objective.targets.of(genes, neighborhoods.cells).spliced
        rates = fit.rates((ahead - behind) / 2, genes)
        for cells in objective.parts():
            s, u = objective.spliced[cells, genes], objective.unspliced[cells, genes]
            beta, gamma = (neighborhoods.to_cells(rate, cells) for rate in rates)
            yield cells, spliced_velocity(u, s, beta=beta, gamma=gamma)

    objective.assign_targets(start)
    if refinement_passes:
        _reverse_stretches(objective, positions, seed=seed)
    for _ in range(refinement_passes):
        objective.assign_targets(refined)


@torch.no_grad()
def fit_neighborhood_rates(objective: BlockedObjective, neighborhoods: Neighborhoods) -> None:
    """Let training fit what neighbourhood rates explain of the displacements, for targets that have been assigned.

    Displacements to the nearest candidates, in all genes: nearer ones follow a curved lineage, and the rates that a
    neighbourhood shares average their noise.
    """
    targets = objective.targets
    if not isinstance(targets, ComponentTargets):
        return
    fit = _NeighborhoodFit(objective, neighborhoods)
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


class _NeighborhoodFit:
    """Rates of every neighbourhood, from displacements that change and moments that do not."""

    def __init__(self, objective: BlockedObjective, neighborhoods: Neighborhoods) -> None:
        self._mean = neighborhoods.mean
        self._spliced, self._unspliced = objective.of(neighborhoods.cells)
        # Preallocated, 240 MB for 5,000 anchors and 2,000 genes, to avoid heap fragmentation.
        shape = 3, neighborhoods.n_anchors, objective.n_genes
        self._squares = torch.empty(shape, dtype=torch.float64, device=objective.spliced.device)
        self._known: set[int] = set()

    def squares(self, genes: slice) -> Tensor:
        """Means of u u and s s, ``(2, n_anchors, n_genes_of_the_block)``, of genes whose `rates` were fitted."""
        return self._squares[::2, :, genes]

    def rates(self, displacement: Tensor, genes: slice) -> tuple[Tensor, Tensor]:
        """Beta and gamma, float32 ``(n_anchors, n_genes_of_the_block)``, for displacements of the cells in any."""
        s, u = self._spliced[:, genes], self._unspliced[:, genes]
        squares = self._squares[:, :, genes]
        if genes.start not in self._known:
            uu, us, ss = SharedRates.squares(u, s, mean=self._mean)
            # Where a neighbourhood has next to none of a gene, any rate fits and the next cell's velocity has no bound.
            uu, ss = (torch.maximum(values, _LEAST_SQUARE * values.mean(0)) for values in (uu, ss))
            for stored, values in zip(squares, (uu, us, ss), strict=True):
                stored.copy_(values)
            self._known.add(genes.start)
        beta, gamma = SharedRates(displacement, u, s, mean=self._mean, squares=squares.unbind()).rates()
        return beta.to(s.dtype), gamma.to(s.dtype)


def _reverse_stretches(objective: BlockedObjective, positions: Tensor, *, seed: int) -> None:
    """Reverse stretches of cells while that explains more of the tissue as a whole."""
    targets = objective.targets
    if not isinstance(targets, ComponentTargets):
        return
    device = objective.spliced.device
    chosen: Tensor | None = None
    nearest: Tensor | slice = slice(None)
    if len(positions) > _CELLS_IN_STRETCHES:
        chosen, nearest = even_anchors(positions, _CELLS_IN_STRETCHES)
        positions, chosen = positions[chosen], chosen.to(device)
    s, u = (values[:, :] for values in objective.of(chosen))
    slope = steady_state_slope(u, s)
    for _ in range(_MOST_ROUNDS):
        sides = [(ahead - behind) / 2 for ahead, behind in targets.displacements]
        displacements = sides if chosen is None else [side[chosen] for side in sides]
        stretches = Stretches(positions.numpy(), torch.cat(displacements, dim=1).cpu().numpy(), seed=seed)
        in_genes = displacements[0] @ targets.spliced.loadings.T
        evidence = Evidence(positions, in_genes, u, s, slope=slope, stretches=stretches)
        signs = best_signs(evidence, stretches)
        if (signs > 0).all():
            return
        of_cells = torch.from_numpy(signs[stretches.labels])[nearest, None].to(s)
        objective.assign_targets(partial(_reversed, targets, of_cells))


def _reversed(targets: ComponentTargets, signs: Tensor, genes: slice) -> list[tuple[slice, Tensor]]:
    ahead, behind = targets.of(genes).spliced
    return [(slice(None), signs * (ahead - behind) / 2)]
