"""Disagreement of methods in a region of cells: by gene, and by pair of methods."""

from __future__ import annotations

import itertools

import numpy as np
import pandas as pd

from deepvelo.evaluation.compare.match import Matched
from deepvelo.tl.metrics.agreement import common_lengths, disagreement, unit_blocks


def disagreeing_genes(matched: Matched, cells: np.ndarray) -> pd.DataFrame:
    """Genes by their contribution to the methods' disagreement in some cells, largest first.

    Every method has its own unit of time, so velocities are compared as directions: scaled to length 1 over the genes
    that all methods have. A gene disagrees where its components differ, in sign or because it dominates only one of
    the directions.

    Parameters
    ----------
    cells
        Mask or indices of the shared cells.

    Returns
    -------
    Indexed by the genes for which all methods have a velocity: ``contribution`` (see `deepvelo.tl.metrics.agreement.disagreement`),
    ``share`` of the sum of all contributions, and one column per method with the gene's mean component of its
    direction, from -1 to 1 and above 0 where spliced RNA rises; NaN for a method without velocity in these cells. No
    rows if fewer than two methods have any velocity.
    """
    moving = matched.moving()
    if len(moving) < 2:
        return pd.DataFrame(columns=["contribution", "share", *moving])
    velocities = list(moving.values())
    lengths = common_lengths(velocities)
    means = np.full((matched.reference.n_vars, len(moving)), np.nan)
    n_cells = [np.count_nonzero(length[cells]) or np.nan for length in lengths]
    for genes, units in unit_blocks(velocities, lengths, cells=cells):
        means[genes] = np.transpose([unit.sum(axis=0, dtype=np.float64) for unit in units]) / n_cells
    contribution = disagreement(velocities, cells=cells)
    found = pd.DataFrame(means, index=matched.reference.var_names, columns=list(moving))
    found.insert(0, "contribution", contribution)
    found.insert(1, "share", contribution / (np.nansum(contribution) or 1.0))
    return found[found["contribution"].notna()].sort_values("contribution", ascending=False)


def pair_agreement(matched: Matched, cells: np.ndarray) -> pd.Series:
    """Mean cosine of every pair of methods in some cells, over the genes that all methods have, lowest first.

    Returns
    -------
    Indexed by the two names, without pairs that have no cell with both velocities.
    """
    moving = matched.moving()
    if len(moving) < 2:
        return pd.Series(dtype=float)
    velocities = list(moving.values())
    lengths = common_lengths(velocities)
    pairs = list(itertools.combinations(range(len(moving)), 2))
    cosines = np.zeros((len(pairs), len(lengths[0][cells])))
    for _, units in unit_blocks(velocities, lengths, cells=cells):
        for cosine, (a, b) in zip(cosines, pairs, strict=True):
            cosine += np.einsum("ij,ij->i", units[a], units[b], dtype=np.float64)
    both = [(lengths[a][cells] > 0) & (lengths[b][cells] > 0) for a, b in pairs]
    names = list(moving)
    found = {
        (names[a], names[b]): float(cosine[move].mean())
        for cosine, move, (a, b) in zip(cosines, both, pairs, strict=True)
        if move.any()
    }
    return pd.Series(found, dtype=float).sort_values()
