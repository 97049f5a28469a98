"""Names of groups, and the cells that figures of a run draw."""

from __future__ import annotations

import numpy as np
import pandas as pd

from app.shared import cached
from deepvelo.contents import groups
from deepvelo.io.runs import Run


def group_names(values: pd.Series) -> np.ndarray:
    """Group of each cell as text, shape ``(n_cells,)``, dtype object; equal groups share one string."""
    return np.asarray(groups.group_names(values, missing=groups.UNASSIGNED), dtype=object)


def drawn(run: Run) -> np.ndarray | None:
    """Rows of the cells that figures draw, the same on every page; None for all."""
    return cached.drawn_cells(run.info.run_id)


def drawn_in_words(n_drawn: int, n_cells: int) -> str:
    """Caption of a figure that subsamples cells; empty if it draws all."""
    if n_drawn == n_cells:
        return ""
    return (
        f"{n_drawn:,} of {n_cells:,} cells drawn; dense regions are subsampled. "
        "Arrows, scales and selections use all cells."
    )


def run_in_words(run: Run) -> str:
    """Caption of a run's figures about subsampled cells; empty if they draw all."""
    rows = drawn(run)
    return "" if rows is None else drawn_in_words(len(rows), len(run.obs))
