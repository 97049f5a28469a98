import numpy as np
import pytest

from deepvelo.pl.rates import RATE_TITLES, rate_violins

GROUPS = np.array(["a"] * 20 + ["b"] * 5)
COLORS = {"a": "#111111", "b": "#222222"}


@pytest.fixture
def rates():
    rng = np.random.default_rng(0)
    return {name: rng.uniform(0, 1, 25) for name in RATE_TITLES}


def test_one_row_a_rate_one_violin_a_group(rates):
    fig = rate_violins(rates, GROUPS, colors=COLORS)
    assert [axis.title.text for axis in fig.select_yaxes()] == list(RATE_TITLES.values())
    assert [(trace.name, len(trace.y)) for trace in fig.data] == [("a", 20), ("b", 5)] * 3
    assert {trace.name: trace.line.color for trace in fig.data} == COLORS
    np.testing.assert_allclose(fig.data[0].y, rates["alpha"][:20], rtol=1e-6)


def test_a_density_never_reaches_beyond_the_cells(rates):
    assert all(trace.spanmode == "hard" for trace in rate_violins(rates, GROUPS, colors=COLORS).data)


def test_few_cells_are_shown_one_by_one(rates):
    assert [trace.points for trace in rate_violins(rates, GROUPS, colors=COLORS).data[:2]] == [False, "all"]


def test_nan_cells_are_left_out(rates):
    rates["beta"][:] = np.nan
    fig = rate_violins(rates, GROUPS, colors=COLORS)
    assert [len(trace.y) for trace in fig.data] == [20, 5, 0, 0, 20, 5]
