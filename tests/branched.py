"""A simulated root with two branches, fitted by scVelo in a second; and what its lineages are."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

from deepvelo import config, keys, workflow
from deepvelo.datasets.simulation import simulate
from deepvelo.lineages import Lineages, LineageSettings, analyse

if TYPE_CHECKING:
    from anndata import AnnData

TREE = {("Root", "Early A"), ("Root", "Early B"), ("Early A", "Tip A"), ("Early B", "Tip B")}
SETTINGS = LineageSettings(cluster_key=keys.CLUSTERS)


@cache
def _fit() -> AnnData:
    cells = simulate(kind="branch", n_cells=200, n_genes=60, depth=360, seed=0)
    settings = config.replace(config.Settings(), {"method": "stochastic"})
    return workflow.run(cells, settings, cluster_key=keys.CLUSTERS).adata


def branched() -> AnnData:
    """The fit, 200 cells, a copy of its own for each caller."""
    return _fit().copy()


@cache
def analysed() -> Lineages:
    """Its lineages; read, never change."""
    return analyse(_fit(), SETTINGS)
