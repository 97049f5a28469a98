"""Names of cells and genes."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from anndata import AnnData


def make_names_unique(adata: AnnData) -> list[str]:
    """Make cell and gene names unique in place, as anndata does it; returns one note for each that changed."""
    notes = []
    for what, index, mend in (
        ("cell", adata.obs_names, adata.obs_names_make_unique),
        ("gene", adata.var_names, adata.var_names_make_unique),
    ):
        repeated = index[index.duplicated()].unique()
        if len(repeated):
            shown = ", ".join(f"'{x}'" for x in repeated[:3]) + (", ..." if len(repeated) > 3 else "")
            notes.append(
                f"Duplicate {what} names ({len(repeated)}: {shown}) were made unique by adding -1, -2, ..."
            )
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                mend()
    return notes
