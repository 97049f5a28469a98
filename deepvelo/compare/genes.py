"""Which genes several methods disagree about in some cells."""

from __future__ import annotations

import numpy as np
import pandas as pd

from deepvelo import tl
from deepvelo.compare.match import Matched


def disagreeing_genes(matched: Matched, cells: np.ndarray) -> pd.DataFrame:
    """Genes by what they contribute to the methods' disagreement in some cells, most first.

    Parameters
    ----------
    cells
        Mask or indices of the shared cells.

    Returns
    -------
    Index: gene; ``contribution`` (see `deepvelo.tl.disagreement`), ``share`` of the sum of all contributions, and a
    column a method with its mean velocity in the cells, so that opposite signs are seen. Only genes for which all
    methods have a velocity; no rows where fewer than two methods move there.
    """
    moving = matched.moving()
    if len(moving) < 2:
        return pd.DataFrame(columns=["contribution", "share", *moving])
    found = pd.DataFrame(
        {"contribution": tl.disagreement(list(moving.values()), cells=cells)},
        index=matched.reference.var_names,
    )
    total = found["contribution"].sum()
    found["share"] = found["contribution"] / (total or 1.0)
    for name, velocity in moving.items():
        found[name] = velocity[cells].mean(axis=0)
    return found[found["contribution"].notna()].sort_values("contribution", ascending=False)
