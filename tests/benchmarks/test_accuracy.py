"""The accuracy benchmark on few data: the default must not fall behind scVelo, nor with more cells behind itself."""

from __future__ import annotations

import json

import numpy as np
import pytest

from benchmarks import accuracy_methods, accuracy_scores
from benchmarks.accuracy import KNOWN_STRETCHES, quick_plans, reversed_stretches, run, write
from benchmarks.accuracy_methods import SCVELO, SMOOTHED_SCVELO
from deepvelo import keys
from deepvelo.tl.velocity.fit import fit_velocity


@pytest.mark.slow
def test_the_default_is_closer_to_the_truth_than_any_scvelo_mode(tmp_path):
    rows = run(quick_plans(), jobs=2)
    write(tmp_path / "quick.json", rows, seconds=1.0)
    written = json.loads((tmp_path / "quick.json").read_text())
    assert len(written["rows"]) == len(rows)
    assert written["calibration"]["default"]["cells"]
    for kind, of_kind in rows.groupby("kind"):
        cosine = of_kind.groupby("method")["cosine_own"].mean()
        assert cosine["default"] > cosine[[*SCVELO, *SMOOTHED_SCVELO]].max(), kind
    default = rows[rows["method"] == "default"]
    assert not default["reversed"].any()
    assert reversed_stretches(rows, known=KNOWN_STRETCHES) == []


@pytest.mark.slow
def test_more_cells_are_no_further_from_the_truth():
    # Compared with their very nearest alone, 6,000 cells of this tissue came no nearer than 0.38.
    found = {}
    for n_cells in (1000, 6000):
        counts = accuracy_methods.simulated("branch", "10x", seed=100, n_cells=n_cells, n_genes=200)
        counts.obsm[keys.X_UMAP] = np.zeros((n_cells, 2), dtype=np.float32)  # none need be made
        case = accuracy_methods.case_of(counts, seed=100)
        fit_velocity(case.prepared, settings=case.settings)
        truth = case.truth.layers
        genes = accuracy_scores.moving_genes(truth[keys.TRUE_VELOCITY], truth[keys.TRUE_ALPHA])
        cosines = accuracy_scores.cosines(case.prepared.layers[keys.VELOCITY], case.velocity, genes=genes)
        found[n_cells] = float(np.nanmean(cosines))
    assert found[6000] > max(0.5, found[1000] - 0.1)
