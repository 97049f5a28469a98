"""Directed edges between groups of cells and the latent time of each cell, from the velocity graph."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
import scipy.sparse as sp
from anndata import AnnData

from deepvelo import checks, choices, keys
from deepvelo.contents.groups import UNASSIGNED
from deepvelo.errors import InputError
from deepvelo.tl.graph.velocity_graph import both_signs
from deepvelo.tl.lineage.flow_time import connected_parts, flow_time
from deepvelo.tl.lineage.group_edges import (
    FORCED,
    cells_of_weak,
    first_group,
    group_edges,
    last_groups,
    undecided_edges,
)
from deepvelo.tl.lineage.latent_time import LEAST_PART, large_parts, latent_times, pseudotimes
from deepvelo.tl.lineage.terminal_states import LEAST_CELLS, find_ends, with_ends
from deepvelo.undecided import undecided_cells
from deepvelo.wording import listed, number

LEAST_EXPLAINED = 0.25  # of the arrows by time; simulated cycles reach 0.04, simulated trees 0.78 to 0.94


@dataclass(frozen=True, kw_only=True)
class Trajectory:
    """Directed edges between groups, and times of cells.

    Attributes
    ----------
    edges
        One row for a pair of groups: ``source``, ``target``; ``confidence``: arrows across the border, net, by the
        neighbours of the groups' cells (scVelo's; above 0, no probability and may exceed 1); ``agreement``: share of
        these arrows that go from source to target; ``undecided``: share of them that leave cells whose direction the
        data do not decide (0 at a root or an end chosen by hand, NaN where the run does not say); ``source_cells``,
        ``target_cells``: how many cells the groups have.
        By confidence, the highest first.
    pseudotime
        Distance of a random walk from the earliest cell of the root, shape ``(n_cells,)``, 0 to 1.
    latent_time
        Stage of each cell (`deepvelo.tl.lineage.flow_time`), shape ``(n_cells,)``, 0 to 1.
    root
        The group that time begins with; of the largest part, where the data are in several.
    last_groups
        Groups of at least 3 cells that edges lead into and none out of. Where single cells end, which need not be
        the same groups, `deepvelo.tl.lineage.fates` tells.
    part
        Separate part of the data that a cell is in, ``(n_cells,)``, 0 the largest; -1 in parts of fewer than 20 cells.
    explained
        Share of the arrows that ``latent_time`` explains, 0 to 1; low where they are cyclic or contradict each other.
    warnings
        What a user should know before believing any of it, one sentence or two each.

    Both times go from 0 to 1 in every separate part of the data, and are NaN in parts of fewer than 20 cells.
    """

    edges: pd.DataFrame
    pseudotime: np.ndarray
    latent_time: np.ndarray
    root: str
    last_groups: list[str]
    part: np.ndarray
    explained: float
    warnings: list[str]


def trajectory(
    adata: AnnData,
    *,
    cluster_key: str | None = None,
    root: str | None = None,
    terminal: Sequence[str] | None = None,
) -> Trajectory:
    """Order groups and cells along the arrows; ``adata`` is not changed.

    Latent time is `deepvelo.tl.lineage.flow_time`, averaged once over the neighbour graph as scVelo averages its own. Edges
    are scVelo's directed PAGA (Bergen et al. 2020, Wolf et al. 2019) with this time as its prior, since scVelo's own
    prior misses branches. Pseudotime is scVelo's, from the root alone: the mean with the distance to one end, its
    default, reverses the other branches. Nothing is drawn at random.

    Parameters
    ----------
    adata
        As a run leaves it: ``velocity_graph`` and ``velocity_graph_neg`` in ``uns``, and a neighbour graph.
    cluster_key
        Grouping in ``obs``. By default the one that `deepvelo.pp.moments` chose.
    root
        Group where time begins. By default, in the tree of edges with the most cells, the earliest of the groups that
        no edge leads into. All arrows across the border of a given one are made to leave it.
    terminal
        Groups where it ends, all of them. All arrows across their borders are made to enter them, and no edge leaves
        one (`deepvelo.tl.lineage.terminal_states`). By default arrows stay as they are.

    Raises
    ------
    InputError
        No such grouping or one group; no neighbour graph; a velocity graph that is missing, empty or of other cells;
        a chosen group that is not there, both root and end, or an end with fewer than 3 cells.

    Examples
    --------
    >>> found = dv.tl.trajectory(fitted, cluster_key="clusters")
    >>> list(found.edges.columns[:3])
    ['source', 'target', 'confidence']
    """
    from deepvelo.pp.groups import tidy_groups

    cluster_key = choices.grouping(adata, cluster_key)
    checks.require_grouping(adata, cluster_key)
    if not checks.has_neighbors(adata):
        msg = "A trajectory needs a neighbour graph with all its cells, and these data have none. Fit them anew."
        raise InputError(msg)
    light = AnnData(
        obs=pd.DataFrame({cluster_key: adata.obs[cluster_key].to_numpy()}, index=adata.obs_names),
        uns={keys.NEIGHBORS: adata.uns[keys.NEIGHBORS]},
        obsp={key: adata.obsp[key] for key in (keys.CONNECTIVITIES, keys.DISTANCES)},
    )
    undecided = undecided_cells(adata.obs)
    if undecided is not None:
        light.obs[keys.UNDECIDED] = undecided
    warnings = tidy_groups(light, cluster_key)
    groups = light.obs[cluster_key]
    root, terminal = find_ends(groups, root=root, terminal=terminal)
    cosines, more = with_ends(_cosines(adata), groups, root=root, terminal=terminal)
    warnings += more

    flow = flow_time(cosines)
    parts = _large_parts(cosines)
    latent_time = latent_times(light, flow.time, parts=parts)
    circular = not flow.explained >= LEAST_EXPLAINED
    if circular:
        warnings.append(
            f"Time explains only {max(flow.explained, 0):.0%} of the arrows: they are cyclic or contradict each other, "
            "so no group is surely first or last, and neither time is a stage to rely on."
        )
    edges = group_edges(light, cosines, cluster_key=cluster_key, time=None if circular else latent_time)
    by_hand = edges[["source", "target"]].isin([root, *(terminal or [])]).any(axis=1)
    edges["undecided"] = edges["undecided"].mask(by_hand & edges["undecided"].notna(), 0.0)
    warnings += _about_edges(edges)

    part = np.full(adata.n_obs, -1)
    for label, cells in enumerate(parts):
        part[cells] = label
    roots = [_root(edges, groups.iloc[cells], latent_time[cells], chosen=root) for cells in parts]
    warnings += _about_parts(parts, roots, groups, chosen=root)
    starts = [
        int(cells[np.argmin(np.where(groups.iloc[cells] == first, latent_time[cells], np.inf))])
        for cells, first in zip(parts, roots, strict=True)
    ]
    pseudotime = pseudotimes(light, cosines, parts=parts, starts=starts)
    if lost := int((np.isnan(pseudotime) & np.isfinite(latent_time)).sum()):
        warnings.append(
            f"{number(lost, 'cell')} have no pseudotime: a random walk along the arrows does not converge there. "
            "Use latent time."
        )
    last, more = _last_groups(edges)
    return Trajectory(
        edges=edges,
        pseudotime=pseudotime,
        latent_time=latent_time,
        root=roots[0] if root is None else root,
        last_groups=last,
        part=part,
        explained=flow.explained,
        warnings=warnings + more,
    )


def _cosines(adata: AnnData) -> sp.csr_matrix:
    """The velocity graph with both signs, ``(n_cells, n_cells)``."""
    graphs = [adata.uns.get(key) for key in (keys.VELOCITY_GRAPH, keys.VELOCITY_GRAPH_NEG)]
    if any(graph is None for graph in graphs):
        msg = "A trajectory needs the velocity graph of a fit, and these data have none. Fit them first."
        raise InputError(msg)
    n_cells = graphs[0].shape[0]
    if n_cells != adata.n_obs:
        msg = (
            f"The velocity graph is of {number(n_cells, 'cell')} and the data have {adata.n_obs:,}. "
            "Fit the cells that are left, or give the data as the fit left them."
        )
        raise InputError(msg)
    cosines = both_signs(adata)
    if not cosines.nnz:
        msg = (
            "The velocity graph is empty: no cell has an arrow to a neighbour. Fit anew, for more epochs or with "
            "another method."
        )
        raise InputError(msg)
    return cosines


def _large_parts(cosines: sp.csr_matrix) -> list[np.ndarray]:
    parts = large_parts(connected_parts(cosines))
    if not parts:
        msg = (
            f"No {LEAST_PART} cells are joined by arrows, and fewer have no trajectory. Give more cells, or fit with "
            "more neighbours."
        )
        raise InputError(msg)
    return parts


def _root(edges: pd.DataFrame, groups: pd.Series, time: np.ndarray, *, chosen: str | None) -> str:
    """The group that a part begins with: the chosen one, where the part has cells of it; never cells without a group."""
    names = groups.astype(str)
    if chosen is not None and (names == chosen).any():
        return chosen
    if (grouped := (names != UNASSIGNED).to_numpy()).any():
        names, time = names[grouped], time[grouped]
    times = pd.Series(time).groupby(names.to_numpy()).mean()
    return first_group(edges, time=times, sizes=names.value_counts())


def _about_edges(edges: pd.DataFrame) -> list[str]:
    if edges.empty:
        return [
            "No two groups are joined by arrows in a sure direction, so there are no edges between groups."
        ]
    found = []
    sizes = cells_of_weak(edges)
    if len(sizes):
        named = ", ".join(f"'{group}' ({size})" for group, size in sizes.items())
        found.append(
            f"Few cells stand behind some edges between groups: {named}. {FORCED}, so its edges look strong by "
            "themselves; they are drawn dashed."
        )
    if len(undecided := undecided_edges(edges)):
        pairs = zip(undecided["source"], undecided["target"], strict=True)
        found.append(
            f"The data do not decide the direction of {listed([f'{source} → {target}' for source, target in pairs])} "
            "(dashed): most arrows between these groups leave undecided cells."
        )
    against = edges[edges["agreement"] < 0.5]
    return found + [
        f"Most arrows between '{source}' and '{target}' point the other way than the edge, which follows the time of "
        "all cells: do not rely on its direction."
        for source, target in zip(against["source"], against["target"], strict=True)
    ]


def _about_parts(
    parts: Sequence[np.ndarray], roots: Sequence[str], groups: pd.Series, *, chosen: str | None
) -> list[str]:
    found = []
    if len(parts) > 1:
        found.append(
            f"No arrows join the {len(parts)} separate parts of these cells: each has times of its own, "
            f"from {listed(roots)}, the largest part first, and they cannot be compared."
        )
    if small := len(groups) - sum(len(cells) for cells in parts):
        found.append(
            f"{number(small, 'cell')} in parts of fewer than {LEAST_PART} cells have neither time: no arrows join them "
            "to the others."
        )
    if chosen is not None and chosen not in roots:
        found.append(
            f"No time begins with '{chosen}', the chosen root: all its cells are in such small parts."
        )
    return found


def _last_groups(edges: pd.DataFrame) -> tuple[list[str], list[str]]:
    """Last groups with enough cells, and what to say of the others."""
    sizes = dict(zip(edges["target"], edges["target_cells"], strict=True))
    last = last_groups(edges)
    large = [group for group in last if sizes[group] >= LEAST_CELLS]
    warnings = []
    if small := [group for group in last if group not in large]:
        warnings.append(
            f"Too few cells to be called ends, though no edge leads out of them: {listed(small)} "
            f"({LEAST_CELLS} cells are needed)."
        )
    if not large:
        warnings.append("The arrows between groups end in no group. Choose the ends by hand.")
    return large, warnings
