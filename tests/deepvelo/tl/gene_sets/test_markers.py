"""Markers of the data's own groups: planted ones are found, and what cannot have any is said."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from anndata import AnnData
from scipy import sparse

from deepvelo import keys
from deepvelo.errors import InputError
from deepvelo.tl.gene_sets.markers import markers_by_group

SIZES = {"Granule": 30, "Neuroblast": 30, "OPC": 20, "Mossy": 2}


@pytest.fixture
def cells():
    """82 cells, 40 genes; genes 0-3 are high in Granule, 4-5 in OPC; two cells have no group."""
    rng = np.random.default_rng(0)
    groups = np.repeat(list(SIZES), list(SIZES.values()))
    counts = rng.poisson(2, (len(groups), 40)).astype(np.float32)
    counts[groups == "Granule", :4] += rng.poisson(8, (30, 4))
    counts[groups == "OPC", 4:6] += rng.poisson(12, (20, 2))
    labels = pd.Series(groups).where(np.arange(len(groups)) >= 2)
    obs = pd.DataFrame(
        {"clusters": pd.Categorical(labels), "one": "same"}, index=[f"c{i}" for i in range(82)]
    )
    adata = AnnData(np.zeros_like(counts), obs=obs, var=pd.DataFrame(index=[f"Gene{n}" for n in range(40)]))
    adata.layers[keys.SPLICED] = sparse.csr_matrix(counts)
    return adata


@pytest.mark.slow
def test_planted_markers_come_first(cells):
    found = markers_by_group(cells, "clusters")
    assert list(found) == ["Granule", "Neuroblast", "OPC"]  # two cells of Mossy are too few
    assert set(found["Granule"][:4]) == {"Gene0", "Gene1", "Gene2", "Gene3"}
    assert set(found["OPC"][:2]) == {"Gene4", "Gene5"}
    assert not {f"Gene{n}" for n in range(6)} & set(found["Neuroblast"])  # lower is no marker
    assert markers_by_group(cells, "clusters", top=2)["Granule"] == found["Granule"][:2]


def test_depth_of_the_cells_is_no_marker(cells):
    deep = cells.copy()
    counts = deep.layers[keys.SPLICED].toarray()
    counts[(deep.obs["clusters"] == "Neuroblast").to_numpy()] *= 5
    deep.layers[keys.SPLICED] = sparse.csr_matrix(counts)
    before, after = markers_by_group(cells, "clusters"), markers_by_group(deep, "clusters")
    assert before["Granule"][:4] == after["Granule"][:4]
    assert len(after["Neuroblast"]) <= len(before["Neuroblast"]) + 3


def test_the_object_is_left_as_it_was(cells):
    before = cells.copy()
    markers_by_group(cells, "clusters")
    assert list(cells.uns) == list(before.uns)
    assert (cells.layers[keys.SPLICED] != before.layers[keys.SPLICED]).nnz == 0
    assert cells.obs.equals(before.obs)


def test_without_the_layer_it_is_the_expression_of_the_file(cells):
    plain = AnnData(cells.layers[keys.SPLICED].copy(), obs=cells.obs, var=cells.var)
    assert markers_by_group(plain, "clusters") == markers_by_group(cells, "clusters")


def test_groupings_that_have_no_markers(cells):
    with pytest.raises(InputError, match="There is no grouping 'celltype'"):
        markers_by_group(cells, "celltype")
    with pytest.raises(InputError, match="has one group"):
        markers_by_group(cells, "one")
    few = cells[[5, 6, 7, 40, 80]].copy()
    with pytest.raises(
        InputError, match=r"two groups of at least 3 cells; 'clusters' has 1 of 3\. Choose a coarser"
    ):
        markers_by_group(few, "clusters")
