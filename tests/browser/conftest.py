"""A real server with real data, and pages that are checked for faults when a test is done with them."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Browser, Page
from served import WINDOW, chromium, chromium_path, served

REAL = "dentate_gyrus_200.h5ad"
BROKEN = "broken.h5ad"
MILLISECONDS = 30_000
# Streamlit's own way to find its server below any path; it knows that these may not be there.
PROBES = ("/_stcore/host-config", "/_stcore/health")


@dataclass(frozen=True, kw_only=True)
class Site:
    """A running app."""

    address: str
    runs: Path


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item, call):
    """Tell fixtures, through the item, whether the test itself failed."""
    report = yield
    if report.when == "call":
        item.failed = report.failed
    return report


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    if chromium_path() is None:
        require_or_skip("there is no Chromium here; `apt-get install chromium` brings it")
    with chromium() as browser:
        yield browser


def require_or_skip(reason: str) -> None:
    if os.environ.get("DEEPVELO_REQUIRE_SHARED"):
        pytest.fail(f"{reason}, though this run must use it")
    pytest.skip(reason)


@pytest.fixture(scope="module")
def site(browser: Browser, shared_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """An app with the real file and a broken one in its data folder."""
    folder = tmp_path_factory.mktemp("site")
    (folder / "data").mkdir()
    shutil.copyfile(shared_data / REAL, folder / "data" / REAL)
    (folder / "data" / BROKEN).write_text("barcode,cluster\nAAACCTGA,Neuroblast\n")
    with served(data=folder / "data", runs=folder / "runs", log=folder / "server.log") as address:
        yield Site(address=address, runs=folder / "runs")


@pytest.fixture(scope="module")
def empty_site(browser: Browser, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """An app without data and without runs."""
    folder = tmp_path_factory.mktemp("empty")
    (folder / "data").mkdir()
    with served(data=folder / "data", runs=folder / "runs", log=folder / "server.log") as address:
        yield Site(address=address, runs=folder / "runs")


@pytest.fixture
def visit(
    browser: Browser, tmp_path: Path, request: pytest.FixtureRequest
) -> Iterator[Callable[[str], Page]]:
    """Open an address as a new visitor: ``visit(url)``.

    At the end no page may show a traceback, have called another host, or have errors on its console. A
    picture of each is kept when the test fails.
    """
    pages: list[Page] = []
    faults: list[str] = []

    def visit(url: str) -> Page:
        page = browser.new_context(viewport=WINDOW).new_page()
        page.set_default_timeout(MILLISECONDS)
        page.on("request", lambda request: faults.extend(foreign(request.url)))
        page.on("pageerror", lambda error: faults.append(f"script error: {error}"))
        page.on("console", lambda line: faults.extend(console_error(line.type, line.text, line.location)))
        page.goto(url)
        pages.append(page)
        return page

    yield visit
    failed = getattr(request.node, "failed", True)
    for i, page in enumerate(pages):
        if page.locator(".stException").count() or "Traceback" in page.locator("body").inner_text():
            faults.append(f"a traceback at {page.url}")
        if failed or faults:
            picture = tmp_path / f"page-{i}.png"
            page.screenshot(path=picture, full_page=True)
            print(f"{page.url} as it was: {picture}")  # noqa: T201
        page.context.close()
    assert not faults, faults


def foreign(url: str) -> list[str]:
    """The fault of a request that leaves this machine."""
    parts = urlsplit(url)
    inside = parts.hostname == "127.0.0.1" or parts.scheme in ("data", "blob")
    return [] if inside else [f"request to {url}"]


def console_error(kind: str, text: str, location: dict) -> list[str]:
    """The fault of a console line, if it is an error and not one of Streamlit's probes."""
    if kind != "error" or urlsplit(location.get("url", "")).path.endswith(PROBES):
        return []
    return [f"console: {text} ({location.get('url')})"]
