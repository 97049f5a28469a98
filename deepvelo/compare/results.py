"""What one fitted object tells of itself: method, settings, cost, velocities."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from deepvelo import keys
from deepvelo.errors import InputError
from deepvelo.layers import known_genes
from deepvelo.matrices import is_numeric
from deepvelo.views import Genes, View, columns, dense
from deepvelo.wording import listed

if TYPE_CHECKING:
    from anndata import AnnData

    from deepvelo.layers import Layer

_OF_VELOCITY = (keys.BETA, keys.GAMMA, keys.MU, keys.MS)  # in the order of equation 3
LAYERS: Final = (keys.VELOCITY, *_OF_VELOCITY)
"""What is read of a result."""


def method_of(adata: AnnData) -> str | None:
    """The method that made the velocities, as its settings name it; None for objects of another program."""
    record = adata.uns.get(keys.DEEPVELO)
    if record is None:
        return None
    return str(stored_settings(adata).get("method", "deepvelo"))


def method_names(results: Sequence[tuple[Path, AnnData]]) -> list[str]:
    """A name for each file: its method, with the file's name where several have the same, else the file's name."""
    methods = [method_of(adata) for _, adata in results]
    files = Counter(path.stem for path, _ in results)
    names = []
    for (path, _), method in zip(results, methods, strict=True):
        file = path.stem if files[path.stem] == 1 else str(path)
        if method is None:
            names.append(file)
        else:
            names.append(method if methods.count(method) == 1 else f"{method} ({file})")
    return names


def stored_settings(adata: AnnData) -> dict[str, Any]:
    """The settings of the fit, as stored beside it; empty where there are none or they cannot be read."""
    try:
        settings = json.loads(adata.uns[keys.DEEPVELO]["settings"])
    except (KeyError, IndexError, TypeError, ValueError):
        return {}
    return settings if isinstance(settings, dict) else {}


def stored_value(adata: AnnData, name: str) -> str | None:
    """A choice of the fit, e.g. ``cluster_key`` or ``basis``; None where it was not stored."""
    record = adata.uns.get(keys.DEEPVELO)
    value = record.get(name) if isinstance(record, dict) else None
    return str(value) if value else None


def stored_metric(adata: AnnData, name: str) -> float:
    """A number that the fit stored, e.g. ``seconds_train``; NaN where it did not."""
    record = adata.uns.get(keys.DEEPVELO)
    metrics = record.get("metrics") if isinstance(record, dict) else None
    try:
        return float(metrics[name])  # type: ignore[index]
    except (KeyError, TypeError, ValueError):
        return float("nan")


def times_smoothed(adata: AnnData) -> int:
    """How often the fit itself averaged its velocities over the graph; scVelo's modes never do."""
    if method_of(adata) != "deepvelo":
        return 0
    times = _graph_settings(adata).get("smooth_velocity")
    return times if isinstance(times, int) else 0


def smooths_otherwise(adata: AnnData) -> bool:
    """Whether the fit averaged its moments, or reduced its velocities to components."""
    graph = _graph_settings(adata)
    return method_of(adata) == "deepvelo" and any(
        graph.get(name) for name in ("smooth_inputs", "denoise_velocity")
    )


def keeps_smoothing(adata: AnnData) -> bool:
    """Whether the fit smoothed, and what it averaged is not there to make the velocities without."""
    return _smooths(adata) and any(key not in adata.layers for key in _OF_VELOCITY)


def unsmoothed_velocity_of(adata: AnnData) -> Layer | None:
    """What the fit's velocities are before anything is averaged: equation 3 on the moments as they came.

    Neither the moments nor the velocities are then averaged by the fit or reduced to components, so that they stand
    where scVelo's do.

    Returns
    -------
    ``beta Mu - gamma Ms``, float32 ``(n_cells, n_genes)``, made when it is read, NaN in genes that are none of the
    velocity genes; None where the stored velocities are that already, or rates and moments are not stored.
    """
    if not _smooths(adata) or keeps_smoothing(adata):
        return None
    layers = [dense(adata.layers[key]) for key in _OF_VELOCITY]
    chosen = _velocity_genes(adata)

    def make(genes: Genes) -> np.ndarray:
        beta, gamma, unspliced, spliced = (columns(layer, genes) for layer in layers)
        velocity = beta * unspliced - gamma * spliced
        return _of_genes(velocity, np.isfinite(velocity).all(axis=0) & chosen[genes])

    return View(adata.shape, make, source=layers[0])


def _smooths(adata: AnnData) -> bool:
    return times_smoothed(adata) > 0 or smooths_otherwise(adata)


def _graph_settings(adata: AnnData) -> dict[str, Any]:
    graph = stored_settings(adata).get("graph")
    return graph if isinstance(graph, dict) else {}


def velocity_of(adata: AnnData, *, name: str) -> tuple[Layer, np.ndarray]:
    """Velocities, and which genes have them.

    Returns
    -------
    float32 ``(n_cells, n_genes)``, read where they lie, NaN in genes that are none of the velocity genes; and bool
    ``(n_genes,)``.

    Raises
    ------
    InputError
        There are none.
    """
    if keys.VELOCITY not in adata.layers or not is_numeric(adata.layers[keys.VELOCITY]):
        msg = (
            f"{name} has no velocities: the layer '{keys.VELOCITY}' is missing. Found {listed(sorted(adata.layers))}. "
            "Give the output of a finished fit."
        )
        raise InputError(msg)
    layer = dense(adata.layers[keys.VELOCITY])
    known = known_genes(layer) & _velocity_genes(adata)

    def make(genes: Genes) -> np.ndarray:
        return _of_genes(columns(layer, genes), known[genes])

    return View(adata.shape, make, source=layer), known


def _velocity_genes(adata: AnnData) -> np.ndarray:
    """Genes that the method chose for velocities, bool ``(n_genes,)``; all where it did not say."""
    if keys.VELOCITY_GENES not in adata.var:
        return np.ones(adata.n_vars, dtype=bool)
    return adata.var[keys.VELOCITY_GENES].to_numpy(dtype=bool)


def _of_genes(block: np.ndarray, known: np.ndarray) -> np.ndarray:
    return block if known.all() else np.where(known, block, np.float32(np.nan))
