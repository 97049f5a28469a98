"""Mixing of batches on hand-made neighbours."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from anndata import AnnData
from scipy import sparse

from deepvelo import keys
from deepvelo.errors import InputError
from deepvelo.evaluation.gate.batches import batch_mixing, batches_mixed

BATCHES = np.array(list("xxyyxxyy"))
GROUPS = np.array(list("AAAABBBB"))
SAME_GROUP = (GROUPS[:, None] == GROUPS) & ~np.eye(8, dtype=bool)
SAME_BATCH = BATCHES[:, None] == BATCHES


def mixing(neighbors, *, batches=BATCHES, groups=GROUPS):
    return batch_mixing(sparse.csr_matrix(neighbors.astype(float)), batches=batches, groups=groups)


def test_all_of_the_group_as_neighbours_is_mixed_as_by_chance():
    assert mixing(SAME_GROUP) == pytest.approx(1)


def test_neighbours_of_the_own_batch_alone_are_not_mixed():
    assert mixing(SAME_GROUP & SAME_BATCH) == 0


def test_one_half_too_few():
    half = SAME_GROUP & SAME_BATCH
    half[[0, 1, 2, 3, 4, 5, 6, 7], [2, 3, 0, 1, 6, 7, 4, 5]] = True
    # two neighbours each, one of the other batch; by chance two of three are
    assert mixing(half) == pytest.approx(0.5 / (2 / 3))


def test_neighbours_in_other_groups_do_not_count():
    assert mixing(SAME_GROUP | ~SAME_BATCH) == pytest.approx(1)


def test_batches_of_different_composition_are_not_blamed():
    """Group A is rare in batch y: few neighbours of y are expected there."""
    batches, groups = np.array(list("xxxyyyyy")), np.array(list("AAAABBBB"))
    same = (groups[:, None] == groups) & ~np.eye(8, dtype=bool)
    assert mixing(same, batches=batches, groups=groups) == pytest.approx(1)


def test_one_batch_a_group_cannot_be_told():
    assert np.isnan(mixing(SAME_GROUP, batches=GROUPS))


def adata_of(neighbors, **columns):
    return AnnData(
        obs=pd.DataFrame({"clusters": GROUPS} | columns, index=[str(i) for i in range(8)]),
        obsp={keys.DISTANCES: sparse.csr_matrix(neighbors.astype(float))},
    )


def test_the_finding():
    apart, together = (adata_of(x, batch=BATCHES) for x in (SAME_GROUP & SAME_BATCH, SAME_GROUP))
    levels = [batches_mixed(x, batch_key="batch", cluster_key="clusters").level for x in (apart, together)]
    assert levels == ["red", "green"]
    assert batches_mixed(apart, batch_key=None, cluster_key="clusters").level == "not checked"
    one = adata_of(SAME_GROUP, batch="x")
    assert batches_mixed(one, batch_key="batch", cluster_key="clusters").level == "not checked"
    confounded = batches_mixed(adata_of(SAME_GROUP, batch=GROUPS), batch_key="batch", cluster_key="clusters")
    assert confounded.level == "amber"
    assert "cannot be told apart" in confounded.evidence
    with pytest.raises(InputError, match="no grouping 'lane'"):
        batches_mixed(apart, batch_key="lane", cluster_key="clusters")
