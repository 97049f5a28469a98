"""Method, settings, cost and velocities stored in one fitted object."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import numpy as np

from deepvelo import keys
from deepvelo.arrays.matrices import is_numeric
from deepvelo.arrays.views import Genes, View, columns, dense
from deepvelo.contents import imported
from deepvelo.contents.layer_names import standard_layers

if TYPE_CHECKING:
    from anndata import AnnData

    from deepvelo.arrays.layers import Layer

_OF_VELOCITY = (keys.BETA, keys.GAMMA, keys.MU, keys.MS)  # in the order of equation 3
LAYERS: Final = (keys.VELOCITY, *_OF_VELOCITY)
"""Layers that are read from a result."""


class Velocities(NamedTuple):
    """The velocities of one result."""

    layer: Layer
    """float32 ``(n_cells, n_genes)``, read lazily; missing values are 0 in velocity genes and NaN in other genes."""
    values: imported.KnownValues
    """Which genes and cells have velocities, and the number of missing values among them."""


class ResultFile(NamedTuple):
    """A file to compare, and the layer with its velocities if named."""

    file: Path
    layer: str | None = None

    @classmethod
    def parse(cls, text: str) -> ResultFile:
        """Parse ``FILE`` or ``FILE::LAYER``."""
        file, _, layer = text.rpartition("::")
        return cls(Path(text)) if not file or Path(text).exists() else cls(Path(file), layer or None)

    def __str__(self) -> str:
        """``FILE::LAYER``."""
        return f"{self.file}::{self.layer}" if self.layer else f"{self.file}"

    def read(self) -> AnnData:
        """Read the result with its velocities in the layer ``velocity``; dense layers stay on disk.

        Raises
        ------
        InputError
            The file cannot be read, or has no velocities.
        """
        from deepvelo.io import read

        def wanted(names: Collection[str]) -> list[str]:
            chosen = imported.chosen_layer(names, requested=self.layer, name=self.file.name)
            return [*LAYERS, chosen, *(old for old, new in standard_layers(names).items() if new in LAYERS)]

        adata = read(self.file, by_gene=wanted)
        imported.name_velocity(adata, requested=self.layer, name=self.file.name)
        return adata


def method_of(adata: AnnData) -> str | None:
    """The method of the velocities according to the stored settings; None for objects of other programs."""
    record = adata.uns.get(keys.DEEPVELO)
    if record is None:
        return None
    return str(stored_settings(adata).get("method", "deepvelo"))


def method_names(results: Sequence[tuple[ResultFile, AnnData]]) -> list[str]:
    """A name for each file: its method, with the file name if several files have the same method or none is known."""
    methods = [_tool_or_method(adata) for _, adata in results]
    files = Counter(given.file.stem for given, _ in results)
    names = []
    for (given, _), method in zip(results, methods, strict=True):
        file = given.file.stem if files[given.file.stem] == 1 else str(given)
        if method is None:
            names.append(file)
        else:
            names.append(method if methods.count(method) == 1 else f"{method} ({file})")
    return names


def _tool_or_method(adata: AnnData) -> str | None:
    return stored_settings(adata).get("tool") or method_of(adata)


def stored_settings(adata: AnnData) -> dict[str, Any]:
    """The stored settings of the fit; empty if missing or unreadable."""
    try:
        settings = json.loads(adata.uns[keys.DEEPVELO]["settings"])
    except (KeyError, IndexError, TypeError, ValueError, RecursionError):
        return {}
    return settings if isinstance(settings, dict) else {}


def stored_value(adata: AnnData, name: str) -> str | None:
    """A stored choice of the fit, e.g. ``cluster_key`` or ``basis``; None if missing."""
    record = adata.uns.get(keys.DEEPVELO)
    value = record.get(name) if isinstance(record, dict) else None
    return value if isinstance(value, str) and value else None


def stored_metric(adata: AnnData, name: str) -> float:
    """A stored number of the fit, e.g. ``seconds_train``; NaN if missing."""
    record = adata.uns.get(keys.DEEPVELO)
    metrics = record.get("metrics") if isinstance(record, dict) else None
    try:
        return float(metrics[name])  # type: ignore[index]
    except (KeyError, TypeError, ValueError):
        return float("nan")


def times_smoothed(adata: AnnData) -> int:
    """Number of times the fit averaged its velocities over the graph; 0 for scVelo's modes."""
    if method_of(adata) != "deepvelo":
        return 0
    times = _graph_settings(adata).get("smooth_velocity")
    return times if isinstance(times, int) else 0


def averages_moments(adata: AnnData) -> bool:
    """Whether the fit averaged its moments."""
    return method_of(adata) == "deepvelo" and bool(_graph_settings(adata).get("smooth_inputs"))


def has_fixed_smoothing(adata: AnnData) -> bool:
    """Whether the fit smoothed and lacks the layers needed to undo it."""
    return _smooths(adata) and any(key not in adata.layers for key in _OF_VELOCITY)


def unsmoothed_velocity_of(adata: AnnData) -> Layer | None:
    """The fit's velocities without any smoothing by the fit: equation 3 on the stored moments.

    Returns
    -------
    ``beta Mu - gamma Ms``, float32 ``(n_cells, n_genes)``, computed when read, NaN outside the velocity genes. None if
    the stored velocities are not smoothed, or rates and moments are not stored.
    """
    if not _smooths(adata) or has_fixed_smoothing(adata):
        return None
    layers = [dense(adata.layers[key]) for key in _OF_VELOCITY]
    chosen = imported.velocity_genes(adata)

    def make(cells: Any, genes: Genes) -> np.ndarray:
        beta, gamma, unspliced, spliced = (columns(layer, genes) for layer in layers)
        velocity = beta * unspliced - gamma * spliced
        return _of_genes(velocity, np.isfinite(velocity).all(axis=0) & chosen[genes])[cells]

    return View(adata.shape, make, source=layers[0])


def _smooths(adata: AnnData) -> bool:
    return times_smoothed(adata) > 0 or averages_moments(adata)


def _graph_settings(adata: AnnData) -> dict[str, Any]:
    graph = stored_settings(adata).get("graph")
    return graph if isinstance(graph, dict) else {}


def velocity_of(adata: AnnData, *, name: str) -> Velocities:
    """The velocities of a result and where they are known.

    Raises
    ------
    InputError
        The result has no velocities.
    """
    layer = dense(adata.layers[imported.chosen_layer(numeric_layers(adata), name=name)])
    values = imported.known_values(layer, imported.velocity_genes(adata))
    return Velocities(imported.with_zeros(layer, values.genes), values)


def numeric_layers(adata: AnnData) -> list[str]:
    """Names of the numeric layers."""
    return [layer for layer in adata.layers if is_numeric(adata.layers[layer])]


def _of_genes(block: np.ndarray, known: np.ndarray) -> np.ndarray:
    return block if known.all() else np.where(known, block, np.float32(np.nan))
