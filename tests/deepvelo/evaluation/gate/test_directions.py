"""What the gate says of directions, from scores made by hand."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from anndata import AnnData

from deepvelo import keys
from deepvelo.evaluation.controls.sensitivity import BASE
from deepvelo.evaluation.gate.directions import methods_agree, not_static, survives_sweep


def directed(n_undecided, probability):
    """A hundred cells."""
    return AnnData(
        obs=pd.DataFrame(
            {keys.UNDECIDED: np.arange(100) < n_undecided, keys.CONFIDENCE: np.full(100, probability)},
            index=[f"cell{i}" for i in range(100)],
        )
    )


@pytest.mark.parametrize(
    ("n_undecided", "probability", "level"),
    [
        (9, 0.81, "green"),
        (10, 0.9, "amber"),
        (0, 0.79, "amber"),
        (49, 0.6, "amber"),
        (50, 0.9, "red"),
        (0, 0.59, "red"),
    ],
)
def test_undecided_cells_and_directions_near_a_coin_flip(n_undecided, probability, level):
    found = not_static(directed(n_undecided, probability))
    assert found.level == level
    assert f"the direction of {n_undecided}% of the cells" in found.evidence
    assert f"is right: {probability:.2f}" in found.evidence


@pytest.mark.parametrize("left_out", [[keys.UNDECIDED], [keys.CONFIDENCE, keys.UNDECIDED]])
def test_a_method_or_an_earlier_version_without_a_probability_is_not_checked(left_out):
    adata = directed(0, 0.9)
    adata.obs = adata.obs.drop(columns=left_out)
    assert not_static(adata).level == "not checked"


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
            "consistency": 0.9, "consistency_celltype": 0.8, "agreement": [1.0, 0.7], "reversed": [0.0, turned],
            "A > B": boundary,
        },
        index=[BASE, "genes 50"],
    )  # fmt: skip


@pytest.mark.parametrize(("turned", "level"), [(0.05, "green"), (0.1, "amber"), (0.3, "red")])
def test_cells_that_turn_round_in_a_sweep(turned, level):
    found = survives_sweep(sweep(turned))
    assert found.level == level
    assert f"At worst {turned:.0%} of the cells reverse, with genes 50 (1 run)." == found.evidence


def test_a_boundary_that_changes_its_sign_is_red():
    found = survives_sweep(sweep(0.0, boundary=(0.5, -0.1)))
    assert found.level == "red"
    assert "changes its sign for A > B" in found.evidence
    assert survives_sweep(sweep(0.0, boundary=(np.nan, -0.1))).level == "green"


@pytest.mark.parametrize("table", [None, sweep(0.0).iloc[:1], sweep(np.nan)])
def test_no_finished_sweep_is_not_checked(table):
    assert survives_sweep(table).level == "not checked"
