"""Every score on a few cells whose answer is worked out by hand."""

from __future__ import annotations

from dataclasses import fields, replace
from typing import Any

import numpy as np
import pandas as pd
import pytest
from anndata import AnnData
from scipy import sparse

from benchmarks import accuracy
from benchmarks import accuracy_scores as scores
from benchmarks.accuracy import (
    Plan,
    Row,
    calibration,
    make_case,
    measure,
    reversed_stretches,
    roots,
    score_confidence,
    score_directions,
    stage_edges,
    table,
    targets,
)
from benchmarks.accuracy_methods import Case
from deepvelo import keys
from deepvelo.config import Settings
from deepvelo.datasets.tissues import TISSUES

BOTH = np.array([True, True])


def test_cosine_of_equal_opposite_orthogonal_and_no_velocity():
    truth = np.array([[1.0, 2.0]] * 4)
    estimate = np.array([[2.0, 4.0], [-1.0, -2.0], [2.0, -1.0], [0.0, 0.0]])
    assert scores.cosines(estimate, truth, genes=BOTH).tolist() == pytest.approx([1, -1, 0, 0])


def test_cosine_leaves_out_resting_cells_and_unchosen_genes():
    truth, estimate = np.array([[0.0, 0.0], [3.0, 1.0]]), np.array([[1.0, 1.0], [-1.0, 5.0]])
    cosine = scores.cosines(estimate, truth, genes=np.array([True, False]))
    assert np.isnan(cosine[0])
    assert cosine[1] == -1


def test_a_gene_without_estimate_counts_as_no_velocity():
    cosine = scores.cosines(np.array([[1.0, np.nan]]), np.array([[1.0, 1.0]]), genes=BOTH)
    assert cosine.tolist() == pytest.approx([np.sqrt(0.5)])


def test_rounding_is_no_movement():
    alpha = np.array([[2.0, 1e-3]])
    assert scores.without_rounding(np.array([[1e-9, 1e-6]]), alpha).tolist() == [[0, 1e-6]]
    assert scores.moving_genes(np.array([[0.01, 1e-4]]), alpha).tolist() == [False, True]


def test_means_by_lineage_and_by_size_of_group():
    values = np.array([1.0] * 41 + [0.5, np.nan] + [-1.0] * 2)
    groups = np.array(["large"] * 41 + ["small"] * 2 + ["tiny"] * 2)
    assert scores.mean_by_group(values, groups) == {"large": 1.0, "small": 0.5, "tiny": -1.0}
    assert scores.small_and_large(values, groups) == pytest.approx((-0.5, 1.0))


def test_rank_is_the_mean_over_genes_that_differ_between_cells():
    truth = np.array([[0.0, 1, 5], [1, 2, 5], [2, 3, 5]])
    estimate = np.array([[1.0, 9, 1], [10, 8, 2], [1000, 7, 3]])
    genes = np.ones(3, dtype=bool)
    assert scores.rank_correlation(estimate, truth, genes=genes) == pytest.approx(0)
    assert scores.rank_correlation(estimate, truth, genes=genes & [True, False, True]) == pytest.approx(1)
    constant = np.ones((3, 3))
    assert scores.rank_correlation(constant, truth, genes=genes) == 0


def test_signs_count_where_a_gene_is_not_slow():
    truth = np.array([[10.0, -1.0], [0.4, -1.0], [-2.0, 0.0], [5.0, 1.0]])
    estimate = np.array([[1.0, -9.0], [-1.0, np.nan], [1.0, 7.0], [0.0, 1.0]])
    # right: 10, -1, 1; wrong: nothing said of -1, -2 taken for rising, 5 taken for rest; 0.4 and 0 are slow
    assert scores.right_signs(estimate, truth, genes=BOTH) == pytest.approx(3 / 6)


def test_boundary_is_the_cosine_with_the_way_across():
    spliced = np.array([[0.0, 0], [0, 0], [1, 0], [0, 1], [5, 5]])
    groups = np.array(["A", "A", "B", "B", "A"])
    # cell 0 sees one neighbour along its velocity and one across it, cell 1 only one against; cell 4 sees none
    neighbors = sparse.csr_matrix(([1.0] * 4, ([0, 0, 1, 4], [2, 3, 2, 0])), shape=(5, 5))
    velocity = np.array([[3.0, 0], [-1, 0], [0, 0], [0, 0], [1, 1]])
    found = scores.boundary_correctness(
        velocity, spliced, neighbors, groups, edges=[("A", "B"), ("B", "A")], genes=BOTH
    )
    assert found == pytest.approx((0.5 - 1) / 2)


def test_group_rates_weigh_by_the_rna_they_act_on():
    beta, gamma = np.array([[1.0], [3.0], [2.0]]), np.array([[4.0], [4.0], [-1.0]])
    unspliced, spliced = np.array([[3.0], [1.0], [1.0]]), np.ones((3, 1))
    found = scores.group_log_ratios(beta, gamma, unspliced, spliced, groups=np.array(["a", "a", "b"]))
    assert found[0, 0] == pytest.approx(np.log(4 / 1.5))
    assert np.isnan(found[1, 0])


def test_differences_between_lineages_are_correlated_over_genes():
    truth = np.array([[0.0, 1, 2, 3], [0, 0, 0, 0]])
    assert scores.difference_correlation(2 * truth + 5, truth) == pytest.approx(1)
    assert scores.difference_correlation(-truth, truth) == pytest.approx(-1)
    assert np.isnan(scores.difference_correlation(truth, np.zeros((2, 4))))
    unknown = truth.copy()
    unknown[0, 3] = np.nan
    assert scores.difference_correlation(unknown, truth) == pytest.approx(1)


def test_area_under_the_curve_is_the_share_of_pairs_in_order():
    label = np.array([True, False, True, False, False])
    assert scores.area_under_curve(np.array([3.0, 1.0, 2.0, 2.5, np.nan]), label) == pytest.approx(3 / 4)
    assert np.isnan(scores.area_under_curve(np.arange(5.0), np.zeros(5, dtype=bool)))


def test_agreement_of_ranks_within_groups():
    x, y = np.array([1.0, 2, 3, 7, 8, 9]), np.array([10.0, 20, 300, 3, 2, 1])
    assert scores.rank_agreement(x[:3], y[:3]) == pytest.approx(1)
    assert scores.mean_rank_agreement(x, y, groups=np.repeat(["a", "b"], 3)) == pytest.approx(0)
    assert np.isnan(scores.rank_agreement(x, np.ones(6)))


def test_edges_follow_lineages_branches_and_the_cycle():
    assert stage_edges(TISSUES["branch"]) == [
        ("Root", "Early A"), ("Early A", "Tip A"), ("Root", "Early B"), ("Early B", "Tip B"),
    ]  # fmt: skip
    assert stage_edges(TISSUES["cycle"]) == [("G1", "S"), ("S", "G2"), ("G2", "M"), ("M", "G1")]
    assert stage_edges(TISSUES["static"]) == []
    assert roots(TISSUES["branch"]) == {"Root": "Root", "Branch A": "Root", "Branch B": "Root"}


@pytest.fixture(scope="module")
def rows() -> dict[str, Row]:
    plan = Plan("linear", "deep", 0, 300, 100, ("steady_state", "true_rates", "true_velocity"))
    return {row.method: row for row in measure(plan)}


@pytest.mark.slow
def test_the_truth_scores_as_true(rows):
    truth = rows["true_velocity"]
    assert truth.n_genes_own > truth.n_genes_shared > 0
    assert truth.cosine_own > 0.6
    assert truth.sign_own > 0.9
    assert truth.cosine_own > rows["steady_state"].cosine_own
    assert truth.cosine_shared > rows["true_rates"].cosine_shared
    assert truth.pseudotime > 0.8
    assert truth.moving == 1
    assert truth.below_zero < 0.05
    assert {len(means) for means in truth.by_tenth.values()} == {10}
    assert truth.stretches == 0
    assert truth.boundary_own > 0
    assert not truth.reversed
    assert np.isnan(truth.gamma)  # one lineage has no other to differ from
    assert -1 <= rows["steady_state"].confidence <= 1


@pytest.mark.slow
def test_true_rates_are_found_to_differ_where_they_do():
    (row,) = measure(Plan("branch_rates", "deep", 0, 300, 100, ("true_rates",)))
    assert row.gamma == pytest.approx(1, abs=1e-3)
    assert row.auc > 0.9
    assert set(row.cosine_by_lineage) == {"Root", "Branch A", "Branch B"}


@pytest.mark.slow
def test_on_still_tissue_only_confidence_and_consistency_are_scored():
    (row,) = measure(Plan("static", "deep", 0, 150, 60, ("steady_state",)))
    for name in ("cosine_own", "sign_own", "rank_own", "boundary_own", "pseudotime", "confidence"):
        assert np.isnan(getattr(row, name))
    assert 0 < row.mean_confidence < 1
    assert not row.reversed


def made_up_rows() -> pd.DataFrame:
    cosines = {"default": 0.8, "true_velocity": 1.0, "steady_state": 0.9, "stochastic+smooth": 0.5}
    cosines |= {"graphvelo+smooth": 0.6}
    base = {
        f"{score}_{genes}": 0.5
        for score in ("cosine", "sign", "rank", "boundary")
        for genes in ("own", "shared")
    }
    return pd.DataFrame(
        [
            base | {"kind": "linear", "depth": "deep", "seed": seed, "method": name, "reversed": seed == 1}
            | {"cosine_own": value + 0.1 * (seed - 0.5), "seconds": 1.0, "worst_type": f"Stage {seed}"}
            | {"worst_cosine": value - 0.1 * seed, "max_confidence": 0.4 + 0.2 * seed, "undecided": 0.1 * seed}
            | {"below_zero_decided": 0.04 * seed, "stretches_decided": 1}
            for name, value in cosines.items()
            for seed in (0, 1)
        ]
    )  # fmt: skip


def test_targets_compare_with_the_truth_and_with_scvelo():
    (found,) = targets(made_up_rows()).to_dict("records")
    assert found["share"] == pytest.approx(0.8)
    assert found["target"] == 0.93
    assert targets(made_up_rows().assign(kind="batches"))["target"].tolist() == [0.88]
    assert found["over_smoothed"] == pytest.approx(0.3)
    assert found["over_peers"] == pytest.approx(0.2)
    assert found["over_cosine_own"] == pytest.approx(-0.1)
    assert found["reversed"] == 1
    assert found["stretches_decided"] == 2
    assert found["below_zero_decided"] == pytest.approx(0.02)
    assert found["undecided"] == pytest.approx(0.05)


def test_the_table_gives_mean_spread_and_number_reversed():
    shown = table(made_up_rows(), ("cosine_own", "reversed", "seconds"))
    assert list(shown.index) == [
        "default", "true_velocity", "steady_state", "stochastic+smooth", "graphvelo+smooth",
    ]  # fmt: skip
    assert shown.loc["default"].tolist() == ["0.80±0.07", "1", "1.0"]


def test_the_table_gives_the_extreme_of_the_seeds_where_a_mean_would_hide_it():
    shown = table(made_up_rows(), ("worst_type", "max_confidence", "stretches_decided"))
    assert shown.loc["default"].tolist() == ["Stage 1 0.70", "0.60", "2"]


def stretch(cell_type: str, first: int, last: int) -> dict[str, Any]:
    return {
        "cell_type": cell_type,
        "first": first,
        "last": last,
        "cells": 20 * (last - first + 1),
        "cosine": -0.5,
    }


def test_a_reversed_stretch_is_new_unless_it_is_a_known_one_give_or_take_a_tenth():
    known_stretches = (("branch", 0, "Tip A", 3, 5),)
    base = {"kind": "branch", "depth": "deep", "seed": 0, "method": "default"}
    known, other = [stretch("Tip A", 2, 6)], [stretch("Tip B", 3, 5)]
    rows = [base | {"reversed_stretches": known}, base | {"method": "dynamical", "reversed_stretches": other}]
    assert reversed_stretches(pd.DataFrame(rows), known=known_stretches) == []
    assert len(reversed_stretches(pd.DataFrame(rows))) == 1
    rows.append(base | {"seed": 1, "reversed_stretches": [stretch("Tip A", 3, 5)]})
    rows.append(base | {"reversed_stretches": [*known, stretch("Tip A", 5, 7)]})
    assert reversed_stretches(pd.DataFrame(rows), known=known_stretches) == [
        "branch, deep, seed 1: tenths 3 to 5 of Tip A (60 cells) point backwards, mean cosine -0.50.",
        "branch, deep, seed 0: tenths 5 to 7 of Tip A (60 cells) point backwards, mean cosine -0.50.",
    ]


def test_calibration_is_pooled_over_data_sets_method_by_method():
    def counted(right: int) -> dict[str, list[float]]:
        return {"cells": [0] * 9 + [10], "confidence": [0.0] * 9 + [9.0], "right": [0] * 9 + [right]}

    found = [
        ("default", counted(10)),
        ("default", counted(6)),
        ("published", counted(9)),
        ("stochastic", None),
    ]
    pooled = calibration(pd.DataFrame(found, columns=["method", "reliability"]))
    assert list(pooled) == ["default", "published"]
    assert pooled["default"].error == pytest.approx(abs(16 - 18) / 20)
    assert pooled["published"].error == 0


def line_of_cells(backwards: int, *, resting: int = 0) -> tuple[AnnData, Case, np.ndarray]:
    """200 cells of one type by time, of which the first that many have a velocity that is exactly wrong."""
    velocity, cells = np.ones((200, 2)), [f"cell {i}" for i in range(200)]
    velocity[200 - resting :] = 0
    adata = AnnData(np.ones((200, 2)), obs=pd.DataFrame({keys.CLUSTERS: ["Type"] * 200}, index=cells))
    adata.obs[keys.TRUE_TIME], adata.obs[keys.TRUE_SIZE], adata.uns[keys.CAPTURE] = np.arange(200.0), 1.0, 1.0
    adata.layers[keys.TRUE_VELOCITY], adata.layers[keys.TRUE_ALPHA] = velocity, np.ones((200, 2))
    cosine = np.where(np.arange(200) < backwards, -1.0, 1.0)
    cosine[200 - resting :] = np.nan
    return adata.copy(), Case(adata, adata, Settings()), cosine


def test_directions_are_counted_with_and_without_undecided_cells():
    fitted, case, cosine = line_of_cells(50)
    found = score_directions(fitted, case, cosine)
    assert found["below_zero"] == found["below_zero_decided"] == 0.25
    assert found["by_tenth"] == {"Type": [-1, -1, 0, *[1] * 7]}
    assert (found["stretches"], found["stretch_share"]) == (1, 0.2)
    assert np.isnan(found["undecided"])  # not stated
    fitted.obs[keys.UNDECIDED] = np.arange(200) < 30
    found = score_directions(fitted, case, cosine)
    assert found["undecided"] == 0.15
    assert found["below_zero"] == 0.25
    assert found["below_zero_decided"] == pytest.approx(20 / 170)
    assert found["cosine_decided"] == pytest.approx(130 / 170)
    assert (found["stretches"], found["stretches_decided"]) == (
        1,
        0,
    )  # 10 cells of the second tenth are decided


def test_undecided_cells_are_counted_among_moving_ones_or_where_none_moves_among_all():
    fitted, case, cosine = line_of_cells(0, resting=100)
    fitted.obs[keys.UNDECIDED] = np.arange(200) >= 75
    found = score_directions(fitted, case, cosine)
    assert (found["moving"], found["undecided"]) == (0.5, 0.25)
    fitted, case, cosine = line_of_cells(0, resting=200)
    fitted.obs[keys.UNDECIDED] = np.arange(200) >= 75
    found = score_directions(fitted, case, cosine)
    assert (found["moving"], found["undecided"]) == (0, 0.625)
    assert found["worst_type"] is None


def test_confidence_is_scored_as_a_probability_over_moving_cells():
    fitted, case, cosine = line_of_cells(50, resting=40)
    assert score_confidence(fitted, case, cosine, method="true_velocity")["reliability"] is None
    fitted.obs[keys.CONFIDENCE] = np.where(np.arange(200) < 40, 0.5, 0.9)
    fitted.obs.loc[fitted.obs_names[-1], keys.CONFIDENCE] = 0.99  # at rest
    found = score_confidence(fitted, case, cosine, method="default")
    assert found["sure"] == 160 / 200
    assert found["sure_right"] == pytest.approx(110 / 120)
    assert found["max_confidence"] == 0.99
    assert found["calibration_error"] == pytest.approx((abs(0 - 20) + abs(110 - 108)) / 160)
    assert found["confidence"] > 0.5


@pytest.mark.slow
def test_depth_droplet_has_the_counts_of_10x_in_fewer_genes():
    plan = Plan("branch", "droplet", 0, 100, 400, ())
    droplet, even = (make_case(replace(plan, depth=depth)).truth for depth in ("droplet", "10x"))
    of_genes = [np.sort(counts.layers[keys.SPLICED].sum(axis=0).A1) for counts in (droplet, even)]
    of_most = [counts[-40:].sum() / counts.sum() for counts in of_genes]
    assert of_most[0] > of_most[1] + 0.05
    assert of_genes[0].sum() == pytest.approx(of_genes[1].sum(), rel=0.2)
    assert droplet.uns[keys.SIMULATION]["profile"] == "droplet"


@pytest.mark.parametrize(("known", "code"), [((("branch", 0, "Tip A", 1, 10),), 0), ((), 1)])
def test_quick_fails_on_a_new_reversed_stretch(monkeypatch, capsys, known, code):
    row = {field.name: 1 for field in fields(Row)} | {"kind": "branch", "depth": "deep", "seed": 0}
    row |= {"method": "default", "reliability": None, "reversed_stretches": [stretch("Tip A", 4, 5)]}
    monkeypatch.setattr(accuracy, "run", lambda *args, **kwargs: pd.DataFrame([row]))
    monkeypatch.setattr(accuracy, "KNOWN_STRETCHES", known)
    monkeypatch.setattr("sys.argv", ["accuracy.py", "--quick"])
    if code == 0:
        accuracy.main()
    else:
        with pytest.raises(SystemExit, match=r"^branch, deep, seed 0: tenths 4 to 5 of Tip A \(40 cells\)"):
            accuracy.main()
    assert "branch, deep; 1 seeds" in capsys.readouterr().out
