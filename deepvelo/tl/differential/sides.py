"""The two sides of a comparison: selected cells, and the cells they are compared with."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Final, NamedTuple, TypeAlias

import numpy as np
import pandas as pd

from deepvelo import choices
from deepvelo.contents.groups import group_names
from deepvelo.errors import InputError
from deepvelo.selections import same_cells
from deepvelo.wording import listed, number

if TYPE_CHECKING:
    from anndata import AnnData

# A mask of all cells, or names of cells.
Cells: TypeAlias = np.ndarray | pd.Series | pd.Index | Sequence[bool] | Sequence[str]

MOST_CELLS: Final = 10_000  # of a side: more change a median by less than the neighbourhoods differ
_N_EXAMPLES: Final = 3


class Sides(NamedTuple):
    """Row numbers of the cells on both sides, ascending, shapes ``(n_selected,)`` and ``(n_reference,)``."""

    selected: np.ndarray
    reference: np.ndarray

    def thinned(self, *, seed: int, most: int = MOST_CELLS) -> Sides:
        """At most ``most`` cells of each side, drawn at random."""
        rng = np.random.default_rng(seed)
        return Sides(*(_some(rows, most=most, rng=rng) for rows in self))


def sides_of(
    adata: AnnData,
    cells: Cells,
    against: Cells | None,
    *,
    within: str | None = None,
    cluster_key: str | None = None,
) -> Sides:
    """Resolve both sides of a comparison.

    Parameters
    ----------
    cells, against
        See `deepvelo.tl.differential_kinetics`.
    within
        Keep only the cells of this group on both sides.
    cluster_key
        Column of ``obs`` with the groups. By default the one that `deepvelo.pp.moments` chose.

    Raises
    ------
    InputError
        Unknown cells or group, a mask of another length, or cells on both sides.
    """
    selected = _mask(adata.obs, cells, "selected")
    reference = ~selected if against is None else _mask(adata.obs, against, "reference")
    if both := int((selected & reference).sum()):
        msg = f"The sides share {number(both, 'cell')}. Take shared cells out of one side."
        raise InputError(msg)
    if within is not None:
        members = _members(adata, within, cluster_key)
        selected, reference = selected & members, reference & members
    return Sides(np.flatnonzero(selected), np.flatnonzero(reference))


def require_cells(sides: Sides, *, least: int, why: str, within: str | None) -> None:
    """Raise an `InputError` unless both sides have ``least`` cells; ``why`` gives the reason in the message."""
    where = "" if within is None else f" in {listed([within])}"
    for rows, side in zip(sides, ("selected", "reference"), strict=True):
        if len(rows) < least:
            msg = f"There are {len(rows):,} {side} cells{where}, and {why} needs at least {least} on each side. Choose more."
            raise InputError(msg)


def _mask(obs: pd.DataFrame, cells: Cells, side: str) -> np.ndarray:
    if isinstance(cells, str):
        msg = (
            f"The {side} cells must be a mask or names of cells. Got the text {listed([cells])}. Give a list."
        )
        raise InputError(msg)
    if isinstance(cells, pd.Series) and pd.api.types.is_bool_dtype(cells):
        if not cells.index.equals(obs.index):
            msg = f"The mask of {side} cells has other names than the data. Give one with the index of `obs`, or an array."
            raise InputError(msg)
        cells = cells.to_numpy(dtype=bool, na_value=False)
    given = np.asarray(cells)
    if given.dtype == bool:
        if given.shape != (len(obs),):
            msg = f"The mask of {side} cells must have a value for each of {len(obs):,} cells. Got the shape {given.shape}."
            raise InputError(msg)
        return given
    found = same_cells([str(name) for name in given.ravel()], _unique(obs.index))
    if found.unknown:
        shown = listed(found.unknown[:_N_EXAMPLES])
        msg = (
            f"{len(found.unknown):,} of {number(found.n_given, 'name')} of {side} cells are not in the data, such as "
            f"{shown}. Give names as in `obs_names`."
        )
        raise InputError(msg)
    return found.cells


def _unique(names: pd.Index) -> pd.Index:
    if not names.is_unique:
        msg = "Several cells have the same name. Give a mask of the cells instead of their names."
        raise InputError(msg)
    return names


def _members(adata: AnnData, group: str, cluster_key: str | None) -> np.ndarray:
    key = choices.grouping(adata, cluster_key)
    groups = group_names(adata.obs[key])
    if group not in groups.cat.categories:
        msg = f"'{key}' has no group {listed([group])}. Found {listed(list(groups.cat.categories))}. Choose one of them."
        raise InputError(msg)
    return (groups == group).to_numpy()


def _some(rows: np.ndarray, *, most: int, rng: np.random.Generator) -> np.ndarray:
    return rows if len(rows) <= most else np.sort(rng.choice(rows, most, replace=False))
