"""Cached checks of a stored run: shuffled and steady-state control, other seeds and settings, quality gate.

Ids of runs are the keys of the caches, because stored runs never change. All visitors share what these functions
return: read it, never change it.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import streamlit as st

from app.shared import cached, comparison
from deepvelo import keys
from deepvelo.errors import InputError
from deepvelo.io.runs import Purpose, Run, RunInfo

if TYPE_CHECKING:
    from deepvelo.evaluation.compare import Edge
    from deepvelo.evaluation.gate import Control, GateFinding

LOW_AGREEMENT = 0.5
"""Mean cosine between seeds; below it, a cell's direction turns by more than 60 degrees with the seed."""
Variants = tuple[tuple[str, str], ...]
"""For each run: what it varies, and its id."""


def folder_of(run: Run) -> Path:
    """Folder of the run, as plans and their finished runs name it."""
    return Path(run.folder).resolve()


def control_of(base: Run) -> RunInfo | None:
    """The finished shuffled control of a fit; None for a run that itself belongs to another."""
    from deepvelo.evaluation.controls import control_plan, finished

    if base.info.purpose != "fit":
        return None
    return finished(control_plan(base.info, folder_of(base)), cached.runs())[0][1]


def runs_for(base: Run, purpose: Purpose) -> Variants:
    """Finished runs that belong to a run, by what they vary, oldest first; the newest of equal ones."""
    found = {
        info.name.removeprefix(f"{base.info.name}, "): info.run_id
        for info in reversed(cached.runs())
        if info.base == base.info.run_id and info.purpose == purpose
    }
    return tuple(found.items())


def signal(run_id: str, control_id: str) -> float:
    """Signal score of a run against its control, `deepvelo.evaluation.controls.signal_score`.

    Raises
    ------
    InputError
        A run was deleted, or lacks what the score needs.
    """
    from deepvelo.evaluation.controls import signal_score

    comparison.infos((run_id, control_id))
    folder = cached.runs_folder()
    return signal_score(_surplus(folder, run_id), [_surplus(folder, control_id)])


@st.cache_data(max_entries=64, max_size="32MB", show_spinner="Computing the signal")
def _surplus(folder: Path, run_id: str) -> np.ndarray:
    cached.warm_up().join()
    from deepvelo.evaluation.controls import forward_surplus

    run = cached.open_run(run_id)
    fit = run.part([keys.UNSPLICED, keys.SPLICED, keys.MS], on_disk=True)
    return forward_surplus(fit, cluster_key=run.info.cluster_key)


def steady_state(base: Run, run_ids: Sequence[str], edges: Sequence[Edge]) -> pd.DataFrame:
    """Scores of a run and of its steady-state controls, `deepvelo.evaluation.controls.steady_state_table`.

    Raises
    ------
    InputError
        A run was deleted.
    """
    from deepvelo.evaluation.controls import steady_state_table

    comparison.infos((base.info.run_id, *run_ids))
    folder = cached.runs_folder()
    own, *others = (_scores_of_run(folder, run_id, tuple(edges)) for run_id in (base.info.run_id, *run_ids))
    return steady_state_table(own, others)


@st.cache_data(max_entries=64, show_spinner="Scoring the steady-state controls")
def _scores_of_run(folder: Path, run_id: str, edges: tuple[Edge, ...]) -> pd.Series:
    cached.warm_up().join()
    from deepvelo.evaluation.controls import scores_of_run

    run = cached.open_run(run_id)
    fit, info = comparison.directions(run_id), run.info
    return scores_of_run(fit, edges=edges, cluster_key=info.cluster_key, basis=info.basis)


def seed_agreement(run_ids: tuple[str, ...]) -> np.ndarray:
    """Agreement of fits with different seeds in each cell, shape ``(n_cells,)``.

    Raises
    ------
    InputError
        Fewer than two, or one was deleted.
    """
    comparison.infos(run_ids)
    return _seed_agreement(cached.runs_folder(), run_ids)


@st.cache_data(max_entries=16, max_size="16MB", show_spinner="Comparing the seeds cell by cell")
def _seed_agreement(folder: Path, run_ids: tuple[str, ...]) -> np.ndarray:
    cached.warm_up().join()
    from deepvelo.evaluation.controls import seed_agreement as agreement

    fits = [cached.open_run(run_id).part([keys.VELOCITY], on_disk=True) for run_id in run_ids]
    return agreement([fit.layers[keys.VELOCITY] for fit in fits])


def sweep_table(run_id: str, sweep: Variants, edges: tuple[Edge, ...]) -> pd.DataFrame:
    """Scores of a sweep and of the run it varies, `deepvelo.evaluation.controls.sensitivity_table`.

    Raises
    ------
    InputError
        A run was deleted.
    """
    comparison.infos((run_id, *(other for _, other in sweep)))
    return _sweep_table(cached.runs_folder(), run_id, sweep, edges)


@st.cache_data(max_entries=16, show_spinner="Scoring the runs with other settings")
def _sweep_table(folder: Path, run_id: str, sweep: Variants, edges: tuple[Edge, ...]) -> pd.DataFrame:
    cached.warm_up().join()
    from deepvelo.evaluation.controls import sensitivity_table

    return sensitivity_table(
        comparison.directions(run_id),
        ((name, comparison.directions(other)) for name, other in sweep),
        edges=edges,
        cluster_key=cached.open_run(run_id).info.cluster_key,
    )


def gate(base: Run, *, edges: Sequence[Edge], batch_key: str | None = None) -> list[GateFinding]:
    """Findings on a run, from its finished control and sweep and from other methods on the same data.

    Raises
    ------
    InputError
        A run was deleted meanwhile, or cannot be read.
    """
    control = control_of(base)
    sweep = runs_for(base, "sweep")
    return _gate(
        cached.runs_folder(),
        base.info.run_id,
        control.run_id if control else None,
        tuple(comparison.newest_of_other_methods(base.info).values()),
        sweep,
        tuple(edges) if sweep else (),
        batch_key,
    )


def _against(run_id: str, control_id: str) -> Control:
    from deepvelo.evaluation.gate import Control

    consistency = cached.open_run(control_id).obs[keys.CONSISTENCY].to_numpy(dtype=float)
    return Control(signal=signal(run_id, control_id), consistency=consistency)


@st.cache_data(max_entries=64, show_spinner="Checking the quality of the arrows")
def _gate(
    folder: Path,
    run_id: str,
    control_id: str | None,
    other_methods: tuple[str, ...],
    sweep: Variants,
    edges: tuple[Edge, ...],
    batch_key: str | None,
) -> list[GateFinding]:
    cached.warm_up().join()
    from deepvelo.evaluation.gate import quality_gate
    from deepvelo.tl.metrics.agreement import agreement

    run = cached.open_run(run_id)
    of_methods = None
    if other_methods:
        # A result that cannot be compared leaves only this finding unchecked.
        with suppress(InputError):
            moving = list(comparison.matched((run_id, *other_methods), None).moving().values())
            of_methods = agreement(moving) if len(moving) > 1 else None
    return quality_gate(
        run.part([keys.UNSPLICED, keys.SPLICED, keys.VELOCITY], on_disk=True),
        cluster_key=run.info.cluster_key,
        control=_against(run_id, control_id) if control_id else None,
        methods_agreement=of_methods,
        sweep=_sweep_table(folder, run_id, sweep, edges) if sweep else None,
        batch_key=batch_key,
    )
