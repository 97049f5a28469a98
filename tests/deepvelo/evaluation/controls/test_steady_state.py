"""A run beside its steady-state controls, on scores that are known."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from anndata import AnnData
from scipy import sparse

from deepvelo import keys
from deepvelo.evaluation.controls import beyond_steady_state, scores_of_run, steady_state_table


def row_of_cells(direction: float) -> AnnData:
    """Four cells in a row, A A B B, that all move along it, or back, in the embedding and in the one gene."""
    place = np.arange(4.0)[:, None]
    beside = np.abs(place - place.T) == 1
    return AnnData(
        obs=pd.DataFrame(
            {
                "groups": list("AABB"),
                keys.CONSISTENCY: [1, 1, 1, 0.6],
                keys.CONSISTENCY_CELLTYPE: [0.5, np.nan, 0.5, 0.5],
            },
            index=list("abcd"),
        ),
        layers={keys.VELOCITY: np.full((4, 1), direction), keys.MS: place},
        obsm={
            keys.X_UMAP: np.hstack([place, 0 * place]),
            keys.velocity_embedding("umap"): np.array([[direction, direction]] * 4),
        },
        obsp={keys.DISTANCES: sparse.csr_matrix(beside.astype(float))},
    )


def scores(direction: float) -> pd.Series:
    return scores_of_run(row_of_cells(direction), edges=[("A", "B")], cluster_key="groups", basis="umap")


def test_scores_are_means_over_the_cells():
    assert scores(1.0).to_dict() == pytest.approx(
        {
            "consistency, mean": 0.9,
            "consistency within cell types, mean": 0.5,
            "A > B, embedding": np.sqrt(0.5),
            "A > B, genes": 1,
        }
    )
    assert scores(-1.0)["A > B, genes"] == -1


def test_the_run_is_set_beside_the_range_of_the_controls():
    table = steady_state_table(scores(1.0), [scores(-1.0), scores(-1.0), scores(1.0)])
    genes = table.loc["A > B, genes"]
    assert genes[["run", "mean", "lowest", "highest", "as_high", "n"]].tolist() == pytest.approx(
        [1, -1 / 3, -1, 1, 1, 3]
    )
    assert genes["sd"] == pytest.approx(np.std([-1, -1, 1], ddof=1))


def test_a_score_that_a_control_lacks_counts_for_the_others_alone():
    without = scores(-1.0)
    without["A > B, genes"] = np.nan
    table = steady_state_table(scores(1.0), [without, scores(-1.0)])
    assert table.loc["A > B, genes", ["as_high", "n"]].tolist() == [0, 1]
    assert np.isnan(table.loc["A > B, genes", "sd"])
    alone = steady_state_table(scores(1.0), [without])
    assert (
        beyond_steady_state(alone)[0]
        == "The steady-state control does not reach 1 of 3 scores; the others prove no movement."
    )
    assert beyond_steady_state(alone.iloc[:0]) == []


def test_it_is_said_which_scores_steady_state_controls_do_not_reach():
    assert beyond_steady_state(steady_state_table(scores(1.0), [scores(-1.0)] * 4)) == [
        "The steady-state control does not reach 2 of 4 scores; the others prove no movement.",
        "A > B, embedding: 0.71; steady-state control at most −0.71 in 4 fits.",
        "A > B, genes: 1.00; steady-state control at most −1.00 in 4 fits.",
        "With 4 fits, chance alone gives such a result for about 1 score in 5.",
    ]
    assert beyond_steady_state(steady_state_table(scores(1.0), [scores(1.0)])) == [
        "The steady-state control reaches each of these 4 scores in some fit: none of them proves that cells move."
    ]
