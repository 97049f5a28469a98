"""Recognise the content of an AnnData object: counts, moments, neighbours, groups, embeddings; one subject per module.

This package only inspects objects; `deepvelo.io.tidy` and `deepvelo.pp` change them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pandas as pd

from deepvelo import keys
from deepvelo.contents.coordinates import find, is_coordinates, is_for_display, preference
from deepvelo.contents.count_kinds import count_kind
from deepvelo.contents.graphs import has_complete_graph
from deepvelo.contents.groups import MAX_GROUPS, count_groups

if TYPE_CHECKING:
    from anndata import AnnData

    from deepvelo.config import Settings


def groupings(adata: AnnData) -> list[str]:
    """The ``obs`` columns that sort cells into 2 to 100 groups."""
    return [str(name) for name in adata.obs.columns if is_grouping(adata.obs[name])]


def embeddings(adata: AnnData) -> list[str]:
    """Names, without ``X_``, of the ``obsm`` entries of two or more columns that are known in some cells."""
    return [
        key.removeprefix("X_")
        for key, values in adata.obsm.items()
        if key.startswith("X_") and is_coordinates(values)
    ]


def display_embeddings(adata: AnnData) -> list[str]:
    """Embeddings for display, best first: UMAP, t-SNE, others, spatial coordinates, more than three dimensions."""
    found = [
        name for name in embeddings(adata) if is_for_display(keys.embedding(name), adata.obsm[f"X_{name}"])
    ]
    return sorted(found, key=lambda name: (adata.obsm[f"X_{name}"].shape[1] > 3, preference(name)))


def find_embedding(adata: AnnData, name: str) -> str | None:
    """The embedding with a name in any spelling, without ``X_``; None if there is none or several match."""
    return find(name, embeddings(adata))


def has_counts(adata: AnnData) -> bool:
    """Whether both layers hold counts, whole or with fractions."""
    layers = (keys.SPLICED, keys.UNSPLICED)
    return all(key in adata.layers for key in layers) and count_kind(adata) in ("counts", "estimated")


def has_moments(adata: AnnData) -> bool:
    """Whether the object has ``Ms`` and ``Mu``."""
    return keys.MS in adata.layers and keys.MU in adata.layers


def keeps_moments(adata: AnnData, settings: Settings) -> bool:
    """Whether preparation will keep the moments and genes of the object."""
    return has_moments(adata) and not settings.preparation.recompute_moments


def has_neighbors(adata: AnnData) -> bool:
    """Whether the object has a complete neighbour graph where scanpy and scVelo expect it."""
    return has_complete_graph(adata)


def is_grouping(column: pd.Series) -> bool:
    """Whether a column sorts the cells into 2 to 100 groups."""
    n_groups = count_groups(column)
    return 2 <= n_groups <= MAX_GROUPS and n_groups < len(column)
