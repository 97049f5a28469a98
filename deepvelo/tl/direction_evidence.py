"""What speaks for the direction of a fitted velocity: what reversing it would cost, and whether cells vary at all."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from anndata import AnnData

from deepvelo import checks, keys, matrices
from deepvelo.layers import blocks_of
from deepvelo.tl.smoothing import GraphAverage

if TYPE_CHECKING:
    from deepvelo.config import Settings
    from deepvelo.layers import Layer
    from deepvelo.model.graph import Components
    from deepvelo.model.stretches import Evidence, Stretches

_CELLS_IN_STRETCHES = 3000  # an even choice of larger data
_PROBES = 16  # columns of white noise that tell what averaging leaves of it


class DirectionEvidence(NamedTuple):
    """Of every cell, ``(n_cells,)`` each.

    stretch and part are numbers of its stretch and of what is connected to that; margin is the share of the stretch's
    squared displacements that reversing it, alone or with others, would leave unexplained; variation is the variance of
    moments within the part over what averages of independent cells would have, and infinite where single cells are not
    known.
    """

    stretch: np.ndarray
    part: np.ndarray
    margin: np.ndarray
    variation: np.ndarray


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
    from scipy.sparse.csgraph import connected_components
    from scipy.spatial import KDTree

    from deepvelo.model.graph import even_choice
    from deepvelo.model.kinetics import steady_state_slope
    from deepvelo.model.stretches import MOST_GENES, Evidence, Stretches

    positions = components.scores
    few: np.ndarray | slice = slice(None)
    nearest: np.ndarray | slice = slice(None)
    if len(positions) > _CELLS_IN_STRETCHES:
        few = even_choice(positions, _CELLS_IN_STRETCHES).numpy()
        nearest = KDTree(positions[few].numpy()).query(positions.numpy())[1]
    loadings = components.loadings.numpy()
    moved = np.einsum("gk,gk->g", loadings @ (displacement.T @ displacement), loadings)
    places = np.sort(np.argsort(-moved, kind="stable")[:MOST_GENES])
    chosen = np.zeros(len(known), dtype=bool)
    chosen[np.flatnonzero(known)[places]] = True
    times = settings.graph.smoothings_of(adata.n_obs)
    spliced, unspliced = (
        torch.from_numpy(_smoothed(adata.layers[key], average, times=times, chosen=chosen, cells=few))
        for key in (keys.MS, keys.MU)
    )
    stretches = Stretches(positions[few].numpy(), displacement[few], seed=settings.seed)
    evidence = Evidence(
        positions[few],
        torch.from_numpy(np.ascontiguousarray(displacement[few] @ loadings[places].T, dtype=np.float32)),
        unspliced,
        spliced,
        slope=steady_state_slope(unspliced, spliced),
        stretches=stretches,
    )
    of_stretches = connected_components(stretches.beside, directed=False)[1]
    part = of_stretches[stretches.labels][nearest]
    return DirectionEvidence(
        stretch=stretches.labels[nearest],
        part=part,
        margin=_margins(evidence, stretches)[stretches.labels][nearest],
        variation=_variation(adata, average, part, times=times, chosen=chosen)[part],
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


def _variation(
    adata: AnnData, average: GraphAverage, part: np.ndarray, *, times: int, chosen: np.ndarray
) -> np.ndarray:
    """Variance of moments over what averages of independent cells would have, by part, ``(n_parts,)``."""
    n_parts = int(part.max()) + 1
    if keys.SPLICED not in adata.layers:
        return np.full(n_parts, np.inf)
    from scvelo.preprocessing.neighbors import get_connectivities

    noise = np.random.default_rng(0).standard_normal((adata.n_obs, _PROBES)).astype(np.float32)
    left = (average(get_connectivities(adata) @ noise, times=times).astype(np.float64) ** 2).mean()
    scale = _scale(adata)
    single, moments = np.zeros((2, n_parts))
    counts, layer = adata.layers[keys.SPLICED], adata.layers[keys.MS]
    for genes, _ in blocks_of(layer, chosen):
        own = matrices.as_dense(counts[:, genes])[:, chosen[genes]] * scale[:, None]
        single += _variances(own, part, n_parts)
        moments += _variances(average(layer[:, genes][:, chosen[genes]], times=times), part, n_parts)
    return np.divide(moments, left * single, out=np.zeros(n_parts), where=single > 0)


def _scale(adata: AnnData) -> np.ndarray:
    """What makes counts of every cell as deep as the median cell's; 1 where layers are no counts."""
    if not checks.has_counts(adata) or not all(key in adata.obs for key in keys.INITIAL_SIZES):
        return np.ones(adata.n_obs)
    totals = sum(adata.obs[key].to_numpy(dtype=np.float64) for key in keys.INITIAL_SIZES)
    return np.median(totals) / np.maximum(totals, 1.0)


def _variances(values: np.ndarray, part: np.ndarray, n_parts: int) -> np.ndarray:
    """Variance within each part, summed over columns, ``(n_parts,)``."""
    found = np.zeros(n_parts)
    for number in range(n_parts):
        found[number] = values[part == number].var(axis=0, dtype=np.float64).sum()
    return found


def _smoothed(
    layer: Layer, average: GraphAverage, *, times: int, chosen: np.ndarray, cells: np.ndarray | slice
) -> np.ndarray:
    """Chosen genes averaged over the graph, of some cells, float32 ``(n_cells, n_chosen)``."""
    blocks = [
        average(layer[:, genes][:, chosen[genes]], times=times)[cells]
        for genes, _ in blocks_of(layer, chosen)
    ]
    return np.ascontiguousarray(np.hstack(blocks))
