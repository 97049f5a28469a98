"""Cached calls into the library. Every cache is bounded.

``max_entries`` bounds values of constant size; values that grow with the cells have a ``max_size`` too.
``maxCacheDataSize`` in ``.streamlit/config.toml`` bounds the total.

All visitors share what a ``cache_resource`` returns: read it, never change it.
"""

from __future__ import annotations

import gc
import importlib
import os
import threading
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import streamlit as st
from anndata import AnnData
from scipy.sparse import csr_matrix

from app.background.jobs import Jobs
from app.shared.files import data_folder as data_folder
from app.shared.files import runs_folder as runs_folder
from deepvelo import checks, keys
from deepvelo.config import Settings
from deepvelo.contents import graphs, is_grouping, maps
from deepvelo.contents.genes import GeneIndex, gene_aliases
from deepvelo.contents.groups import UNASSIGNED, UNASSIGNED_COLOR, group_names
from deepvelo.datasets.source import DataSource
from deepvelo.errors import InputError
from deepvelo.inspection import inspect
from deepvelo.io.hashing import signature
from deepvelo.io.join import JoinReport
from deepvelo.io.run_info import INFO
from deepvelo.io.runs import DamagedRun, Run, RunInfo, RunStore
from deepvelo.pl import theme, thinning
from deepvelo.pp.prepare import chosen_cluster_key
from deepvelo.selections import GroupingStore, SavedGrouping
from deepvelo.selections import gene_lists as lists
from deepvelo.selections.gene_lists import GeneList
from deepvelo.wording import in_one_line

if TYPE_CHECKING:
    from deepvelo.tl.graph.stream_lines import StreamLines

_GENE_LISTS = ".gene_lists"  # in the run store, where no run has a hidden name
_MOST_OF_A_NAME = 80  # characters, of a cell under the pointer
# Modules that take seconds to import, in the order in which pages need them.
_HEAVY = ("scvelo.plotting.velocity_embedding_grid", "deepvelo.tl")


@st.cache_resource(show_spinner=False)
def warm_up() -> threading.Thread:
    """Import modules that the first page does not need, once per process and in the background.

    Join the thread before using any of them, so that no two threads import the same module at once.
    """
    thread = threading.Thread(target=_import_heavy, name="warm-up", daemon=True)
    thread.start()
    return thread


def _import_heavy() -> None:
    for name in _HEAVY:
        importlib.import_module(name)
    # Streamlit collects garbage after every run of a page, which blocks all pages for 0.2 s with these modules loaded;
    # frozen objects are skipped.
    gc.collect()
    gc.freeze()


def store() -> RunStore:
    """The run store of this server."""
    return _store(runs_folder())


@st.cache_resource(max_entries=4)
def _store(folder: Path) -> RunStore:
    return RunStore(folder)


def jobs() -> Jobs:
    """The queue of background jobs, one for all visitors of this server."""
    return _jobs(os.environ.get("DEEPVELO_SCHEDULER") or None, runs_folder())


@st.cache_resource(max_entries=4)
def _jobs(scheduler: str | None, folder: Path) -> Jobs:
    return Jobs(scheduler, folder)


def runs() -> list[RunInfo]:
    """All finished runs, newest first."""
    return store().list()


def damaged_runs() -> tuple[DamagedRun, ...]:
    """Damaged runs of this server."""
    return store().damaged()


def open_run(run_id: str) -> Run:
    """A finished run by its id.

    Raises
    ------
    InputError
        The run does not exist (the id may come from any URL), is damaged, or was deleted.
    """
    run = _open_run(runs_folder(), run_id)
    run.require_stored()
    return run


@st.cache_resource(max_entries=8, show_spinner=False)
def _open_run(folder: Path, run_id: str) -> Run:
    run_store = _store(folder)
    if not run_store.exists(run_id):
        msg = f"There is no run {run_id[:100]!r} on this server. Choose another run in the sidebar."
        raise InputError(msg)
    return run_store.open(run_id, whole=True)


def delete_run(run_id: str) -> None:
    """Delete a run from the store and the caches."""
    store().delete(run_id)
    _open_run.clear(runs_folder(), run_id)


def find_run(
    source: DataSource, settings: Settings, cluster_key: str | None, basis: str | None
) -> RunInfo | None:
    """A finished run of the same data with the same settings; None if there is none."""
    return store().find(source.hash(), settings, cluster_key=cluster_key, basis=basis)


def gene_values(run_id: str, layer: str, gene: str) -> np.ndarray:
    """One gene of one layer, shape ``(n_cells,)``, float32."""
    return _gene_values(runs_folder(), run_id, layer, gene)


@st.cache_data(max_entries=512, max_size="128MB", show_spinner=False)
def _gene_values(folder: Path, run_id: str, layer: str, gene: str) -> np.ndarray:
    return _open_run(folder, run_id).gene(layer, gene)


@dataclass(frozen=True)
class Genes:
    """The genes of a run."""

    ranked: tuple[str, ...]
    """Those with a velocity by multi-kinetic score, highest first, then the others."""
    index: GeneIndex
    """Finds them by symbol, id or another of their names."""


def genes(run_id: str) -> Genes:
    """The genes of a run in their order, with their other names."""
    return _genes(runs_folder(), run_id)


@st.cache_resource(max_entries=8, show_spinner=False)
def _genes(folder: Path, run_id: str) -> Genes:
    var = _open_run(folder, run_id).var
    order = var.sort_values([keys.VELOCITY_GENES, keys.MULTIKINETIC_SCORE], ascending=False, kind="stable")
    index = GeneIndex(var.index.astype(str), aliases=gene_aliases(var))
    return Genes(tuple(map(str, order.index)), index)


def save_gene_list(name: str, genes: Iterable[str], *, offer: bool) -> GeneList:
    """Save a gene list on this server, `deepvelo.selections.gene_lists.save`.

    Raises
    ------
    InputError
        As there.
    """
    return lists.save(runs_folder() / _GENE_LISTS, name, genes, offer=offer)


def gene_list(list_id: str) -> GeneList:
    """A saved gene list.

    Raises
    ------
    InputError
        There is no such list on this server.
    """
    return _gene_list(runs_folder() / _GENE_LISTS, list_id)


@st.cache_resource(max_entries=64, show_spinner=False)
def _gene_list(folder: Path, list_id: str) -> GeneList:
    return lists.load(folder, list_id)


def gene_lists() -> dict[str, str]:
    """Label of each gene list that this server offers, by its id."""
    folder = runs_folder() / _GENE_LISTS
    return _gene_lists(folder, folder.stat().st_mtime_ns if folder.is_dir() else 0)


@st.cache_data(max_entries=4, show_spinner=False)
def _gene_lists(folder: Path, stamp: int) -> dict[str, str]:
    return lists.stored(folder)


def gene_list_score(run_id: str, list_id: str) -> np.ndarray:
    """Mean score of a gene list in every cell, `deepvelo.tl.gene_sets.score.gene_set_score` of the smoothed spliced counts.

    Raises
    ------
    InputError
        There is no such list, or the run has none of its genes.
    """
    gene_list(list_id)
    return _gene_list_score(runs_folder(), run_id, list_id)


@st.cache_data(max_entries=64, max_size="32MB", show_spinner="Scoring the cells by the gene list")
def _gene_list_score(folder: Path, run_id: str, list_id: str) -> np.ndarray:
    warm_up().join()
    from deepvelo.tl.gene_sets.score import gene_set_score

    matched = lists.genes_in(_gene_list(folder / _GENE_LISTS, list_id).genes, _genes(folder, run_id).index)
    run = _open_run(folder, run_id)
    columns = run.var.index.get_indexer(list(matched))
    return gene_set_score(run.layer(keys.MS), columns, _mean_logs(folder, run_id))


@st.cache_data(max_entries=8, max_size="8MB", show_spinner=False)
def _mean_logs(folder: Path, run_id: str) -> np.ndarray:
    warm_up().join()
    from deepvelo.tl.gene_sets.score import mean_logs

    return mean_logs(_open_run(folder, run_id).layer(keys.MS))


def drawn_cells(run_id: str) -> np.ndarray | None:
    """Rows of the cells that all figures of a run draw, `deepvelo.pl.thinning.drawn_cells`; None for all."""
    return _drawn_cells(runs_folder(), run_id)


@st.cache_data(max_entries=32, max_size="16MB", show_spinner=False)
def _drawn_cells(folder: Path, run_id: str) -> np.ndarray | None:
    run = _open_run(folder, run_id)
    # Read the embedding only for large data: figures may show another one.
    if len(run.obs) <= thinning.MOST_DRAWN:
        return None
    points = run.obsm[keys.embedding(run.info.basis)][:, :2]
    return thinning.drawn_cells(points, run.obs[run.info.cluster_key].astype("category").cat.codes.to_numpy())


@dataclass(frozen=True, kw_only=True)
class CellTable:
    """What a figure tells of a cell under the pointer, besides its group: arrays of the drawn cells."""

    rows: np.ndarray | None
    """Row numbers of the drawn cells; None for all."""
    names: list[str]
    columns: dict[str, np.ndarray]
    """Numbers by their title."""


def cell_table(run_id: str) -> CellTable:
    """Names and times of the cells that figures of a run draw."""
    return _cell_table(runs_folder(), run_id)


@st.cache_resource(max_entries=4, show_spinner=False)
def _cell_table(folder: Path, run_id: str) -> CellTable:
    run, rows = _open_run(folder, run_id), _drawn_cells(folder, run_id)
    obs = run.obs if rows is None else run.obs.iloc[rows]
    times = {"latent time": keys.LATENT_TIME, "pseudotime": keys.PSEUDOTIME}
    return CellTable(
        rows=rows,
        names=[in_one_line(name, most=_MOST_OF_A_NAME) for name in obs.index],
        columns={title: obs[key].to_numpy(dtype=np.float32) for title, key in times.items() if key in obs},
    )


@dataclass(frozen=True, kw_only=True, eq=False)
class Groups:
    """A grouping of the cells of a run, as pages show it."""

    names: np.ndarray
    """Group of each cell, ``(n_cells,)``, dtype object; equal groups share one string."""
    codes: np.ndarray
    """The same as places in ``colors``, int32 ``(n_cells,)``."""
    colors: dict[str, str]
    """Colour of each group, in the order of the groups; hidden ones are grey."""
    hidden: frozenset[str] = frozenset()


def groups(run_id: str, key: str) -> Groups:
    """The groups in a column of ``obs``; shared, so read-only."""
    return _groups(runs_folder(), run_id, key)


@st.cache_resource(max_entries=32, show_spinner=False)
def _groups(folder: Path, run_id: str, key: str) -> Groups:
    run = _open_run(folder, run_id)
    names = np.asarray(group_names(run.obs[key], missing=UNASSIGNED), dtype=object)
    codes, order = theme.group_codes(names)
    return Groups(names=names, codes=codes, colors=theme.group_colors(order, run.uns_colors(key)))


def groups_by_hand(run_id: str, saved: SavedGrouping) -> Groups:
    """The groups of a grouping made by hand, those with cells in the run; shared, so read-only.

    Raises
    ------
    InputError
        The grouping was deleted or is damaged.
    """
    return _groups_by_hand(runs_folder(), run_id, saved.grouping_id, saved.changed)


@st.cache_resource(max_entries=32, show_spinner=False)
def _groups_by_hand(folder: Path, run_id: str, grouping_id: str, changed: datetime) -> Groups:
    run = _open_run(folder, run_id)
    _, grouping = GroupingStore(folder, run.info.data_hash).load(grouping_id)
    column = grouping.column(run.obs.index)
    names = np.array([*grouping.names, UNASSIGNED], dtype=object)[column.codes]
    colors = {
        group.name: theme.GREY if group.hidden else group.color
        for code, group in enumerate(grouping.groups)
        if (column.codes == code).any()
    }
    if (column.codes < 0).any():
        colors[UNASSIGNED] = UNASSIGNED_COLOR
    places = {name: place for place, name in enumerate(colors)}
    of_code = np.array([places.get(name, -1) for name in [*grouping.names, UNASSIGNED]], dtype=np.int32)
    return Groups(
        names=names, codes=of_code[column.codes], colors=colors, hidden=frozenset(grouping.hidden) & colors.keys()
    )  # fmt: skip


def groupings(run: Run) -> list[SavedGrouping]:
    """The groupings made by hand of the data of a run, oldest first; shared, so read-only."""
    return _groupings(runs_folder(), run.info.data_hash, grouping_store(run).stamp)


@st.cache_resource(max_entries=32, show_spinner=False)
def _groupings(folder: Path, data_hash: str, stamp: int) -> list[SavedGrouping]:
    return GroupingStore(folder, data_hash).stored().groupings


def grouping_store(run: Run) -> GroupingStore:
    """The store of the groupings made by hand of the data of a run."""
    return GroupingStore(runs_folder(), run.info.data_hash)


def groupings_of_obs(run_id: str) -> list[str]:
    """Columns of ``obs`` that sort the cells of a run into groups, the run's own among them."""
    return _groupings_of_obs(runs_folder(), run_id)


@st.cache_data(max_entries=32, show_spinner=False)
def _groupings_of_obs(folder: Path, run_id: str) -> list[str]:
    run = _open_run(folder, run_id)
    own = run.info.cluster_key
    return [
        name
        for name, column in run.obs.items()
        if name == own or (name != keys.UNDECIDED and is_grouping(column))
    ]


def in_run(cells: np.ndarray, run_id: str, other_id: str) -> np.ndarray:
    """Mask of the cells of another run that are among the cells of a run, by name.

    Parameters
    ----------
    cells
        Mask over the cells of ``run_id``.
    """
    places = _places(runs_folder(), run_id, other_id)
    return np.append(cells, False)[places]


@st.cache_data(max_entries=16, max_size="16MB", show_spinner=False)
def _places(folder: Path, run_id: str, other_id: str) -> np.ndarray:
    """Place of each cell of another run in a run, -1 where it is not there."""
    names, other = (_open_run(folder, name).obs.index for name in (run_id, other_id))
    return names.get_indexer(other)


Axes = tuple[int, ...]
"""Columns of a map of cells, counted from 0."""


def map_axes(run_id: str, basis: str) -> dict[int, str]:
    """Columns of a map that differ between cells, each with its name, `deepvelo.contents.maps.axes`."""
    return _map_axes(runs_folder(), run_id, basis)


@st.cache_data(max_entries=64, show_spinner=False)
def _map_axes(folder: Path, run_id: str, basis: str) -> dict[int, str]:
    obsm = _open_run(folder, run_id).obsm
    return maps.axes(basis, obsm[maps.key_of(basis, obsm)])


def points_on(run_id: str, basis: str, axes: Axes = (0, 1)) -> np.ndarray:
    """Coordinates of the cells of a run on some axes of a map, shape ``(n_cells, len(axes))``."""
    return _points_on(runs_folder(), run_id, basis, axes)


def _points_on(folder: Path, run_id: str, basis: str, axes: Axes) -> np.ndarray:
    obsm = _open_run(folder, run_id).obsm
    return obsm[maps.key_of(basis, obsm)][:, list(axes)]


@dataclass(frozen=True, kw_only=True)
class Field:
    """Where velocities are averaged."""

    basis: str
    axes: Axes = (0, 1)
    density: float = 1.0
    smooth: float = 0.5
    part: bytes | None = None
    """Mask of the cells whose velocities are averaged, in bytes of eight cells each; None for all."""


def stream(run_id: str, field: Field) -> StreamLines:
    """Stream lines of a run's velocity on two axes of a map."""
    return _stream(runs_folder(), run_id, field)


@st.cache_data(max_entries=256, max_size="32MB", show_spinner=False)
def _stream(folder: Path, run_id: str, field: Field) -> StreamLines:
    warm_up().join()
    from deepvelo.tl.graph.stream_lines import stream_lines

    return stream_lines(*_averaged(folder, run_id, field), density=field.density, smooth=field.smooth)


def arrows(run_id: str, field: Field) -> tuple[np.ndarray, np.ndarray]:
    """Velocity of a run on a grid over two axes of a map: positions and arrows, each ``(n_points, 2)``."""
    return _arrows(runs_folder(), run_id, field)


@st.cache_data(max_entries=256, max_size="16MB", show_spinner=False)
def _arrows(folder: Path, run_id: str, field: Field) -> tuple[np.ndarray, np.ndarray]:
    warm_up().join()
    from deepvelo.tl.graph.stream_lines import grid_arrows

    return grid_arrows(*_averaged(folder, run_id, field), density=field.density, smooth=field.smooth)


def _averaged(folder: Path, run_id: str, field: Field) -> tuple[np.ndarray, np.ndarray]:
    """Coordinates and arrows of the cells of a field."""
    points = _points_on(folder, run_id, field.basis, field.axes)
    vectors = _velocity_on(folder, run_id, field.basis, field.axes)
    if field.part is None:
        return points, vectors
    cells = np.unpackbits(np.frombuffer(field.part, dtype=np.uint8), count=len(points)).astype(bool)
    return points[cells], vectors[cells]


def velocity_on(run_id: str, basis: str, axes: Axes = (0, 1)) -> np.ndarray:
    """Arrows of a run on some axes of a map, shape ``(n_cells, len(axes))``; projects them if the run has none.

    Raises
    ------
    InputError
        The run has neither arrows on these axes nor a velocity graph.
    """
    return _velocity_on(runs_folder(), run_id, basis, axes)


@st.cache_data(max_entries=32, max_size="32MB", show_spinner="Projecting velocity onto the embedding")
def _velocity_on(folder: Path, run_id: str, basis: str, axes: Axes) -> np.ndarray:
    run = _open_run(folder, run_id)
    if axes == (0, 1) and keys.velocity_embedding(basis) in run.obsm:
        return run.obsm[keys.velocity_embedding(basis)][:, :2]
    warm_up().join()
    from deepvelo.tl.graph.arrows import projected

    adata = run.part()
    if keys.VELOCITY_GRAPH not in adata.uns:
        axis_names = _map_axes(folder, run_id, basis)
        shown = " and ".join(axis_names.get(column, f"column {column + 1}") for column in axes)
        msg = (
            f"This run has no velocity graph, which arrows on {shown} need. "
            f"Choose {maps.label(run.info.basis)} with its first two axes, or show no arrows."
        )
        raise InputError(msg)
    points = _points_on(folder, run_id, basis, axes).astype(np.float64)
    positive, negative = (
        csr_matrix(adata.uns[key]) for key in (keys.VELOCITY_GRAPH, keys.VELOCITY_GRAPH_NEG)
    )
    return projected(positive, negative, points)


def dataset(source: DataSource) -> AnnData:
    """The data of a source, in memory; shared, so read-only.

    Raises
    ------
    InputError
        As `DataSource.load`; or the inspecting process died or exceeded a limit.
    """
    return _dataset(source, _stamp(source))


@st.cache_resource(max_entries=2, show_spinner="Reading the data")
def _dataset(source: DataSource, stamp: tuple[int, ...]) -> AnnData:
    _require_inspected(source, stamp)
    return source.load()


def _require_inspected(source: DataSource, stamp: tuple[int, ...]) -> None:
    """Read visitors' files in a separate process first, which protects the server from a crash."""
    if source.kind in ("file", "join") and (problem := _problem(source, stamp)):
        raise InputError(problem)


# Problems are cached too, or every click would read a bad file again; briefly, because free memory changes.
@st.cache_data(max_entries=64, ttl=60, show_spinner="Reading the data")
def _problem(source: DataSource, stamp: tuple[int, ...]) -> str:
    try:
        inspect(source)
    except InputError as error:
        return str(error)
    return ""


def drawn_cells_of_data(source: DataSource, basis: str, group_key: str | None) -> np.ndarray | None:
    """Rows of the cells that a figure of the data draws, `deepvelo.pl.thinning.drawn_cells`; None for all."""
    return _drawn_cells_of_data(source, basis, group_key, _stamp(source))


@st.cache_data(max_entries=32, max_size="16MB", show_spinner=False)
def _drawn_cells_of_data(
    source: DataSource, basis: str, group_key: str | None, stamp: tuple[int, ...]
) -> np.ndarray | None:
    adata = _dataset(source, stamp)
    groups = None if group_key is None else adata.obs[group_key].astype("category").cat.codes.to_numpy()
    return thinning.drawn_cells(adata.obsm[keys.embedding(basis)][:, :2], groups)


def summary(source: DataSource) -> checks.Summary:
    """Summary of and findings on the data."""
    return _summary(source, _stamp(source))


@st.cache_data(max_entries=16, show_spinner="Checking the data")
def _summary(source: DataSource, stamp: tuple[int, ...]) -> checks.Summary:
    return checks.summarize(_dataset(source, stamp), Settings(), checked=_checked_data(source, stamp))


@st.cache_resource(max_entries=2, show_spinner=False)
def _checked_data(source: DataSource, stamp: tuple[int, ...]) -> checks.CheckedData:
    """The checks that no setting changes, so that a matrix on disk is read once."""
    return checks.CheckedData(_dataset(source, stamp))


def fractions(source: DataSource, group_key: str | None) -> pd.DataFrame:
    """Spliced and unspliced fractions of each group."""
    return _fractions(source, group_key, _stamp(source))


@st.cache_data(max_entries=64, show_spinner=False)
def _fractions(source: DataSource, group_key: str | None, stamp: tuple[int, ...]) -> pd.DataFrame:
    return checks.unspliced_fractions(_dataset(source, stamp), group_key=group_key)


def fit_problem(
    source: DataSource, settings: Settings, cluster_key: str | None, basis: str | None, *, here: bool = True
) -> str | None:
    """The reason why these settings cannot be fitted to the data; None if they can.

    ``here`` is False for fits on another machine, whose memory is unknown.
    """
    try:
        _require_fit(source, settings, cluster_key, basis, _stamp(source), here=here)
    except InputError as error:
        return str(error)
    return None


@st.cache_data(max_entries=64, show_spinner=False)
def _require_fit(
    source: DataSource,
    settings: Settings,
    cluster_key: str | None,
    basis: str | None,
    stamp: tuple[int, ...],
    *,
    here: bool,
) -> None:
    # Only success is cached: an error such as too little free memory is checked again.
    checks.require_fit(
        _dataset(source, stamp),
        settings,
        cluster_key=cluster_key,
        basis=basis,
        here=here,
        checked=_checked_data(source, stamp),
    )


def display_embeddings(source: DataSource) -> list[str]:
    """Two-dimensional embeddings of the data."""
    return checks.display_embeddings(dataset(source))


def compare_options(source: DataSource) -> list[str]:
    """Graphs and representations of the data for the neighbour search."""
    return graphs.options(dataset(source))


def cluster_key(source: DataSource) -> str:
    """The grouping that preparation uses by default."""
    return chosen_cluster_key(dataset(source), None)


def join_report(source: DataSource) -> JoinReport | None:
    """Report on the matched barcodes of a joined data set; None for others."""
    return _join_report(source, _stamp(source)) if source.kind == "join" else None


@st.cache_data(max_entries=16, show_spinner=False)
def _join_report(source: DataSource, stamp: tuple[int, ...]) -> JoinReport:
    _require_inspected(source, stamp)
    return source.joined()[1]


def _stamp(source: DataSource) -> tuple[int, ...]:
    """Modification stamps of the files, so that a replaced file is read again."""
    stamps = [_path_stamp(Path(path)) for path in source.files]
    if source.kind == "cells":  # have the groups made by hand
        stamps += [hash(saved) for saved in groupings(_open_run(runs_folder(), Path(source.path).name))]
    return tuple(stamps)


def _path_stamp(path: Path) -> int:
    if (path / INFO).is_file():  # a run never changes, only what is saved beside its result
        return _stamp_of(path / INFO)
    return _folder_stamp(path) if path.is_dir() else _stamp_of(path)


@st.cache_data(ttl=5, max_entries=64, show_spinner=False)  # a folder may hold thousands of files
def _folder_stamp(path: Path) -> int:
    """Stamp of all files in a folder, whose own time does not change with them."""
    return _stamp_of(path)


def _stamp_of(path: Path) -> int:
    try:
        return hash(signature(path))
    except OSError:  # deleted or being replaced
        return 0
