"""What the gate says of directions, from scores made by hand."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from anndata import AnnData

from deepvelo import keys
from deepvelo.controls.sensitivity import BASE
from deepvelo.gate.directions import methods_agree, not_static, survives_sweep


@pytest.mark.parametrize(("mean", "level"), [(0.6, "green"), (0.2, "amber"), (0.05, "red")])
def test_low_confidence_looks_static(mean, level):
    found = not_static(AnnData(obs=pd.DataFrame({keys.CONFIDENCE: np.full(4, mean)}, index=list("abcd"))))
    assert found.level == level
    assert f"Mean confidence {mean:.2f}" in found.evidence


def test_a_method_without_confidence_is_not_checked():
    assert not_static(AnnData(obs=pd.DataFrame(index=list("ab")))).level == "not checked"


@pytest.mark.parametrize(("n_against", "level"), [(0, "green"), (9, "green"), (10, "amber"), (30, "red")])
def test_methods_that_disagree_in_many_cells(n_against, level):
    agreement = np.repeat([-0.5, 0.5, np.nan], [n_against, 100 - n_against, 20])
    found = methods_agree(agreement)
    assert found.level == level
    assert f"In {n_against}% of 100 cells" in found.evidence


@pytest.mark.parametrize("agreement", [None, np.array([]), np.full(3, np.nan)])
def test_one_method_is_not_checked(agreement):
    assert methods_agree(agreement).level == "not checked"


def sweep(turned, boundary=(0.5, 0.4)):
    """A base run and one other."""
    return pd.DataFrame(
        {
            "consistency": 0.9, "consistency_celltype": 0.8, "agreement": [1.0, 0.7], "turned": [0.0, turned],
            "A > B": boundary,
        },
        index=[BASE, "genes 50"],
    )  # fmt: skip


@pytest.mark.parametrize(("turned", "level"), [(0.05, "green"), (0.1, "amber"), (0.3, "red")])
def test_cells_that_turn_round_in_a_sweep(turned, level):
    found = survives_sweep(sweep(turned))
    assert found.level == level
    assert f"At worst {turned:.0%} of the cells turn round, with genes 50 (1 run)." == found.evidence


def test_a_boundary_that_changes_its_sign_is_red():
    found = survives_sweep(sweep(0.0, boundary=(0.5, -0.1)))
    assert found.level == "red"
    assert "changes its sign for A > B" in found.evidence
    assert survives_sweep(sweep(0.0, boundary=(np.nan, -0.1))).level == "green"


@pytest.mark.parametrize("table", [None, sweep(0.0).iloc[:1], sweep(np.nan)])
def test_no_finished_sweep_is_not_checked(table):
    assert survives_sweep(table).level == "not checked"
