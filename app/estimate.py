"""How long a training will take, roughly, before it starts."""

from __future__ import annotations

import statistics

from deepvelo.config import Settings
from deepvelo.io.runs import RunInfo

# Measured on two cores with 3,000 cells x 800 genes; used until this server has runs of its own.
SECONDS_PER_VALUE = 1.5e-7
SECONDS_BESIDES = 60.0
SECONDS_PER_EPOCH = 0.01
# Below this many cells x genes an epoch is mostly overhead and tells nothing of larger data.
TELLING_SIZE = 1_000_000
_MEASURED = ("n_cells", "n_genes", "n_epochs", "seconds_train", "seconds_total")


def estimate_seconds(n_cells: int, n_genes: int, settings: Settings, *, past: list[RunInfo]) -> float:
    """Seconds for a whole run: cells x genes x epochs, scaled by what past runs on this server took.

    A rough figure: it knows neither the device nor what else the machine does, and an early stop or
    other layer sizes change it.

    Parameters
    ----------
    n_cells, n_genes
        Size of the prepared data.
    past
        Finished runs, newest first; the five newest that are large enough are used.
    """
    paces, besides = [], []
    for run in past:
        cells, genes, epochs, train, total = (float(run.metrics.get(key) or 0) for key in _MEASURED)
        if cells * genes >= TELLING_SIZE and epochs > 0 and total >= train > 0:
            paces.append(train / (cells * genes * epochs))
            besides.append(total - train)
    pace = statistics.median(paces[:5]) if paces else SECONDS_PER_VALUE
    rest = statistics.median(besides[:5]) if besides else SECONDS_BESIDES
    return (pace * n_cells * n_genes + SECONDS_PER_EPOCH) * settings.training.n_epochs + rest


def in_words(seconds: float) -> str:
    """``40 s``, ``3 min``, ``2.5 h``."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    if seconds < 90 * 60:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.1f} h"
