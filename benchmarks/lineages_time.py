"""How long the analysis of a run takes, part by part."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import pandas as pd

from benchmarks.accuracy_methods import case_of, simulated, true_rates
from deepvelo import keys, tl
from deepvelo.lineages import LineageSettings, analyse

if TYPE_CHECKING:
    from anndata import AnnData


def measure(*, n_cells: int, n_genes: int, seed: int) -> pd.DataFrame:
    """Seconds of each part of the analysis of a simulated branch that the true rates were given to."""
    settings = LineageSettings(cluster_key=keys.CLUSTERS)
    analyse(_true_fit(n_cells=200, n_genes=60, seed=seed), settings)  # have libraries load and compile
    fitted = _true_fit(n_cells=n_cells, n_genes=n_genes, seed=seed)
    starts: dict[str, float] = {}
    found = analyse(fitted, settings, on_stage=lambda stage: starts.update({stage: time.perf_counter()}))
    ends = [*list(starts.values())[1:], time.perf_counter()]
    seconds = {name: end - start for (name, start), end in zip(starts.items(), ends, strict=True)}
    named = {"cells": fitted.n_obs, "genes": fitted.n_vars}
    return pd.DataFrame(
        [named | {"part": name, "seconds": s} for name, s in (seconds | {"all": found.seconds}).items()]
    )


def _true_fit(*, n_cells: int, n_genes: int, seed: int) -> AnnData:
    """As a fit leaves it, with rates of every cell, in seconds."""
    case = case_of(simulated("branch", "10x", seed=seed, n_cells=n_cells, n_genes=n_genes), seed=seed)
    fitted = case.prepared.copy()
    true_rates(fitted, case)
    fitted.layers[keys.ALPHA] = case.truth.layers[keys.TRUE_ALPHA]
    tl.velocity_graph(fitted)
    return fitted
