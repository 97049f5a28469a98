"""A picture page on a made-up run, and what it draws."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

PAGES = Path(__file__).resolve().parents[2] / "pages"


@pytest.fixture
def opened(saved_run: str) -> Callable[[str], AppTest]:
    """Open a page on the made-up run and its gene Tmsb10: ``opened("phase_portraits")``."""

    def open_page(name: str) -> AppTest:
        app = AppTest.from_file(str(PAGES / f"{name}.py"), default_timeout=60)
        app.query_params.update(run=saved_run, gene="Tmsb10")
        return app

    return open_page


@pytest.fixture
def figures() -> Callable[[AppTest], list[dict]]:
    """The figures of a page that has drawn without a word of complaint."""

    def read(app: AppTest) -> list[dict]:
        assert not app.exception
        assert not app.error
        return [json.loads(chart.proto.spec) for chart in app.get("plotly_chart")]

    return read
