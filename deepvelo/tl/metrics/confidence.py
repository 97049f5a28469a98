"""Confidence in the direction of cells and genes, from evidence that smoothing alone does not create."""

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


# Coefficients of the log odds of a correct direction, fitted to simulated tissue of development seeds (docs/method.md, "Confidence").
_INTERCEPT, _OF_MARGIN, _OF_MIRROR, _OF_SPREAD, _OF_COUNTS = -5.0, 8.0, 2.0, 2.0, 4.0
# Range of the correlation of spliced and unspliced moments, less its error, over which confidence rises from 0.5 (steady
# state) to its full value.
_STILL, _VARIES = 0.1, 0.3
# The same for the mean mirror score over connected cells; noise lies below the range.
_SCATTERED, _DIRECTED = 0.1, 0.2
# The same mean, less 55 / n, the maximum of n steady-state cells, whose moments average each other. Cells above the range
# move, even if types with different rates hide the correlation of moments.
_AT_STEADY_STATE, _MIRRORED, _SURELY = 55, 0.25, 0.4
# Directions are undecided in stretches with a mean probability below this, and in groups no larger than a neighbourhood.
UNDECIDED_BELOW, SMALL_GROUP = 0.75, 30
_NEAR = 30
_BLOCK_CELLS = 4096


class Confidence(NamedTuple):
    """Probability of a correct direction of cells, 0.5 to 1, and whether it is undecided, ``(n_cells,)`` each.

    For genes, a score from 0 to 1, ``(n_genes,)``; NaN for genes without velocity.
    """

    cells: np.ndarray
    genes: np.ndarray
    undecided: np.ndarray


class _Agreement(NamedTuple):
    """Scores from 0 to 1 of cells, ``(n_cells,)``, and of genes, ``(n_genes,)``."""

    cells: np.ndarray
    genes: np.ndarray


def direction_confidence(
    adata: AnnData, *, settings: Settings, fit: Fit | None = None, cluster_key: str | None = None
) -> Confidence:
    r"""Compute the confidence in the direction of a fit's velocities, per cell and per gene.

    The probability that a cell's velocity points within 90 degrees of the true one is a logistic function of

    - the margin: the share of the displacements of the cell's stretch that a reversal would leave unexplained
      (`deepvelo.model.assignment.stretches`),
    - whether the displacement from the past mirrors that to the future, :math:`-2 d^+ \cdot d^- / (|d^+|^2 + |d^-|^2)`,
      averaged over the graph: they are opposite on a path, and noise at steady state,
    - the share of the neighbourhood's spread along the velocity,
    - the cosine of :math:`\beta M_u - \gamma M_s` of the cell's own moments with the velocity,

    with coefficients fitted to simulated tissue. The probability is 0.5 for all cells of a connected component if their
    displacements do not mirror each other on average, as in noise, or if they mirror each other only weakly and spliced and
    unspliced moments are uncorrelated, as under counting noise alone. The direction is undecided in stretches with a mean
    probability below 0.75, and in groups of at most 30 cells, whose moments are nearly identical means.

    The score of a gene is the product of the second and the last of these terms over cells, each clipped at 0.

    Parameters
    ----------
    adata
        With the results of `deepvelo.tl.velocity.fit`; rates may be negative.
    fit
        Return value of the fit, which saves recomputing components and neighbours (about a minute for many cells).
    cluster_key
        Column of ``obs`` with the groups; None ignores group sizes.
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
    """Degree to which the connected component of each cell moves, 0 to 1; all ``(n_cells,)``."""
    varies, directed = _ramp(correlation, _STILL, _VARIES), _ramp(mirror, _SCATTERED, _DIRECTED)
    surely = _ramp(mirror - _AT_STEADY_STATE / np.bincount(part)[part], _MIRRORED, _SURELY)
    return np.maximum(varies * directed, surely)


def _ramp(values: np.ndarray, low: float, high: float) -> np.ndarray:
    """Linear ramp from 0 at ``low`` to 1 at ``high``."""
    return ((values - low) / (high - low)).clip(0, 1)


def _mean_by_group(values: np.ndarray, groups: np.ndarray) -> np.ndarray:
    """Mean over each cell's group, ``(n_cells,)``."""
    means = np.bincount(groups, weights=values) / np.maximum(np.bincount(groups), 1)
    return np.asarray(means[groups])


def _share_along(velocity: np.ndarray, scores: np.ndarray, neighbors: np.ndarray) -> np.ndarray:
    """Share of the root-mean-square spread of each cell's nearest candidates along its velocity; 0 to 1."""
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

    # Components are used in place of genes, with the identity as loadings.
    own = Components(components.scores, torch.eye(along.shape[1]))
    targets = ComponentTargets(neighbors, own, own)
    targets.add(torch.from_numpy(along), slice(None))
    targets.assign()
    ahead, behind = (side.numpy() for side in targets.displacements.spliced)
    return ahead, behind


def _mirrored(ahead: np.ndarray, behind: np.ndarray, loadings: np.ndarray) -> _Agreement:
    """Agreement of the displacement to the future with the mirrored displacement to the past, from components.

    Loadings are orthonormal, so a cell's products over components equal those over genes. A gene's products over cells
    are quadratic forms of its loadings with the products of components over cells.
    """

    def over_cells(x: np.ndarray, y: np.ndarray) -> np.ndarray:
        return np.einsum("gk,gk->g", loadings @ (x.T @ y), loadings)

    lengths = (ahead**2).sum(axis=1) + (behind**2).sum(axis=1)
    return _Agreement(
        cells=_ratio(-2 * (ahead * behind).sum(axis=1), lengths),
        genes=_ratio(-2 * over_cells(ahead, behind), over_cells(ahead, ahead) + over_cells(behind, behind)),
    )


def _agreeing(adata: AnnData, known: np.ndarray) -> _Agreement:
    """Agreement of the velocity with the cell's own moments, over the known genes."""
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
    """Ratio clipped to 0 to 1; 0 if the denominator is 0."""
    return np.clip(np.divide(above, below, out=np.zeros_like(above), where=below > 0), 0, 1)
