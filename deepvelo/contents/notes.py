"""Notes of what reading and joining changed."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from deepvelo import keys

if TYPE_CHECKING:
    from anndata import AnnData


def stored_notes(adata: AnnData) -> list[str]:
    """What reading and joining changed, in words."""
    stored = adata.uns.get(keys.NOTES)
    if isinstance(stored, np.ndarray | list | tuple):
        return [str(note) for note in np.asarray(stored, dtype=object).ravel() if isinstance(note, str)]
    return [stored] if isinstance(stored, str) else []
