"""Selections of cells: made on maps, by values and by lists of names; combined; saved beside their run.

A selection is a boolean array with one value per cell of a run. A grouping made by hand is made of selections and belongs to
the data set.
"""

from deepvelo.selections.cells import How, cells_inside, combine, within
from deepvelo.selections.grouping_store import GroupingStore, SavedGrouping
from deepvelo.selections.groupings import Group, Grouping
from deepvelo.selections.names import FoundCells, find_cells, same_cells

__all__ = [
    "FoundCells",
    "Group",
    "Grouping",
    "GroupingStore",
    "How",
    "SavedGrouping",
    "cells_inside",
    "combine",
    "find_cells",
    "same_cells",
    "within",
]
