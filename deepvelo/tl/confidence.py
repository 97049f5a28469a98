"""How far a cell's direction, or a gene's, can be trusted: evidence that smoothness cannot fake."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from anndata import AnnData

from deepvelo import keys
from deepvelo.layers import blocks_of, known_genes
from deepvelo.tl.smoothing import GraphAverage, smoothed

if TYPE_CHECKING:
    from torch import Tensor

    from deepvelo.config import Settings
    from deepvelo.layers import Layer
    from deepvelo.model.graph import Components
    from deepvelo.model.training import Fit


class Confidence(NamedTuple):
    """0 to 1, of cells ``(n_cells,)`` and of genes ``(n_genes,)``; NaN for a gene without velocity."""

    cells: np.ndarray
    genes: np.ndarray


def direction_confidence(adata: AnnData, *, settings: Settings, fit: Fit | None = None) -> Confidence:
    r"""Confidence in the direction of a fit's velocities, per cell and per gene.

    The product of two agreements, each taken as 0 where it is negative:

    - the way behind mirrors the way ahead. With the mean displacements :math:`d^\pm` to the candidates ahead and
      behind, averaged once over the graph (in many cells as often as reaches as far),
      :math:`-2 d^+ \cdot d^- / (|d^+|^2 + |d^-|^2)`. A cell on a path has a way it came that points opposite to the
      way it goes; in tissue at rest both are noise.
    - the cell's own counts say the same: the cosine of :math:`\beta M_u - \gamma M_s`, unsmoothed, with the velocity.

    Cells are compared over genes, genes over cells. Ends of lineages and cells far from others score low, since
    there is little to go by. It ranks errors; it is not a probability.

    Parameters
    ----------
    adata
        As `deepvelo.tl.velocity` leaves it, with non-negative rates or not.
    fit
        What it has returned: with many cells, finding the components and neighbours again takes a minute.
    """
    average = GraphAverage(adata)
    known = known_genes(adata.layers[keys.VELOCITY])
    if fit is None:
        components, neighbors = _candidates(adata, average, known=known, settings=settings)
    else:
        components, neighbors = fit.components, fit.neighbors
    sides = _displacements(adata.layers[keys.VELOCITY], components, neighbors, known=known)
    times = settings.graph.averages_of(adata.n_obs)
    ahead, behind = (average(side, times=times).astype(np.float64) for side in sides)
    mirrored = _mirrored(ahead, behind, components.loadings.numpy().astype(np.float64))
    agreeing = _agreeing(adata, known)
    genes = np.full(adata.n_vars, np.nan)
    genes[known] = mirrored.genes * agreeing.genes
    return Confidence(cells=mirrored.cells * agreeing.cells, genes=genes)


def _candidates(
    adata: AnnData, average: GraphAverage, *, known: np.ndarray, settings: Settings
) -> tuple[Components, Tensor]:
    """The components of a fit and each cell's candidates."""
    import torch

    from deepvelo.model.graph import neighbors_within_reach, principal_components

    times = settings.graph.smoothings_of(adata.n_obs)
    spliced = smoothed(adata.layers[keys.MS], average, times=times, chosen=known)
    components = principal_components(
        torch.from_numpy(spliced), n_components=settings.graph.n_components, seed=settings.seed
    )
    neighbors = neighbors_within_reach(
        components.scores,
        n_neighbors=settings.graph.candidates_of(adata.n_obs),
        n_among=settings.graph.candidate_cells,
    )
    return components, neighbors


def _displacements(
    velocity: Layer, components: Components, neighbors: Tensor, *, known: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Mean displacements to the candidates ahead and behind, in components, ``(n_cells, n_components)`` each."""
    import torch

    from deepvelo.model.graph import Components
    from deepvelo.model.targets import ComponentTargets

    scores = components.scores
    along = torch.zeros_like(scores)
    for genes, places in blocks_of(velocity, known):
        along += torch.from_numpy(velocity[:, genes][:, known[genes]]) @ components.loadings[places]
    # The components take the place of genes: they are their own components.
    own = Components(scores, torch.eye(scores.shape[1]))
    targets = ComponentTargets(neighbors, own, own)
    targets.add(along, slice(None))
    targets.settle()
    ahead, behind = (side.numpy() for side in targets.settled.spliced)
    return ahead, behind


def _mirrored(ahead: np.ndarray, behind: np.ndarray, loadings: np.ndarray) -> Confidence:
    """How well the way behind mirrors the way ahead, from both in components; in genes they are never formed.

    The loadings are orthonormal, so a cell's products over components are those over genes. A gene's products over
    cells are those of its loadings, with the products of the components over cells between them.
    """

    def over_cells(x: np.ndarray, y: np.ndarray) -> np.ndarray:
        return np.einsum("gk,gk->g", loadings @ (x.T @ y), loadings)

    lengths = (ahead**2).sum(axis=1) + (behind**2).sum(axis=1)
    return Confidence(
        cells=_ratio(-2 * (ahead * behind).sum(axis=1), lengths),
        genes=_ratio(-2 * over_cells(ahead, behind), over_cells(ahead, ahead) + over_cells(behind, behind)),
    )


def _agreeing(adata: AnnData, known: np.ndarray) -> Confidence:
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
    return Confidence(*(_ratio(along, np.sqrt(own * moved)) for along, own, moved in (cells, genes)))


def _ratio(above: np.ndarray, below: np.ndarray) -> np.ndarray:
    """0 to 1, also where it is negative or there is nothing to compare."""
    return np.clip(np.divide(above, below, out=np.zeros_like(above), where=below > 0), 0, 1)
