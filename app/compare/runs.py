"""Which runs stand beside each other, other methods that are still to be fitted, and equal smoothing."""

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
from deepvelo.config import METHOD_LABELS, Method, Settings, replace
from deepvelo.datasets.source import DataSource
from deepvelo.errors import InputError
from deepvelo.io.runs import Run, RunInfo
from deepvelo.memory import estimate_memory
from deepvelo.peers import fitted_here

MAX_RUNS = 8
FIT_MISSING = "Fit the missing methods"
_AS_FITTED = "As fitted"


def choose_runs(base: Run) -> RunIds:
    """The chosen run first, then those to compare it with; at first the newest of every other method."""
    others = _of_same_data(base.info)
    newest = comparison.newest_of_other_methods(base.info)
    first = comparison.default_runs(base.info)[: MAX_RUNS - 1]
    names = {info.run_id: _label(base.info, info) for info in others}
    labels = box_labels(names, names.__getitem__)
    beside = st.multiselect(
        f"Compare **{escape(_label(base.info, base.info))}**, the run chosen in the sidebar, with",
        list(labels),
        default=first,
        format_func=labels.__getitem__,
        max_selections=MAX_RUNS - 1,
        placeholder="Other runs of the same data" if labels else "There is no other run of these data yet",
        # A mode that was fitted meanwhile makes a new box, with it among the chosen.
        key=".".join(["compare.runs", base.info.run_id, *first]),
        persist_state="session",
        help="Fits of the same data, and imported results of their cells. Cells, graph, groups and embedding are those of the run in the sidebar, for all.",
    )
    _offer_missing(base, fitted=list(newest))
    return (base.info.run_id, *beside)


def smoothing_switch() -> int | None:
    """How often every method's velocity is averaged over the graph before it is scored; None as fitted."""
    smooth = st.segmented_control(
        "Velocities averaged over the graph",
        [_AS_FITTED, 0, 1, 2],
        format_func=_times,
        default=_AS_FITTED,
        required=True,
        key="compare.smooth",
        persist_state="session",
        help="As fitted: what the other pages show, each method averaged as often as its fit does. 0, 1, 2: every "
        "method the same number of times in all, ours made anew from its rates and the moments first.",
    )
    return None if smooth == _AS_FITTED else int(str(smooth))


def _times(smooth: str | int) -> str:
    return smooth if isinstance(smooth, str) else f"{smooth}×"


def smoothing_note() -> str:
    """Why methods must be averaged alike."""
    from deepvelo.evaluation.compare import SMOOTHING_NOTE

    return SMOOTHING_NOTE


def _of_same_data(base: RunInfo) -> list[RunInfo]:
    """Other fits of the data, and imported results of their cells: those prepared in the same way first, then by age."""
    others = [
        info for info in fits() if info.run_id != base.run_id and comparison.shares_cells(base, info) > 0
    ]
    return sorted(others, key=lambda info: not comparison.same_preparation(base, info))


def _label(base: RunInfo, info: RunInfo) -> str:
    method, name = info.method_label, comparison.run_name(info)
    label = method if name == method else f"{method}: {name}"
    other = not info.is_imported and not comparison.same_preparation(base, info)
    return f"{label} (prepared in another way)" if other else label


def _offer_missing(base: Run, *, fitted: list[Method]) -> None:
    """A button for other methods that have no run on just these data and are not being fitted."""
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
            int(metrics["n_cells"]), int(metrics["n_genes"]), settings[method], past=cached.runs()
        )
        for method in waiting
    )
    with st.container(horizontal=True, vertical_alignment="center"):
        pressed = st.button(FIT_MISSING, type="primary", icon=":material/play_arrow:")
        st.caption(
            f"Not fitted to these data yet: {', '.join(METHOD_LABELS[method].replace(',', '') for method in waiting)}. "
            f"On exactly the cells, genes and moments of this run, in the background; roughly {in_words(seconds)}."
        )
    if pressed:
        _submit(base, [settings[method] for method in waiting])


def _source(base: Run) -> DataSource:
    return DataSource("run", path=str(Path(base.folder).resolve()))


def _is_queued(base: Run, settings: Settings) -> bool:
    info = base.info
    try:
        same = cached.jobs().same(_source(base), settings, cluster_key=info.cluster_key, basis=info.basis)
    except InputError:  # the list of jobs on the page says that the scheduler does not answer
        return False
    return same is not None


def _submit(base: Run, wanted: list[Settings]) -> None:
    info = base.info
    try:
        cached.store().require_writable()  # said here, not by a job that fails later
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
