"""The shuffled control and fewer genes, on counts small enough to follow."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from anndata import AnnData
from scipy import sparse

from deepvelo import config, keys, pp
from deepvelo.datasets.derived import most_variable, shuffle_unspliced
from deepvelo.datasets.simulation import simulate
from deepvelo.errors import InputError

SETTINGS = config.Settings()
GROUPS = ["A"] * 5 + ["B"] * 4 + ["alone"]


@pytest.fixture
def cells() -> AnnData:
    """Ten cells on a ring, three genes; the unspliced counts of cell i are i + 1, 10 (i + 1) and 100."""
    n_cells = len(GROUPS)
    rank = np.arange(1.0, n_cells + 1)
    unspliced = np.column_stack([rank, 10 * rank, np.full(n_cells, 100.0)])
    spliced = np.random.default_rng(0).poisson(20, (n_cells, 3)).astype(np.float32)
    adata = AnnData(
        np.zeros((n_cells, 3)),
        obs=pd.DataFrame({"clusters": GROUPS}, index=[f"c{i}" for i in range(n_cells)]),
    )
    adata.layers[keys.SPLICED] = sparse.csr_matrix(spliced)
    adata.layers[keys.UNSPLICED] = sparse.csr_matrix(unspliced.astype(np.float32))
    adata.layers[keys.MS], adata.layers[keys.MU] = spliced.copy(), (2 * unspliced).astype(np.float32)
    ends = n_cells - 1
    ring = sparse.diags([1.0] * 4, [-ends, -1, 1, ends], shape=(n_cells, n_cells), format="csr")
    adata.obsp[keys.CONNECTIVITIES], adata.obsp[keys.DISTANCES] = ring, ring.copy()
    adata.uns[keys.NEIGHBORS] = {
        "connectivities_key": keys.CONNECTIVITIES,
        "distances_key": keys.DISTANCES,
        "params": {"n_neighbors": 3, "method": "umap"},
    }
    return adata


def test_whole_profiles_change_cells_within_their_group_only(cells):
    before = cells.copy()
    shuffle_unspliced(cells, SETTINGS, group_key="clusters", seed=1)
    old, new = (adata.layers[keys.UNSPLICED].toarray() for adata in (before, cells))
    assert (old != new).any()
    for group in set(GROUPS):
        rows = [i for i, name in enumerate(GROUPS) if name == group]
        assert np.array_equal(np.sort(old[rows], axis=0), np.sort(new[rows], axis=0))
    assert np.array_equal(new[:, 1], 10 * new[:, 0])  # genes stay correlated: no profile is torn apart
    assert np.array_equal(old[-1], new[-1])  # alone in its group


def test_spliced_rna_and_neighbours_are_untouched(cells):
    before = cells.copy()
    shuffle_unspliced(cells, SETTINGS, group_key="clusters", seed=1)
    assert (before.layers[keys.SPLICED] != cells.layers[keys.SPLICED]).nnz == 0
    assert np.array_equal(before.layers[keys.MS], cells.layers[keys.MS])
    assert (before.obsp[keys.DISTANCES] != cells.obsp[keys.DISTANCES]).nnz == 0
    assert before.obs.equals(cells.obs)


def test_moments_are_means_over_the_neighbours_of_profiles_in_their_own_cells_size(cells):
    spliced, unspliced = (cells.layers[key].toarray() for key in (keys.SPLICED, keys.UNSPLICED))
    shares = unspliced / (spliced.sum(axis=1) + unspliced.sum(axis=1))[:, None]
    before = cells.layers[keys.MU].sum()
    shuffle_unspliced(cells, SETTINGS, group_key="clusters", seed=3)
    source = (cells.layers[keys.UNSPLICED].toarray()[:, 0] - 1).astype(int)  # cell i had the count i + 1
    moved = shares[source]
    means = (moved + np.roll(moved, 1, axis=0) + np.roll(moved, -1, axis=0)) / 3
    moments = cells.layers[keys.MU]
    assert moments.dtype == np.float32
    assert moments == pytest.approx(means * before / means.sum(), rel=1e-5)


def test_the_seed_decides(cells):
    one, same, other = cells.copy(), cells.copy(), cells
    for adata, seed in ((one, 1), (same, 1), (other, 2)):
        shuffle_unspliced(adata, SETTINGS, group_key="clusters", seed=seed)
    assert np.array_equal(one.layers[keys.MU], same.layers[keys.MU])
    assert not np.array_equal(one.layers[keys.MU], other.layers[keys.MU])


def test_fewer_genes_are_those_that_preparation_would_choose():
    counts = simulate(kind="linear", n_cells=80, n_genes=60, depth=2000, seed=0)
    whole = pp.prepare(counts, SETTINGS, cluster_key=keys.CLUSTERS)
    few = pp.prepare(counts, config.replace(SETTINGS, {"preparation": {"n_top_genes": 25}}))
    chosen = most_variable(whole, 25)
    assert chosen.n_vars == 25
    assert len(set(chosen.var_names) & set(few.var_names)) >= 23  # sizes are totals over other genes
    assert np.array_equal(chosen.layers[keys.MU], whole[:, chosen.var_names].layers[keys.MU])
    assert (chosen.obsp[keys.DISTANCES] != whole.obsp[keys.DISTANCES]).nnz == 0
    with pytest.raises(InputError, match=rf"Found {whole.n_vars} in the run"):
        most_variable(whole, 61)
