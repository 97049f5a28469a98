"""The table of scores on velocity fields whose answer is known."""

from __future__ import annotations

import numpy as np
import pytest

from deepvelo import keys
from deepvelo.errors import InputError
from deepvelo.evaluation.compare import compare, definition, match

EDGES = [("A", "B")]
RIGHT, LEFT, UP = [1.0, 0, 0, 0], [-1.0, 0, 0, 0], [0, 1.0, 0, 0]


def row(*results, edges=EDGES, **names):
    return compare(match(names or {"a": results[0]}), edges=edges).table.iloc[0]


def test_all_parallel(fitted):
    found = row(fitted())
    for score in ("consistency", "consistency_celltype", "coherence"):
        assert found[[f"{score}_median", f"{score}_mean"]].tolist() == pytest.approx([1, 1])
    for score in ("boundary_embedding", "boundary_genes"):
        assert found[[score, f"{score}: A > B"]].tolist() == pytest.approx([1, 1])
    assert found[["n_velocity_genes", "seconds", "peak_memory_mb"]].tolist() == [4, 2.5, 300]


def test_neighbours_opposite(fitted, field):
    found = row(fitted(field(RIGHT, LEFT)))
    assert found["consistency_mean"] == pytest.approx(-1)
    assert found["coherence_mean"] == pytest.approx(-1)
    assert found["consistency_celltype_mean"] == pytest.approx(-1 / 3)  # two of the three others are opposite
    assert found["boundary_genes"] == pytest.approx(-1)  # the cell at the boundary goes left


def test_neighbours_orthogonal(fitted, field):
    found = row(fitted(field(RIGHT, UP)))
    assert found["consistency_mean"] == pytest.approx(0)
    assert found["coherence_mean"] == pytest.approx(0)
    assert found["consistency_celltype_mean"] == pytest.approx(1 / 3)
    assert found[["boundary_embedding", "boundary_genes"]].tolist() == pytest.approx([0, 0])


def test_one_gene_without_velocity(fitted, field):
    velocity = field(RIGHT)
    velocity[:, 3] = np.nan
    found = row(fitted(velocity))
    assert found["n_velocity_genes"] == 3
    assert found[["consistency_mean", "boundary_genes"]].tolist() == pytest.approx([1, 1])


def test_a_group_of_one_cell_has_no_score(fitted):
    comparison = compare(match({"a": fitted()}), edges=[("A", "B"), ("B", "C")])
    alone = comparison.cells["a"].loc["cell8"]
    assert alone["consistency"] == pytest.approx(1)
    assert alone[["consistency_celltype", "coherence"]].isna().all()
    found = comparison.table.loc["a"]
    assert np.isnan(found["boundary_genes: B > C"])
    assert found["boundary_genes"] == pytest.approx(1)  # the mean of the edges that have a score
    assert "The boundary B > C has no score: group C has one cell." in comparison.warnings


def test_an_edge_without_neighbours_across_has_no_score(fitted):
    split = fitted()
    split.obs[keys.CLUSTERS] = list("AAAABBCCC")
    comparison = compare(match({"a": split}), edges=[("A", "C")])
    assert np.isnan(comparison.table.loc["a", "boundary_genes"])
    assert any("no source cell has a neighbour" in warning for warning in comparison.warnings)


def test_unknown_groups_are_one_sentence_with_the_known_ones(fitted):
    with pytest.raises(InputError, match=r"no group 'D'\. Found 'A', 'B', 'C'\. Choose"):
        compare(match({"a": fitted()}), edges=[("A", "D")])


def test_without_edges_there_are_no_boundary_scores(fitted):
    comparison = compare(match({"a": fitted()}))
    assert not any(column.startswith("boundary") for column in comparison.table)
    assert any("No edges" in warning for warning in comparison.warnings)


def test_a_method_that_stands_still_has_no_scores_and_the_others_go_on(fitted, field):
    still, nothing = fitted(field([0.0, 0, 0, 0])), fitted(field([np.nan] * 4))
    results = {"still": still, "a": fitted(), "nothing": nothing, "b": fitted(field(LEFT))}
    comparison = compare(match(results), edges=EDGES)
    for name in ("still", "nothing"):
        scores = comparison.table.loc[name].drop(["n_velocity_genes", "seconds", "peak_memory_mb"])
        assert scores.isna().all()
        assert sum(f"All velocities of {name} are zero or missing" in w for w in comparison.warnings) == 1
    assert comparison.table.loc["a", "boundary_embedding"] == pytest.approx(1)
    assert comparison.table.loc["b", "boundary_embedding"] == pytest.approx(-1)
    assert comparison.agreement.tolist() == pytest.approx([-1] * 9)
    assert {frozenset(pair) for pair in zip(comparison.tests["a"], comparison.tests["b"], strict=True)} == {
        frozenset(["a", "b"])
    }


def test_pairs_of_methods_are_tested(fitted, field):
    comparison = compare(match({"a": fitted(), "b": fitted(field(RIGHT, LEFT))}), edges=EDGES)
    tests = comparison.tests.set_index("score")
    assert list(tests.index) == [
        "consistency", "consistency_celltype", "coherence", "boundary_embedding", "boundary_genes",
    ]  # fmt: skip
    assert tests.loc["consistency", ["a", "b", "effect", "u"]].tolist() == ["a", "b", 1, 81]
    assert tests.loc["consistency", "p"] < 0.001
    assert tests.loc["boundary_genes", "p"] == 1  # one cell against one


def test_a_cell_with_two_targets_counts_once(fitted):
    split = fitted()
    split.obs[keys.CLUSTERS] = list("AABBCCAAA")  # cell 4 of C goes right, to B behind it and to A before it
    comparison = compare(match({"a": split}), edges=[("C", "B"), ("C", "A")])
    assert comparison.table.loc["a", "boundary_genes: C > B"] == pytest.approx(-1)
    assert comparison.table.loc["a", "boundary_genes: C > A"] == pytest.approx(1)
    assert comparison.table.loc["a", "boundary_genes"] == pytest.approx(0)
    assert comparison.cells["a"]["boundary_genes"].dropna().tolist() == pytest.approx([-1, 1])


def test_smoothing_raises_the_consistency_of_noise(fitted):
    noise = fitted(np.random.default_rng(0).normal(size=(9, 4)))
    matched = match({"a": noise})
    found = [compare(matched.smoothed(n), edges=EDGES).table["consistency_mean"].iloc[0] for n in range(3)]
    assert found[0] < found[1] < found[2]


def test_arrows_are_made_anew_from_smoothed_velocities(fitted, field):
    right = compare(match({"a": fitted()}).smoothed(1), edges=EDGES)
    left = compare(match({"a": fitted(field(LEFT))}).smoothed(1), edges=EDGES)
    assert right.table["boundary_embedding"].iloc[0] == pytest.approx(1)
    assert left.table["boundary_embedding"].iloc[0] == pytest.approx(-1)
    assert right.smooth == 1


def test_one_velocity_gene_is_scored_over_genes_but_has_no_arrows(fitted, field):
    nan = float("nan")
    found = compare(match({"a": fitted(field([2.0, nan, nan, nan]))}).smoothed(1), edges=EDGES).table.iloc[0]
    assert found[["n_velocity_genes", "consistency_mean", "boundary_genes"]].tolist() == pytest.approx(
        [1, 1, 1]
    )
    assert np.isnan(found["boundary_embedding"])


def test_every_column_has_a_definition(fitted):
    comparison = compare(match({"a": fitted()}), edges=EDGES)
    assert all(definition(column) for column in comparison.table)
