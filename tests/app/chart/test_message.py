"""Messages to the browser, read back as the browser reads them."""

from __future__ import annotations

import json
import zlib

import numpy as np
import plotly.graph_objects as go
import pytest

from app.chart.message import Message, quantised, unpacked
from deepvelo.pl.embedding import scatter

N = 20_000


def sent(figure: go.Figure, known=(), **options) -> tuple[dict, dict[str, np.ndarray], bytes]:
    message = Message(known)
    packed = message.packed({"figure": message.figure(figure, **options)})
    return *unpacked(packed), packed


def coloured(values: np.ndarray) -> go.Figure:
    points = np.random.default_rng(0).normal(size=(len(values), 2))
    return scatter(points, values=values, value_title="Tmsb10")


def test_a_cell_keeps_its_coordinates_and_value_whatever_is_drawn_first():
    values = np.array([0.5, -3.0, 2.0, 0.0])
    figure = coloured(values)
    assert figure.data[0].customdata.tolist() != [0, 1, 2, 3]  # values near 0 are drawn first
    header, arrays, _ = sent(figure)
    (trace,) = header["figure"]["data"]
    x, rows, color = (
        arrays[part["$"]] for part in (trace["x"], trace["customdata"], trace["marker"]["color"])
    )
    assert rows.tolist() == [0, 1, 2, 3]
    assert trace["top"]
    np.testing.assert_allclose(color, values, atol=1e-4)
    order = np.argsort(figure.data[0].customdata)
    np.testing.assert_allclose(x, figure.data[0].x[order], atol=1e-4)


def test_a_new_gene_takes_less_than_four_bytes_a_cell():
    rng = np.random.default_rng(1)
    _, arrays, first = sent(coloured(rng.gamma(1, size=N)))
    _, _, second = sent(coloured(rng.gamma(1, size=N)), known=arrays)
    assert len(first) > 9 * N  # coordinates, rows and values
    assert len(second) < 2.5 * N


def test_the_same_figure_again_sends_no_array():
    figure = coloured(np.arange(100.0))
    header, arrays, _ = sent(figure)
    again, none, _ = sent(figure, known=arrays)
    assert none == {}
    assert again["figure"] == header["figure"]


@pytest.mark.parametrize("values", [np.array([1e-9, 1e9]), np.array([2.0, 2.0]), np.array([])])
def test_codes_are_as_fine_as_the_range_over_65534(values):
    array = quantised(values)
    back = array.low + (array.high - array.low) / 65534 * array.values
    assert np.abs(back - values).max(initial=0) <= (np.ptp(values) if len(values) else 0) / 65534


def test_a_missing_value_stays_missing():
    header, arrays, _ = sent(go.Figure(go.Scattergl(
        x=np.array([0.0, 1.0]), y=np.array([np.nan, 1.0]), customdata=np.array([0, 1]), mode="markers"
    )))  # fmt: skip
    y = arrays[header["figure"]["data"][0]["y"]["$"]]
    assert np.isnan(y).tolist() == [True, False]


def test_rows_are_those_of_the_run_where_the_figure_counts_its_own():
    header, arrays, _ = sent(coloured(np.arange(3.0)), rows=np.array([7, 2, 5]))
    trace = header["figure"]["data"][0]
    assert arrays[trace["customdata"]["$"]].tolist() == [2, 5, 7]
    np.testing.assert_allclose(arrays[trace["marker"]["color"]["$"]], [1, 2, 0], atol=1e-4)


def test_the_header_is_strict_json():
    figure = go.Figure(go.Heatmap(z=[[1.0, np.nan]], x=["a", "b"])).update_layout(xaxis_range=[0, np.inf])
    _, _, packed = sent(figure)
    length = int.from_bytes(packed[:4], "little")

    def refuse(name: str) -> None:
        pytest.fail(f"{name} is no JSON")

    header = json.loads(zlib.decompress(packed[4 : 4 + length]), parse_constant=refuse)
    assert header["figure"]["data"][0]["z"] == [[1.0, None]]
