"""Groups of cells as every later step expects them: a categorical of text, each group with its colour."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from deepvelo import keys
from deepvelo.contents.groups import (
    CLUSTER_NAMES,
    MAX_GROUPS,
    UNASSIGNED,
    UNASSIGNED_COLOR,
    group_colors,
    group_names,
    tidy_colors,
    too_many_groups,
)
from deepvelo.wording import number

if TYPE_CHECKING:
    from anndata import AnnData


def tidy_groups(adata: AnnData, key: str) -> list[str]:
    """Make ``obs[key]`` a categorical of text without empty or missing groups, in place.

    Cells without a group become ``"unassigned"``. Colours in ``uns`` follow their groups; where they are
    not one per group, they are dropped.

    Returns
    -------
    One note for each change a user should know of.
    """
    notes = tidy_colors(adata)
    colors = group_colors(adata, key)
    adata.uns.pop(keys.colors(key), None)
    n_missing = int(group_names(adata.obs[key]).isna().sum())
    if n_missing:
        notes.append(f"{number(n_missing, 'cell')} without a group in '{key}' are shown as '{UNASSIGNED}'.")
    adata.obs[key] = group_names(adata.obs[key], missing=UNASSIGNED)
    if colors:
        colors = {UNASSIGNED: UNASSIGNED_COLOR} | colors
        adata.uns[keys.colors(key)] = np.array(
            [colors[group] for group in adata.obs[key].cat.categories], dtype=object
        )
    return notes


def too_many_in_words(adata: AnnData, key: str) -> list[str]:
    """A note for each grouping that would have been used instead of ``key``, had it not too many groups."""
    return [
        f"'{name}' has {n} groups, and there may be at most {MAX_GROUPS}: cells are grouped by '{key}'. Merge some to "
        "group cells by it."
        for name, n in too_many_groups(adata).items()
        if name.lower() in CLUSTER_NAMES
    ]
