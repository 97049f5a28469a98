"""Groups of cells as every later step expects them: a categorical of text, each group with its colour."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from deepvelo import keys

if TYPE_CHECKING:
    from anndata import AnnData

UNASSIGNED = "unassigned"
_UNASSIGNED_COLOR = "#c8c8c8"


def tidy_groups(adata: AnnData, key: str) -> list[str]:
    """Make ``obs[key]`` a categorical of text without empty or missing groups, in place.

    Cells without a group become ``"unassigned"``. Colours in ``uns`` follow their groups; where they are
    not one per group, they are dropped.

    Returns
    -------
    One note for each change a user should know of.
    """
    notes = []
    before = pd.Categorical(adata.obs[key])
    colors = colors_by_group(adata.uns.pop(keys.colors(key), None), [str(c) for c in before.categories])
    groups = before.rename_categories([str(c) for c in before.categories]).remove_unused_categories()
    if missing := int(groups.isna().sum()):
        if UNASSIGNED not in groups.categories:
            groups = groups.add_categories(UNASSIGNED)
        groups = pd.Categorical(pd.Series(groups).fillna(UNASSIGNED), categories=groups.categories)
        colors = colors and {UNASSIGNED: _UNASSIGNED_COLOR} | colors
        notes.append(f"{missing:,} cells without a group in '{key}' are shown as '{UNASSIGNED}'.")
    adata.obs[key] = groups
    if colors:
        adata.uns[keys.colors(key)] = np.array([colors[group] for group in groups.categories], dtype=object)
    return notes


def colors_by_group(stored: Any, categories: Sequence[str]) -> dict[str, str]:
    """The colours that came with a grouping, in the one spelling that every plotting library knows.

    Parameters
    ----------
    stored
        What ``uns`` holds: a colour for each category, or a mapping from group to colour; a colour is
        anything matplotlib takes (``"tab:blue"``, ``"C1"``, RGB or RGBA numbers from 0 to 1).
    categories
        Groups in the order of the colours.

    Returns
    -------
    Hexadecimal text by group; empty when a group has no colour or something is none.
    """
    from matplotlib.colors import is_color_like, to_hex

    if isinstance(stored, Mapping):
        pairs = {str(group): color for group, color in stored.items()}
    elif np.iterable(stored) and not isinstance(stored, str):
        pairs = dict(zip(categories, stored, strict=False))
    else:
        return {}
    plain = {g: c if isinstance(c, str) else tuple(np.ravel(c)) for g, c in pairs.items()}
    if not set(categories) <= plain.keys() or not all(is_color_like(c) for c in plain.values()):
        return {}
    return {group: to_hex(plain[group]) for group in categories}
