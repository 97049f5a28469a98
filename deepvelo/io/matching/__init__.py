"""Match the cells of two files by barcode, whatever prefixes and suffixes their names have.

The same cell is ``AAACCTGAGAAACCAT-1`` in Cell Ranger, ``sample1:AAACCTGAGAAACCATx`` in velocyto and
``sample1_AAACCTGAGAAACCAT-1-0`` after a concatenation. `labels` extracts the part that identifies a cell within its
sample. If several samples share a barcode, `evidence` must tell the samples apart; otherwise the cell stays unmatched.
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
