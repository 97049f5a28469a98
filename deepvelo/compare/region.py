"""What methods disagree about in the cells of a region: which genes, and which two methods most."""

from __future__ import annotations

import itertools

import numpy as np
import pandas as pd

from deepvelo import tl
from deepvelo.compare.match import Matched
from deepvelo.tl.consistency import unit_rows


def disagreeing_genes(matched: Matched, cells: np.ndarray) -> pd.DataFrame:
    """Genes by what they contribute to the methods' disagreement in some cells, most first.

    Velocities have a unit of time of their own in every method. Directions, velocities scaled to length 1 over the
    genes that all methods have, can be laid beside each other: a gene disagrees where its parts differ, in sign or
    because it rules the one direction and not the other.

    Parameters
    ----------
    cells
        Mask or indices of the shared cells.

    Returns
    -------
    Index: gene, those for which all methods have a velocity; ``contribution`` (see `deepvelo.tl.disagreement`),
    ``share`` of the sum of all contributions, and a column a moving method: the gene's part of its direction, mean over
    the cells, -1 to 1, above 0 where spliced RNA rises; NaN for a method that moves none of them. No rows where fewer
    than two methods move anywhere.
    """
    moving = matched.moving()
    if len(moving) < 2:
        return pd.DataFrame(columns=["contribution", "share", *moving])
    common = tl.common_genes(list(moving.values()))
    found = pd.DataFrame(
        {"contribution": tl.disagreement(list(moving.values()), cells=cells)[common]},
        index=matched.reference.var_names[common],
    )
    found["share"] = found["contribution"] / (found["contribution"].sum() or 1.0)
    for name, unit in _directions(matched, cells).items():
        found[name] = pd.DataFrame(unit).mean().to_numpy()
    return found[found["contribution"].notna()].sort_values("contribution", ascending=False)


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
