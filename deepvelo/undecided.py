"""Cells whose direction the data do not decide, as a fit leaves them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pandas.api.types import is_bool_dtype

from deepvelo import keys

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd


def undecided_cells(obs: pd.DataFrame) -> np.ndarray | None:
    """Mask of the undecided cells, shape ``(n_cells,)``.

    None where no fit says: of scVelo's modes, of imported velocities, and of earlier versions, whose confidence in
    direction is no probability.
    """
    if keys.UNDECIDED not in obs or not is_bool_dtype(obs[keys.UNDECIDED]):
        return None
    return obs[keys.UNDECIDED].to_numpy(dtype=bool)


def share_in_words(undecided: np.ndarray) -> str:
    """The share of cells in a mask in whole per cent, which says 0% and 100% only where that is so."""
    share = float(undecided.mean())
    if 0 < share < 0.01:
        return "under 1%"
    return "over 99%" if 0.99 < share < 1 else f"{share:.0%}"
