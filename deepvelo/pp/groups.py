"""Groups of cells as every later step expects them: a categorical of text, each group with its colour."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from deepvelo import keys
from deepvelo.groups import (
    UNASSIGNED,
    UNASSIGNED_COLOR,
    colors_by_group,
    group_colors,
    group_names,
)
from deepvelo.wording import number

if TYPE_CHECKING:
    from anndata import AnnData

__all__ = ["UNASSIGNED", "colors_by_group", "group_names", "tidy_colors", "tidy_groups"]


def tidy_groups(adata: AnnData, key: str) -> list[str]:
    """Make ``obs[key]`` a categorical of text without empty or missing groups, in place.

    Cells without a group become ``"unassigned"``. Colours in ``uns`` follow their groups; where they are
    not one per group, they are dropped.

    Returns
    -------
    One note for each change a user should know of.
    """
    notes = tidy_colors(adata, key)
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


def tidy_colors(adata: AnnData, key: str) -> list[str]:
    """Make the colours of a grouping one for each of its groups, or drop them, in place; returns a note of it."""
    name = keys.colors(key)
    if name not in adata.uns:
        return []
    stored, colors = adata.uns[name], group_colors(adata, key)
    if not colors:
        del adata.uns[name]
        return [
            f"The colours of '{key}' were left out: they are not one for each group, so no group's can be told."
        ]
    if isinstance(stored, Mapping) or len(stored) == len(colors):
        return []
    adata.uns[name] = np.array(list(colors.values()), dtype=object)
    return [f"The colours of '{key}' were one for each cell; each group has that of its cells."]
