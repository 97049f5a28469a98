"""What the gate says of counts and genes, on data made to be odd in one way."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from anndata import AnnData
from scipy import sparse

from deepvelo import keys
from deepvelo.evaluation.gate import counts

N_CELLS, N_GENES = 40, 60


def run(*, unspliced=(0.2, 0.2), sizes=(20, 20)):
    """Cells of 1,000 counts in two groups, with these shares of unspliced counts, give or take half a percent."""
    share = np.repeat(unspliced, sizes) + np.tile([-0.005, 0.005], sum(sizes) // 2)
    totals = {key: np.rint(1000 * x) for key, x in ((keys.SPLICED, 1 - share), (keys.UNSPLICED, share))}
    layers = {key: np.tile(total[:, None] // N_GENES, N_GENES) for key, total in totals.items()}
    for key, total in totals.items():
        layers[key][:, 0] += total % N_GENES
    return AnnData(
        obs=pd.DataFrame(
            {"clusters": np.repeat(["A", "B"], sizes)}, index=[str(i) for i in range(sum(sizes))]
        ),
        var=pd.DataFrame({keys.VELOCITY_GENES: True}, index=[f"g{i}" for i in range(N_GENES)]),
        layers={key: sparse.csr_matrix(values) for key, values in layers.items()}
        | {keys.VELOCITY: np.ones((sum(sizes), N_GENES))},
    )


@pytest.mark.parametrize(("share", "level"), [(0.2, "green"), (0.01, "red"), (0.8, "red")])
def test_unspliced_fraction(share, level):
    found = counts.unspliced_fraction(run(unspliced=(share, share)))
    assert found.level == level
    if share == 0.2:
        assert found.evidence == "20.0% of the counts are unspliced."
        assert found.threshold == "red outside 3% to 65%"


def test_groups_with_the_same_unspliced_fraction_are_told_from_others():
    same = counts.unspliced_by_group(run(), cluster_key="clusters")
    differ = counts.unspliced_by_group(run(unspliced=(0.15, 0.25)), cluster_key="clusters")
    assert (same.level, differ.level) == ("amber", "green")
    assert differ.evidence.startswith("15.0% in 'A' to 25.0% in 'B'")


def test_small_groups_are_not_compared():
    found = counts.unspliced_by_group(run(unspliced=(0.15, 0.25), sizes=(32, 8)), cluster_key="clusters")
    assert found.level == "not checked"
    assert "Fewer than two groups of 'clusters' have 10 cells" in found.evidence


def test_layers_that_are_no_counts_are_amber_and_tell_no_fraction():
    adata = run()
    assert counts.layers_are_counts(adata).level == "green"
    largest = adata.layers[keys.SPLICED].max()
    for key in (keys.SPLICED, keys.UNSPLICED):
        adata.layers[key] = adata.layers[key].log1p()
    found = counts.layers_are_counts(adata)
    assert found.level == "amber"
    assert f"largest value is {np.log1p(largest):.4g}." in found.evidence
    assert counts.unspliced_fraction(adata).level == "not checked"
    assert counts.unspliced_by_group(adata, cluster_key="clusters").level == "not checked"


@pytest.mark.parametrize(
    ("n", "level"), [(60, "green"), (50, "green"), (49, "amber"), (20, "amber"), (19, "red")]
)
def test_few_velocity_genes(n, level):
    adata = run()
    adata.layers[keys.VELOCITY][:, n:] = np.nan
    found = counts.enough_genes(adata)
    assert found.level == level
    assert found.evidence == f"{n} genes of 60 have a velocity."
