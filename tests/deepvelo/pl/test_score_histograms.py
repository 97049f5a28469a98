import numpy as np
import pytest

from deepvelo.pl.score_histograms import N_BINS, score_histogram

COLORS = {"ours": "#0072B2", "theirs": "#E69F00"}


def draw(scores: dict[str, np.ndarray]):
    medians = {
        name: float(np.nanmedian(values)) for name, values in scores.items() if np.isfinite(values).any()
    }
    return score_histogram(
        scores, {name: medians.get(name, np.nan) for name in scores}, colors=COLORS, title="cosine"
    )


def outlines(fig) -> dict:
    return {trace.name.partition(",")[0]: trace for trace in fig.data if trace.fill == "tozeroy"}


def medians(fig) -> dict:
    return {trace.name: trace for trace in fig.data if trace.line.dash == "dash"}


def test_shares_of_cells_add_up_to_one_in_the_same_bins():
    rng = np.random.default_rng(0)
    drawn = outlines(draw({"ours": rng.uniform(-0.5, 1, 500), "theirs": rng.uniform(0.2, 0.9, 50)}))
    for trace in drawn.values():
        assert sum(trace.y[:-1]) == pytest.approx(1)
        assert len(trace.x) == N_BINS + 1
    assert list(drawn["ours"].x) == list(drawn["theirs"].x)
    assert (drawn["ours"].x[0], drawn["ours"].x[-1]) == (-0.5, 1)


def test_each_method_has_its_color_and_a_line_at_its_median():
    fig = draw({"ours": np.array([0.1, 0.5, 0.9]), "theirs": np.array([0.2, 0.2, 0.3])})
    for name, color in COLORS.items():
        assert outlines(fig)[name].line.color == medians(fig)[name].line.color == color
    assert list(medians(fig)["ours"].x) == [0.5, 0.5]
    assert outlines(fig)["theirs"].name == "theirs, median 0.200"


def test_cells_without_a_score_are_left_out_and_so_is_a_method_without_any():
    fig = draw({"ours": np.array([np.nan, 0.5, 0.5, np.nan]), "theirs": np.full(4, np.nan)})
    assert list(outlines(fig)) == list(medians(fig)) == ["ours"]
    assert max(outlines(fig)["ours"].y) == 1


def test_no_scores_at_all_is_an_empty_figure():
    assert not draw({"ours": np.full(3, np.nan)}).data


def test_cosines_of_one_by_a_hair_are_counted():
    fig = draw({"ours": np.array([1.0, 1.0000002, 1.0], dtype=np.float32)})
    assert sum(outlines(fig)["ours"].y[:-1]) == pytest.approx(1)
