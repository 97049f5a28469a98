"""What the cells of each group are made of: stages of time, or fates."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

STAGES = ("early", "middle", "late")


def stage_shares(groups: Sequence[str] | np.ndarray, time: np.ndarray) -> pd.DataFrame:
    """Share of each group's cells in the first, second and last third of time.

    Parameters
    ----------
    groups
        Group of each cell.
    time
        0 to 1, shape ``(n_cells,)``; cells with NaN are left out.

    Returns
    -------
    A row a group, columns `STAGES`; rows add up to 1, or are NaN where no cell of the group has a time.
    """
    names = np.asarray(groups).astype(str)
    stages = pd.cut(time, [-np.inf, 1 / 3, 2 / 3, np.inf], labels=list(STAGES))
    counts = pd.crosstab(names, np.asarray(stages, dtype=object))
    counts = counts.reindex(index=np.unique(names), columns=list(STAGES), fill_value=0)
    return counts.div(counts.sum(axis=1).replace(0, np.nan), axis=0)


def fate_shares(groups: Sequence[str] | np.ndarray, probabilities: pd.DataFrame) -> pd.DataFrame:
    """Mean probability of each fate in each group, over the cells that have one.

    Parameters
    ----------
    groups
        Group of each cell.
    probabilities
        A row a cell, a column a fate; rows add up to 1 or are NaN.

    Returns
    -------
    A row a group, a column a fate; rows add up to 1, or are NaN where no cell of the group has a fate.
    """
    return probabilities.groupby(np.asarray(groups).astype(str)).mean()
