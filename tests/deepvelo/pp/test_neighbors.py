"""Cells in which no neighbours can be found; what neighbours are is tested in test_prepare.py."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import sparse

from deepvelo import config
from deepvelo.errors import InputError
from deepvelo.pp.prepare import prepare
from tests import bad_input


@pytest.mark.parametrize("sizes", [1, [1, 3]], ids=["same counts", "same counts in two depths"])
def test_cells_that_do_not_differ_are_refused_in_one_sentence(sizes):
    adata = bad_input.cells()
    depth = np.resize(sizes, adata.n_obs)[:, None]
    for layer in ("spliced", "unspliced"):
        adata.layers[layer] = sparse.csr_matrix(depth * (1 + adata.layers[layer].toarray()[:1]))
    with pytest.raises(InputError, match="nothing tells them apart"):
        prepare(adata, config.Settings())
