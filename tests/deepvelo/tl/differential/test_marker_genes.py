"""Markers of selected cells: planted ones come first, and the object stays as it was."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from anndata import AnnData
from scipy import sparse

from deepvelo import keys
from deepvelo.errors import InputError
from deepvelo.tl.differential.marker_genes import marker_genes

SELECTED = np.arange(80) < 30


@pytest.fixture
def cells():
    """80 cells, 40 genes; genes 0 to 3 are high in the first 30 cells, gene 4 is low there."""
    rng = np.random.default_rng(0)
    counts = rng.poisson(2, (80, 40)).astype(np.float32)
    counts[:30, :4] += rng.poisson(8, (30, 4))
    counts[30:, 4] += rng.poisson(8, 50)
    obs = pd.DataFrame({"clusters": ["A"] * 60 + ["B"] * 20}, index=[f"c{i}" for i in range(80)])
    adata = AnnData(np.zeros_like(counts), obs=obs, var=pd.DataFrame(index=[f"Gene{n}" for n in range(40)]))
    adata.layers[keys.SPLICED] = sparse.csr_matrix(counts)
    return adata


def test_planted_markers_come_first_and_their_opposite_last(cells):
    table = marker_genes(cells, SELECTED)
    assert list(table.columns) == [
        "gene", "score", "log2_fold_change", "p", "q", "share_expressing", "share_expressing_reference",
    ]  # fmt: skip
    assert set(table["gene"][:4]) == {"Gene0", "Gene1", "Gene2", "Gene3"}
    assert table["gene"].iloc[-1] == "Gene4"
    assert (table["q"][:4] < 0.001).all()
    counts = cells.layers[keys.SPLICED].toarray()
    of_gene = table.set_index("gene").loc["Gene7"]
    assert of_gene["share_expressing"] == pytest.approx((counts[:30, 7] > 0).mean())
    assert of_gene["share_expressing_reference"] == pytest.approx((counts[30:, 7] > 0).mean())


def test_against_other_cells_within_a_group(cells):
    table = marker_genes(cells, SELECTED, within="A", cluster_key="clusters")
    counts = cells.layers[keys.SPLICED].toarray()
    share = table.set_index("gene").loc["Gene7", "share_expressing_reference"]
    assert share == pytest.approx((counts[30:60, 7] > 0).mean())


def test_the_object_is_left_as_it_was(cells):
    before = cells.copy()
    marker_genes(cells, SELECTED)
    assert list(cells.uns) == list(before.uns)
    assert (cells.layers[keys.SPLICED] != before.layers[keys.SPLICED]).nnz == 0
    assert cells.obs.equals(before.obs)


def test_too_few_cells(cells):
    with pytest.raises(InputError, match=r"There are 2 selected cells, and a rank test needs at least 3"):
        marker_genes(cells, np.arange(80) < 2)
    with pytest.raises(InputError, match="There are 0 reference cells"):
        marker_genes(cells, np.ones(80, dtype=bool))
