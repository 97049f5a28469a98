"""Notes on changes made when data were read or joined."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from deepvelo import keys

if TYPE_CHECKING:
    from anndata import AnnData


def stored_notes(adata: AnnData) -> list[str]:
    """Stored notes on changes made when the data were read or joined."""
    stored = adata.uns.get(keys.NOTES)
    if isinstance(stored, np.ndarray | list | tuple):
        return [str(note) for note in np.asarray(stored, dtype=object).ravel() if isinstance(note, str)]
    return [stored] if isinstance(stored, str) else []
