"""Cached comparisons of stored runs, with their ids as keys, because stored runs never change.

All visitors share what these functions return: read it, never change it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import streamlit as st

from app.shared import cached
from deepvelo.config import METHOD_LABELS, Method
from deepvelo.errors import InputError
from deepvelo.io.runs import RunInfo
from deepvelo.pl import theme

if TYPE_CHECKING:
    from anndata import AnnData

    from deepvelo.evaluation.compare import Comparison, Edge, Matched

MOST_CELLS = 0.9  # of a run that an imported result must share to be compared by default
RunIds = tuple[str, ...]
"""Ids of the compared runs; all are scored on the cells, graph, embedding and groups of the first."""


def infos(run_ids: RunIds) -> list[RunInfo]:
    """Information on the runs, without their results.

    Raises
    ------
    InputError
        A run does not exist or was deleted.
    """
    return [cached.open_run(run_id).info for run_id in run_ids]


def names(run_ids: RunIds) -> list[str]:
    """Distinct names of the compared runs, in the same order.

    The method; with the name of the run if methods repeat, and with its id if names repeat.
    """
    runs = infos(run_ids)
    found = [run.method_label.replace(",", "") for run in runs]  # lists separate them by commas
    for more in (run_name, lambda run: run.run_id):
        counts = Counter(found)
        found = [
            name if counts[name] == 1 else f"{name} · {more(run)}"
            for name, run in zip(found, runs, strict=True)
        ]
    return found


def run_name(info: RunInfo) -> str:
    """The run's name without the name of the data."""
    return info.name.removeprefix(f"{info.data_name}, ")


def colors(run_ids: RunIds) -> dict[str, str]:
    """A colour for each of `names`: the method's own; further runs of a method get an unused one."""
    free = [color for color in theme.PALETTE if color not in theme.METHOD_COLORS.values()]
    own = dict(theme.METHOD_COLORS)
    found = {}
    for name, info in zip(names(run_ids), infos(run_ids), strict=True):
        method = info.settings.method
        found[name] = own.pop(method) if method in own else free.pop(0)
    return found


def same_preparation(a: RunInfo, b: RunInfo) -> bool:
    """Whether two fits of the same data used the same cells, genes, moments, neighbours and groups."""
    if a.cluster_key != b.cluster_key:
        return False
    return root(a) == root(b) or (
        (a.settings.of_preparation, a.settings.seed) == (b.settings.of_preparation, b.settings.seed)
    )


def root(info: RunInfo) -> str:
    """Id of the run whose prepared data a run used: its base, or itself."""
    return info.base or info.run_id


def newest_of_other_methods(base: RunInfo) -> dict[Method, str]:
    """Id of the newest fit by each other method on the same cells, genes and moments."""
    newest = {
        info.settings.method: info.run_id
        for info in reversed(cached.runs())
        if info.purpose == "fit"
        and info.settings.method != base.settings.method
        and info.data_hash == base.data_hash
        and same_preparation(base, info)
    }
    return {method: newest[method] for method in METHOD_LABELS if method in newest}


def default_runs(base: RunInfo) -> list[str]:
    """Ids of the runs that are compared with one by default: the newest of each other method and tool.

    Imported results count if they share most of the run's cells, because only shared cells are scored.
    """
    imported = {
        info.method_label: info.run_id
        for info in reversed(cached.runs())
        if info.purpose == "fit"
        and info.is_imported
        and info.run_id != base.run_id
        and info.method_label != base.method_label
        and shares_cells(base, info) >= MOST_CELLS
    }
    return list(dict.fromkeys([*newest_of_other_methods(base).values(), *imported.values()]))


def counterpart(run_id: str) -> str:
    """The newest DeepVelo fit that shares most cells of an imported result; the result itself if there is none."""
    info = cached.open_run(run_id).info
    ours = (
        other.run_id
        for other in cached.runs()
        if other.purpose == "fit"
        and other.is_ours
        and min(shares_cells(info, other), shares_cells(other, info)) >= MOST_CELLS
    )
    return next(ours, run_id)


def shares_cells(a: RunInfo, b: RunInfo) -> float:
    """Share of the cells of ``a`` that ``b`` has too; 0 if the two cannot be compared.

    Fits of different data cannot be compared, except with imported results, whose cells are matched by name.
    """
    if a.data_hash == b.data_hash:
        return 1.0
    if not any(info.is_imported for info in (a, b)):
        return 0.0
    return _shares_cells(cached.runs_folder(), a.run_id, b.run_id)


@st.cache_data(max_entries=256, show_spinner=False)
def _shares_cells(folder: Path, a: str, b: str) -> float:
    from deepvelo.evaluation.compare.shared import MIN_SHARE, same_cells

    try:
        first, other = (cached.open_run(run_id).obs for run_id in (a, b))
        n_shared = int((same_cells(first, other) >= 0).sum())
    except InputError:  # deleted, or ambiguous cells
        return 0.0
    return n_shared / len(first) if n_shared >= MIN_SHARE * min(len(first), len(other)) else 0.0


def directions(run_id: str) -> AnnData:
    """A run's result with the layers that comparisons read, on disk."""
    from deepvelo.evaluation.compare import LAYERS

    return cached.open_run(run_id).part(LAYERS, on_disk=True)


def matched(run_ids: RunIds, smooth: int | None) -> Matched:
    """The runs on the cells and genes they share, by their `names`, averaged ``smooth`` times over the graph.

    None leaves each as fitted.

    Raises
    ------
    InputError
        A run was deleted or cannot be read, or the runs share too few cells or genes.
    """
    infos(run_ids)
    return _matched(cached.runs_folder(), run_ids, smooth)


def compared(run_ids: RunIds, smooth: int | None, edges: Sequence[Edge]) -> Comparison:
    """All scores of the runs.

    Raises
    ------
    InputError
        As `matched`; or an edge names a missing group.
    """
    infos(run_ids)
    return _compared(cached.runs_folder(), run_ids, smooth, tuple(edges))


# Two entries: velocities as fitted, and averaged. Large data stay on disk.
@st.cache_resource(max_entries=2, show_spinner="Matching cells and genes")
def _matched(folder: Path, run_ids: RunIds, smooth: int | None) -> Matched:
    cached.warm_up().join()
    from deepvelo.evaluation import compare

    if smooth is not None:
        return _matched(folder, run_ids, None).smoothed(smooth)
    results = dict(zip(names(run_ids), map(directions, run_ids), strict=True))
    base = cached.open_run(run_ids[0]).info
    return compare.match(results, cluster_key=base.cluster_key, basis=base.basis)


# Scores of every cell and method.
@st.cache_resource(max_entries=8, show_spinner="Scoring the methods")
def _compared(folder: Path, run_ids: RunIds, smooth: int | None, edges: tuple[Edge, ...]) -> Comparison:
    cached.warm_up().join()
    from deepvelo.evaluation import compare

    return compare.compare(_matched(folder, run_ids, smooth), edges=list(edges))
