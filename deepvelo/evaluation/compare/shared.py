"""The cells and genes that several results share, whatever each calls them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import pandas as pd

from deepvelo.contents.genes import same_genes
from deepvelo.errors import InputError
from deepvelo.io.matching import is_row_numbers, match_cells
from deepvelo.wording import number

if TYPE_CHECKING:
    from anndata import AnnData

MIN_SHARE = 0.5  # of the smallest result's cells, and genes


class Shared(NamedTuple):
    """By name of the result, the rows of what all have, in the order of the first."""

    cells: dict[str, np.ndarray]
    genes: dict[str, np.ndarray]


def shared_rows(
    results: Mapping[str, AnnData], *, with_values: Mapping[str, np.ndarray]
) -> tuple[Shared, list[str]]:
    """Match cells and genes of results with the first.

    Cells are matched by name, unless barcodes and samples match them otherwise, as for `deepvelo.io.join`. Genes are
    matched by any of their names, see `deepvelo.contents.genes.same_genes`.

    Parameters
    ----------
    with_values
        By name of the result, the cells that have a velocity, bool ``(n_cells,)``; the others are left out.

    Returns
    -------
    The rows; and what was matched by other than the very names, or left out, in words.

    Raises
    ------
    InputError
        Names that occur twice, less than half of the smallest result's cells or genes shared, or two ways to match
        the cells that disagree.
    """
    notes: list[str] = []
    for name, adata in results.items():
        _require_unique(adata.obs_names, "cell", name)
        _require_unique(adata.var_names, "gene", name)
    first = next(iter(results.values()))
    cells = {name: same_cells(first.obs, adata.obs) for name, adata in results.items()}
    genes = {name: _same_genes(first.var, adata.var) for name, adata in results.items()}
    _require_enough(cells, {name: adata.n_obs for name, adata in results.items()}, "cell")
    _require_enough(genes, {name: adata.n_vars for name, adata in results.items()}, "gene")
    for name, adata in results.items():
        if adata is not first and is_row_numbers(adata.obs_names[cells[name][cells[name] >= 0]]):
            notes.append(
                f"Cells of {name} are matched by row number: see that both files have them in one order."
            )
        notes += _renamed("cell", name, cells[name], first.obs_names, adata.obs_names)
        notes += _renamed("gene", name, genes[name], first.var_names, adata.var_names)
    in_all = _in_all(cells)
    moving = in_all.copy()
    for name, rows in cells.items():
        given = (rows >= 0) & with_values[name][rows]
        if n_without := int((in_all & ~given).sum()):
            notes.append(f"{number(n_without, 'cell')} without any velocity in {name} left out.")
        moving &= given
    shared_genes = _in_all(genes)
    return Shared(
        {name: rows[moving] for name, rows in cells.items()},
        {name: rows[shared_genes] for name, rows in genes.items()},
    ), notes


def same_cells(first: pd.DataFrame, other: pd.DataFrame) -> np.ndarray:
    """Row in ``other`` of each cell of the first, -1 where it is not there; of their ``obs``.

    Equal names are taken unless barcodes or samples tell that they are of other cells. Row numbers count as names only
    where both have as many.

    Raises
    ------
    InputError
        Two ways of matching fit, and disagree; see `deepvelo.io.matching.match_cells`.
    """
    rows: np.ndarray = other.index.get_indexer(first.index)
    if _tell_the_same(first, other, rows):
        return rows
    partners = match_cells(first, other).partner
    by_name, matched = rows >= 0, partners >= 0
    if len(first) != len(other) and is_row_numbers(first.index):
        return partners
    contradicted = (by_name & matched & (rows != partners)).any()
    return partners if contradicted or by_name.sum() < matched.sum() else rows


def _tell_the_same(first: pd.DataFrame, other: pd.DataFrame, rows: np.ndarray) -> bool:
    """Whether all names are equal, and all columns but measurements: nothing is left to contradict the names."""
    if len(first) != len(other) or (rows < 0).any():
        return False
    a, b = (table.select_dtypes(exclude="floating") for table in (first, other))
    return set(a.columns) == set(b.columns) and a.equals(b[a.columns].iloc[rows])


def _renamed(what: str, name: str, rows: np.ndarray, first: pd.Index, other: pd.Index) -> list[str]:
    """A note of what has another name in another result."""
    renamed = np.flatnonzero((rows >= 0) & (other[rows] != first))
    if not len(renamed):
        return []
    example = renamed[0]
    return [
        f"{number(len(renamed), what)} of {name} matched under another name, "
        f"such as '{other[rows[example]]}' as '{first[example]}'."
    ]


def _same_genes(first: pd.DataFrame, other: pd.DataFrame) -> np.ndarray:
    """Row in ``other`` of each gene of the first, -1 where it is not there; of their ``var``."""
    rows: np.ndarray = other.index.get_indexer(first.index)
    return rows if (rows >= 0).sum() == min(len(rows), len(other)) else same_genes(other, first)


def _in_all(rows: Mapping[str, np.ndarray]) -> np.ndarray:
    return np.all([found >= 0 for found in rows.values()], axis=0)


def _require_unique(index: pd.Index, what: str, name: str) -> None:
    if not index.is_unique:
        twice = index[index.duplicated()][0]
        msg = f"The {what} name '{twice}' occurs twice in {name}. Names must be unique to be matched. Rename one."
        raise InputError(msg)


def _require_enough(rows: Mapping[str, np.ndarray], sizes: Mapping[str, int], what: str) -> None:
    n_shared = int(_in_all(rows).sum())
    smallest = min(sizes, key=sizes.__getitem__)
    if n_shared < MIN_SHARE * sizes[smallest] or not n_shared:
        msg = (
            f"The results share {n_shared:,} of the {number(sizes[smallest], what)} of {smallest}, the smallest; "
            f"at least {MIN_SHARE:.0%} are needed. Give results of the same data, with the same {what} names."
        )
        raise InputError(msg)
