"""What an earlier velocity fit left in an object."""

from __future__ import annotations

from typing import TYPE_CHECKING

from deepvelo import keys

if TYPE_CHECKING:
    from anndata import AnnData


def remove_earlier_fit(adata: AnnData) -> None:
    """Remove velocities and what was computed from them, in place: beside new ones it would be taken for theirs."""
    for part in ("layers", "obsm", "uns", "obs", "var"):
        entries = getattr(adata, part)
        for name in [name for name in entries if keys.is_of_a_fit(part, name)]:
            del entries[name]
