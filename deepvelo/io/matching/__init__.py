"""Find the cells of one file in another, whatever their barcodes are dressed in, and never the wrong ones.

The same cell is ``AAACCTGAGAAACCAT-1`` to Cell Ranger, ``sample1:AAACCTGAGAAACCATx`` to velocyto and
``sample1_AAACCTGAGAAACCAT-1-0`` after two objects were concatenated. Names and columns of both files are compared by
what names a cell in its sample (`labels`). Where samples share it, what the files say about the samples must tell them
apart (`evidence`), or the cell stays unmatched.
"""

from deepvelo.io.matching.cells import MIN_RATE, Matching, match_cells
from deepvelo.io.matching.labels import Labels, are_running_numbers, cell_columns, is_row_numbers

__all__ = [
    "MIN_RATE",
    "Labels",
    "Matching",
    "are_running_numbers",
    "cell_columns",
    "is_row_numbers",
    "match_cells",
]
