"""The whole path from counts to kinetic rates: what the command line and the app's jobs run."""

from __future__ import annotations

import json
import platform
import time
from importlib.metadata import version
from typing import TYPE_CHECKING

from deepvelo import keys
from deepvelo.config import to_dict
from deepvelo.memory import MemoryMeter
from deepvelo.result import OnProgress, Progress, Result

if TYPE_CHECKING:
    from anndata import AnnData

    from deepvelo.config import Settings
    from deepvelo.model.blocks import EpochTerms

_RECORDED_VERSIONS = ("deepvelo-explorer", "torch", "torch-geometric", "scanpy", "scvelo", "anndata", "numpy")


def run(
    adata: AnnData,
    settings: Settings,
    *,
    cluster_key: str | None = None,
    basis: str | None = None,
    on_progress: OnProgress | None = None,
) -> Result:
    """Prepare, fit, and compute everything the views show.

    Parameters
    ----------
    adata
        Spliced and unspliced counts, or moments; not changed.
    cluster_key
        Grouping in ``obs``; by default one that looks like cell types, else Leiden clusters.
    basis
        Embedding for the arrows, without ``X_``; by default UMAP.
    on_progress
        Told of every step and epoch. What it raises stops the run and is passed on; raise `CancelledError`
        to cancel.

    Returns
    -------
    ``result.adata`` holds the cells and the genes used, with the keys listed in `deepvelo.keys`.

    Raises
    ------
    InputError
        Data or settings do not allow a fit.
    """
    with MemoryMeter() as memory:
        started = time.perf_counter()
        result = _run(
            adata, settings, cluster_key=cluster_key, basis=basis, tell=on_progress or (lambda _: None)
        )
        seconds = time.perf_counter() - started
    result.metrics["seconds_total"] = seconds
    result.metrics["peak_memory_mb"] = memory.peak / 2**20
    # Everything but the cells themselves, so that a file alone tells how it was made.
    result.adata.uns[keys.DEEPVELO] |= {
        "metrics": dict(result.metrics),
        "history": {name: column.to_numpy() for name, column in result.history.items()},
    }
    return result


def _run(
    adata: AnnData, settings: Settings, *, cluster_key: str | None, basis: str | None, tell: OnProgress
) -> Result:
    # These take seconds to import; reading settings or asking for help should not wait for them.
    import pandas as pd

    from deepvelo import checks, pp, tl

    started = time.perf_counter()
    tell(Progress(step="prepare"))
    if basis is not None:
        checks.require_fit(adata, settings, cluster_key=cluster_key, basis=basis)
    prepared = pp.prepare(adata, settings, cluster_key=cluster_key)
    cluster_key, basis = pp.chosen_cluster_key(prepared, cluster_key), pp.chosen_basis(prepared, basis)
    seconds_prepare = time.perf_counter() - started

    n_epochs = settings.training.n_epochs

    def on_epoch(terms: EpochTerms) -> None:
        values = terms._asdict()
        tell(Progress(step="train", epoch=values.pop("epoch"), n_epochs=n_epochs, terms=values))

    started = time.perf_counter()
    fit = tl.velocity(prepared, settings=settings, on_epoch=on_epoch)
    seconds_train = time.perf_counter() - started

    tell(Progress(step="graph"))
    tl.velocity_graph(prepared)
    tl.velocity_pseudotime(prepared)
    tell(Progress(step="embed"))
    tl.velocity_embedding(prepared, basis=basis)
    tell(Progress(step="scores"))
    _score(prepared, settings, cluster_key=cluster_key)
    tell(Progress(step="rates"))
    tl.rates_embedding(prepared, n_neighbors=settings.preparation.n_neighbors, seed=settings.seed)

    versions = {"python": platform.python_version()} | {name: version(name) for name in _RECORDED_VERSIONS}
    prepared.uns[keys.DEEPVELO] = {
        "settings": json.dumps(to_dict(settings)),
        "preset": settings.preset,
        "seed": settings.seed,
        "cluster_key": cluster_key,
        "basis": basis,
        "versions": json.dumps(versions),
    }
    metrics: dict[str, float | int | str] = {
        "confidence": float(prepared.obs[keys.CONFIDENCE].mean()),
        "consistency": float(prepared.obs[keys.CONSISTENCY].mean()),
        "consistency_celltype": float(prepared.obs[keys.CONSISTENCY_CELLTYPE].mean()),
        **tl.rate_scores(prepared, cluster_key=cluster_key),
        "n_cells": prepared.n_obs,
        "n_genes": prepared.n_vars,
        "n_velocity_genes": int(prepared.var[keys.VELOCITY_GENES].sum()),
        "n_epochs": len(fit.history),
        "seconds_prepare": seconds_prepare,
        "seconds_train": seconds_train,
    }
    history = pd.DataFrame(fit.history)
    return Result(adata=prepared, history=history, weights=fit.weights, settings=settings, metrics=metrics)


def _score(adata: AnnData, settings: Settings, *, cluster_key: str) -> None:
    from deepvelo import tl

    velocity, groups = adata.layers[keys.VELOCITY], adata.obs[cluster_key]
    confidence = tl.direction_confidence(adata, settings=settings)
    adata.obs[keys.CONFIDENCE], adata.var[keys.CONFIDENCE] = confidence
    adata.obs[keys.CONSISTENCY] = tl.consistency(velocity, adata.obsp[keys.DISTANCES])
    adata.obs[keys.CONSISTENCY_CELLTYPE] = tl.consistency_celltype(velocity, groups)
    adata.var[keys.MULTIKINETIC_SCORE] = tl.multikinetic_score(
        adata.layers[keys.MU], adata.layers[keys.MS], velocity, groups=groups
    )
