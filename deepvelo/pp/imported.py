"""An object with the velocities that another tool computed, as a fit would leave it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from deepvelo import checks, config, imported, keys, matrices
from deepvelo.errors import InputError
from deepvelo.io.tidy import stored_notes, tidied
from deepvelo.pp.prepare import prepare, shared_copy
from deepvelo.wording import listed, number

if TYPE_CHECKING:
    from anndata import AnnData

    from deepvelo.config import Settings

_OF_COUNTS = {keys.SPLICED: keys.MS, keys.UNSPLICED: keys.MU}


def prepare_imported(
    adata: AnnData, settings: Settings, *, cluster_key: str | None = None, basis: str | None = None
) -> AnnData:
    """A new object with an object's own velocities, moments, graph, embedding and groups; what is missing is computed.

    Without moments these are made from the counts of the genes that have a velocity; where there are no counts, the
    moments stand in for them.

    Parameters
    ----------
    adata
        Cells x genes with velocities (``settings.layer``, else see `deepvelo.imported.chosen_layer`) and moments or
        counts; not changed.
    cluster_key, basis
        As for `deepvelo.pp.prepare`.

    Returns
    -------
    As `deepvelo.pp.prepare` leaves it, with ``velocity`` (float32; NaN in genes without velocity, 0 for missing values
    in the others), ``var["velocity_genes"]``, and ``velocity_u`` and cell-specific rates where the object brings them.

    Raises
    ------
    InputError
        No velocities, in no gene, or neither moments nor counts.
    """
    named = tidied(shared_copy(adata))
    imported.name_velocity(named, asked=settings.layer or None, name="The file")
    velocity = _in_memory(named.layers[keys.VELOCITY])
    values = imported.values_of(velocity, imported.velocity_genes(named))
    if not values.genes.any():
        msg = (
            f"The layer with the velocities has values in none of the {number(named.n_vars, 'gene')}, or its velocity "
            f"genes have none. Found the layers {listed(sorted(named.layers))}. Choose another layer."
        )
        raise InputError(msg)
    notes = _missing(values) + _take_counts(named)
    kept = {"preparation": {"recompute_moments": False, "recompute_embedding": False}}
    out = prepare(
        named,
        config.replace(settings, kept),
        cluster_key=cluster_key,
        basis=basis,
        genes=None if checks.has_moments(named) else values.genes,
    )
    cells, genes = named.obs_names.get_indexer(out.obs_names), named.var_names.get_indexer(out.var_names)
    known = values.genes[genes]
    brought = {
        keys.VELOCITY: velocity,
        keys.VELOCITY_U: _layer(named, imported.unspliced_velocity_layer(named.layers)),
    }
    brought |= _rates(named, values.genes)
    for key, layer in brought.items():
        if layer is not None:
            out.layers[key] = imported.filled(layer[cells][:, genes], known)[:, :]
    out.var[keys.VELOCITY_GENES] = known
    out.uns[keys.NOTES] = [*stored_notes(out), *notes]
    return out


def _rates(adata: AnnData, known: np.ndarray) -> dict[str, np.ndarray | None]:
    """Rates of every cell, where they are there and differ between cells in any gene with a velocity."""
    rates = {key: _layer(adata, key) for key in keys.RATES}
    beta, gamma = rates[keys.BETA], rates[keys.GAMMA]
    if beta is None or gamma is None:
        return {}
    return rates if any(np.nanstd(rate[:, known], axis=0).any() for rate in (beta, gamma)) else {}


def _take_counts(adata: AnnData) -> list[str]:
    """Let moments stand in for counts that are missing, in place."""
    missing = [
        (counts, moments)
        for counts, moments in _OF_COUNTS.items()
        if counts not in adata.layers and moments in adata.layers
    ]
    for counts, moments in missing:
        adata.layers[counts] = adata.layers[moments]
    if lacking := [counts for counts in _OF_COUNTS if counts not in adata.layers]:
        msg = (
            f"The file has velocities, but neither counts nor moments to show them with: {listed(lacking)} missing. "
            f"Found the layers {listed(sorted(adata.layers))}. Add {listed(list(_OF_COUNTS))}, or "
            f"{listed(list(_OF_COUNTS.values()))}, from the file that was fitted."
        )
        raise InputError(msg)
    if not missing:
        return []
    return [
        f"The file has no layer {' and no '.join(repr(counts) for counts, _ in missing)}: "
        f"the moments {' and '.join(moments for _, moments in missing)} stand in for counts."
    ]


def _missing(values: imported.Values) -> list[str]:
    notes = []
    if values.n_missing:
        notes.append(
            f"{values.n_missing:,} velocities are missing (NaN or infinite) and count as no movement."
        )
    if n_without := int((~values.cells).sum()):
        notes.append(f"{number(n_without, 'cell')} without any velocity do not move.")
    return notes


def _layer(adata: AnnData, name: str | None) -> np.ndarray | None:
    return _in_memory(adata.layers[name]) if name in adata.layers else None


def _in_memory(matrix: Any) -> np.ndarray:
    whole = matrix.compute(scheduler="synchronous") if matrices.is_lazy(matrix) else matrix
    return np.asarray(matrices.as_dense(whole), dtype=np.float32)
