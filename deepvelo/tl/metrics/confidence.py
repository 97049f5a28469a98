"""How far a cell's direction, or a gene's, can be trusted: evidence that smoothness cannot fake."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from anndata import AnnData

from deepvelo import keys
from deepvelo.arrays.layers import blocks_of, known_genes, projected
from deepvelo.plan import averages, moment_averages, n_candidates
from deepvelo.tl.metrics.direction_evidence import direction_evidence
from deepvelo.tl.velocity.smoothing import GraphAverage, smoothed

if TYPE_CHECKING:
    from torch import Tensor

    from deepvelo.config import Settings
    from deepvelo.model.graph.cell_graph import Components
    from deepvelo.model.training import Fit


# Log odds of a right direction, fitted to simulated tissue of development seeds (docs/method.md, "Confidence").
_INTERCEPT, _OF_MARGIN, _OF_MIRROR, _OF_SPREAD, _OF_COUNTS = -5.0, 8.0, 2.0, 2.0, 4.0
# Correlation of spliced with unspliced moments, less its error: tissue at steady state is below; above, the odds count in full.
_STILL, _VARIES = 0.1, 0.3
# Mean of the mirror over connected cells: what is found in noise is below, and above the odds count in full.
_SCATTERED, _DIRECTED = 0.1, 0.2
# The same, less the most that n cells at steady state reach, 55 / n, since their moments are averages of each other. Cells
# above move, even where types with rates of their own hide the correlation of moments.
_AT_STEADY_STATE, _MIRRORED, _SURELY = 55, 0.25, 0.4
# Below this mean probability the direction of a stretch is undecided, and so it is of groups with as many cells as neighbours.
UNDECIDED_BELOW, SMALL_GROUP = 0.75, 30
_NEAR = 30
_BLOCK_CELLS = 4096


class Confidence(NamedTuple):
    """Of cells the probability that the direction is right, 0.5 to 1, and whether it is undecided, ``(n_cells,)`` each.

    Of genes a score from 0 to 1, ``(n_genes,)``; NaN for a gene without velocity.
    """

    cells: np.ndarray
    genes: np.ndarray
    undecided: np.ndarray


class _Agreement(NamedTuple):
    """0 to 1, of cells ``(n_cells,)`` and of genes ``(n_genes,)``."""

    cells: np.ndarray
    genes: np.ndarray


def direction_confidence(
    adata: AnnData, *, settings: Settings, fit: Fit | None = None, cluster_key: str | None = None
) -> Confidence:
    r"""Confidence in the direction of a fit's velocities, per cell and per gene.

    The probability that a cell's velocity points within 90 degrees of the true one is a logistic function of

    - the margin: how much of the displacements of the cell's stretch a reversal would leave unexplained
      (`deepvelo.model.assignment.stretches`),
    - whether the displacement from the past mirrors that to the future, :math:`-2 d^+ \cdot d^- / (|d^+|^2 + |d^-|^2)`,
      averaged over the graph: on a path they are opposite, at rest both are noise,
    - the share of its neighbourhood's spread that lies along the velocity,
    - the cosine of :math:`\beta M_u - \gamma M_s` of the cell's own moments with the velocity,

    with coefficients that were fitted to simulated tissue. Two of these are asked of connected cells as a whole as well: it
    stays 0.5 where displacements do not mirror each other on average, since any direction is found in noise, and where they
    hardly do and spliced and unspliced moments are not correlated, since there cells differ by counting noise. The direction
    is undecided where the mean probability of a stretch is below 0.75, and in groups of at most 30 cells, whose moments are
    one mean.

    The score of a gene is the product of the second and the last of these over cells, each taken as 0 where negative.

    Parameters
    ----------
    adata
        As `deepvelo.tl.velocity.fit` leaves it, with non-negative rates or not.
    fit
        What it has returned: with many cells, finding the components and neighbours again takes a minute.
    cluster_key
        Column of ``obs`` with the groups; None leaves their sizes out.
    """
    average = GraphAverage(adata)
    known = known_genes(adata.layers[keys.VELOCITY])
    if fit is None:
        components, neighbors = _candidates(adata, average, known=known, settings=settings)
    else:
        components, neighbors = fit.components, fit.neighbors
    along = projected(adata.layers[keys.VELOCITY], components.loadings.numpy(), chosen=known)
    sides = _displacements(along, components, neighbors)
    times = averages(adata.n_obs)
    ahead, behind = (average(side, times=times).astype(np.float64) for side in sides)
    mirrored = _mirrored(ahead, behind, components.loadings.numpy().astype(np.float64))
    agreeing = _agreeing(adata, known)
    evidence = direction_evidence(
        adata, (sides[0] - sides[1]) / 2, components, average, known=known, settings=settings
    )
    odds = (
        _INTERCEPT
        + _OF_MARGIN * evidence.margin.clip(0, 1)
        + _OF_MIRROR * mirrored.cells
        + _OF_SPREAD * _share_along(along, components.scores.numpy(), neighbors.numpy())
        + _OF_COUNTS * agreeing.cells
    )
    moves = _moves(evidence.correlation, _mean_by_group(mirrored.cells, evidence.part), evidence.part)
    cells = 0.5 + 0.5 * np.tanh(odds / 2).clip(0) * moves
    genes = np.full(adata.n_vars, np.nan)
    genes[known] = mirrored.genes * agreeing.genes
    undecided = _mean_by_group(cells, evidence.stretch) < UNDECIDED_BELOW
    if cluster_key is not None:
        groups = adata.obs[cluster_key].astype(str)
        undecided |= (groups.map(groups.value_counts()) <= SMALL_GROUP).to_numpy()
    return Confidence(cells=cells, genes=genes, undecided=undecided)


def _moves(correlation: np.ndarray, mirror: np.ndarray, part: np.ndarray) -> np.ndarray:
    """Whether the connected cells of each cell move at all, 0 to 1; all ``(n_cells,)``."""
    varies, directed = _ramp(correlation, _STILL, _VARIES), _ramp(mirror, _SCATTERED, _DIRECTED)
    surely = _ramp(mirror - _AT_STEADY_STATE / np.bincount(part)[part], _MIRRORED, _SURELY)
    return np.maximum(varies * directed, surely)


def _ramp(values: np.ndarray, low: float, high: float) -> np.ndarray:
    """0 up to ``low``, 1 from ``high`` on, straight between them."""
    return ((values - low) / (high - low)).clip(0, 1)


def _mean_by_group(values: np.ndarray, groups: np.ndarray) -> np.ndarray:
    """Mean over the cells of each cell's group, ``(n_cells,)``."""
    means = np.bincount(groups, weights=values) / np.maximum(np.bincount(groups), 1)
    return np.asarray(means[groups])


def _share_along(velocity: np.ndarray, scores: np.ndarray, neighbors: np.ndarray) -> np.ndarray:
    """Of the spread of each cell's nearest candidates, root mean square, the share along its velocity; 0 to 1."""
    lengths = np.linalg.norm(velocity, axis=1, keepdims=True)
    direction = np.divide(velocity, lengths, out=np.zeros_like(velocity), where=lengths > 0)
    squares, total = np.zeros((2, len(scores)))
    for start in range(0, len(scores), _BLOCK_CELLS):
        cells = slice(start, start + _BLOCK_CELLS)
        there = scores[neighbors[cells, :_NEAR]] - scores[cells, None]
        squares[cells] = (np.einsum("nkc,nc->nk", there, direction[cells]) ** 2).sum(axis=1)
        total[cells] = (there**2).sum(axis=(1, 2))
    return np.sqrt(_ratio(squares, total))


def _candidates(
    adata: AnnData, average: GraphAverage, *, known: np.ndarray, settings: Settings
) -> tuple[Components, Tensor]:
    """The components of a fit and each cell's candidates."""
    import torch

    from deepvelo.model.graph.cell_graph import neighbors_within_reach, principal_components

    times = moment_averages(adata.n_obs, settings)
    spliced = smoothed(adata.layers[keys.MS], average, times=times, chosen=known)
    components = principal_components(
        torch.from_numpy(spliced), n_components=settings.preparation.n_components, seed=settings.seed
    )
    neighbors = neighbors_within_reach(
        components.scores,
        n_neighbors=n_candidates(adata.n_obs, settings),
        n_among=settings.variant.candidate_cells,
    )
    return components, neighbors


def _displacements(
    along: np.ndarray, components: Components, neighbors: Tensor
) -> tuple[np.ndarray, np.ndarray]:
    """Mean displacements to the candidates ahead and behind, in components, ``(n_cells, n_components)`` each."""
    import torch

    from deepvelo.model.assignment.targets import ComponentTargets
    from deepvelo.model.graph.cell_graph import Components

    # The components take the place of genes: they are their own components.
    own = Components(components.scores, torch.eye(along.shape[1]))
    targets = ComponentTargets(neighbors, own, own)
    targets.add(torch.from_numpy(along), slice(None))
    targets.assign()
    ahead, behind = (side.numpy() for side in targets.displacements.spliced)
    return ahead, behind


def _mirrored(ahead: np.ndarray, behind: np.ndarray, loadings: np.ndarray) -> _Agreement:
    """How well the way behind mirrors the way ahead, from both in components; in genes they are never formed.

    The loadings are orthonormal, so a cell's products over components are those over genes. A gene's products over
    cells are those of its loadings, with the products of the components over cells between them.
    """

    def over_cells(x: np.ndarray, y: np.ndarray) -> np.ndarray:
        return np.einsum("gk,gk->g", loadings @ (x.T @ y), loadings)

    lengths = (ahead**2).sum(axis=1) + (behind**2).sum(axis=1)
    return _Agreement(
        cells=_ratio(-2 * (ahead * behind).sum(axis=1), lengths),
        genes=_ratio(-2 * over_cells(ahead, behind), over_cells(ahead, ahead) + over_cells(behind, behind)),
    )


def _agreeing(adata: AnnData, known: np.ndarray) -> _Agreement:
    """How well the velocity agrees with the cell's own counts; of the known genes."""
    layers = [adata.layers[key] for key in (keys.VELOCITY, keys.BETA, keys.MU, keys.GAMMA, keys.MS)]
    cells, genes = np.zeros((3, adata.n_obs)), np.zeros((3, int(known.sum())))
    for block, places in blocks_of(layers[0], known):
        velocity, beta, u, gamma, s = (layer[:, block][:, known[block]] for layer in layers)
        own = beta * u - gamma * s
        for i, (x, y) in enumerate(((own, velocity), (own, own), (velocity, velocity))):
            product = x * y
            cells[i] += product.sum(axis=1)
            genes[i, places] = product.sum(axis=0)
    return _Agreement(*(_ratio(along, np.sqrt(own * moved)) for along, own, moved in (cells, genes)))


def _ratio(above: np.ndarray, below: np.ndarray) -> np.ndarray:
    """0 to 1, also where it is negative or there is nothing to compare."""
    return np.clip(np.divide(above, below, out=np.zeros_like(above), where=below > 0), 0, 1)
