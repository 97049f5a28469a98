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


def test_a_large_group_is_drawn_from_quantiles_with_the_same_box():
    values = np.random.default_rng(0).gamma(2.0, size=30_000).astype(np.float32)
    (violin,) = rate_violins({"beta": values}, ["a"] * len(values), colors={"a": "#111111"}).data
    assert len(violin.y) < len(values) / 10
    assert (violin.y.min(), violin.y.max()) == (values.min(), values.max())
    for share in (0.25, 0.5, 0.75):
        assert np.quantile(violin.y, share) == pytest.approx(np.quantile(values, share), rel=2e-3)
