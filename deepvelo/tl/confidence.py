"""How far a cell's direction, or a gene's, can be trusted: evidence that smoothness cannot fake."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from anndata import AnnData

from deepvelo import keys
from deepvelo.tl.smoothing import average_over_graph, smooth_moments

if TYPE_CHECKING:
    from deepvelo.config import Settings


class Confidence(NamedTuple):
    """0 to 1, of cells ``(n_cells,)`` and of genes ``(n_genes,)``; NaN for a gene without velocity."""

    cells: np.ndarray
    genes: np.ndarray


def direction_confidence(adata: AnnData, *, settings: Settings) -> Confidence:
    r"""Confidence in the direction of a fit's velocities, per cell and per gene.

    The product of two agreements, each taken as 0 where it is negative:

    - the way behind mirrors the way ahead. With the mean displacements :math:`d^\pm` to the candidates ahead and
      behind, averaged once over the graph, :math:`-2 d^+ \cdot d^- / (|d^+|^2 + |d^-|^2)`. A cell on a path has
      a way it came that points opposite to the way it goes; in tissue at rest both are noise.
    - the cell's own counts say the same: the cosine of :math:`\beta M_u - \gamma M_s`, unsmoothed, with the velocity.

    Cells are compared over genes, genes over cells. Ends of lineages and cells far from others score low, since
    there is little to go by. It ranks errors; it is not a probability.

    Parameters
    ----------
    adata
        As `deepvelo.tl.velocity` leaves it, with non-negative rates or not.
    """
    import torch

    from deepvelo.model.blocks import Block
    from deepvelo.model.candidates import Candidates
    from deepvelo.model.graph import nearest_neighbors, principal_components
    from deepvelo.model.targets import ComponentTargets

    velocity = np.asarray(adata.layers[keys.VELOCITY])
    known = np.isfinite(velocity).all(axis=0)
    velocity = np.ascontiguousarray(velocity[:, known])
    s, u = (
        torch.from_numpy(np.ascontiguousarray(x[:, known], dtype=np.float32))
        for x in smooth_moments(adata, settings)
    )
    components = principal_components(s, n_components=settings.graph.n_components, seed=settings.seed)
    neighbors = nearest_neighbors(components.scores, n_neighbors=settings.graph.candidates_of(adata.n_obs))
    targets = ComponentTargets(Candidates(neighbors), components, components)
    block = Block(slice(None), s, u)
    targets.add(torch.from_numpy(velocity), block)
    targets.settle()
    ahead, behind = (
        average_over_graph(adata, side[:, : s.shape[1]].numpy(), times=1) for side in targets.of(block)
    )
    own = np.asarray(adata.layers[keys.BETA] * adata.layers[keys.MU])
    own = (own - adata.layers[keys.GAMMA] * adata.layers[keys.MS])[:, known]
    genes = np.full(adata.n_vars, np.nan)
    genes[known] = _agreement(ahead, behind, own, velocity, axis=0)
    return Confidence(cells=_agreement(ahead, behind, own, velocity, axis=1), genes=genes)


def _agreement(
    ahead: np.ndarray, behind: np.ndarray, own: np.ndarray, velocity: np.ndarray, *, axis: int
) -> np.ndarray:
    mirrored = _ratio(
        -2 * (ahead * behind).sum(axis=axis), (ahead**2).sum(axis=axis) + (behind**2).sum(axis=axis)
    )
    lengths = np.linalg.norm(own, axis=axis) * np.linalg.norm(velocity, axis=axis)
    agreeing = _ratio((own * velocity).sum(axis=axis), lengths)
    return np.asarray(np.clip(mirrored, 0, 1) * np.clip(agreeing, 0, 1))


def _ratio(above: np.ndarray, below: np.ndarray) -> np.ndarray:
    """0 where there is nothing to compare."""
    return np.divide(above, below, out=np.zeros_like(above), where=below > 0)
