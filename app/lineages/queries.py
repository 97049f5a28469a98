"""Cached lineage analyses of stored runs, and the jobs that compute them.

All visitors share what these functions return: read it, never change it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import streamlit as st

from app.background.job_status import JobStatus
from app.shared import cached, comparison
from deepvelo import keys
from deepvelo.contents.groups import group_names
from deepvelo.datasets.source import DataSource
from deepvelo.errors import InputError
from deepvelo.io.runs import Run
from deepvelo.lineages import Lineages, LineageSettings

if TYPE_CHECKING:
    from deepvelo.tl.gene_sets.sets import GeneSets
    from deepvelo.tl.gene_sets.table_one import TableOne


def found(run: Run, settings: LineageSettings) -> Lineages | None:
    """The finished analysis of a run with these settings; None if there is none."""
    known = (cached.runs_folder(), run.info.run_id, settings, _stamp(run))
    analysis = _found(*known)
    if analysis is None:  # it may appear within the resolution of the clock
        _found.clear(*known)
    return analysis


# ``stamp`` changes with each new analysis of the run.
@st.cache_resource(max_entries=8, show_spinner=False)
def _found(folder: Path, run_id: str, settings: LineageSettings, stamp: int) -> Lineages | None:
    from deepvelo.lineages import load

    return load(folder / run_id, settings)


def earlier(run: Run) -> list[LineageSettings]:
    """Settings of the run's analyses, the newest first."""
    return _earlier(cached.runs_folder(), run.info.run_id, _stamp(run))


@st.cache_data(max_entries=64, show_spinner=False)
def _earlier(folder: Path, run_id: str, stamp: int) -> list[LineageSettings]:
    from deepvelo.lineages import stored

    return stored(folder / run_id)


def under_way(run: Run, settings: LineageSettings) -> JobStatus | None:
    """The queued or running job of this analysis."""
    try:
        jobs = cached.jobs().list()
    except InputError:  # the list of jobs on the page reports it
        return None
    wanted = (run.info.run_id, settings)
    return next((job for job in jobs if job.active and (job.base, job.lineages) == wanted), None)


def submit(run: Run, settings: LineageSettings, *, owner: str, owner_name: str) -> str:
    """Queue an analysis for a visitor, as in `deepvelo.task.Job`, and return the job's id.

    Raises
    ------
    InputError
        The root or a terminal state is invalid, the store is not writable, or the scheduler cannot be reached.
    """
    from deepvelo.tl.lineage.terminal_states import find_ends

    groups = group_names(run.obs[settings.cluster_key])
    find_ends(groups, root=settings.root, terminal=settings.terminal or None)
    cached.store().require_writable()
    return cached.jobs().submit(
        DataSource("run", path=str(Path(run.folder).resolve())),
        run.info.settings,
        cluster_key=run.info.cluster_key,
        basis=run.info.basis,
        name=f"{run.info.name}, lineages",
        base=run.info.run_id,
        lineages=settings,
        owner=owner,
        owner_name=owner_name,
    )


def of_methods(base: Run, settings: LineageSettings) -> dict[str, Lineages]:
    """Analyses with these settings of the run and of the newest run of each other method, by method."""
    ids = (base.info.run_id, *comparison.default_runs(base.info))
    analyses = {
        name: found(cached.open_run(run_id), settings)
        for name, run_id in zip(comparison.names(ids), ids, strict=True)
    }
    return {name: analysis for name, analysis in analyses.items() if analysis is not None}


def trend(run_id: str, layer: str, gene: str, settings: LineageSettings, lineage: str) -> pd.DataFrame:
    """One quantity of a gene along the latent time of a lineage, see `deepvelo.tl.lineage.trends.trends`."""
    stamp = _stamp(cached.open_run(run_id))
    return _trend(cached.runs_folder(), run_id, layer, gene, settings, lineage, stamp)


@st.cache_data(max_entries=512, show_spinner=False)
def _trend(
    folder: Path, run_id: str, layer: str, gene: str, settings: LineageSettings, lineage: str, stamp: int
) -> pd.DataFrame:
    from deepvelo.tl.lineage.trends import trends

    analysis = _require(folder, run_id, settings, stamp)
    values = np.asarray(cached.gene_values(run_id, layer, gene), dtype=float)
    return trends(
        values, analysis.cells["latent_time"].to_numpy(), weights=analysis.fates[lineage].to_numpy()
    )


def trend_table(run_id: str, genes: Sequence[str], settings: LineageSettings, lineage: str) -> pd.DataFrame:
    """Spliced moments of several genes along the latent time of a lineage, see `deepvelo.tl.lineage.trends.trend_table`."""
    stamp = _stamp(cached.open_run(run_id))
    return _trend_table(cached.runs_folder(), run_id, tuple(genes), settings, lineage, stamp)


@st.cache_data(max_entries=64, show_spinner="Computing trends of the genes")
def _trend_table(
    folder: Path, run_id: str, genes: tuple[str, ...], settings: LineageSettings, lineage: str, stamp: int
) -> pd.DataFrame:
    from deepvelo.tl.lineage.trends import trend_table

    analysis = _require(folder, run_id, settings, stamp)
    values = np.column_stack([cached.gene_values(run_id, keys.MS, gene) for gene in genes])
    time, weights = analysis.cells["latent_time"].to_numpy(), analysis.fates[lineage].to_numpy()
    return trend_table(values, time, weights=weights, genes=genes)


def _require(folder: Path, run_id: str, settings: LineageSettings, stamp: int) -> Lineages:
    analysis = _found(folder, run_id, settings, stamp)
    if analysis is None:
        msg = "The lineages of this run are gone. Compute them again."
        raise InputError(msg)
    return analysis


def markers(run: Run) -> GeneSets:
    """Markers of the run's own groups, `deepvelo.tl.gene_sets.markers.markers_by_group`."""
    return _markers(cached.runs_folder(), run.info.run_id)


@st.cache_data(max_entries=16, show_spinner="Computing markers of the cell types")
def _markers(folder: Path, run_id: str) -> GeneSets:
    cached.warm_up().join()
    from deepvelo.tl.gene_sets.markers import markers_by_group

    run = cached.open_run(run_id)
    return markers_by_group(run.part([keys.SPLICED]), run.info.cluster_key)


def library(name: str) -> GeneSets:
    """A gene-set library by name, `deepvelo.tl.gene_sets.gene_library.library`; a failure is cached for a minute.

    Raises
    ------
    InputError
        The name is unknown, or there is no network.
    """
    found = _library(name)
    if isinstance(found, str):
        raise InputError(found)
    return found


@st.cache_data(max_entries=4, ttl=60, show_spinner="Downloading the library")
def _library(name: str) -> GeneSets | str:
    cached.warm_up().join()
    from deepvelo.tl.gene_sets.gene_library import library

    try:
        return library(name)
    except InputError as error:
        return str(error)


def table_one(drivers: Mapping[str, pd.DataFrame], **choices: Any) -> TableOne:
    """The paper's Table 1 for these runs and choices, `deepvelo.tl.gene_sets.table_one`.

    Raises
    ------
    InputError
        As there.
    """
    return _table_one(dict(drivers), choices)


@st.cache_data(max_entries=16, show_spinner="Comparing the drivers with known genes")
def _table_one(drivers: dict[str, pd.DataFrame], choices: dict[str, Any]) -> TableOne:
    cached.warm_up().join()
    from deepvelo.tl.gene_sets.table_one import table_one

    return table_one(drivers, **choices)


def _stamp(run: Run) -> int:
    from deepvelo.lineages.store import FOLDER

    folder = Path(run.folder) / FOLDER
    return folder.stat().st_mtime_ns if folder.is_dir() else 0
