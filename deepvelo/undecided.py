"""Cells whose direction the data do not decide, as stored by a fit."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pandas.api.types import is_bool_dtype

from deepvelo import keys

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd


def undecided_cells(obs: pd.DataFrame) -> np.ndarray | None:
    """Mask of the undecided cells, shape ``(n_cells,)``.

    None for scVelo's modes, imported velocities and fits of earlier versions, which have no such mask.
    """
    if keys.UNDECIDED not in obs or not is_bool_dtype(obs[keys.UNDECIDED]):
        return None
    return obs[keys.UNDECIDED].to_numpy(dtype=bool)


def share_in_words(undecided: np.ndarray) -> str:
    """The share of cells in a mask in whole per cent; 0% and 100% only if exact."""
    share = float(undecided.mean())
    if 0 < share < 0.01:
        return "under 1%"
    return "over 99%" if 0.99 < share < 1 else f"{share:.0%}"
