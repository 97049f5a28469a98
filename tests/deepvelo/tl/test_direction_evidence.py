"""How far cells vary beyond averages of independent cells, where that is known."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
from anndata import AnnData
from scvelo.preprocessing.neighbors import get_connectivities

from deepvelo import keys
from deepvelo.tl.direction_evidence import _variation
from deepvelo.tl.smoothing import GraphAverage

N, GENES, NEAREST = 400, 30, 20


def cells(signal: float, *, counted: bool = True) -> AnnData:
    """Cells in a row with noise of their own and, for a start, a trend along the row; moments over near cells."""
    rng = np.random.default_rng(0)
    trend = signal * np.linspace(-1, 1, N)[:, None]
    single = (20 + trend + rng.normal(size=(N, GENES))).astype(np.float32)
    rows = np.repeat(np.arange(N), NEAREST)
    columns = (rows + np.tile(np.arange(1, NEAREST + 1), N)) % N
    near = sp.csr_matrix((np.ones(len(rows), dtype=np.float32), (rows, columns)), shape=(N, N))
    adata = AnnData(
        single,
        obs=pd.DataFrame(index=[f"c{i}" for i in range(N)]),
        obsp={keys.CONNECTIVITIES: near.maximum(near.T), keys.DISTANCES: near},
        uns={"neighbors": {"params": {"n_neighbors": NEAREST + 1}, "connectivities_key": keys.CONNECTIVITIES, "distances_key": keys.DISTANCES}},
    )  # fmt: skip
    adata.layers[keys.MS] = np.asarray(get_connectivities(adata) @ single, dtype=np.float32)
    if counted:
        adata.layers[keys.SPLICED] = single
        adata.layers[keys.UNSPLICED] = single
    return adata


def variation(adata: AnnData, part: np.ndarray) -> np.ndarray:
    return _variation(adata, GraphAverage(adata), part, times=1, chosen=np.ones(GENES, dtype=bool))


def test_averages_of_independent_cells_have_no_more_variation_than_expected():
    assert variation(cells(0.0), np.zeros(N, dtype=int)) == pytest.approx([1], rel=0.15)


def test_what_neighbours_share_is_variation():
    assert variation(cells(1.0), np.zeros(N, dtype=int))[0] > 4


def test_each_part_has_its_own():
    adata = cells(0.0)
    first = np.arange(N) < N // 2
    for key in (keys.MS, keys.SPLICED):
        adata.layers[key][first] += 3 * np.sin(np.linspace(0, 2 * np.pi, N // 2))[:, None]
    found = variation(adata, (~first).astype(int))
    assert found[0] > 5 * found[1]


def test_it_is_not_known_without_single_cells():
    assert np.isinf(variation(cells(0.0, counted=False), np.zeros(N, dtype=int))).all()
