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
