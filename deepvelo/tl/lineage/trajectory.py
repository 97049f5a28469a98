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
        One row per pair of groups, highest ``confidence`` first. ``source``, ``target``; ``confidence``: PAGA
        connectivity, the net arrows between the groups relative to their cells' neighbours (scVelo's; above 0, not a
        probability, may exceed 1); ``agreement``: share of these arrows along the edge, from source to target;
        ``undecided``: share of these arrows that leave cells with undecided direction (0 at a root or terminal group
        chosen by hand, NaN if the run has no such information); ``source_cells``, ``target_cells``: numbers of cells.
    pseudotime
        Random-walk distance from the earliest cell of the root, shape ``(n_cells,)``, 0 to 1.
    latent_time
        Latent time of each cell (`deepvelo.tl.lineage.flow_time.flow_time`), shape ``(n_cells,)``, 0 to 1.
    root
        The group where time begins, in the largest connected component.
    last_groups
        Groups of at least 3 cells with incoming but no outgoing edges. They can differ from the terminal states of single
        cells, which `deepvelo.tl.fates` computes.
    part
        Connected component of each cell, ``(n_cells,)``, 0 the largest; -1 in components of fewer than 20 cells.
    explained
        Share of the arrows that ``latent_time`` explains, 0 to 1; low if arrows are cyclic or contradict each other.
    warnings
        Limits of the result that a user should know, one or two sentences each.

    Both times run from 0 to 1 in every connected component, and are NaN in components of fewer than 20 cells.
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
    """Order groups and cells along the velocity arrows; ``adata`` is not changed.

    Latent time is `deepvelo.tl.lineage.flow_time.flow_time`, averaged once over the neighbour graph as scVelo averages its own. Edges
    are scVelo's directed PAGA (Bergen et al. 2020, Wolf et al. 2019) with this time as its prior, since scVelo's own
    prior misses branches. Pseudotime is scVelo's, from the root alone: scVelo's default averages it with the distance to one
    terminal state, which reverses the other branches. The result is deterministic.

    Parameters
    ----------
    adata
        As a run leaves it: ``velocity_graph`` and ``velocity_graph_neg`` in ``uns``, and a neighbour graph.
    cluster_key
        Grouping in ``obs``. By default the one that `deepvelo.pp.moments` chose.
    root
        Group where time begins. By default the earliest group without incoming edges, in the tree of edges with the most
        cells. With a given root, all arrows across its border are set to leave it.
    terminal
        All groups where time ends. All arrows across their borders are set to enter them, and no edge leaves them
        (`deepvelo.tl.lineage.terminal_states`). By default arrows are not changed.

    Raises
    ------
    InputError
        The grouping is missing or has one group; the neighbour graph is missing; the velocity graph is missing, empty or
        of other cells; or a chosen group does not exist, is both root and terminal, or is terminal with fewer than 3
        cells.

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
        msg = "A trajectory needs a neighbour graph of all cells, and the data have none. Fit them again."
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
            f"Latent time explains only {max(flow.explained, 0):.0%} of the arrows: they are cyclic or contradict each other. "
            "The order of groups and both times are unreliable."
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
            f"No pseudotime for {number(lost, 'cell')}: the random walk along the arrows does not converge. Use latent time."
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
        msg = "A trajectory needs the velocity graph of a fit, and the data have none. Fit them first."
        raise InputError(msg)
    n_cells = graphs[0].shape[0]
    if n_cells != adata.n_obs:
        msg = (
            f"The velocity graph has {number(n_cells, 'cell')} and the data have {adata.n_obs:,}. "
            "Fit the remaining cells, or give all cells of the fit."
        )
        raise InputError(msg)
    cosines = both_signs(adata)
    if not cosines.nnz:
        msg = (
            "The velocity graph is empty: no cell has an arrow to a neighbour. Fit again with more epochs or "
            "another method."
        )
        raise InputError(msg)
    return cosines


def _large_parts(cosines: sp.csr_matrix) -> list[np.ndarray]:
    parts = large_parts(connected_parts(cosines))
    if not parts:
        msg = (
            f"No connected component of the velocity graph has {LEAST_PART} cells, the minimum for a trajectory. Give more "
            "cells, or fit with more neighbours."
        )
        raise InputError(msg)
    return parts


def _root(edges: pd.DataFrame, groups: pd.Series, time: np.ndarray, *, chosen: str | None) -> str:
    """Root group of a connected component: the chosen one if it has cells there; never cells without a group."""
    names = groups.astype(str)
    if chosen is not None and (names == chosen).any():
        return chosen
    if (grouped := (names != UNASSIGNED).to_numpy()).any():
        names, time = names[grouped], time[grouped]
    times = pd.Series(time).groupby(names.to_numpy()).mean()
    return first_group(edges, time=times, sizes=names.value_counts())


def _about_edges(edges: pd.DataFrame) -> list[str]:
    if edges.empty:
        return ["No arrows between two groups have a clear net direction, so no edges were found."]
    found = []
    sizes = cells_of_weak(edges)
    if len(sizes):
        named = ", ".join(f"'{group}' ({size})" for group, size in sizes.items())
        found.append(
            f"Some edges rest on few cells: {named}. {FORCED}, so its edges look strong by construction. "
            "They are drawn dashed."
        )
    if len(undecided := undecided_edges(edges)):
        pairs = zip(undecided["source"], undecided["target"], strict=True)
        found.append(
            f"The data do not decide the direction of {listed([f'{source} → {target}' for source, target in pairs])} "
            "(dashed): most arrows between these groups leave undecided cells."
        )
    against = edges[edges["agreement"] < 0.5]
    return found + [
        f"Most arrows between '{source}' and '{target}' point against the edge, which follows the latent time of "
        "all cells: its direction is unreliable."
        for source, target in zip(against["source"], against["target"], strict=True)
    ]


def _about_parts(
    parts: Sequence[np.ndarray], roots: Sequence[str], groups: pd.Series, *, chosen: str | None
) -> list[str]:
    found = []
    if len(parts) > 1:
        found.append(
            f"The velocity graph has {len(parts)} connected components. Each has its own times, which start from "
            f"{listed(roots)} (largest component first) and cannot be compared between components."
        )
    if small := len(groups) - sum(len(cells) for cells in parts):
        found.append(
            f"No times for {number(small, 'cell')} in connected components of fewer than {LEAST_PART} cells."
        )
    if chosen is not None and chosen not in roots:
        found.append(
            f"No times start from the chosen root '{chosen}': all its cells are in such small components."
        )
    return found


def _last_groups(edges: pd.DataFrame) -> tuple[list[str], list[str]]:
    """Last groups with enough cells, and warnings about the others."""
    sizes = dict(zip(edges["target"], edges["target_cells"], strict=True))
    last = last_groups(edges)
    large = [group for group in last if sizes[group] >= LEAST_CELLS]
    warnings = []
    if small := [group for group in last if group not in large]:
        warnings.append(
            f"Too few cells to be terminal, although no edge leaves them: {listed(small)} "
            f"(at least {LEAST_CELLS} cells are needed)."
        )
    if not large:
        warnings.append("The edges identify no terminal group. Choose terminal groups by hand.")
    return large, warnings
