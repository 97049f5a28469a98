import pandas as pd

from app.compare.table import COLUMNS, better_in_words, marked, meaning
from deepvelo.evaluation.compare import SCORES

NAN = float("nan")


def table(**columns: list[float]) -> pd.DataFrame:
    return pd.DataFrame(columns, index=["DeepVelo", "scVelo stochastic", "scVelo dynamical"])


def test_the_best_of_a_score_is_marked_whoever_it_belongs_to():
    shown = marked(table(consistency_median=[0.5, 0.91234, -0.2], seconds=[10, 0.2, 1000]))
    assert shown["consistency_median"].tolist() == ["0.500", "★ 0.912", "−0.200"]
    assert shown["seconds"].tolist() == ["10.00", "★ 0.20", "1,000.00"]


def test_what_reads_the_same_is_marked_the_same():
    shown = marked(table(coherence_median=[0.90001, 0.89999, 0.8]))
    assert shown["coherence_median"].tolist() == ["★ 0.900", "★ 0.900", "0.800"]


def test_absent_scores_are_a_dash_and_what_stands_alone_is_not_the_best():
    shown = marked(table(boundary_genes=[NAN, 0.1, NAN], consistency_median=[NAN, NAN, NAN]))
    assert shown["boundary_genes"].tolist() == ["–", "0.100", "–"]
    assert shown["consistency_median"].tolist() == ["–"] * 3


def test_what_is_not_ranked_has_no_best():
    scores = table(consistency_median=[0.5, 0.9, 0.4], boundary_genes=[0.1, 0.3, 0.2])
    shown = marked(scores, unranked=["consistency_median"])
    assert shown["consistency_median"].tolist() == ["0.500", "0.900", "0.400"]
    assert shown["boundary_genes"].tolist() == ["0.100", "★ 0.300", "0.200"]
    words = better_in_words(scores, unranked=["consistency_median"])
    assert words.endswith("**scVelo stochastic** in CBDir (genes); **scVelo dynamical** in CBDir (genes).")


def test_more_genes_are_not_better():
    shown = marked(table(n_velocity_genes=[500, 100, 1200]))
    assert shown["n_velocity_genes"].tolist() == ["500", "100", "1,200"]


def test_boundaries_of_one_edge_count_as_scores():
    shown = marked(table(**{"boundary_genes: A > B": [0.1, 0.2, -0.3]}))
    assert shown.iloc[:, 0].tolist() == ["0.100", "★ 0.200", "−0.300"]


def test_who_is_better_than_the_first_is_said():
    words = better_in_words(table(consistency_median=[0.5, 0.9, 0.4], seconds=[10, 0.2, 1000]))
    assert words.endswith("Better than **DeepVelo**: **scVelo stochastic** in Consistency, Seconds.")


def test_none_better_and_nothing_to_compare_with_are_said():
    best = table(consistency_median=[0.9, 0.4, NAN])
    assert "No other method is better than **DeepVelo**" in better_in_words(best)
    assert "Only one run" in better_in_words(best.iloc[:1])


def test_every_column_has_a_meaning():
    for column in COLUMNS:
        words = meaning(column)
        assert words.endswith(".")
        assert any(text[1:] in words for text in SCORES.values())
