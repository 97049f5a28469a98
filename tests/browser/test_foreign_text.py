"""Every page in a real browser, with a file, a run and addresses whose names try to be more than text."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import quote, urlencode

import pytest
from conftest import Site
from playwright.sync_api import Page, expect
from served import served

from tests import evil

pytestmark = pytest.mark.browser

SOON = 60_000  # ms: a page, also while the machine computes
Visit = Callable[[str], Page]
ADDRESS = f"{evil.PICTURE} {evil.HTML} {evil.MARKS} {evil.REVERSED}"
PAGES = ("data", "train", "velocity", "phase_portraits", "kinetic_rates", "compare", "lineages")
# What the app itself draws is left out: icons and badges of its own, bold words, links of the navigation.
ARISEN = """host => {
    const found = [];
    for (const element of document.querySelectorAll('*'))
        for (const {name, value} of element.attributes)
            if (/^(href|xlink:href|src|srcset|style|action|data|poster|onclick|onerror|onload)$/.test(name) && value.includes(host))
                found.push(`${element.tagName} ${name}=${value}`);
    const marks = 'em, del, i, sub, sup, .katex, iframe, object, embed, svg a, a[href^=mailto], a[href*="user-content"], '
        + '[data-testid=stMarkdownContainer] :is(img, hr, table, ol, blockquote, script, style), '
        + '[data-testid=stMarkdownContainer] a[target=_blank], [role=img][aria-label="home icon"]';
    for (const element of document.querySelectorAll(marks)) found.push(element.outerHTML.slice(0, 200));
    for (const element of document.querySelectorAll('[data-testid=stMarkdownContainer] :is(code, strong, span[style]), tspan'))
        if (/^(code|red|bold|col|map|a)$/.test(element.textContent.trim())) found.push(element.outerHTML.slice(0, 200));
    if (document.title.includes('evil')) found.push(`title ${document.title}`);
    return found;
}"""


@pytest.fixture(scope="module")
def site(browser, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """An app whose data folder and run store hold nothing but evil names."""
    folder = tmp_path_factory.mktemp("evil")
    (folder / "data").mkdir()
    evil.cells().write_h5ad(folder / "data" / evil.FILE)
    evil.save_run(folder / "runs")
    with served(data=folder / "data", runs=folder / "runs", log=folder / "server.log") as address:
        yield Site(address=address, runs=folder / "runs")


def test_an_address_is_said_as_it_is_on_every_page(site: Site, visit: Visit):
    page = visit(f"{site.address}/{PAGES[0]}?{urlencode({'data': ADDRESS, 'run': ADDRESS})}")
    for name in PAGES:
        page.goto(f"{site.address}/{name}?{urlencode({'data': ADDRESS, 'run': ADDRESS})}")
        alert = page.get_by_test_id("stAlert").first
        expect(alert).to_contain_text(evil.PICTURE[:40], timeout=SOON)
        nothing_arose(page)
    run = quote(run_of(site))
    page.goto(f"{site.address}/kinetic_rates?run={run}&{urlencode({'gene': ADDRESS, 'color': ADDRESS})}")
    expect(page.get_by_test_id("stAlert").nth(1)).to_contain_text(evil.PICTURE[:40], timeout=SOON)
    nothing_arose(page)


def test_names_of_a_file_and_of_a_run_are_said_as_they_are(site: Site, visit: Visit, tmp_path: Path):
    chosen = urlencode({"run": run_of(site), "data": f"file:{evil.FILE}"})
    page = visit(f"{site.address}/velocity?{chosen}")
    picture = page.locator(".js-plotly-plot").first
    expect(picture.locator(".annotation-text").first).to_be_attached(timeout=SOON)
    shown = picture.locator(".legendtext").all_text_contents()
    assert all(any(like(text, group) for text in shown) for group in evil.GROUPS), shown
    expect(page.get_by_test_id("stSidebar")).to_contain_text(evil.FILE)
    nothing_arose(page)

    for name, ready in (
        ("phase_portraits", ".js-plotly-plot"), ("kinetic_rates", ".violinlayer"), ("train", "[data-testid=stDataFrame]"),
        ("data", ".barlayer"),
    ):  # fmt: skip
        page.goto(f"{site.address}/{name}?{chosen}")
        expect(page.locator(ready).first).to_be_attached(timeout=SOON)
        if name == "data":
            expect(page.get_by_role("heading", name=evil.FILE)).to_be_visible(timeout=SOON)
            page.get_by_text("Contents of the file").click()
            expect(page.get_by_text(f"Embeddings: {evil.BASIS}")).to_be_visible()
        if name == "phase_portraits":
            expect(page.locator(".gtitle").first).to_have_text(evil.GENES[0])
        nothing_arose(page)

    page.goto(f"{site.address}/compare?{chosen}")
    for view in ("Scores", "Agreement", "Streams", "Controls", "Quality"):
        page.get_by_text(view, exact=True).first.click(timeout=SOON)
        settled(page)
        nothing_arose(page)

    page.goto(f"{site.address}/lineages?{chosen}")
    expect(page.locator(".js-plotly-plot")).to_have_count(2, timeout=SOON)
    nothing_arose(page)
    for view in ("Fates", "Enrichment", "Drivers"):
        page.get_by_text(view, exact=True).first.click(timeout=SOON)
        settled(page)
        nothing_arose(page)
    with page.expect_download(timeout=SOON) as download:
        page.get_by_role("button", name="Drivers as CSV").click()
    assert re.fullmatch(r"[\w-]+\.csv", download.value.suggested_filename)
    download.value.save_as(tmp_path / "drivers.csv")
    rows = list(csv.reader(io.StringIO((tmp_path / "drivers.csv").read_text())))
    assert f"'{evil.FORMULA}" in {row[0] for row in rows}
    assert not [cell for row in rows for cell in row if re.match(r"[=+@]", cell)]


def run_of(site: Site) -> str:
    (run,) = [folder.name for folder in site.runs.iterdir() if not folder.name.startswith(".")]
    return run


def nothing_arose(page: Page) -> None:
    assert page.evaluate(ARISEN, evil.HOST) == [], page.url


def settled(page: Page) -> None:
    """Wait until the page is drawn and the server is done with it."""
    page.wait_for_timeout(300)
    expect(page.locator("[data-testid=stApp][data-test-script-state=notRunning]")).to_be_attached(
        timeout=SOON
    )
    expect(page.get_by_test_id("stSkeleton")).to_have_count(0, timeout=SOON)


def like(text: str, name: str) -> bool:
    """Whether a text is the name, or the name with an ellipsis in its middle."""
    first, _, last = text.strip().partition("…")
    return name.startswith(first) and name.endswith(last)
