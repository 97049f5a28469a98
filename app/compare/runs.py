"""Choice of the runs to compare, of their smoothing, and a button that fits missing methods."""

from __future__ import annotations

from pathlib import Path

import streamlit as st

from app import visitors
from app.shared import cached, comparison
from app.shared.comparison import RunIds
from app.shared.empty import say_error
from app.shared.estimate import estimate_seconds, in_words
from app.shared.run_picker import fits
from app.shared.text import box_labels, escape
from app.shared.view import one_of, some_of
from deepvelo.config import METHOD_LABELS, Method, Settings, replace
from deepvelo.datasets.source import DataSource
from deepvelo.errors import InputError
from deepvelo.io.runs import Run, RunInfo
from deepvelo.memory import estimate_memory
from deepvelo.peers import fitted_here

MAX_RUNS = 8
FIT_MISSING = "Fit the missing methods"
_SMOOTHING: dict[str, int | None] = {"As fitted": None, "None": 0, "Once": 1, "Twice": 2}


def choose_runs(base: Run) -> RunIds:
    """The chosen run, then those to compare it with; by default the newest run of every other method."""
    others = _of_same_data(base.info)
    newest = comparison.newest_of_other_methods(base.info)
    first = comparison.default_runs(base.info)[: MAX_RUNS - 1]
    names = {info.run_id: _label(base.info, info) for info in others}
    labels = box_labels(names, names.__getitem__)
    beside = st.multiselect(
        f"Compare **{escape(_label(base.info, base.info))}**, the run in the sidebar, with",
        list(labels),
        format_func=labels.__getitem__,
        max_selections=MAX_RUNS - 1,
        placeholder="Other runs of the same data" if labels else "No other run of this data set yet",
        # A new default after a fit has ended needs a new widget.
        **some_of(
            "with",
            list(labels),
            key=".".join(["compare.runs", base.info.run_id, *first]),
            default=first,
            most=MAX_RUNS - 1,
            always=True,
        ),
        help="Runs to compare: fits of the same data set and imported results of its cells. All are scored on the cells, graph, groups and embedding of the run in the sidebar.",
    )
    _offer_missing(base, fitted=list(newest))
    return (base.info.run_id, *beside)


def smoothing_switch() -> int | None:
    """Number of averages of every method's velocity over the graph before scoring; None for as fitted."""
    smooth = st.segmented_control(
        "Smoothing",
        list(_SMOOTHING),
        required=True,
        **one_of("smoothing", list(_SMOOTHING), key="compare.smooth"),
        help="Number of times every method's velocity is averaged over the graph before scoring. Choose the same number for "
        "all methods to compare their consistency; As fitted shows each method as its own fit smooths it.",
    )
    return _SMOOTHING[str(smooth)]


def smoothing_note() -> str:
    """Why methods need equal smoothing."""
    from deepvelo.evaluation.compare import SMOOTHING_NOTE

    return SMOOTHING_NOTE


def _of_same_data(base: RunInfo) -> list[RunInfo]:
    """Other fits of the data, and imported results of their cells: first those with the same preparation, then by age."""
    others = [
        info for info in fits() if info.run_id != base.run_id and comparison.shares_cells(base, info) > 0
    ]
    return sorted(others, key=lambda info: not comparison.same_preparation(base, info))


def _label(base: RunInfo, info: RunInfo) -> str:
    method, name = info.method_label, comparison.run_name(info)
    label = method if name == method else f"{method}: {name}"
    other = not info.is_imported and not comparison.same_preparation(base, info)
    return f"{label} (other preparation)" if other else label


def _offer_missing(base: Run, *, fitted: list[Method]) -> None:
    """A button for the methods that have no run on this data set, finished or queued."""
    present = ("deepvelo", base.info.settings.method, *fitted)
    missing = [method for method in fitted_here() if method not in present]
    changes = {"layer": "", "tool": ""}  # of imported results
    settings = {method: replace(base.info.settings, {"method": method} | changes) for method in missing}
    waiting = [method for method in missing if not _is_queued(base, settings[method])]
    if not waiting:
        return
    metrics = base.info.metrics
    seconds = sum(
        estimate_seconds(
            int(metrics["n_cells"]), int(metrics["n_genes"]), settings[method], finished=cached.runs()
        )
        for method in waiting
    )
    with st.container(horizontal=True, vertical_alignment="center"):
        pressed = st.button(FIT_MISSING, type="primary", icon=":material/play_arrow:")
        st.caption(
            f"Not fitted to this data set yet: {', '.join(METHOD_LABELS[method].replace(',', '') for method in waiting)}. "
            f"Uses the cells, genes and moments of this run; roughly {in_words(seconds)} in the background."
        )
    if pressed:
        _submit(base, [settings[method] for method in waiting])


def _source(base: Run) -> DataSource:
    return DataSource("run", path=str(Path(base.folder).resolve()))


def _is_queued(base: Run, settings: Settings) -> bool:
    info = base.info
    try:
        same = cached.jobs().same(_source(base), settings, cluster_key=info.cluster_key, basis=info.basis)
    except InputError:  # the list of jobs on the page reports it
        return False
    return same is not None


def _submit(base: Run, wanted: list[Settings]) -> None:
    info = base.info
    try:
        cached.store().require_writable()  # reported here rather than by a job that fails later
        for settings in wanted:
            cached.jobs().submit(
                _source(base),
                settings,
                cluster_key=info.cluster_key,
                basis=info.basis,
                base=comparison.root(info),
                memory=estimate_memory(int(info.metrics["n_cells"]), int(info.metrics["n_genes"]), settings),
                **visitors.visitor(),
            )
    except InputError as error:
        say_error(error)
        return
    st.rerun()
