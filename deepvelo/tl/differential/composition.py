"""Which groups and samples a selection of cells consists of."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from deepvelo import choices
from deepvelo.checks import require_column
from deepvelo.contents.groups import UNASSIGNED, group_names
from deepvelo.errors import InputError
from deepvelo.tl.differential.sides import Cells, require_cells, sides_of

if TYPE_CHECKING:
    from anndata import AnnData


def composition(
    adata: AnnData,
    cells: Cells,
    against: Cells | None = None,
    *,
    by: str | Sequence[str] | None = None,
    within: str | None = None,
    cluster_key: str | None = None,
    confidence_level: float = 0.95,
) -> pd.DataFrame:
    r"""Count the selected cells by group and by sample, and compare their shares with those of other cells.

    The enrichment is the log2 ratio of a group's share of the selection to its share of the reference. With a of n selected
    and b of m reference cells in the group, its interval is

    .. math:: \log \frac{a/n}{b/m} \pm z \sqrt{1/a - 1/n + 1/b - 1/m}

    with 0.5 added to a and b (Katz et al. 1978, Biometrics 34:469). It covers the chance of counting only: cells of one
    sample are alike, and a selection made by hand is no random draw.

    Parameters
    ----------
    adata
        Only ``obs`` is read.
    cells, against, within, cluster_key
        See `deepvelo.tl.differential_kinetics`.
    by
        Columns of ``obs`` to count by, such as cell type and sample; by default the grouping that `deepvelo.pp.moments` chose.
    confidence_level
        Of the interval, between 0 and 1.

    Returns
    -------
    One row per column and group with cells on a side: ``column``; ``group`` (``unassigned`` for cells without one);
    ``n_cells`` and ``n_reference``, cells of the group on each side; ``share_of_selection`` and ``share_of_reference``, of
    all cells of the side, 0 to 1; ``share_of_group``, how much of the whole group is selected, 0 to 1;
    ``log2_enrichment``, ``ci_low``, ``ci_high``, NaN where the reference is empty.
    Groups are in the order of their column.

    Raises
    ------
    InputError
        No cell is selected, cells are on both sides, or cells, columns or groups do not exist.

    Examples
    --------
    >>> table = dv.tl.composition(fitted, fitted.obs["true_time"] < 3.1, by="clusters")
    >>> table[["group", "share_of_selection"]].values.tolist()[0]
    ['Stage 1', 1.0]
    """
    sides = sides_of(adata, cells, against, within=within, cluster_key=cluster_key)
    if not len(sides.selected):
        require_cells(sides._replace(reference=sides.selected), least=1, why="a composition", within=within)
    if not 0 < confidence_level < 1:
        msg = f"`confidence_level` must be between 0 and 1. Got {confidence_level}. Try 0.95."
        raise InputError(msg)
    columns = (
        [choices.grouping(adata, cluster_key)] if by is None else [by] if isinstance(by, str) else list(by)
    )
    for column in columns:
        require_column(adata, column)
    n, m = len(sides.selected), len(sides.reference)
    tables = []
    for column in columns:
        groups = group_names(adata.obs[column], missing=UNASSIGNED).cat
        codes, names = groups.codes.to_numpy(), list(groups.categories)
        a, b, whole = (
            np.bincount(some, minlength=len(names))
            for some in (codes[sides.selected], codes[sides.reference], codes)
        )
        enrichment, reach = _enrichment(a, b, n=n, m=m, level=confidence_level)
        table = pd.DataFrame(
            {
                "column": column,
                "group": names,
                "n_cells": a,
                "n_reference": b,
                "share_of_selection": a / n,
                "share_of_reference": b / m if m else np.nan,
                "share_of_group": a / whole,
                "log2_enrichment": enrichment,
                "ci_low": enrichment - reach,
                "ci_high": enrichment + reach,
            }
        )
        tables.append(table[(a > 0) | (b > 0)])
    return pd.concat(tables, ignore_index=True)


def _enrichment(
    a: np.ndarray, b: np.ndarray, *, n: int, m: int, level: float
) -> tuple[np.ndarray, np.ndarray]:
    """log2 of the ratio of shares, and half the width of its interval."""
    from scipy.stats import norm

    if not m:
        return np.full(len(a), np.nan), np.full(len(a), np.nan)
    of_selection, of_reference = (a + 0.5) / (n + 0.5), (b + 0.5) / (m + 0.5)
    variance = 1 / (a + 0.5) - 1 / (n + 0.5) + 1 / (b + 0.5) - 1 / (m + 0.5)
    return np.log2(of_selection / of_reference), norm.ppf((1 + level) / 2) * np.sqrt(variance) / np.log(2)
