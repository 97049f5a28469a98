"""How each method moves the cells of a region, on a scale that methods share."""

from __future__ import annotations

import itertools

import numpy as np
import pandas as pd

from deepvelo import tl
from deepvelo.compare.match import Matched
from deepvelo.tl.consistency import unit_rows


def direction_parts(matched: Matched, cells: np.ndarray) -> pd.DataFrame:
    """How much of each method's direction each gene is, mean over some cells.

    Velocities have a unit of time of their own in every method. Directions, velocities scaled to length 1 over the
    genes that all methods have, can be laid beside each other: a gene disagrees where its parts differ, in sign or
    because it rules the one direction and not the other.

    Parameters
    ----------
    cells
        Mask or indices of the shared cells.

    Returns
    -------
    Index: gene; a column a moving method, -1 to 1, above 0 where spliced RNA rises. NaN for a method that moves
    none of the cells.
    """
    directions = _directions(matched, cells)
    genes = matched.reference.var_names[tl.common_genes(list(matched.moving().values()))]
    parts = {name: pd.DataFrame(unit).mean().to_numpy() for name, unit in directions.items()}
    return pd.DataFrame(parts, index=genes)


def pair_agreement(matched: Matched, cells: np.ndarray) -> pd.Series:
    """Mean cosine of every two methods in some cells, over the genes that all methods have, least first.

    Returns
    -------
    Index: the two names; without pairs that move no cell in common.
    """
    found = {
        (a, b): float(pd.Series((unit_a * unit_b).sum(axis=1)).mean())
        for (a, unit_a), (b, unit_b) in itertools.combinations(_directions(matched, cells).items(), 2)
    }
    return pd.Series(found, dtype=float).dropna().sort_values()


def _directions(matched: Matched, cells: np.ndarray) -> dict[str, np.ndarray]:
    """Unit vectors by method; NaN in cells at rest."""
    moving = matched.moving()
    common = tl.common_genes(list(moving.values()))
    return {name: unit_rows(velocity[cells][:, common]) for name, velocity in moving.items()}
