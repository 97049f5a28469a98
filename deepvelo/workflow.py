"""The whole workflow from counts to velocities, for the command line and the app's jobs."""

from __future__ import annotations

import time
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING

from deepvelo import choices, config, keys, peers
from deepvelo.contents.imported import tool_of
from deepvelo.errors import InputError
from deepvelo.memory import MemoryMeter
from deepvelo.plan import Plan, plan_of
from deepvelo.result import OnProgress, Progress, Result

if TYPE_CHECKING:
    from anndata import AnnData

    from deepvelo.config import Settings
    from deepvelo.model.large_data.checkpoint import Checkpoint
    from deepvelo.model.loss import Terms
    from deepvelo.model.training import Fit
    from deepvelo.tl.velocity.baselines import ScveloMode


def run(
    adata: AnnData,
    settings: Settings,
    *,
    cluster_key: str | None = None,
    basis: str | None = None,
    prepared: bool = False,
    on_progress: OnProgress | None = None,
    scratch: Path | None = None,
    checkpoint: Checkpoint | None = None,
) -> Result:
    """Prepare the data, fit velocities, and compute graph, arrows and scores.

    With one of scVelo's modes or ``graphvelo`` as ``settings.method`` there are no rates per cell, so their maps and
    scores and the confidence are missing, and the multi-kinetic score is NaN. With ``imported`` nothing is fitted:
    velocities, and rates if any, come from ``adata`` (`deepvelo.pp.imported`). Graph, arrows and consistency are computed
    in the same way for every method.

    Parameters
    ----------
    adata
        Spliced and unspliced counts, or moments; not changed.
    cluster_key
        Grouping in ``obs``; by default cell types, recognized by name, otherwise Leiden clusters.
    basis
        Embedding for the arrows, without ``X_``; by default UMAP.
    prepared
        ``adata`` is a result of `deepvelo.pp.prepare.prepare`, whose genes, moments and neighbours are used unchanged.
    on_progress
        Called at every step and epoch. Exceptions stop the run and propagate; raise `CancelledError` to cancel.
    scratch
        Folder for moments, rates and velocities, e.g. from `deepvelo.io.runs.RunStore.scratch`. They are then Zarr arrays
        on disk, to be read in blocks of genes while the folder exists.
    checkpoint
        Checkpoint of the training, which resumes from it if it exists and belongs to the same fit. Remove it once the
        result is stored. Ignored by other methods.

    Returns
    -------
    ``result.adata`` has the cells and genes used, with the keys listed in `deepvelo.keys`.

    Raises
    ------
    InputError
        Data or settings do not allow a fit, the method's package is not installed, or an external method fails.
    OSError
        ``scratch`` cannot be written to, usually because the disk is full.
    """
    # slow imports
    from deepvelo.contents.notes import stored_notes
    from deepvelo.io.dry_write import leave_out_unwritable

    peers.require_installed(settings.method)
    if settings.method != "deepvelo":
        scratch = None  # other methods and imported velocities need whole matrices in memory
    if settings.method == "imported" and not settings.tool:
        settings = config.replace(settings, {"tool": tool_of(adata)})
    with MemoryMeter() as memory:
        started = time.perf_counter()
        tell = on_progress or (lambda _: None)
        tell(Progress(step="prepare"))
        data = _prepared(
            adata, settings, cluster_key=cluster_key, basis=basis, as_it_is=prepared, scratch=scratch
        )
        data.uns[keys.NOTES] = [*stored_notes(data), *leave_out_unwritable(data)]
        result = _fit(
            data,
            settings,
            cluster_key=cluster_key,
            basis=basis,
            seconds_prepare=time.perf_counter() - started,
            tell=tell,
            scratch=scratch,
            checkpoint=checkpoint,
        )
        seconds = time.perf_counter() - started
    result.metrics["seconds_total"] = seconds
    result.metrics["peak_memory_mb"] = memory.peak / 2**20
    # a file alone documents how it was computed
    result.adata.uns[keys.DEEPVELO] |= {
        "metrics": dict(result.metrics),
        "history": {name: column.to_numpy() for name, column in result.history.items()},
    }
    return result


def _prepared(
    adata: AnnData,
    settings: Settings,
    *,
    cluster_key: str | None,
    basis: str | None,
    as_it_is: bool,
    scratch: Path | None,
) -> AnnData:
    # slow imports, which reading settings or --help should not wait for
    from deepvelo import checks
    from deepvelo.pp.groups import tidy_groups
    from deepvelo.pp.imported import prepare_imported
    from deepvelo.pp.prepare import chosen_cluster_key, moments_on_disk, prepare

    if settings.method == "imported":
        if as_it_is:
            msg = "The prepared data of a run have no velocities of another tool. Choose a method that fits them."
            raise InputError(msg)
        return prepare_imported(adata, settings, cluster_key=cluster_key, basis=basis)
    if not as_it_is:
        return prepare(adata, settings, cluster_key=cluster_key, basis=basis, scratch=scratch)
    # the preparation already recomputed these
    kept = {"preparation": {"compare_in": "auto", "recompute_moments": False, "recompute_embedding": False}}
    checks.require_fit(adata, config.replace(settings, kept), cluster_key=cluster_key, basis=basis)
    out = adata.copy()
    tidy_groups(out, chosen_cluster_key(out, cluster_key))
    if scratch is not None:
        moments_on_disk(out, scratch)
    return out


def _fit(
    prepared: AnnData,
    settings: Settings,
    *,
    cluster_key: str | None,
    basis: str | None,
    seconds_prepare: float,
    tell: OnProgress,
    scratch: Path | None,
    checkpoint: Checkpoint | None,
) -> Result:
    import pandas as pd

    from deepvelo import tl
    from deepvelo.io.temporary import offloaded_counts, require_space
    from deepvelo.model.device import on_device
    from deepvelo.model.large_data.parallel import this_machine
    from deepvelo.pp.prepare import chosen_basis, chosen_cluster_key

    cluster_key, basis = chosen_cluster_key(prepared, cluster_key), chosen_basis(prepared, basis)
    own = settings.method == "deepvelo"
    plan = plan_of(prepared.n_obs, prepared.n_vars, settings, this_machine(scratch))
    started = time.perf_counter()
    if scratch is not None:
        # Before the training, not after. Rates and velocities; while they are written, the moments of the training are
        # there as well, which with what the network sees take no more before.
        beside = 2 if plan.from_disk else 0
        require_space(scratch, layers=5 + beside, of=prepared)
    fit: Fit | None = None
    with offloaded_counts(prepared, scratch):
        if settings.method == "deepvelo":
            fit = _fit_deepvelo(prepared, settings, plan, tell=tell, scratch=scratch, checkpoint=checkpoint)
        elif settings.method == "graphvelo":
            _fit_graphvelo(prepared, tell=tell)
        elif settings.method != "imported":
            _fit_scvelo(prepared, settings.method, tell=tell)
        choices.record(prepared, settings, cluster_key=cluster_key, basis=basis, plan=plan if own else None)
        seconds_train = float("nan") if settings.method == "imported" else time.perf_counter() - started

        tell(Progress(step="graph"))
        with _errors(settings, "the velocity graph"):
            # other methods ignore the device
            on_device(
                lambda device: tl.velocity_graph(prepared, device=device),
                asked=settings.training.device if own else "cpu",
            )
            tl.latent_time(prepared)
        tell(Progress(step="embed"))
        with _errors(settings, "the arrows on the embedding"):
            tl.velocity_embedding(prepared, basis=basis)
        tell(Progress(step="scores"))
        scores = _score(prepared, settings, fit, cluster_key=cluster_key)
        history, weights = (fit.history, fit.weights) if fit else ([], {})
        fit = None  # frees values of every cell
        if keys.BETA in prepared.layers:
            tell(Progress(step="rates"))
            tl.rates_umap(prepared, n_neighbors=settings.preparation.n_neighbors, seed=settings.seed)
            scores |= tl.rate_scores(prepared, cluster_key=cluster_key, seed=settings.seed)

    metrics: dict[str, float | int | str] = {
        **scores,
        "n_cells": prepared.n_obs,
        "n_genes": prepared.n_vars,
        "n_velocity_genes": int(prepared.var[keys.VELOCITY_GENES].sum()),
        **({"n_epochs": len(history)} if own else {}),
        "seconds_prepare": seconds_prepare,
        "seconds_train": seconds_train,
    }
    table = pd.DataFrame({"epoch": range(1, len(history) + 1)}).join(pd.DataFrame(history))
    return Result(adata=prepared, history=table, weights=weights, settings=settings, metrics=metrics)


def _fit_deepvelo(
    adata: AnnData,
    settings: Settings,
    plan: Plan,
    *,
    tell: OnProgress,
    scratch: Path | None,
    checkpoint: Checkpoint | None,
) -> Fit:
    from deepvelo.tl.velocity.fit import fit_velocity

    def on_epoch(epoch: int, terms: Terms) -> None:
        if scratch is not None:
            scratch.touch()  # folders without change for a day are removed as leftovers
        tell(Progress(step="train", epoch=epoch, n_epochs=plan.n_epochs, terms=terms))

    tell(Progress(step="train"))  # neighbours, components and directions are found before the first epoch
    return fit_velocity(
        adata, settings=settings, plan=plan, on_epoch=on_epoch, scratch=scratch, checkpoint=checkpoint
    )


def _fit_scvelo(adata: AnnData, mode: ScveloMode, *, tell: OnProgress) -> None:
    from deepvelo import tl

    def on_genes(done: int, total: int) -> None:
        tell(Progress(step="train", epoch=done, n_epochs=total, unit="gene"))

    tell(Progress(step="train", unit="gene"))
    tl.scvelo_velocity(adata, mode=mode, on_genes=on_genes)


def _fit_graphvelo(adata: AnnData, *, tell: OnProgress) -> None:
    from deepvelo import tl

    def on_cells(done: int, total: int) -> None:
        tell(Progress(step="train", epoch=done, n_epochs=total, unit="cell"))

    tell(Progress(step="train", unit="cell"))
    tl.scvelo_velocity(adata, mode="stochastic")
    tl.graphvelo_velocity(adata, on_cells=on_cells)


def _errors(settings: Settings, step: str) -> AbstractContextManager[None]:
    """Convert errors of external methods to messages; errors of our own code propagate."""
    from deepvelo.tl.velocity.baselines import errors_of, scvelo_errors

    if settings.method == "deepvelo" or settings.method == "imported":
        return nullcontext()
    if settings.method == "graphvelo":
        return errors_of(config.METHOD_LABELS[settings.method], step)
    return scvelo_errors(settings.method, step)


def _score(adata: AnnData, settings: Settings, fit: Fit | None, *, cluster_key: str) -> dict[str, float]:
    """Set the scores of cells and genes, and return the means over the cells; ``fit`` is None for other methods."""
    import numpy as np

    from deepvelo import tl
    from deepvelo.tl.metrics.scores import write_confidence

    means = {"consistency": keys.CONSISTENCY, "consistency_celltype": keys.CONSISTENCY_CELLTYPE}
    tl.consistency(adata, cluster_key=cluster_key)
    if fit is not None:
        means = {"confidence": keys.CONFIDENCE} | means
        write_confidence(adata, settings=settings, fit=fit, cluster_key=cluster_key)
        tl.multikinetic_genes(adata, cluster_key=cluster_key)
    else:
        # with one rate per gene it would be 0 by construction, or measure the misfit of a curve
        adata.var[keys.MULTIKINETIC_SCORE] = np.full(adata.n_vars, np.nan)
    return {name: float(adata.obs[key].mean()) for name, key in means.items()}
