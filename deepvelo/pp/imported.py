"""An object with the velocities that another tool computed, as a fit would leave it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from deepvelo import checks, config, keys
from deepvelo.arrays import matrices
from deepvelo.arrays.views import dense
from deepvelo.contents import imported
from deepvelo.contents.notes import stored_notes
from deepvelo.errors import InputError
from deepvelo.io.tidy import tidied
from deepvelo.pp.prepare import prepare_tidied, shared_copy
from deepvelo.wording import listed, number

if TYPE_CHECKING:
    from anndata import AnnData

    from deepvelo.config import Settings

_OF_COUNTS = {keys.SPLICED: keys.MS, keys.UNSPLICED: keys.MU}


def prepare_imported(
    adata: AnnData, settings: Settings, *, cluster_key: str | None = None, basis: str | None = None
) -> AnnData:
    """A new object with an object's own velocities, moments, graph, embedding and groups; what is missing is computed.

    Moments stay in the units of the velocities. Missing ones are the mean of their gene. Without moments these are made
    from the counts of the genes that have a velocity; where there are no counts, the moments stand in for them.

    Parameters
    ----------
    adata
        Cells x genes with velocities (``settings.layer``, else see `deepvelo.contents.imported.chosen_layer`) and moments or
        counts; not changed.
    cluster_key, basis
        As for `deepvelo.pp.prepare.prepare`.

    Returns
    -------
    As `deepvelo.pp.prepare.prepare` leaves it, with ``velocity`` (float32; NaN in genes without velocity, 0 for missing values
    in the others), ``var["velocity_genes"]``, and ``velocity_u`` and cell-specific rates where the object brings them.

    Raises
    ------
    InputError
        No velocities, in no gene, or neither moments nor counts; or more memory needed than there is.
    """
    named = tidied(shared_copy(adata))
    imported.name_velocity(named, requested=settings.layer or None, name="The file")
    velocity, chosen = named.layers[keys.VELOCITY], imported.velocity_genes(named)
    if matrices.is_lazy(velocity):
        checks.require_memory(named.n_obs, int(chosen.sum()), settings)
        velocity = velocity.compute(scheduler="synchronous")
    values = imported.known_values(dense(velocity), chosen)
    if not values.genes.any():
        msg = (
            f"The layer with the velocities has values in none of the {number(named.n_vars, 'gene')}, or its velocity "
            f"genes have none. Found the layers {listed(sorted(named.layers))}. Choose another layer."
        )
        raise InputError(msg)
    n_genes = named.n_vars if checks.has_moments(named) else int(values.genes.sum())
    checks.require_memory(named.n_obs, n_genes, settings)
    notes = _missing(values) + _fill_moments(named, values.genes) + _take_counts(named)
    kept = {"preparation": {"recompute_moments": False, "recompute_embedding": False}}
    out = prepare_tidied(
        named, config.replace(settings, kept), cluster_key=cluster_key, basis=basis, genes=values.genes
    )
    genes = named.var_names.get_indexer(out.var_names)
    known = values.genes[genes]
    brought = {keys.VELOCITY: _dense(velocity, genes)}
    if (unspliced := imported.unspliced_velocity_layer(named.layers)) is not None:
        brought[keys.VELOCITY_U] = _dense(named.layers[unspliced], genes)
    brought |= _rates(named, genes, known)
    for key, layer in brought.items():
        out.layers[key] = imported.with_zeros(layer, known)[:, :]
    out.var[keys.VELOCITY_GENES] = known
    out.uns[keys.NOTES] = [*stored_notes(out), *notes]
    return out


def _rates(adata: AnnData, genes: np.ndarray, known: np.ndarray) -> dict[str, np.ndarray]:
    """Rates of these genes, where they are there and differ between cells in any that is ``known``."""
    rates = {key: _dense(adata.layers[key], genes) for key in keys.RATES if key in adata.layers}
    if keys.BETA not in rates or keys.GAMMA not in rates:
        return {}
    return rates if any(_differ(rates[key][:, known]) for key in (keys.BETA, keys.GAMMA)) else {}


def _differ(values: np.ndarray) -> bool:
    """Whether cells have different values of any gene; missing ones say nothing."""
    return bool((np.fmin.reduce(values, axis=0) < np.fmax.reduce(values, axis=0)).any())


def _fill_moments(adata: AnnData, genes: np.ndarray) -> list[str]:
    """Set missing moments of these genes, bool ``(n_genes,)``, to the mean of their gene, in place."""
    n_missing = 0
    for key in _OF_COUNTS.values():
        if key not in adata.layers or not matrices.look_at_values(adata.layers[key]).n_not_finite:
            continue
        moments = _dense(adata.layers[key], np.arange(adata.n_vars))
        for gene in np.flatnonzero(genes):
            finite = np.isfinite(moments[:, gene])
            if finite.any() and not finite.all():
                moments[~finite, gene] = moments[finite, gene].mean()
                n_missing += int((~finite).sum())
        adata.layers[key] = moments
    return [f"{number(n_missing, 'missing moment')} set to the mean of the gene."] if n_missing else []


def _take_counts(adata: AnnData) -> list[str]:
    """Let moments stand in for counts that are missing, in place."""
    missing = [
        (counts, moments)
        for counts, moments in _OF_COUNTS.items()
        if counts not in adata.layers and moments in adata.layers
    ]
    for counts, moments in missing:
        layer = adata.layers[moments]
        if matrices.look_at_values(layer).n_not_finite:  # in genes that will be left out
            layer = np.nan_to_num(layer, posinf=0, neginf=0)
        adata.layers[counts] = layer
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


def _missing(values: imported.KnownValues) -> list[str]:
    notes = []
    if values.n_missing:
        notes.append(
            f"{values.n_missing:,} velocities are missing (NaN or infinite) and count as no movement."
        )
    if n_without := int((~values.cells).sum()):
        notes.append(f"{number(n_without, 'cell')} without any velocity do not move.")
    return notes


def _dense(matrix: Any, genes: np.ndarray) -> np.ndarray:
    """Some genes of a matrix by their indices, in memory, float32."""
    values = np.empty((matrix.shape[0], len(genes)), dtype=np.float32)
    start = 0
    for (cells,) in matrices.by_cells(matrix):
        values[start : start + cells.shape[0]] = matrices.as_dense(cells[:, genes])
        start += cells.shape[0]
    return values
