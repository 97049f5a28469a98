"""Counts put aside on disk and taken back."""

from __future__ import annotations

import anndata as ad
import numpy as np
import pytest
from scipy import sparse

from deepvelo.io.aside import counts_aside


@pytest.fixture
def cells() -> ad.AnnData:
    counts = sparse.random(20, 5, density=0.4, format="csr", dtype=np.float32, random_state=0)
    return ad.AnnData(counts.log1p(), layers={"spliced": counts, "Ms": counts.toarray()})


def test_counts_are_away_and_come_back_as_they_were(cells, tmp_path):
    before = cells.copy()
    with counts_aside(cells, tmp_path / "scratch"):
        assert cells.X is None
        assert list(cells.layers) == ["Ms"]
    np.testing.assert_array_equal(cells.X.toarray(), before.X.toarray())
    np.testing.assert_array_equal(cells.layers["spliced"].toarray(), before.layers["spliced"].toarray())
    assert cells.layers["spliced"].dtype == np.float32
    assert not list((tmp_path / "scratch").iterdir())


def test_without_a_folder_they_stay(cells):
    with counts_aside(cells, None):
        assert sparse.issparse(cells.X)
        assert "spliced" in cells.layers


def test_dense_x_stays(cells, tmp_path):
    cells.X = cells.X.toarray()
    with counts_aside(cells, tmp_path):
        assert cells.X is not None
