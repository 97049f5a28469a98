"""What all pictures of a run's cells have in common: names of groups, and which cells are drawn."""

from __future__ import annotations

import numpy as np
import pandas as pd

from app.shared import cached
from deepvelo.contents import groups
from deepvelo.io.runs import Run


def group_names(values: pd.Series) -> np.ndarray:
    """Group of each cell as text, shape ``(n_cells,)``: one object a group, not a text a cell."""
    return np.asarray(groups.group_names(values, missing=groups.UNASSIGNED), dtype=object)


def drawn(run: Run) -> np.ndarray | None:
    """Rows of the cells that pictures draw, the same on every page and in every colour; None: all of them."""
    return cached.drawn_cells(run.info.run_id)


def drawn_in_words(n_drawn: int, n_cells: int) -> str:
    """For the caption of a picture that draws not every cell; nothing where it does."""
    if n_drawn == n_cells:
        return ""
    return (
        f"{n_drawn:,} of {n_cells:,} cells drawn, fewer where they lie dense; "
        "arrows, scales and selections are of all cells."
    )


def run_in_words(run: Run) -> str:
    """The same of a run's pictures."""
    rows = drawn(run)
    return "" if rows is None else drawn_in_words(len(rows), len(run.obs))
