"""Counts put aside on disk and taken back."""

from __future__ import annotations

import shutil
from types import SimpleNamespace

import anndata as ad
import numpy as np
import pytest
from scipy import sparse

from deepvelo.errors import InputError
from deepvelo.io.temporary import offloaded_counts, require_space


@pytest.fixture
def cells() -> ad.AnnData:
    counts = sparse.random(20, 5, density=0.4, format="csr", dtype=np.float32, random_state=0)
    return ad.AnnData(counts.log1p(), layers={"spliced": counts, "Ms": counts.toarray()})


def test_counts_are_away_and_come_back_as_they_were(cells, tmp_path):
    before = cells.copy()
    with offloaded_counts(cells, tmp_path / "scratch"):
        assert cells.X is None
        assert list(cells.layers) == ["Ms"]
    np.testing.assert_array_equal(cells.X.toarray(), before.X.toarray())
    np.testing.assert_array_equal(cells.layers["spliced"].toarray(), before.layers["spliced"].toarray())
    assert cells.layers["spliced"].dtype == np.float32
    assert not list((tmp_path / "scratch").iterdir())


def test_layers_that_share_what_is_stored_where_come_back(cells, tmp_path):
    counts = cells.layers["spliced"]
    cells.layers["twice"] = sparse.csr_matrix((2 * counts.data, counts.indices, counts.indptr), counts.shape)
    with offloaded_counts(cells, tmp_path):
        pass
    np.testing.assert_array_equal(cells.layers["twice"].toarray(), 2 * cells.layers["spliced"].toarray())


def test_a_disk_too_small_is_said_before_the_fit(cells, tmp_path, monkeypatch):
    require_space(tmp_path, layers=5, of=cells)
    needed = 5 * 4 * cells.n_obs * cells.n_vars  # and the counts
    monkeypatch.setattr(shutil, "disk_usage", lambda path: SimpleNamespace(free=needed))
    with pytest.raises(InputError, match=r"20 cells and 5 genes needs up to 0.0 GB .* Free some space"):
        require_space(tmp_path, layers=5, of=cells)


def test_without_a_folder_they_stay(cells):
    with offloaded_counts(cells, None):
        assert sparse.issparse(cells.X)
        assert "spliced" in cells.layers


def test_dense_x_stays(cells, tmp_path):
    cells.X = cells.X.toarray()
    with offloaded_counts(cells, tmp_path):
        assert cells.X is not None
