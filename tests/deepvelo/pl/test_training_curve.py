import numpy as np
import pandas as pd

from deepvelo.pl.training_curve import training_curve

TERMS = ["continuity_future", "continuity_past", "pearson_u", "pearson_s", "direction", "total"]


def test_every_term_has_a_line_over_the_epochs():
    history = pd.DataFrame({"epoch": [1, 2, 3]} | {term: np.arange(3.0) + i for i, term in enumerate(TERMS)})
    fig = training_curve(history)
    drawn = sorted(tuple(trace.y) for trace in fig.data)
    assert drawn == sorted(tuple(history[term]) for term in TERMS)
    assert all(list(trace.x) == [1, 2, 3] for trace in fig.data)
    assert {axis.title.text for axis in fig.select_xaxes()} == {"epoch"}


def test_the_total_has_its_own_axis():
    history = pd.DataFrame({"epoch": [1, 2]} | {term: [1.0, 2.0] for term in TERMS})
    by_axis = {}
    for trace in training_curve(history).data:
        by_axis.setdefault(trace.yaxis, []).append(trace.name)
    assert sorted(map(len, by_axis.values())) == [1, 2, 3]


def test_the_first_epoch_is_a_visible_point():
    history = pd.DataFrame({"epoch": [1], "total": [3.0]})
    fig = training_curve(history)
    assert [(trace.mode, len(trace.x)) for trace in fig.data] == [("markers", 1)]


def test_a_term_that_was_added_to_the_loss_has_a_panel_of_its_own():
    history = pd.DataFrame({"epoch": [1, 2], "total": [2.0, 1.0], "smoothness": [0.5, 0.25]})
    fig = training_curve(history)
    (added,) = (trace for trace in fig.data if trace.name == "smoothness")
    assert list(added.y) == [0.5, 0.25]
    assert added.yaxis not in {trace.yaxis for trace in fig.data if trace is not added}
    assert "Other terms" in {note.text for note in fig.layout.annotations}
    assert "Other terms" not in {
        note.text for note in training_curve(history[["epoch", "total"]]).layout.annotations
    }
