"""Match the cells and genes that several results share, also under different names."""

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
    """Row numbers of the shared cells and genes by result, in the order of the first result."""

    cells: dict[str, np.ndarray]
    genes: dict[str, np.ndarray]


def shared_rows(
    results: Mapping[str, AnnData], *, with_values: Mapping[str, np.ndarray]
) -> tuple[Shared, list[str]]:
    """Match the cells and genes of all results with those of the first.

    Cells are matched by name unless barcodes and samples contradict the names, as in `deepvelo.io.join`. Genes are
    matched by any of their names, see `deepvelo.contents.genes.same_genes`.

    Parameters
    ----------
    with_values
        Cells with a velocity by result, bool ``(n_cells,)``; the others are left out.

    Returns
    -------
    The rows, and notes on cells and genes that were matched under other names or left out.

    Raises
    ------
    InputError
        Names are not unique, the results share fewer than half of the cells or genes of the smallest, or two ways of
        matching the cells contradict each other.
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
                f"Cells of {name} are matched by row number: check that both files have them in the same order."
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
    """Row in ``other`` of each cell of ``first``, -1 if missing; both are ``obs``.

    Equal names match unless barcodes or samples contradict them. Row numbers count as names only if both have the same
    number of cells.

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
    """Whether all names and all columns except floats are equal, so that nothing can contradict the names."""
    if len(first) != len(other) or (rows < 0).any():
        return False
    a, b = (table.select_dtypes(exclude="floating") for table in (first, other))
    return set(a.columns) == set(b.columns) and a.equals(b[a.columns].iloc[rows])


def _renamed(what: str, name: str, rows: np.ndarray, first: pd.Index, other: pd.Index) -> list[str]:
    """A note on cells or genes with other names in another result."""
    renamed = np.flatnonzero((rows >= 0) & (other[rows] != first))
    if not len(renamed):
        return []
    example = renamed[0]
    return [
        f"{number(len(renamed), what)} of {name} matched under another name, "
        f"such as '{other[rows[example]]}' as '{first[example]}'."
    ]


def _same_genes(first: pd.DataFrame, other: pd.DataFrame) -> np.ndarray:
    """Row in ``other`` of each gene of ``first``, -1 if missing; both are ``var``."""
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
