"""How long a training will take, roughly, before it starts."""

from __future__ import annotations

import statistics

from deepvelo.config import Method, Settings
from deepvelo.io.runs import RunInfo
from deepvelo.plan import plan_of

# Measured on two cores with 3,000 cells x 800 genes; used until this server has runs of its own.
SECONDS_PER_VALUE = 1.5e-7
# Preparation, graph, maps and scores: some of it once, as libraries are loaded and compiled, the rest for every cell.
SECONDS_BESIDES, SECONDS_BESIDES_PER_CELL = 15.0, 0.007
SECONDS_PER_EPOCH = 0.01
# Other methods, per cell and gene: scVelo's modes fit all genes at once, or gene by gene in its velocity genes.
SECONDS_PER_VALUE_OF: dict[Method, float] = {
    "steady_state": 1e-7,
    "stochastic": 4e-7,
    "dynamical": 1e-4,
    "imported": 0.0,  # nothing is fitted
}
# GraphVelo, per cell: its projection takes place in 30 components of any number of genes.
GRAPHVELO_SECONDS_PER_CELL = 0.015
# Below this many cells x genes an epoch is mostly overhead and tells nothing of larger data.
TELLING_SIZE = 1_000_000
_MEASURED = ("n_cells", "n_genes", "n_epochs", "seconds_train", "seconds_total")


def estimate_seconds(n_cells: int, n_genes: int, settings: Settings, *, past: list[RunInfo]) -> float:
    """Seconds for a whole run: cells x genes x epochs, and cells for all but the training, as past runs on this server took.

    Other methods have no epochs: cells x genes, of GraphVelo cells alone, scaled by past runs of the same method. A
    rough figure: it knows neither the device nor what else the machine does, and an early stop or other layer sizes
    change it.

    Parameters
    ----------
    n_cells, n_genes
        Size of the prepared data.
    past
        Finished runs, newest first; the five newest of the same method that are large enough are used.
    """
    own = settings.method == "deepvelo"
    by_cell = settings.method == "graphvelo"
    paces, besides = [], []
    for run in past:
        metrics = run.metrics if own else {**run.metrics, "n_epochs": 1}
        cells, genes, epochs, train, total = (float(metrics.get(key) or 0) for key in _MEASURED)
        telling = run.settings.method == settings.method and cells * genes >= TELLING_SIZE
        if telling and epochs > 0 and total >= train > 0:
            paces.append(train / (cells * (1 if by_cell else genes) * epochs))
            besides.append(max(0.0, total - train - SECONDS_BESIDES) / cells)
    pace = statistics.median(paces[:5]) if paces else _usual_pace(settings.method)
    of_a_cell = statistics.median(besides[:5]) if besides else SECONDS_BESIDES_PER_CELL
    rest = SECONDS_BESIDES + of_a_cell * n_cells
    if not own:
        return pace * n_cells * (1 if by_cell else n_genes) + rest
    return (pace * n_cells * n_genes + SECONDS_PER_EPOCH) * plan_of(
        n_cells, n_genes, settings
    ).n_epochs + rest


def _usual_pace(method: Method) -> float:
    """Seconds per cell and gene, of ours per epoch as well; of GraphVelo per cell."""
    if method == "deepvelo":
        return SECONDS_PER_VALUE
    return GRAPHVELO_SECONDS_PER_CELL if method == "graphvelo" else SECONDS_PER_VALUE_OF[method]


def in_words(seconds: float) -> str:
    """``40 s``, ``3 min``, ``2.5 h``."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    if seconds < 90 * 60:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.1f} h"
