"""Marker genes of selected cells."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np
import pandas as pd

from deepvelo.tl.differential.sides import Cells, require_cells, sides_of
from deepvelo.tl.gene_sets.markers import MIN_CELLS, log_normalized

if TYPE_CHECKING:
    from anndata import AnnData

_SIDE: Final = "side"
_COLUMNS: Final = {
    "names": "gene",
    "scores": "score",
    "logfoldchanges": "log2_fold_change",
    "pvals": "p",
    "pvals_adj": "q",
    "pct_nz_group": "share_expressing",
    "pct_nz_reference": "share_expressing_reference",
}


def marker_genes(
    adata: AnnData,
    cells: Cells,
    against: Cells | None = None,
    *,
    within: str | None = None,
    cluster_key: str | None = None,
    seed: int = 0,
) -> pd.DataFrame:
    """Rank genes by how much more the selected cells express them than others.

    scanpy's Wilcoxon rank-sum test on log-normalised spliced counts, with tie correction. It takes cells for independent,
    which cells of one tissue are not: use p and q to rank (Squair et al. 2021, Nature Communications 12:5692). For rates, and for
    a test that knows it, see `deepvelo.tl.differential_kinetics`.

    Parameters
    ----------
    adata
        Cells x genes with layer ``spliced``, or expression in ``X``; not changed.
    cells, against, within, cluster_key
        See `deepvelo.tl.differential_kinetics`.
    seed
        Of the at most 10,000 cells of each side that are used.

    Returns
    -------
    One row per gene, the highest score first: ``gene``; ``score``, z of the rank sum; ``log2_fold_change`` of mean
    normalised counts; ``p``; ``q``, p after Benjamini and Hochberg; ``share_expressing`` and
    ``share_expressing_reference``, of the cells of each side, 0 to 1.

    Raises
    ------
    InputError
        Fewer than 3 cells on a side, cells on both sides, or unknown cells or groups.

    Examples
    --------
    >>> table = dv.tl.marker_genes(fitted, fitted.obs["clusters"] == "Stage 4")
    >>> list(table.columns[:3])
    ['gene', 'score', 'log2_fold_change']
    """
    import scanpy as sc

    sides = sides_of(adata, cells, against, within=within, cluster_key=cluster_key)
    require_cells(sides, least=MIN_CELLS, why="a rank test", within=within)
    selected, reference = sides.thinned(seed=seed)
    compared = log_normalized(adata, np.concatenate([selected, reference]))
    compared.obs[_SIDE] = pd.Categorical(["selected"] * len(selected) + ["reference"] * len(reference))
    sc.tl.rank_genes_groups(
        compared, _SIDE, groups=["selected"], method="wilcoxon", tie_correct=True, use_raw=False,
        pts=True,
    )  # fmt: skip
    table = sc.get.rank_genes_groups_df(compared, group="selected")
    return table.rename(columns=_COLUMNS)[list(_COLUMNS.values())]
