"""Streams and portraits of several runs: each run's own undecided cells are faded, and said."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from app.shared import cached
from app.shared.signal import VIEW_KEY
from deepvelo.io.runs import Run
from deepvelo.pl import theme
from tests.compared import copy_as
from tests.on_page import figures, kept_widgets, words
from tests.stored import undecide

PAGE = Path(__file__).resolve().parents[2] / "pages" / "compare.py"


@pytest.fixture
def opened(checked_run: Run, queue) -> Callable[[str], AppTest]:
    """A view of a run with undecided cells, beside one without: ``opened("Streams")``."""

    def open_view(view: str) -> AppTest:
        decided, undecided = (copy_as(checked_run, name=name) for name in ("decided", "half undecided"))
        undecide(cached.runs_folder() / undecided, 0.5)
        page = AppTest.from_file(str(PAGE), default_timeout=120)
        page.query_params["run"] = undecided
        page.session_state[VIEW_KEY] = view
        page.run()
        return next(box for box in page.multiselect if "Compare" in box.label).set_value([decided]).run()

    return open_view


def line_colors(figure: dict) -> set[str]:
    return {trace["line"]["color"] for trace in figure["data"] if trace["mode"] == "lines"}


def test_each_stream_is_faded_by_its_own_run(opened):
    page = opened("Streams")
    faded = [theme.faded_ink(dark=False) in line_colors(figure) for figure in figures(page)]
    assert faded == [True, False]
    assert "do not report" not in words(page)
    assert (
        words(page).count("**Faded arrows:** 50% of the cells, whose direction the data do not decide.") == 1
    )


def test_a_run_that_is_shown_no_more_is_not_held(opened, checked_run):
    page = opened("Streams")
    other = copy_as(checked_run, name="other")
    next(box for box in page.multiselect if "Compare" in box.label).set_value([other]).run()
    assert len(figures(page)) == 2
    assert len(kept_widgets(page, "compare.stream")) == 2


def test_arrows_that_no_fit_judged_are_not_taken_for_decided(opened, checked_run):
    del cached.open_run(checked_run.info.run_id).obs["direction_undecided"]
    page = opened("Streams")
    next(box for box in page.multiselect if "Compare" in box.label).set_value([checked_run.info.run_id]).run()
    assert "do not report undecided directions" in words(page)


def test_each_portrait_is_faded_by_its_own_run(opened):
    page = opened("Agreement")
    panels = [figure for figure in figures(page) if "xaxis2" in figure["layout"]]
    axes = {
        trace.get("xaxis")
        for figure in panels
        for trace in figure["data"]
        if trace["mode"] == "lines" and trace["line"]["color"] == theme.faded_ink(dark=False)
    }
    assert axes == {"x"}
    assert "**Faded arrows:** 50% of the cells in" in words(page)
