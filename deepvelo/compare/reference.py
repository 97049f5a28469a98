"""What all methods are scored with: the first result's cells, moments, graph and embedding, and arrows on it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from deepvelo import checks, keys, pp, tl
from deepvelo.compare import results as stored
from deepvelo.errors import InputError
from deepvelo.wording import listed

if TYPE_CHECKING:
    from anndata import AnnData

_N_NEIGHBORS = 30


def chosen_basis(first: AnnData, basis: str | None) -> str | None:
    """The embedding to score on: the given one, that of the fit, or the first picture; None without any."""
    if basis is not None and keys.embedding(basis) not in first.obsm:
        msg = (
            f"There is no embedding '{basis}'. Found {listed(checks.embeddings(first))}. Choose one of them."
        )
        raise InputError(msg)
    chosen = pp.chosen_basis(first, basis or stored.stored_value(first, "basis"))
    return chosen if keys.embedding(chosen) in first.obsm else None


def reference_of(
    first: AnnData,
    *,
    cells: pd.Index,
    genes: pd.Index,
    groups: pd.Series,
    basis: str | None,
    warnings: list[str],
) -> AnnData:
    """What scores need of the first result, with a whole neighbour graph; what is lacking is added to the warnings."""
    from anndata import AnnData

    part = first[cells, genes]
    moments = part.layers[keys.MS]
    moments = np.array(moments.toarray() if hasattr(moments, "toarray") else moments, dtype=np.float32)
    reference = AnnData(
        obs=pd.DataFrame({str(groups.name): groups}, index=cells),
        var=pd.DataFrame(index=genes),
        layers={keys.MS: moments},
        obsp={k: part.obsp[k].copy() for k in (keys.CONNECTIVITIES, keys.DISTANCES) if k in part.obsp},
    )
    if basis is not None:
        reference.obsm[keys.embedding(basis)] = np.asarray(part.obsm[keys.embedding(basis)], dtype=np.float64)
    else:
        warnings.append("There is no embedding, so boundaries are scored in gene space only.")
    params = first.uns.get(keys.NEIGHBORS, {}).get("params", {})
    reference.uns[keys.NEIGHBORS] = {
        "params": params, "connectivities_key": keys.CONNECTIVITIES, "distances_key": keys.DISTANCES,
    }  # fmt: skip
    if not checks.has_neighbors(reference):
        _neighbors(reference, part)
        warnings.append(
            "The neighbour graph was computed anew, since that of the first result is not whole for these cells."
        )
    return reference


def stored_arrows(
    results: Mapping[str, AnnData], reference: AnnData, *, basis: str | None
) -> dict[str, np.ndarray] | None:
    """Every method's own arrows, if all have them and on the same embedding; else none, to treat all alike."""
    if basis is None:
        return None
    embedding, arrows = keys.embedding(basis), keys.velocity_embedding(basis)
    found = {}
    for name, adata in results.items():
        if embedding not in adata.obsm or arrows not in adata.obsm:
            return None
        rows = adata.obs_names.get_indexer(reference.obs_names)
        positions, directions = (
            np.asarray(adata.obsm[key], dtype=np.float64)[rows] for key in (embedding, arrows)
        )
        expected = reference.obsm[embedding]
        if directions.shape != expected.shape or positions.shape != expected.shape:
            return None
        if not np.allclose(positions, expected):
            return None
        found[name] = directions
    return found


def arrows_from_velocity(reference: AnnData, velocity: np.ndarray, *, basis: str) -> np.ndarray:
    """Arrows on the reference's embedding, by scVelo, from velocities and the reference's graph; ``(n_cells, 2)``.

    NaN in all cells where the velocity is the same in every gene, as with one gene.
    """
    known = velocity[:, np.isfinite(velocity).all(axis=0)]
    # scVelo takes each cell's mean over genes off first, and fails on zeros
    if not known.shape[1] or not np.ptp(known, axis=1).any():
        return np.full(reference.obsm[keys.embedding(basis)].shape, np.nan)
    work = reference.copy()
    work.layers[keys.VELOCITY] = velocity
    tl.velocity_graph(work)
    return tl.velocity_embedding(work, basis=basis)


def _neighbors(reference: AnnData, part: AnnData) -> None:
    """Neighbours in the first result's principal components, or in those of its moments."""
    import scanpy as sc

    components = part.obsm.get(keys.X_PCA)
    if components is None:
        components = sc.pp.pca(
            np.log1p(reference.layers[keys.MS]),
            n_comps=min(_N_NEIGHBORS, min(reference.shape) - 1),
            random_state=0,
        )
    reference.obsm[keys.X_PCA] = np.asarray(components)
    del reference.uns[keys.NEIGHBORS]  # scanpy would start from it
    n_neighbors = min(_N_NEIGHBORS, reference.n_obs - 1)
    sc.pp.neighbors(reference, n_neighbors=n_neighbors, use_rep=keys.X_PCA, random_state=0)
