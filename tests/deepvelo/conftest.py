"""A made-up tissue whose scores are known without computing them."""

from __future__ import annotations

import json
from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest
from anndata import AnnData
from scipy import sparse

from deepvelo import keys

N_CELLS, N_GENES = 9, 4


@pytest.fixture
def fitted() -> Callable[..., AnnData]:
    """Nine cells in a row along the first gene: four of group A, four of B, one of C; see `_fitted`."""
    return _fitted


def _fitted(
    velocity: np.ndarray | None = None, *, method: str | None = "deepvelo", **settings: object
) -> AnnData:
    """A result of a method with these velocities; by default all cells move along the row, at the same speed.

    The neighbours of a cell are one on each side, so that in a row of alternating velocities all of them differ from
    it; the cells at the ends have theirs one and three places away.
    """
    place = np.arange(N_CELLS, dtype=float)
    moments = np.full((N_CELLS, N_GENES), 5.0)
    moments[:, 0] = place
    if velocity is None:
        velocity = along([1.0, 0, 0, 0])
    graph = np.zeros((N_CELLS, N_CELLS))
    for cell in range(N_CELLS):
        beside = {0: [1, 3], N_CELLS - 1: [N_CELLS - 2, N_CELLS - 4]}.get(cell, [cell - 1, cell + 1])
        graph[cell, beside] = 1
    adata = AnnData(
        obs=pd.DataFrame(
            {keys.CLUSTERS: pd.Categorical(list("AAAABBBBC"))}, index=[f"cell{i}" for i in range(N_CELLS)]
        ),
        var=pd.DataFrame(index=[f"gene{i}" for i in range(N_GENES)]),
        layers={keys.MS: moments.astype(np.float32), keys.VELOCITY: velocity.astype(np.float32)},
        obsm={keys.X_UMAP: np.column_stack([place, np.zeros(N_CELLS)])},
        obsp={keys.DISTANCES: sparse.csr_matrix(graph), keys.CONNECTIVITIES: sparse.csr_matrix(graph)},
        uns={keys.NEIGHBORS: {"params": {"n_neighbors": 3}}},
    )
    adata.obsm[keys.velocity_embedding("umap")] = velocity[:, :2].astype(float)
    if method is not None:
        adata.uns[keys.DEEPVELO] = {
            "settings": json.dumps({"method": method} | settings),
            "cluster_key": keys.CLUSTERS,
            "basis": "umap",
            "metrics": {"seconds_train": 2.5, "peak_memory_mb": 300.0},
        }
    return adata


def along(*directions: list[float]) -> np.ndarray:
    """Velocities of the nine cells: these, again and again."""
    return np.resize(np.array(directions), (N_CELLS, N_GENES))


@pytest.fixture
def field() -> Callable[..., np.ndarray]:
    """Velocities of the nine cells: ``field([1, 0, 0, 0], [-1, 0, 0, 0])`` alternates."""
    return along
