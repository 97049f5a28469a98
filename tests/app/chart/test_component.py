"""A figure on a page: what is sent again, and what the browser asks for."""

from __future__ import annotations

import pytest
from streamlit.testing.v1 import AppTest

from app.chart import component
from app.chart.message import unpacked
from tests.on_page import fine, send


def page() -> None:
    import numpy as np
    import streamlit as st

    from app.shared import charts
    from deepvelo.pl.embedding import scatter

    points = np.arange(200.0).reshape(-1, 2)
    values = points[:, 0] * (2 if st.toggle("Other values") else -1)
    charts.show(scatter(points, values=values), key="map", alt="a map")


def sent(app: AppTest) -> list[str]:
    """Ids of the arrays in the message."""
    _, arrays = unpacked(app.get("bidi_component")[0].proto.bytes)
    return sorted(arrays)


def test_arrays_are_sent_once_and_again_when_the_browser_misses_them():
    app = fine(AppTest.from_function(page).run())
    first = sent(app)
    assert len(first) == 4  # x, y, rows, values
    assert sent(fine(app.run())) == []
    app.toggle[0].set_value(True).run()
    assert len(sent(fine(app))) == 1  # the values
    app.toggle[0].set_value(False).run()
    send(app, 0, "missing", first[:2])
    assert sent(fine(app)) == first[:2]


@pytest.mark.parametrize("value", [None, 3, "abc", [None, 7]])
def test_what_no_browser_asks_for_changes_nothing(value):
    app = fine(AppTest.from_function(page).run())
    assert sent(fine(send(app, 0, "missing", value))) == []


def test_our_script_and_plotlys_of_the_figures_version_are_there():
    assert (component._FOLDERS["chart"] / "chart.js").is_file()
    assert (component._FOLDERS["plotly"] / "plotly.min.js").stat().st_size > 1e6
