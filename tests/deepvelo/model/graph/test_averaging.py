"""Averages are the plain products, in whatever order the cells are taken."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.sparse as sp
import torch

from deepvelo.model.graph import averaging
from deepvelo.model.graph.averaging import Averaging

MATRIX = sp.random(60, 60, density=0.1, format="csr", dtype=np.float32, random_state=0)
VALUES = torch.rand(60, 4, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("few", [10, 1000], ids=["many cells", "few cells"])
@pytest.mark.parametrize("times", [0, 1, 2])
def test_columns_are_multiplied_that_often(monkeypatch, few, times):
    monkeypatch.setattr(averaging, "_BLOCK_CELLS", few)
    expected = np.linalg.matrix_power(MATRIX.toarray().astype(float), times) @ VALUES.numpy()
    np.testing.assert_allclose(Averaging(MATRIX)(VALUES, times=times), expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("few", [10, 1000], ids=["many cells", "few cells"])
def test_what_is_given_stays_as_it_is(monkeypatch, few):
    monkeypatch.setattr(averaging, "_BLOCK_CELLS", few)
    before, stored = VALUES.clone(), MATRIX.copy()
    Averaging(MATRIX)(VALUES, times=0).zero_()
    assert VALUES.equal(before)
    assert (stored != MATRIX).nnz == 0
