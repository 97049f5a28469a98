"""Undecided cells: pages fade their arrows and say so in a caption."""

from __future__ import annotations

import numpy as np

from deepvelo import undecided
from deepvelo.io.runs import Run
from deepvelo.undecided import share_in_words


def has_probability(run: Run) -> bool:
    """Whether the run's confidence in direction is a probability, so that undecided cells are known."""
    return undecided.undecided_cells(run.obs) is not None


def undecided_cells(run: Run) -> np.ndarray | None:
    """Mask of a run's undecided cells, shape ``(n_cells,)``; None if there are none or the run does not say."""
    cells = undecided.undecided_cells(run.obs)
    return cells if cells is not None and cells.any() else None


def undecided_in_words(run: Run) -> str:
    """Caption of a figure with faded arrows; empty if no arrow is faded."""
    cells = undecided_cells(run)
    if cells is None:
        return ""
    if cells.all():
        return "**Faded arrows:** all cells, because the data decide no direction."
    return f"**Faded arrows:** {share_in_words(cells)} of the cells, whose direction the data do not decide."


def undecided_lineages_in_words(run: Run) -> str:
    """Caption of lineages with undecided cells; empty if there are none."""
    cells = undecided_cells(run)
    if cells is None:
        return ""
    share = "any cell" if cells.all() else f"{share_in_words(cells)} of the cells"
    return (
        f"**Undecided:** the data do not decide the direction of {share}. Times, fates and drivers there are uncertain, and "
        "their arrows are faded."
    )
