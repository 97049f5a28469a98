"""Cached comparisons of stored runs, every cache bounded; keyed by the runs' ids, which never change.

What these functions return is shared by all visitors: read it, never change it.
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

MOST_CELLS = 0.9  # of a run, for an imported result to stand beside it by itself
RunIds = tuple[str, ...]
"""Ids of the compared runs; the first gives the cells, graph, embedding and groups that all are scored with."""


def infos(run_ids: RunIds) -> list[RunInfo]:
    """What is known of the runs without reading their results.

    Raises
    ------
    InputError
        One is not there, or was deleted by now.
    """
    return [cached.open_run(run_id).info for run_id in run_ids]


def names(run_ids: RunIds) -> list[str]:
    """What the runs are called beside each other, all different, in the same order.

    The method; where several have the same, with the name of the run, and where that is the same too, with its id.
    """
    runs = infos(run_ids)
    found = [run.method_label.replace(",", "") for run in runs]  # they stand in lists with commas
    for more in (run_name, lambda run: run.run_id):
        counts = Counter(found)
        found = [
            name if counts[name] == 1 else f"{name} · {more(run)}"
            for name, run in zip(found, runs, strict=True)
        ]
    return found


def run_name(info: RunInfo) -> str:
    """The run's name without that of the data, which all compared runs share."""
    return info.name.removeprefix(f"{info.data_name}, ")


def colors(run_ids: RunIds) -> dict[str, str]:
    """A colour for each of `names`: the method's own, and for further runs of a method one that is free."""
    free = [color for color in theme.PALETTE if color not in theme.METHOD_COLORS.values()]
    own = dict(theme.METHOD_COLORS)
    found = {}
    for name, info in zip(names(run_ids), infos(run_ids), strict=True):
        method = info.settings.method
        found[name] = own.pop(method) if method in own else free.pop(0)
    return found


def same_preparation(a: RunInfo, b: RunInfo) -> bool:
    """Whether two fits of the same data took the very same cells, genes, moments, neighbours and groups."""
    if a.cluster_key != b.cluster_key:
        return False
    return root(a) == root(b) or (
        (a.settings.of_preparation, a.settings.seed) == (b.settings.of_preparation, b.settings.seed)
    )


def root(info: RunInfo) -> str:
    """Id of the run whose prepared data a run took: its base, or itself."""
    return info.base or info.run_id


def newest_of_other_methods(base: RunInfo) -> dict[Method, str]:
    """Id of the newest fit by every other method on the same cells, genes and moments, in the order of methods."""
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
    """Ids of the runs that stand beside one by themselves: the newest of every other method, and of every other tool.

    An imported result is among them where it has most of the run's cells: only cells that all have are scored.
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
    """The newest of our fits that has most of an imported result's cells, to compare it with; else the result itself."""
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
    """Share of the cells of ``a`` that ``b`` has too, as far as the two can be compared; 0 where they cannot.

    Fits of other data are never compared; an imported result comes from a file of its own, so its cells are looked up.
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
    except InputError:  # deleted by now, or cells that can be matched in two ways
        return 0.0
    return n_shared / len(first) if n_shared >= MIN_SHARE * min(len(first), len(other)) else 0.0


def directions(run_id: str) -> AnnData:
    """A run's result with the layers that comparisons read, by blocks of genes from where they lie."""
    from deepvelo.evaluation.compare import LAYERS

    return cached.open_run(run_id).part(LAYERS, on_disk=True)


def matched(run_ids: RunIds, smooth: int | None) -> Matched:
    """The runs brought to the cells and genes they share, averaged so often over the graph, under their `names`.

    With None as fitted, each averaged as often as its fit does.

    Raises
    ------
    InputError
        A run was deleted or cannot be read, or they share too little to be compared.
    """
    infos(run_ids)
    return _matched(cached.runs_folder(), run_ids, smooth)


def compared(run_ids: RunIds, smooth: int | None, edges: Sequence[Edge]) -> Comparison:
    """All scores of the runs.

    Raises
    ------
    InputError
        As `matched`; or an edge names a group that is not there.
    """
    infos(run_ids)
    return _compared(cached.runs_folder(), run_ids, smooth, tuple(edges))


# Velocities of all methods: one as fitted, one averaged; in memory where they are small, else only where to read them.
@st.cache_resource(max_entries=2, show_spinner="Bringing the methods to the same cells and genes")
def _matched(folder: Path, run_ids: RunIds, smooth: int | None) -> Matched:
    cached.warm_up().join()
    from deepvelo.evaluation import compare

    if smooth is not None:
        return _matched(folder, run_ids, None).smoothed(smooth)
    results = dict(zip(names(run_ids), map(directions, run_ids), strict=True))
    base = cached.open_run(run_ids[0]).info
    return compare.match(results, cluster_key=base.cluster_key, basis=base.basis)


# Scores of every cell by every method.
@st.cache_resource(max_entries=8, show_spinner="Scoring the methods")
def _compared(folder: Path, run_ids: RunIds, smooth: int | None, edges: tuple[Edge, ...]) -> Comparison:
    cached.warm_up().join()
    from deepvelo.evaluation import compare

    return compare.compare(_matched(folder, run_ids, smooth), edges=list(edges))
