from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from anndata import AnnData

from deepvelo.io.tidy.orientation import oriented

BARCODES = ["AAACCTGAGAAACCAT-1", "AAACCTGAGAAACCGC-1", "AAACCTGAGAAACCTA-1", "AAACCTGAGAAACGAG-1"]
VELOCYTO = [f"sample:{barcode.removesuffix('-1')}x" for barcode in BARCODES]
IDS = [f"ENSMUSG{number:011d}.2" for number in range(6)]
MADE_UP = [f"Gene{number}" for number in range(6)]
COMMON = ["Actb", "Gapdh", "Malat1", "Rps2", "Sox2", "Tmsb10"]


def cells(names: list[str], genes: list[str]) -> AnnData:
    """Counts by which a cell and a gene are known."""
    adata = AnnData(
        np.arange(len(names) * len(genes), dtype=np.float32).reshape(len(names), -1),
        obs=pd.DataFrame({"clusters": "a"}, index=names),
        var=pd.DataFrame({"chromosome": "1"}, index=genes),
    )
    adata.layers["spliced"] = adata.X * 2
    return adata


@pytest.mark.parametrize(
    ("names", "genes"),
    [
        (BARCODES, MADE_UP),
        (VELOCYTO, MADE_UP),
        (["plate_A1", "plate_A2", "plate_A3", "plate_A4"], IDS),
        (["cell1", "cell2", "cell3", "cell4"], COMMON),
    ],
    ids=["barcodes", "velocyto", "ids", "genes of every vertebrate"],
)
def test_swapped_rows_and_columns_are_turned_with_a_note(names, genes):
    right = cells(names, genes)
    as_it_is, notes = oriented(right)
    assert as_it_is is right
    assert not notes

    turned, notes = oriented(right.T.copy())
    assert list(turned.obs_names) == names
    assert list(turned.obs) == ["clusters"]
    np.testing.assert_array_equal(turned.layers["spliced"], right.layers["spliced"])
    assert len(notes) == 1
    assert "swapped" in notes[0]
    assert "6 rows" in notes[0]


def test_embedding_of_the_columns_tells():
    right = cells(["c1", "c2", "c3", "c4"], MADE_UP)
    right.obsm["X_umap"] = np.ones((4, 2))
    assert not oriented(right)[1]
    turned, notes = oriented(right.T.copy())
    assert notes
    assert "X_umap" in turned.obsm


def test_names_that_tell_nothing_are_left():
    adata = cells(["1", "2", "3"], ["a", "b", "c", "d"])
    assert oriented(adata) == (adata, [])


def test_an_embedding_of_the_genes_turns_nothing():
    adata = cells(["c1", "c2", "c3", "c4"], MADE_UP)
    adata.varm["gene_umap"] = np.ones((6, 2))
    adata.obsm["X_pca"] = np.ones((4, 3))
    assert oriented(adata) == (adata, [])
    adata.varm["X_umap"] = np.ones((6, 2))
    assert oriented(adata) == (adata, [])
