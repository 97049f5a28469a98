"""The reference of a comparison: graph, embedding and arrows with which all methods are scored."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from deepvelo import checks, contents, keys, tl
from deepvelo.arrays.layers import gene_blocks
from deepvelo.arrays.views import Genes, View
from deepvelo.errors import InputError
from deepvelo.evaluation.compare import results as stored
from deepvelo.pp.prepare import chosen_basis as chosen_picture
from deepvelo.tl.rates.block_pca import block_pca
from deepvelo.wording import listed, number

if TYPE_CHECKING:
    from anndata import AnnData

    from deepvelo.arrays.layers import Layer

_MIN_CELLS = 3
_N_NEIGHBORS = 30


def chosen_basis(first: AnnData, basis: str | None) -> str | None:
    """The embedding to score on: the given one, that of the fit, or the best for display; None without any."""
    if basis is not None and contents.find_embedding(first, basis) is None:
        msg = (
            f"There is no embedding '{basis}'. Found {listed(checks.embeddings(first))}. Choose one of them."
        )
        raise InputError(msg)
    chosen = chosen_picture(first, basis or stored.stored_value(first, "basis"))
    return chosen if keys.embedding(chosen) in first.obsm else None


def reference_of(
    first: AnnData,
    *,
    cells: pd.Index,
    genes: pd.Index,
    groups: pd.Series,
    basis: str | None,
    moments: Layer,
    warnings: list[str],
) -> AnnData:
    """The parts of the first result that scores need, with a complete neighbour graph; adds warnings in place."""
    from anndata import AnnData

    part = first[cells]
    reference = AnnData(
        obs=pd.DataFrame({str(groups.name): groups}, index=cells),
        var=pd.DataFrame(index=genes),
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
        _neighbors(reference, part.obsm.get(keys.X_PCA), moments=moments)
        warnings.append(
            "The neighbour graph was computed anew, since that of the first result is not whole for these cells."
        )
    return reference


def stored_arrows(
    results: Mapping[str, AnnData],
    reference: AnnData,
    *,
    rows: Mapping[str, np.ndarray],
    basis: str | None,
) -> dict[str, np.ndarray] | None:
    """The stored arrows of all methods if all are on the same embedding, otherwise None to treat all methods alike."""
    if basis is None:
        return None
    embedding, arrows = keys.embedding(basis), keys.velocity_embedding(basis)
    found = {}
    for name, adata in results.items():
        if embedding not in adata.obsm or arrows not in adata.obsm:
            return None
        positions, directions = (
            np.asarray(adata.obsm[key], dtype=np.float64)[rows[name]] for key in (embedding, arrows)
        )
        expected = reference.obsm[embedding]
        if directions.shape != expected.shape or positions.shape != expected.shape:
            return None
        if not np.allclose(positions, expected, equal_nan=True):
            return None
        found[name] = directions
    return found


def arrows_from_velocity(reference: AnnData, velocity: Layer, *, moments: Layer, basis: str) -> np.ndarray:
    """Arrows on the reference's embedding from velocities and the reference's graph, as in scVelo; ``(n_cells, 2)``.

    NaN in all cells if each cell's velocity is the same in every gene, as with a single gene.
    """
    # scVelo subtracts each cell's mean over genes first, and fails on zeros
    if not _differs_by_gene(velocity):
        return np.full(reference.obsm[keys.embedding(basis)].shape, np.nan)
    work = reference.copy()
    tl.velocity_graph(work, layers={keys.MS: moments, keys.VELOCITY: velocity})
    tl.velocity_embedding(work, basis=basis)
    return np.asarray(work.obsm[keys.velocity_embedding(basis)])


def _differs_by_gene(velocity: Layer) -> bool:
    """Whether any cell's velocity differs between genes; usually the first block decides."""
    lowest, highest = np.full(velocity.shape[0], np.inf), np.full(velocity.shape[0], -np.inf)
    for genes in gene_blocks(velocity):
        block = velocity[:, genes]
        block = block[:, np.isfinite(block).all(axis=0)]
        if block.shape[1]:
            np.minimum(lowest, block.min(axis=1), out=lowest)
            np.maximum(highest, block.max(axis=1), out=highest)
        if (highest > lowest).any():
            return True
    return False


def _neighbors(reference: AnnData, components: np.ndarray | None, *, moments: Layer) -> None:
    """Compute neighbours in the first result's principal components, or in those of its moments."""
    import scanpy as sc

    if reference.n_obs < _MIN_CELLS:
        msg = (
            f"The results share {number(reference.n_obs, 'cell')}, too few to be compared with their neighbours: "
            f"at least {_MIN_CELLS} are needed. Give results of more cells."
        )
        raise InputError(msg)
    if components is None:
        n_components = min(_N_NEIGHBORS, min(reference.shape) - 1)
        components = block_pca([_centered_logarithms(moments)], n_components=n_components, seed=0)
    reference.obsm[keys.X_PCA] = np.asarray(components)
    del reference.uns[keys.NEIGHBORS]  # scanpy would reuse its parameters
    n_neighbors = min(_N_NEIGHBORS, reference.n_obs - 1)
    sc.pp.neighbors(reference, n_neighbors=n_neighbors, use_rep=keys.X_PCA, random_state=0)


def _centered_logarithms(moments: Layer) -> View:
    def make(cells: Any, genes: Genes) -> np.ndarray:
        logged = np.log1p(moments[:, genes])
        return (logged - logged.mean(axis=0))[cells]

    return View(moments.shape, make, source=moments)
