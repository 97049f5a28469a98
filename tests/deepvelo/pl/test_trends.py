import numpy as np
import pandas as pd
import pytest

from deepvelo.pl.trends import QUANTITY_TITLES, trend_grid

TIME = np.linspace(0.1, 0.9, 5)
CURVE = pd.DataFrame({"time": TIME, "mean": TIME, "low": TIME - 0.1, "high": TIME + 0.1})
CURVES = {
    "Cpe": {"expression": CURVE, "alpha": 2 * CURVE, "gamma": CURVE},
    "Sox2": {"expression": CURVE, "alpha": CURVE.iloc[:0]},
}


@pytest.fixture
def fig():
    return trend_grid(CURVES, color="#0072B2")


def test_one_column_a_gene_one_row_a_quantity_that_is_there(fig):
    assert [note.text for note in fig.layout.annotations][:2] == ["<b>Cpe</b>", "<b>Sox2</b>"]
    titles = {axis.title.text for axis in fig.select_yaxes() if axis.title.text}
    assert titles == {QUANTITY_TITLES[name] for name in ("expression", "alpha", "gamma")}


def test_line_lies_over_a_band_from_low_to_high(fig):
    band, mean = fig.data[:2]
    np.testing.assert_allclose(mean.y, CURVE["mean"], rtol=1e-6)
    assert band.fill == "toself"
    np.testing.assert_allclose(sorted(band.y), sorted([*CURVE["low"], *CURVE["high"]]), rtol=1e-6)
    assert mean.line.color == "#0072B2"


def test_a_dark_colour_is_drawn_paler_on_a_dark_page_and_as_it_is_on_a_light_one():
    on_dark, on_light = (
        trend_grid(CURVES, color="#000080", dark=dark).data[1].line.color for dark in (True, False)
    )
    assert on_light == "#000080"
    assert int(on_dark[1:3], 16) > 0x40


def test_missing_quantities_say_so(fig):
    assert [note.text for note in fig.layout.annotations].count("no value") == 2
    assert len(fig.data) == 2 * 4


def test_legend_names_line_and_band_once(fig):
    assert [trace.name for trace in fig.data if trace.showlegend] == ["80% of cells", "mean"]


def test_all_panels_have_the_lineages_time(fig):
    assert {tuple(axis.range) for axis in fig.select_xaxes()} == {(0.1, 1.8)}


def test_nothing_known_is_still_a_figure():
    fig = trend_grid({"Cpe": {"expression": CURVE.iloc[:0]}}, color="#0072B2")
    assert "no value" in [note.text for note in fig.layout.annotations]
