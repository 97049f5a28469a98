"""Rough estimate of the duration of a fit before it starts."""

from __future__ import annotations

import statistics

from deepvelo.config import Method, Settings
from deepvelo.io.runs import RunInfo
from deepvelo.plan import plan_of

# Measured on two cores with 3,000 cells x 800 genes; used until this server has its own runs.
SECONDS_PER_VALUE = 1.5e-7
# Preparation, graph, maps and scores: a constant part (loading and compiling libraries) and a part per cell.
SECONDS_BESIDES, SECONDS_BESIDES_PER_CELL = 15.0, 0.007
SECONDS_PER_EPOCH = 0.01
# Other methods, per cell and gene.
SECONDS_PER_VALUE_OF: dict[Method, float] = {
    "steady_state": 1e-7,
    "stochastic": 4e-7,
    "dynamical": 1e-4,
    "imported": 0.0,  # nothing is fitted
}
# GraphVelo, per cell: it projects in 30 components, whatever the number of genes.
GRAPHVELO_SECONDS_PER_CELL = 0.015
# Below this many cells x genes an epoch is mostly overhead, so the run is not used for estimates.
LEAST_SIZE = 1_000_000
_MEASURED = ("n_cells", "n_genes", "n_epochs", "seconds_train", "seconds_total")


def estimate_seconds(n_cells: int, n_genes: int, settings: Settings, *, finished: list[RunInfo]) -> float:
    """Seconds for a whole run, scaled from finished runs of the same method on this server.

    Training scales with cells x genes x epochs, everything else with cells. Other methods have no epochs; GraphVelo scales
    with cells. The estimate ignores the device, the load of the machine and an early stop.

    Parameters
    ----------
    n_cells, n_genes
        Size of the prepared data.
    finished
        Finished runs, newest first; the five newest of the same method and sufficient size are used.
    """
    own = settings.method == "deepvelo"
    by_cell = settings.method == "graphvelo"
    paces, besides = [], []
    for run in finished:
        metrics = run.metrics if own else {**run.metrics, "n_epochs": 1}
        cells, genes, epochs, train, total = (float(metrics.get(key) or 0) for key in _MEASURED)
        usable = run.settings.method == settings.method and cells * genes >= LEAST_SIZE
        if usable and epochs > 0 and total >= train > 0:
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
    """Seconds per cell and gene (DeepVelo: and epoch; GraphVelo: per cell)."""
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
