"""scVelo's directed PAGA: which group of cells becomes which."""

from __future__ import annotations

import warnings

import numpy as np
import pandas as pd
import scipy.sparse as sp
from anndata import AnnData

from deepvelo import keys
from deepvelo.contents.graphs import neighbors_entry
from deepvelo.tl.graph.velocity_graph import quiet

LEAST_COSINE = 0.1  # of an arrow that counts, as in scVelo

FEW_CELLS = 30  # a group of fewer has about as many neighbours as cells, and edges by that alone
FORCED = f"Below {FEW_CELLS} cells a group is forced to have neighbours outside it"

_COLUMNS = ("source", "target", "confidence", "agreement", "undecided", "source_cells", "target_cells")


def group_edges(
    adata: AnnData, cosines: sp.csr_matrix, *, cluster_key: str, time: np.ndarray | None
) -> pd.DataFrame:
    """Directed edges between groups by `scvelo.tl.paga` (Bergen et al. 2020; PAGA: Wolf et al. 2019).

    Parameters
    ----------
    adata
        Groups and neighbour graph, and undecided cells where the run has them; gets scVelo's results, so give a copy.
    cosines
        Arrows from cell to cell, ``(n_cells, n_cells)``, as in `deepvelo.tl.lineage.flow_time`.
    time
        Of every cell, ``(n_cells,)``, 0 to 1: only arrows forward in time count, and of the edges into a group those
        that make a spanning tree stay. None where no cell is first: all arrows count, and edges may make a ring.

    Returns
    -------
    Columns as in `deepvelo.tl.Trajectory`; no rows where no two groups have neighbours or arrows in common.
    """
    import scvelo as scv

    codes = adata.obs[cluster_key].cat.codes.to_numpy()
    pairs = adata.obsp[keys.DISTANCES].tocoo()
    if not (codes[pairs.row] != codes[pairs.col]).any() or not (cosines > LEAST_COSINE).nnz:
        return pd.DataFrame({column: [] for column in _COLUMNS})  # PAGA fails without any
    adata.uns[keys.NEIGHBORS] = neighbors_entry(
        adata.obsp[keys.DISTANCES], adata.uns[keys.NEIGHBORS]["params"]
    )
    adata.uns[keys.VELOCITY_GRAPH] = sp.csr_matrix(cosines.multiply(cosines > 0))
    if time is not None:
        adata.obs[keys.LATENT_TIME] = time
    with quiet(), warnings.catch_warnings():
        # Divisions of 0 by 0 for groups that nothing leads into, which scVelo takes for none.
        warnings.filterwarnings("ignore", category=RuntimeWarning, module="scvelo")
        warnings.filterwarnings("ignore", category=FutureWarning, module="scvelo")
        warnings.filterwarnings("ignore", category=sp.SparseEfficiencyWarning)
        scv.tl.paga(
            adata,
            groups=cluster_key,
            use_time_prior=False if time is None else keys.LATENT_TIME,
            minimum_spanning_tree=time is not None,
        )
    confidence = adata.uns["paga"]["transitions_confidence"].toarray().T
    crossing = _crossing(cosines, codes, n_groups=len(confidence))
    source, target = np.nonzero(confidence)
    names = adata.obs[cluster_key].cat.categories.to_numpy()
    sizes = np.bincount(codes[codes >= 0], minlength=len(names))
    table = pd.DataFrame(
        {
            "source": names[source],
            "target": names[target],
            "confidence": confidence[source, target],
            "agreement": crossing[source, target] / (crossing + crossing.T)[source, target],
            "undecided": _undecided(adata, cosines, codes, crossing)[source, target],
            "source_cells": sizes[source],
            "target_cells": sizes[target],
        }
    )
    return table.sort_values("confidence", ascending=False, kind="stable", ignore_index=True)


def first_group(edges: pd.DataFrame, *, time: pd.Series, sizes: pd.Series) -> str:
    """Of the tree with the most cells, the earliest group that no edge leads into.

    Parameters
    ----------
    edges
        As `group_edges` gives them; those between other groups than ``time``'s are left out.
    time, sizes
        Mean time and number of cells, by group.
    """
    groups = pd.Index(time.index)
    inside = edges[edges["source"].isin(groups) & edges["target"].isin(groups)]
    ends = groups.get_indexer(inside["source"]), groups.get_indexer(inside["target"])
    graph = sp.csr_matrix((np.ones(len(inside)), ends), shape=(len(groups), len(groups)))
    _, tree = sp.csgraph.connected_components(graph, directed=False)
    largest = groups[tree == np.argmax(np.bincount(tree, weights=sizes[groups]))]
    sources = largest.difference(inside["target"], sort=False)
    # Where edges make a ring, every group has one before it.
    return str(time[sources if len(sources) else largest].idxmin())


def last_groups(edges: pd.DataFrame) -> list[str]:
    """Groups that edges lead into and none out of, in alphabetical order."""
    return sorted(set(edges["target"]) - set(edges["source"]))


def cells_of_weak(edges: pd.DataFrame) -> pd.Series:
    """Number of cells by group, of those below 30 that edges touch; the fewest first."""
    both = pd.concat(
        edges[[end, f"{end}_cells"]].set_axis(["group", "cells"], axis=1) for end in ("source", "target")
    )
    sizes = both.drop_duplicates("group").set_index("group")["cells"]
    return sizes[sizes < FEW_CELLS].sort_values(kind="stable")


def undecided_edges(edges: pd.DataFrame) -> pd.DataFrame:
    """The edges of which most arrows leave undecided cells."""
    return edges[edges["undecided"] > 0.5]


def _undecided(adata: AnnData, cosines: sp.csr_matrix, codes: np.ndarray, crossing: np.ndarray) -> np.ndarray:
    """Share of the arrows between two groups, in both directions, that leave undecided cells, ``(n_groups, n_groups)``.

    NaN between groups without arrows, and everywhere where the run does not say which cells are undecided.
    """
    if keys.UNDECIDED not in adata.obs:
        return np.full_like(crossing, np.nan)
    undecided = adata.obs[keys.UNDECIDED].to_numpy(dtype=float)
    leaving = _crossing(sp.diags(undecided) @ cosines, codes, n_groups=len(crossing))
    both = crossing + crossing.T
    return np.divide(leaving + leaving.T, both, out=np.full_like(both, np.nan), where=both > 0)


def _crossing(cosines: sp.csr_matrix, codes: np.ndarray, *, n_groups: int) -> np.ndarray:
    """Number of arrows from group to group, ``(n_groups, n_groups)``."""
    member = sp.csr_matrix(
        (np.ones(len(codes)), (np.arange(len(codes)), codes)), shape=(len(codes), n_groups)
    )
    return np.asarray((member.T @ (cosines > LEAST_COSINE).astype(float) @ member).toarray())
