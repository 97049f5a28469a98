"""Cells laid out on a plane, whose arrows and order are known."""

from __future__ import annotations

import numpy as np
import pandas as pd
from anndata import AnnData
from scipy import sparse
from scipy.stats import spearmanr

from deepvelo import keys

N = 60  # cells of a group


def tissue(positions: np.ndarray, directions: np.ndarray, groups: list[str]) -> AnnData:
    """Neighbours on the plane and the cosines of each cell's direction with the ways to them."""
    import scanpy as sc

    adata = AnnData(
        positions.astype(np.float32), obs=pd.DataFrame({"clusters": pd.Categorical(np.repeat(groups, N))})
    )
    adata.obs_names = [f"cell{i}" for i in range(adata.n_obs)]
    sc.pp.neighbors(adata, n_neighbors=10, use_rep="X")
    pairs = adata.obsp[keys.DISTANCES].tocoo()
    ways = positions[pairs.col] - positions[pairs.row]
    lengths = np.linalg.norm(ways, axis=1) * np.linalg.norm(directions[pairs.row], axis=1)
    cosines = sparse.csr_matrix(
        ((ways * directions[pairs.row]).sum(axis=1) / lengths, (pairs.row, pairs.col)), shape=pairs.shape
    )
    adata.uns[keys.VELOCITY_GRAPH] = sparse.csr_matrix(cosines.maximum(0))
    adata.uns[keys.VELOCITY_GRAPH_NEG] = sparse.csr_matrix(cosines.minimum(0))
    return adata


def path(start: tuple[float, float], end: tuple[float, float], seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Cells near a straight line, and the way along it."""
    along = np.linspace(0, 1, N)[:, None]
    way = np.subtract(end, start)
    noise = np.random.default_rng(seed).normal(scale=0.05, size=(N, 2))
    return np.asarray(start) + along * way + noise, np.tile(way, (N, 1))


def fork(*, apart: float = 0.0) -> AnnData:
    """A stem that splits in two; ``apart`` moves the second branch away from it."""
    pieces = [path((0, 0), (3, 0), 0), path((3, 0), (6, 2), 1), path((3, -apart), (6, -2 - apart), 2)]
    positions, directions = (np.concatenate(each) for each in zip(*pieces, strict=True))
    return tissue(positions, directions, ["stem", "up", "down"])


def order(values: np.ndarray, truth: np.ndarray) -> float:
    return float(spearmanr(values, truth).statistic)
