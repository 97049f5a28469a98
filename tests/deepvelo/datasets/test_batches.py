from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from deepvelo import keys
from deepvelo.datasets.simulation import draw, simulate
from deepvelo.datasets.truth import Truth

SETTINGS = {"n_cells": 1000, "n_genes": 60, "depth": 900.0, "seed": 1}


def test_batches_leave_the_molecules_alone():
    (_, batches), (_, branch) = (draw(kind=kind, **SETTINGS) for kind in ("batches", "branch"))
    for one, two in ((batches.states().s, branch.states().s), (batches.states().ds, branch.states().ds)):
        np.testing.assert_array_equal(one, two)


def test_both_batches_have_their_half_of_every_stage():
    adata = simulate(kind="batches", **SETTINGS)
    numbers = pd.crosstab(adata.obs[keys.CLUSTERS], adata.obs[keys.BATCH])
    assert list(numbers) == ["Batch 1", "Batch 2"]
    assert (np.abs(numbers["Batch 1"] - numbers["Batch 2"]) <= 1).all()
    time = adata.obs.groupby(keys.BATCH, observed=True)[keys.TRUE_TIME].agg(["min", "mean", "max"])
    assert (np.ptp(time, axis=0) < 0.5).all()


@pytest.mark.slow
def test_batches_differ_in_depth_in_unspliced_rna_and_gene_by_gene():
    adata, truth = draw(kind="batches", n_cells=4000, n_genes=200, depth=5000, seed=0)
    second = adata.obs[keys.BATCH] == "Batch 2"
    spliced, unspliced = (adata.layers[layer].toarray() for layer in (keys.SPLICED, keys.UNSPLICED))
    assert np.median(spliced.sum(axis=1)) == pytest.approx(5000, rel=0.05)

    states = truth.states()
    found = np.array(
        [
            [counts[batch].sum(axis=0) / molecules[batch].sum(axis=0) for batch in (second, ~second)]
            for counts, molecules in ((spliced, states.s), (unspliced, states.u))
        ]
    )
    ratio = np.log(found[:, 0] / found[:, 1])
    assert np.median(ratio[0]) == pytest.approx(np.log(0.7), abs=0.06)
    assert np.median(ratio[1] - ratio[0]) == pytest.approx(np.log(1.3), abs=0.03)
    assert np.std(ratio[0]) == pytest.approx(0.2 * np.sqrt(2), rel=0.2), "two factors per gene"
    assert np.corrcoef(ratio)[0, 1] > 0.9, "the same for u and s"


def test_expected_counts_follow_from_what_is_stored_beside_the_counts():
    adata, truth = draw(kind="batches", **SETTINGS)
    truth.attach(adata)
    states, obs = truth.states(), adata.obs
    caught = adata.uns[keys.CAPTURE] * obs[keys.TRUE_SIZE].to_numpy()[:, None]
    caught = caught * adata.varm[keys.GENE_CAPTURE].T[obs[keys.BATCH].cat.codes]
    spliced, unspliced = truth.expected_counts()
    np.testing.assert_allclose(caught * states.s, spliced)
    np.testing.assert_allclose(caught * obs[keys.UNSPLICED_CAPTURE].to_numpy()[:, None] * states.u, unspliced)


def test_batches_survive_the_file_of_the_truth(tmp_path):
    _, truth = draw(kind="batches", **SETTINGS)
    truth.save(tmp_path / "truth.npz")
    again = Truth.load(tmp_path / "truth.npz")
    assert again.batches is not None
    assert again.batches.names == ("Batch 1", "Batch 2")
    for one, two in zip(truth.expected_counts(), again.expected_counts(), strict=True):
        np.testing.assert_array_equal(one, two)


def test_a_data_set_in_batches_survives_its_file(tmp_path):
    from deepvelo.io import read, write_h5ad

    adata = simulate(kind="batches", **SETTINGS)
    write_h5ad(adata, tmp_path / "batches.h5ad")
    again = read(tmp_path / "batches.h5ad")
    np.testing.assert_array_equal(again.varm[keys.GENE_CAPTURE], adata.varm[keys.GENE_CAPTURE])
    assert again.obs[keys.BATCH].equals(adata.obs[keys.BATCH])
