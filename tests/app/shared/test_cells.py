"""A picture of more cells than are drawn says so, and is the same on every page."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from streamlit.testing.v1 import AppTest

from app.shared import cached
from app.shared.cells import drawn_in_words, group_names
from deepvelo import keys
from deepvelo.pl import thinning
from tests.on_page import figures, fine, words

PAGES = Path(__file__).resolve().parents[3] / "pages"
N_CELLS, MOST = 40, 12
CAPTION = f"{MOST} of {N_CELLS} cells drawn"


@pytest.fixture
def few_drawn(saved_run: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """Id of the made-up run on a server that draws few cells."""
    choose = thinning.drawn_cells
    monkeypatch.setattr(thinning, "MOST_DRAWN", MOST)
    monkeypatch.setattr(
        thinning, "drawn_cells", lambda points, groups=None: choose(points, groups, most=MOST)
    )
    cached._drawn_cells.clear()
    yield saved_run
    cached._drawn_cells.clear()


def opened(page: str, run_id: str, **query: str) -> AppTest:
    app = AppTest.from_file(str(PAGES / f"{page}.py"), default_timeout=60)
    app.query_params.update(run=run_id, **query)
    return fine(app.run())


def rows(app: AppTest) -> list[set[int]]:
    """Cells in every picture of the page that shows single ones."""
    found = []
    for figure in figures(app):
        cells = [trace["customdata"] for trace in figure["data"] if trace.get("cells")]
        if cells:
            found.append(set(np.concatenate(cells).tolist()))
    return found


def test_every_page_and_colour_draws_the_same_cells_and_says_how_many(few_drawn: str):
    expected = set(cached.drawn_cells(few_drawn).tolist())
    assert len(expected) == MOST
    for page, query in (
        ("velocity", {}),
        ("velocity", {"color": keys.PSEUDOTIME}),
        ("phase_portraits", {"gene": "Cpe"}),
        ("kinetic_rates", {"gene": "Cpe"}),
    ):
        app = opened(page, few_drawn, **query)
        pictures = rows(app)
        assert pictures
        assert all(picture == expected for picture in pictures), page
        assert CAPTION in words(app), page


def test_where_all_are_drawn_nothing_is_said(saved_run: str):
    app = opened("velocity", saved_run)
    assert rows(app) == [set(range(N_CELLS))]
    assert "cells drawn" not in words(app)


def test_in_words():
    assert drawn_in_words(20_000, 100_000).startswith("20,000 of 100,000 cells drawn")
    assert drawn_in_words(40, 40) == ""


def test_group_names_are_text_and_missing_ones_too():
    names = group_names(pd.Series(pd.Categorical([2, None, 10])))
    assert names.tolist() == ["2", "unassigned", "10"]
