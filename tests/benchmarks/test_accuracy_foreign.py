"""Data of another group's simulator, on a made-up file of the same names."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from anndata import AnnData

from benchmarks import accuracy_foreign as foreign
from benchmarks.accuracy import FOREIGN, FOREIGN_FOLDER, Plan, make_case, roots, stage_edges, tissue_of
from benchmarks.accuracy_scores import moving_genes
from deepvelo import keys


def test_the_truth_is_attached_as_our_simulations_have_it(tmp_path):
    velocity, unspliced = np.array([[1.0, 0.0], [-2.0, 0.0]]), np.array([[5.0, 5.0], [10.0, 5.0]])
    np.savez(tmp_path / "network_driven_truth.npz", velocity=velocity, u=unspliced)
    counts = AnnData(np.ones((2, 2)), obs=pd.DataFrame({keys.CLUSTERS: ["t0", "t1"]}, index=["a", "b"]))
    found = foreign.with_truth(counts, tmp_path)
    assert found.layers[keys.TRUE_VELOCITY].tolist() == velocity.tolist()
    assert found.layers[keys.TRUE_ALPHA].tolist() == [[4.0, 4.0], [8.0, 4.0]]
    assert moving_genes(found.layers[keys.TRUE_VELOCITY], found.layers[keys.TRUE_ALPHA]).tolist() == [
        True, False,
    ]  # fmt: skip
    assert found.obs[keys.LINEAGE].tolist() == ["t0", "t1"]


def test_its_tissue_is_a_bifurcation():
    assert stage_edges(foreign.TISSUE) == [("t0", "t1"), ("t0", "t2")]
    assert roots(foreign.TISSUE) == {"t0": "t0", "t1": "t0", "t2": "t0"}


@pytest.mark.slow
@pytest.mark.skipif(not FOREIGN_FOLDER.is_dir(), reason=f"there is no folder {FOREIGN_FOLDER}")
def test_a_plan_of_this_kind_reads_the_files():
    case = make_case(Plan(FOREIGN, "10x", 3, 0, 0, ()))
    assert tissue_of(case) is foreign.TISSUE
    assert case.settings.seed == 3
    assert case.prepared.n_obs == 900
    chosen = [int(name.removeprefix("g")) for name in case.prepared.var_names]  # some have too few counts
    with np.load(FOREIGN_FOLDER / "network_driven_truth.npz") as truth:
        assert case.velocity == pytest.approx(truth["velocity"][:, chosen], abs=1e-5)
        assert truth["edges"].tolist() == [list(edge) for edge in stage_edges(foreign.TISSUE)]
