"""Prepare counts for a fit: moments, neighbours, an embedding and groups; existing ones are kept."""

from __future__ import annotations

import copy
import logging
import warnings
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from anndata import AnnData

from deepvelo import checks, contents, keys
from deepvelo.arrays import matrices
from deepvelo.arrays.layers import gene_blocks, new_layer
from deepvelo.contents.groups import CLUSTER_NAMES, too_many_groups
from deepvelo.contents.notes import stored_notes
from deepvelo.io.tidy import tidied
from deepvelo.pp.counts import averaged, most_variable, normalized_counts
from deepvelo.pp.groups import tidy_groups, too_many_in_words
from deepvelo.pp.neighbors import find_neighbors
from deepvelo.wording import number

if TYPE_CHECKING:
    from pathlib import Path

    from deepvelo.config import Settings

logger = logging.getLogger(__name__)

# Above zero, below any count: excludes genes without counts even if the threshold is 0.
_ANY = 1e-9


def prepare(
    adata: AnnData,
    settings: Settings,
    *,
    cluster_key: str | None = None,
    basis: str | None = None,
    scratch: Path | None = None,
) -> AnnData:
    """Return a new object with everything a fit needs.

    Objects with ``Ms`` and ``Mu`` keep them and their genes, unless
    ``settings.preparation.recompute_moments`` is set. Otherwise genes are filtered by shared counts, both layers
    are size-normalised to the median cell by the size factors of ``settings.variant``, the most
    variable genes are chosen by the dispersion of log-normalised spliced counts, and moments are means over
    the neighbours, as in scVelo. Neighbours come from the graph or representation named by
    ``settings.preparation.compare_in`` (`deepvelo.contents.graphs.comparison_space`); principal components are computed
    from the log-normalised layers named by ``settings.variant``. Existing embeddings and groups are kept;
    missing ones are computed.

    Parameters
    ----------
    adata
        Cells x genes with layers ``spliced`` and ``unspliced``, under any names that `deepvelo.io.tidy` knows; not
        changed. Layers may be Dask arrays, as `deepvelo.io.read` returns them with ``lazy_if_large``: only the kept genes
        are loaded into memory.
    settings
        ``settings.preparation``, ``settings.variant`` and ``settings.seed`` determine the result.
    cluster_key
        The ``obs`` column with the cells' groups; by default see `chosen_cluster_key`.
    basis
        The embedding that arrows will be drawn on; must exist.
    scratch
        A folder for ``Ms`` and ``Mu``: they are then Zarr arrays in chunks of genes.

    Returns
    -------
    Cells x kept genes: layers ``spliced``, ``unspliced`` as found (CSR), ``Ms``, ``Mu`` (dense float32,
    normalised counts); ``obsm["X_pca"]`` and an embedding; ``obsp`` and ``uns["neighbors"]``; the groups as
    a categorical. Results of an earlier velocity fit and ``raw`` are left out.
    ``uns["deepvelo_notes"]`` lists what was left out.

    Raises
    ------
    InputError
        See `deepvelo.checks.require_fit`.
    """
    with warnings.catch_warnings(action="ignore"):  # the notes carry what the user should know
        adata = shared_copy(adata)
        adata.layers.pop(keys.VELOCITY, None)  # `tidied` keeps scaled moments only for an existing velocity
        adata = tidied(adata)
    return prepare_tidied(adata, settings, cluster_key=cluster_key, basis=basis, scratch=scratch)


def prepare_tidied(
    adata: AnnData,
    settings: Settings,
    *,
    cluster_key: str | None = None,
    basis: str | None = None,
    scratch: Path | None = None,
    genes: np.ndarray | None = None,
) -> AnnData:
    """As `prepare`, for an object that `deepvelo.io.tidy.tidied` returned; existing moments keep their units.

    Parameters
    ----------
    genes
        Genes to use if moments are computed, bool ``(n_genes,)``; by default chosen as in `prepare`.
    """
    with warnings.catch_warnings(action="ignore"):
        checks.require_fit(adata, settings, cluster_key=cluster_key, basis=basis)
        keeps = checks.keeps_moments(adata, settings)
        out = _fresh_copy(adata, keep_x=keeps)
        notes: list[str] = []
        if keeps:
            out = _keep_moments(out, adata, settings, notes)
            if scratch is not None:
                moments_on_disk(out, scratch)
        else:
            out = _compute_moments(out, adata, settings, notes, scratch=scratch, genes=genes)
        key = chosen_cluster_key(out, cluster_key)
        if key not in checks.groupings(out):
            notes += _unusable_groups(out, key)
            _cluster(out, settings, key=key)
            out.uns[keys.OWN_GROUPS] = key
        if cluster_key is None:
            notes += too_many_in_words(out, key)
        notes += tidy_groups(out, key)
        if settings.preparation.recompute_embedding or not checks.display_embeddings(out):
            import scanpy as sc

            sc.tl.umap(out, random_state=settings.seed)
    for note in notes:
        logger.info(note)
    out.uns[keys.NOTES] = list(dict.fromkeys([*stored_notes(adata), *notes]))
    return out


def shared_copy(adata: AnnData) -> AnnData:
    """A copy whose entries can be replaced, with the same matrices and without ``raw``."""
    return AnnData(
        X=adata.X,
        obs=adata.obs.copy(),
        var=adata.var.copy(),
        uns=_copied_mappings(adata.uns),
        **{name: dict(getattr(adata, name)) for name in ("layers", "obsm", "varm", "obsp", "varp")},
    )


def _copied_mappings(mapping: Mapping[str, Any]) -> dict[str, Any]:
    return {
        key: _copied_mappings(value) if isinstance(value, Mapping) else value
        for key, value in mapping.items()
    }


def moments_on_disk(out: AnnData, folder: Path) -> None:
    """Write ``Ms`` and ``Mu`` to a folder and replace them, in place, by Zarr arrays in chunks of genes."""
    for key in (keys.MS, keys.MU):
        layer = new_layer(out.shape, path=folder / key)
        for genes in gene_blocks(layer):
            layer[:, genes] = out.layers[key][:, genes]
        out.layers[key] = layer


def chosen_cluster_key(adata: AnnData, cluster_key: str | None) -> str:
    """The grouping to use: the given one, else a column named like cell types, else a new one.

    A new grouping is called ``"leiden"``, or ``"deepvelo_leiden"`` if the data already have a column ``"leiden"``.
    """
    if cluster_key is not None:
        checks.require_grouping(adata, cluster_key)
        return cluster_key
    by_name = {name.lower(): name for name in reversed(checks.groupings(adata))}
    new = keys.LEIDEN_OWN if keys.LEIDEN in adata.obs else keys.LEIDEN
    made = adata.uns.get(keys.OWN_GROUPS)  # `groupings` omits columns with a single group or very many
    made = made if isinstance(made, str) and made in adata.obs else new
    return next((by_name[name] for name in CLUSTER_NAMES if name in by_name), made)


def chosen_basis(adata: AnnData, basis: str | None) -> str:
    """The embedding to draw on: the given one in any spelling, else the preferred existing one; without ``X_``."""
    if basis is not None:
        return contents.find_embedding(adata, basis) or basis.removeprefix("X_")
    return next(iter(checks.display_embeddings(adata)), "umap")


def _fresh_copy(adata: AnnData, *, keep_x: bool) -> AnnData:
    """A copy without the results of an earlier velocity fit, without ``raw`` and without layers."""
    return AnnData(
        X=_in_memory(adata.X) if keep_x and adata.X is not None else None,
        obs=adata.obs[[c for c in adata.obs if not keys.is_of_a_fit("obs", c)]].copy(),
        var=adata.var[[c for c in adata.var if not keys.is_of_a_fit("var", c)]].copy(),
        obsm={
            key: value.copy()
            for key, value in adata.obsm.items()
            if not keys.is_of_a_fit("obsm", key, obsm=adata.obsm)
        },
        varm={key: value.copy() for key, value in adata.varm.items() if not keys.is_of_a_fit("varm", key)},
        uns=copy.deepcopy(
            {k: v for k, v in adata.uns.items() if not keys.is_of_a_fit("uns", k) and k != keys.NEIGHBORS}
        ),
    )


def _keep_moments(out: AnnData, adata: AnnData, settings: Settings, notes: list[str]) -> AnnData:
    """Keep ``Ms`` and ``Mu``; leave out genes with non-finite moments or without counts."""
    for key in (keys.SPLICED, keys.UNSPLICED):
        out.layers[key] = matrices.as_csr(adata.layers[key])
    for key in (keys.MS, keys.MU):
        out.layers[key] = _dense(adata.layers[key])
    finite = np.isfinite(out.layers[keys.MS]).all(axis=0) & np.isfinite(out.layers[keys.MU]).all(axis=0)
    present = out.layers[keys.MS].any(axis=0) | out.layers[keys.MU].any(axis=0)
    if not finite.all():
        notes.append(
            f"{number(int(np.sum(~finite)), 'gene')} with moments that are NaN or infinite left out."
        )
    if not present[finite].all():
        notes.append(f"{number(int(np.sum(~present & finite)), 'gene')} without any count left out.")
    if not (finite & present).all():
        out = out[:, finite & present].copy()
    moments = [out.layers[key] for key in (keys.MS, keys.MU)]
    notes += find_neighbors(out, adata, moments, settings)
    return out


def _compute_moments(
    out: AnnData,
    adata: AnnData,
    settings: Settings,
    notes: list[str],
    *,
    scratch: Path | None,
    genes: np.ndarray | None,
) -> AnnData:
    """Choose genes, normalise, and average over the neighbours."""
    from scvelo.preprocessing.neighbors import get_connectivities

    normalize = checks.has_counts(adata)
    if not normalize:
        notes.append("The layers are already normalised, so size normalisation was skipped.")
    counts = {key: matrices.stored_by_cells(adata.layers[key]) for key in (keys.SPLICED, keys.UNSPLICED)}
    sizes = {key: matrices.cell_totals(layer) for key, layer in counts.items()}
    if normalize:
        for key, totals in zip(keys.INITIAL_SIZES, sizes.values(), strict=True):
            out.obs[key] = totals
    if settings.variant.size_factors == "cell":
        # Both layers share a capture rate; separate totals would remove the information in their ratio.
        sizes = dict.fromkeys(sizes, sizes[keys.SPLICED] + sizes[keys.UNSPLICED])
    scales = {
        key: _scale(totals) if normalize else np.ones(out.n_obs, np.float32) for key, totals in sizes.items()
    }

    if genes is not None:
        used = np.flatnonzero(genes)
    else:
        used = _chosen_genes(counts, scales, settings, notes)

    out = out[:, used].copy()
    normalized = {}
    for key, layer in counts.items():
        out.layers[key] = matrices.as_csr(layer, genes=used)
        normalized[key] = normalized_counts(out.layers[key], scales[key])
    out.X = normalized[keys.SPLICED].log1p()
    out.uns["log1p"] = {}
    notes += find_neighbors(out, adata, list(normalized.values()), settings, counted=normalize)
    mean = get_connectivities(out)  # rows sum to 1: a cell and its neighbours, equally weighted
    for moments, key in ((keys.MS, keys.SPLICED), (keys.MU, keys.UNSPLICED)):
        path = scratch / moments if scratch else None
        out.layers[moments] = averaged(mean, normalized.pop(key), path=path)
    return out


def _chosen_genes(
    counts: Mapping[str, Any], scales: Mapping[str, np.ndarray], settings: Settings, notes: list[str]
) -> np.ndarray:
    """Indices of the most variable genes with enough shared counts."""
    shared = matrices.shared_counts(counts[keys.SPLICED], counts[keys.UNSPLICED])
    used = np.flatnonzero(shared >= max(settings.preparation.min_shared_counts, _ANY))
    n_enough = len(used)
    if settings.preparation.n_top_genes < n_enough:
        used = used[
            most_variable(
                counts[keys.SPLICED],
                scales[keys.SPLICED],
                genes=used,
                n_top_genes=settings.preparation.n_top_genes,
            )
        ]
    notes.append(
        f"{n_enough:,} of {len(shared):,} genes have at least {settings.preparation.min_shared_counts} shared counts; "
        f"the {len(used):,} most variable of these were used and {len(shared) - len(used):,} were left out."
    )
    return used


def _scale(sizes: np.ndarray) -> np.ndarray:
    """Factors that scale every cell to the median size; ``sizes``, ``(n_cells,)``, are totals over all genes."""
    filled = sizes > 0
    scale = np.ones(len(sizes), dtype=np.float32)  # cells without counts stay zero
    scale[filled] = np.median(sizes[filled]) / sizes[filled]
    return scale


def _unusable_groups(out: AnnData, key: str) -> list[str]:
    """A note for each column named like a grouping that cannot be used as one; see `too_many_in_words`."""
    too_many = too_many_groups(out)
    return [
        f"Column '{name}' is not a usable grouping: new groups were computed, in '{key}'."
        for name in map(str, out.obs)
        if name.lower() in CLUSTER_NAMES and name not in too_many
    ]


def _cluster(out: AnnData, settings: Settings, *, key: str) -> None:
    import scanpy as sc

    sc.tl.leiden(
        out,
        key_added=key,
        flavor="igraph",
        n_iterations=2,
        directed=False,
        random_state=settings.seed,
    )


def _in_memory(matrix: Any) -> Any:
    return matrix.compute(scheduler="synchronous") if matrices.is_lazy(matrix) else matrix.copy()


def _dense(matrix: Any) -> np.ndarray:
    return np.asarray(matrices.as_dense(_in_memory(matrix)), dtype=np.float32)
