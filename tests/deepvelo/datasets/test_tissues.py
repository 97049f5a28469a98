from __future__ import annotations

import numpy as np
import pytest

from deepvelo import keys
from deepvelo.datasets.simulation import draw
from deepvelo.datasets.tissues import TISSUES, tissue_of


@pytest.mark.parametrize("seed", range(12))
def test_origins_has_two_or_three_types_and_the_last_is_small(seed):
    tissue = tissue_of("origins", seed=seed)
    assert len(tissue.lineages) == 2 + seed % 2
    weight = np.array([stage.weight for stage in tissue.stages])
    assert weight.sum() == pytest.approx(1.0)
    assert 0.05 <= weight[-1] <= 0.2
    assert (weight[:-1] > weight[-1]).all()


def test_the_share_of_the_smallest_type_changes_with_the_seed():
    shares = [tissue_of("origins", seed=seed).stages[-1].weight for seed in range(40)]
    assert np.histogram(shares, bins=3, range=(0.05, 0.2))[0].min() >= 5


def test_types_of_origins_descend_from_no_other_and_start_at_steady_states_of_their_own():
    adata, truth = draw(kind="origins", n_cells=200, n_genes=100, depth=500, seed=1)
    tissue = tissue_of("origins", seed=1)
    assert all(lineage.parent is None for lineage in tissue.lineages)
    assert len({lineage.family for lineage in tissue.lineages}) == 3
    assert adata.obs[keys.CLUSTERS].cat.categories.tolist() == ["Type 1", "Type 2", "Type 3"]
    lineage = np.arange(3)
    start = truth.kinetics.at(lineage, np.zeros(3))
    np.testing.assert_allclose(start.ds, 0.0, atol=1e-9)
    between = np.log(start.s[:, None] / start.s[None, :]).std(axis=-1)
    assert (between[np.triu_indices(3, 1)] > 0.5).all()
    later = truth.kinetics.at(lineage, np.array([part.end for part in tissue.lineages]))
    assert ((np.abs(np.log(later.s / start.s)) > 0.5).mean(axis=1) > 0.3).all(), "all of them move"


@pytest.mark.parametrize("kind", [kind for kind in TISSUES if kind != "origins"])
def test_other_tissues_are_the_same_for_every_seed(kind):
    assert tissue_of(kind, seed=0) is tissue_of(kind, seed=1) is TISSUES[kind]
