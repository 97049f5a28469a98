"""The link to a view, opened in a second browser."""

from __future__ import annotations

import re
from collections.abc import Callable
from urllib.parse import parse_qs, urlsplit

import pytest
from playwright.sync_api import Page, expect

from tests.stored import save_made_up

pytestmark = pytest.mark.browser

SOON = 60_000  # ms: a page on a busy machine
Visit = Callable[[str], Page]


@pytest.fixture
def run(site) -> str:
    return save_made_up(site.runs)


def test_a_copied_link_shows_the_same_view_in_a_second_browser(site, visit: Visit, run: str):
    page = visit(f"{site.address}/velocity?run={run}")
    choose(page, "Show", "Grid arrows")
    choose(page, "Colour by", "Gene: expression")
    search = box(page, "Gene")
    search.click(timeout=SOON)
    search.fill("Cpe")
    search.press("Enter")
    page.wait_for_function("new URLSearchParams(location.search).get('gene') === 'Cpe'", timeout=SOON)
    page.get_by_role("button", name="Copy link").click()
    link = page.get_by_test_id("stCode")
    expect(link).to_contain_text("gene=Cpe", timeout=SOON)
    address = link.inner_text().strip()
    assert parse_qs(urlsplit(address).query) == {
        "run": [run], "arrows": ["Grid arrows"], "color": ["gene"], "gene": ["Cpe"],
    }  # fmt: skip

    other = visit(address)
    expect(box(other, "Show")).to_have_value("Grid arrows", timeout=SOON)
    expect(box(other, "Colour by")).to_have_value("Gene: expression", timeout=SOON)
    expect(other.get_by_text(re.compile("Cpe, spliced")).first).to_be_attached(timeout=SOON)
    assert other.get_by_test_id("stToast").count() == 0


def test_an_old_link_says_what_is_gone_and_shows_the_rest(site, visit: Visit, run: str):
    page = visit(f"{site.address}/velocity?run={run}&embedding=gone&arrows=Cell+arrows")
    expect(page.get_by_test_id("stToast")).to_contain_text("embedding 'gone'", timeout=SOON)
    expect(box(page, "Show")).to_have_value("Cell arrows", timeout=SOON)
    page.wait_for_function("!new URLSearchParams(location.search).has('embedding')", timeout=SOON)


def test_keys_step_through_a_pasted_list(site, visit: Visit, run: str):
    page = visit(f"{site.address}/kinetic_rates?run={run}")
    search = box(page, "Gene")
    search.click(timeout=SOON)
    search.fill("gad1, sox2 nothere")
    search.press("Enter")
    expect(page.get_by_text("not in this run: nothere")).to_be_visible(timeout=SOON)
    page.get_by_role("heading", name="Kinetic rates").click()  # keys typed in the box are no steps
    for key, gene in (("n", "Sox2"), ("n", "Gad1"), ("p", "Sox2")):
        page.keyboard.press(key)
        page.wait_for_function(
            "gene => new URLSearchParams(location.search).get('gene') === gene", arg=gene, timeout=SOON
        )


def box(page: Page, label: str):
    return page.get_by_role("combobox", name=label, exact=True)


def choose(page: Page, label: str, option: str) -> None:
    box(page, label).click(timeout=SOON)
    page.get_by_role("option", name=option).click(timeout=SOON)
