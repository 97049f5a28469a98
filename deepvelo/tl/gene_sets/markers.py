"""Marker genes of the data's own groups, for use without an external list."""

from __future__ import annotations

import logging
import warnings
from typing import TYPE_CHECKING, Final

import numpy as np
import pandas as pd

from deepvelo import checks, keys
from deepvelo.arrays import matrices
from deepvelo.contents.groups import group_names
from deepvelo.errors import InputError
from deepvelo.wording import listed

if TYPE_CHECKING:
    from anndata import AnnData

logger = logging.getLogger(__name__)

MIN_CELLS: Final = 3  # a rank test of fewer is meaningless
_SIGNIFICANT: Final = 0.05


def markers_by_group(adata: AnnData, cluster_key: str, *, top: int = 100) -> dict[str, tuple[str, ...]]:
    """Find the genes that each group expresses more than all other cells, best first.

    Uses scanpy's Wilcoxon rank-sum test on log-normalised spliced counts, with tie correction; markers have a
    Benjamini-Hochberg q below 0.05 and a higher mean than the other cells. The markers come from the same cells as the
    velocities: they serve to compare methods, and are not independent evidence for one.

    Parameters
    ----------
    adata
        Cells x genes with layer ``spliced``, or expression in ``X``; not changed.
    cluster_key
        The ``obs`` column with the cells' groups; cells without one are left out.
    top
        Maximum number of genes per group.

    Returns
    -------
    Genes by group; groups of fewer than 3 cells are left out, and a group without markers has an empty tuple.

    Raises
    ------
    InputError
        The grouping does not exist, or fewer than two of its groups have 3 cells.
    """
    import scanpy as sc

    checks.require_grouping(adata, cluster_key)
    groups = group_names(adata.obs[cluster_key])
    sizes = groups.value_counts(sort=False)
    large = [group for group in groups.cat.categories if sizes[group] >= MIN_CELLS]
    if len(large) < 2:
        msg = (
            f"Markers need two groups of at least {MIN_CELLS} cells; '{cluster_key}' has {len(large)} of "
            f"{len(sizes)}. Choose a coarser grouping."
        )
        raise InputError(msg)
    if len(large) < len(sizes):
        small = [str(group) for group in groups.cat.categories if group not in large]
        logger.info("no markers of %s: fewer than %d cells", listed(small), MIN_CELLS)

    grouped = groups.notna().to_numpy()
    cells = log_normalized(adata, grouped)
    cells.obs[cluster_key] = groups[grouped]
    with warnings.catch_warnings(action="ignore"):  # pandas warns about scanpy's internal tables
        sc.tl.rank_genes_groups(
            cells, cluster_key, groups=large, method="wilcoxon", tie_correct=True, use_raw=False
        )
    markers = {}
    for group in large:
        table = sc.get.rank_genes_groups_df(
            cells, group=group, pval_cutoff=_SIGNIFICANT, log2fc_min=0
        )  # best score first
        markers[str(group)] = tuple(table["names"].head(top))
    return markers


def log_normalized(adata: AnnData, cells: np.ndarray) -> AnnData:
    """Log-normalised spliced counts of some cells, a mask or indices, in ``X`` of a new object, CSR float32.

    Expression in ``X`` takes their place where there is no layer ``spliced``; values that are no counts stay as they are.
    """
    import scanpy as sc
    from anndata import AnnData

    expression = adata.layers.get(keys.SPLICED, adata.X)
    found = AnnData(matrices.as_csr(expression[cells]), obs=pd.DataFrame(index=adata.obs_names[cells]))
    found.var_names = adata.var_names
    if matrices.is_whole(found.X):
        sc.pp.normalize_total(found)
        sc.pp.log1p(found)
    return found
