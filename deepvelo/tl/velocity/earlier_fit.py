"""What an earlier velocity fit left in an object."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from deepvelo import keys

if TYPE_CHECKING:
    from anndata import AnnData

_RESULTS = ("plan", "history", "metrics")


def remove_earlier_fit(adata: AnnData) -> None:
    """Remove velocities and what was computed from them, in place: beside new ones it would be taken for theirs.

    What was chosen for the object stays in ``uns["deepvelo"]``, so that a fit that fails can be started again.
    """
    chosen = adata.uns.get(keys.DEEPVELO)
    obsm = list(adata.obsm)
    for part in ("layers", "obsm", "varm", "obsp", "uns", "obs", "var"):
        entries = getattr(adata, part)
        for name in [name for name in entries if keys.is_of_a_fit(part, name, obsm=obsm)]:
            del entries[name]
    if isinstance(chosen, Mapping):
        adata.uns[keys.DEEPVELO] = {name: value for name, value in chosen.items() if name not in _RESULTS}
