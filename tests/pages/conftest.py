"""A picture page on a made-up run, and what it draws."""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest
import streamlit as st
from streamlit.testing.v1 import AppTest
from streamlit.web.server.starlette.starlette_app_utils import generate_xsrf_token_string

from app.shared import cached
from deepvelo.io.runs import Run, RunStore
from tests.checked import save_checked
from tests.queued import Queue

PAGES = Path(__file__).resolve().parents[2] / "pages"


@pytest.fixture
def opened(shared_run: str) -> Callable[[str], AppTest]:
    """Open a page on the made-up run and its gene Tmsb10: ``opened("phase_portraits")``.

    It is the run of `saved_run` where a test asks for that: both have one name.
    """

    def open_page(name: str) -> AppTest:
        app = AppTest.from_file(str(PAGES / f"{name}.py"), default_timeout=60)
        app.query_params.update(run=shared_run, gene="Tmsb10")
        return app

    return open_page


@pytest.fixture
def queue(monkeypatch: pytest.MonkeyPatch) -> Queue:
    """The queue of jobs the pages ask, in which nothing is fitted."""
    queue = Queue()
    monkeypatch.setattr(cached, "jobs", lambda: queue)
    return queue


@pytest.fixture
def browser(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """Let pages be opened from this browser: ``browser("anna's")``."""

    def use(name: str) -> None:
        token = hashlib.blake2b(name.encode(), digest_size=16).digest()
        cookies = {"_streamlit_xsrf": generate_xsrf_token_string(token)}
        monkeypatch.setattr(st, "context", SimpleNamespace(cookies=cookies))

    return use


@pytest.fixture(scope="session")
def checked_template(ring_template: Path) -> Path:
    """The made-up run with a graph and arrows, made once and copied by `checked_run`."""
    return save_checked(RunStore(ring_template.parent).open(ring_template.name))


@pytest.fixture
def checked_run(server: Path, checked_template: Path) -> Run:
    """That run, alone in the run store of `server`, for controls, seeds and sweeps to belong to."""
    shutil.copytree(checked_template, server / "runs" / checked_template.name)
    return cached.open_run(checked_template.name)
