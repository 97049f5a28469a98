"""Counts to moments in one call on an AnnData object, in place."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING

from anndata import AnnData

from deepvelo import checks, choices, keys
from deepvelo.contents.graphs import ComparisonSpace, comparison_space
from deepvelo.errors import InputError
from deepvelo.io.tidy import tidied
from deepvelo.pp.prepare import chosen_basis, chosen_cluster_key, prepare_tidied, shared_copy
from deepvelo.wording import listed

if TYPE_CHECKING:
    from deepvelo.config import Preset

_MOMENTS_KEPT = (
    "The object brings moments (`Ms`, `Mu`), which are kept with their genes, so {} would change nothing. Start from the "
    "counts of all genes, or give `recompute_moments=True`."
)
_GRAPH_KEPT = (
    'The object brings a neighbour graph, which is kept, so {} would change nothing. Give `compare_in="own"` to find '
    "neighbours in new principal components."
)
_MADE = (keys.SPLICED, keys.UNSPLICED, keys.MS, keys.MU)


def moments(
    adata: AnnData,
    *,
    min_shared_counts: int | None = None,
    n_top_genes: int | None = None,
    n_components: int | None = None,
    n_neighbors: int | None = None,
    compare_in: str | None = None,
    recompute_moments: bool = False,
    recompute_embedding: bool = False,
    cluster_key: str | None = None,
    basis: str | None = None,
    preset: Preset | None = None,
    seed: int = 0,
) -> None:
    """Filter genes, normalise, find neighbours and average counts over them, in place.

    Does what ``scvelo.pp.filter_and_normalize``, ``scanpy.pp.neighbors`` and ``scvelo.pp.moments`` do together: genes
    with enough shared counts are kept, both layers are size-normalised to the median cell, the most variable genes are
    chosen by the dispersion of log-normalised spliced counts, and moments are means over the neighbours (Bergen et al.
    2020, Nature Biotechnology 38:1408). A neighbour graph, an embedding and groups that come with the object are
    used; missing ones are computed (PCA, UMAP, Leiden clusters). So are moments: an object that brings ``Ms`` and
    ``Mu`` keeps them and its genes unless ``recompute_moments``.

    Parameters
    ----------
    adata
        Cells x genes with counts in the layers ``spliced`` and ``unspliced``, or under a name that
        `deepvelo.io.read` knows. Loses the genes that are not kept, and results of an earlier velocity fit.
    min_shared_counts
        Least sum of spliced and unspliced counts, over cells with both, of a gene that is kept. Default: 20.
    n_top_genes
        Number of most variable genes that are kept. Default: 2000.
    n_components
        Number of principal components in which neighbours are found. Default: 20 (30 with ``"published"``).
    n_neighbors
        Number of neighbours over which counts are averaged. Default: 30.
    compare_in
        Space in which neighbours are found: ``"auto"`` (default) takes the object's graph, else its integrated
        representation, else principal components; ``"own"`` computes new components; or a key of ``obsm``.
    recompute_moments, recompute_embedding
        Compute moments, or the UMAP, although the object brings them.
    cluster_key
        Grouping in ``obs``. By default one that is named like cell types, else Leiden clusters are computed.
    basis
        Embedding that arrows will be drawn on, with or without ``X_``. By default UMAP, else another picture.
    preset
        ``"default"``, or ``"published"`` for the preparation of the published DeepVelo: a size factor for each layer,
        and neighbours from spliced counts alone. By default that of the moments that are kept, else ``"default"``.
    seed
        Seed of UMAP and Leiden. The same seed gives the same answer on one machine.

    Sets
    ----
    X
        Log-normalised spliced counts of the kept genes, CSR; unchanged where moments are kept.
    layers ``Ms``, ``Mu``
        Moments, float32 ``(n_cells, n_genes)``, normalised counts. ``spliced`` and ``unspliced`` stay as they are.
    obsp ``distances``, ``connectivities``; uns ``neighbors``; obsm ``X_pca``
        Where scanpy and scVelo look for neighbours and principal components.
    obsm ``X_umap``; obs ``leiden``
        Where the object brings no embedding, or no groups.
    obs ``initial_size_spliced``, ``initial_size_unspliced``
        Total counts of each cell before normalisation.
    uns ``deepvelo``
        Settings, grouping and embedding, which later functions take as their defaults.
    uns ``deepvelo_notes``
        What was changed and left out, in words.

    Raises
    ------
    InputError
        The layers are missing or hold no counts, fewer than two genes have enough counts, the settings ask for more
        neighbours or memory than there are, an argument would change nothing because moments or graph are kept, or the
        grouping or embedding is not there.

    Examples
    --------
    >>> adata = dv.datasets.simulate(kind="linear", n_cells=80, n_genes=60)
    >>> dv.pp.moments(adata, n_top_genes=40, n_neighbors=15)
    >>> adata.shape
    (80, 40)
    >>> adata.layers["Ms"].dtype
    dtype('float32')
    """
    asked = {
        "min_shared_counts": min_shared_counts,
        "n_top_genes": n_top_genes,
        "n_components": n_components,
        "n_neighbors": n_neighbors,
        "compare_in": compare_in,
        "recompute_moments": recompute_moments,
        "recompute_embedding": recompute_embedding,
    }
    settings = recorded = choices.settings_of_moments(preset or "default", seed=seed, **asked)
    before = choices.recorded_settings(adata)
    with warnings.catch_warnings(action="ignore"):  # what the user should know is in the notes
        named = shared_copy(adata)
        named.layers.pop(keys.VELOCITY, None)  # scaled moments are kept for its sake alone
        named = tidied(named)
        if checks.keeps_moments(named, settings):
            _refuse_without_effect(
                _MOMENTS_KEPT, min_shared_counts=min_shared_counts, n_top_genes=n_top_genes
            )
            if before is not None:
                settings, recorded = choices.settings_of_kept_moments(before, preset, seed=seed, **asked)
        if n_neighbors is not None and comparison_space(named, settings.preparation).graph is not None:
            _refuse_without_effect(_GRAPH_KEPT, n_neighbors=n_neighbors)
        out = prepare_tidied(named, settings, cluster_key=cluster_key, basis=basis)
        out.uns[keys.NOTES] = _without_earlier_comparison(
            out.uns[keys.NOTES], comparison_space(named, settings.preparation)
        )
        genes = named.var_names.get_indexer(out.var_names)
        for key, layer in named.layers.items():
            if key not in _MADE and not keys.is_of_a_fit("layers", key):
                out.layers[key] = layer[:, genes]
        if adata.raw is not None and adata.raw.n_obs == out.n_obs:
            out.raw = adata.raw.to_adata()
        choices.record(
            out,
            recorded,
            cluster_key=chosen_cluster_key(out, cluster_key),
            basis=chosen_basis(out, basis),
        )
        # As scanpy subsets in place: the caller's object becomes the new one.
        adata._init_as_actual(out)


def _without_earlier_comparison(notes: list[str], now: ComparisonSpace) -> list[str]:
    """Leave out in what earlier calls compared cells."""
    return [note for note in notes if note == now.sentence or not note.startswith("Cells are compared in ")]


def _refuse_without_effect(why: str, **given: int | None) -> None:
    names = [name for name, value in given.items() if value is not None]
    if names:
        raise InputError(why.format(listed(names)))
