"""What speaks for the direction of a fitted velocity: what reversing it would cost, and whether cells differ at all."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from anndata import AnnData

from deepvelo import keys
from deepvelo.plan import MOST_IN_STRETCHES, moment_averages
from deepvelo.tl.velocity.smoothing import GraphAverage, smoothed

if TYPE_CHECKING:
    from torch import Tensor

    from deepvelo.config import Settings
    from deepvelo.model.assignment.stretches import Evidence, Stretches
    from deepvelo.model.graph.cell_graph import Components

_ERROR = 3.0  # of a correlation, times the root of the number of cells: the most in simulated tissue at steady state


class DirectionEvidence(NamedTuple):
    """Of every cell, ``(n_cells,)`` each.

    stretch and part are numbers of its stretch and of what is connected to that; margin is the share of the stretch's
    squared displacements that reversing it, alone or with others, would leave unexplained; correlation is that of spliced
    with unspliced moments within the part, 0 where cells differ by counting noise alone.
    """

    stretch: np.ndarray
    part: np.ndarray
    margin: np.ndarray
    correlation: np.ndarray


def direction_evidence(
    adata: AnnData,
    displacement: np.ndarray,
    components: Components,
    average: GraphAverage,
    *,
    known: np.ndarray,
    settings: Settings,
) -> DirectionEvidence:
    """Evidence for the direction of displacements.

    Parameters
    ----------
    displacement
        From each cell's past to its future, in components, ``(n_cells, n_components)``.
    components
        Of the smoothed spliced moments of the ``known`` genes, bool ``(n_genes,)``.
    """
    import torch

    from deepvelo.model.assignment.kinetics import steady_state_slope
    from deepvelo.model.assignment.stretches import MOST_GENES, Evidence, Layout, Stretches
    from deepvelo.model.graph.cell_graph import even_anchors

    positions = components.scores
    few: np.ndarray | slice = slice(None)
    nearest: np.ndarray | slice = slice(None)
    if len(positions) > MOST_IN_STRETCHES:
        few, nearest = (x.numpy() for x in even_anchors(positions, MOST_IN_STRETCHES))
    loadings = components.loadings.numpy()
    moved = np.einsum("gk,gk->g", loadings @ (displacement.T @ displacement), loadings)
    places = np.sort(np.argsort(-moved, kind="stable")[:MOST_GENES])
    chosen = np.zeros(len(known), dtype=bool)
    chosen[np.flatnonzero(known)[places]] = True
    times = moment_averages(adata.n_obs, settings)
    spliced, unspliced = (
        torch.from_numpy(smoothed(adata.layers[key], average, times=times, chosen=chosen, cells=few))
        for key in (keys.MS, keys.MU)
    )
    layout = Layout(positions[few].numpy())
    stretches = Stretches(layout, displacement[few], seed=settings.seed)
    evidence = Evidence(
        layout,
        torch.from_numpy(np.ascontiguousarray(displacement[few] @ loadings[places].T, dtype=np.float32)),
        unspliced,
        spliced,
        slope=steady_state_slope(unspliced, spliced),
        stretches=stretches,
    )
    part = stretches.parts
    return DirectionEvidence(
        stretch=stretches.labels[nearest],
        part=part[nearest],
        margin=_margins(evidence, stretches)[stretches.labels][nearest],
        correlation=_correlation(spliced, unspliced, part)[part][nearest],
    )


def _margins(evidence: Evidence, stretches: Stretches) -> np.ndarray:
    """Least loss by a reversal of any set with the stretch in it, by the set's squared displacements; ``(n_stretches,)``."""
    signs, sets = np.ones(stretches.n_stretches), stretches.sets()
    losses = evidence.of(signs) - evidence.after_reversing(sets, signs)
    margins = np.full(stretches.n_stretches, np.inf)
    for members, loss in zip(sets, losses, strict=True):
        share = evidence.shares[members].sum()
        margins[members] = np.minimum(margins[members], loss / share if share > 0 else 0.0)
    return margins


def _correlation(spliced: Tensor, unspliced: Tensor, part: np.ndarray) -> np.ndarray:
    r"""Correlation of spliced with unspliced moments over the cells of each part, ``(n_parts,)``.

    :math:`\sum_g \operatorname{cov}(s_g, u_g) / \sum_g \operatorname{sd}(s_g) \operatorname{sd}(u_g)`. Both are counted
    independently, so their noise is not correlated, however neighbours were chosen. Taken off is what it reaches by chance
    in so few cells, whose moments are averages of each other: :math:`3 / \sqrt{n}`.
    """
    found = np.zeros(int(part.max()) + 1)
    for number in range(len(found)):
        s, u = (values[part == number].double() for values in (spliced, unspliced))
        s, u = s - s.mean(0), u - u.mean(0)
        most = float((s.square().sum(0) * u.square().sum(0)).sqrt().sum())
        found[number] = float((s * u).sum()) / most - _ERROR / len(s) ** 0.5 if most > 0 else 0.0
    return found
