"""One selection through every view: drawn with the mouse, seen in the other figures, and carried along."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest
from playwright.sync_api import Page, expect

from tests.stored import save_made_up

pytestmark = pytest.mark.browser

COUNTED = re.compile(r"(\d+) cells? of 40")
SOON = 60_000  # ms: a page on a busy machine
Visit = Callable[[str], Page]

# Rows that each figure of the page shows as selected, sorted; null for a figure without a selection.
SHOWN = """() => [...document.querySelectorAll(".js-plotly-plot")]
  .map((figure) => figure.data.filter((trace) => trace.cells))
  .filter((traces) => traces.length)
  .map((traces) => traces.some((trace) => trace.selectedpoints)
    ? [...new Set(traces.flatMap((trace) => [...(trace.selectedpoints ?? [])].map((at) => trace.customdata[at])))]
      .sort((a, b) => a - b)
    : null)"""


@pytest.fixture
def run(site) -> str:
    return save_made_up(site.runs)


@pytest.mark.parametrize(
    ("page_name", "n_figures"), [("velocity", 1), ("phase_portraits", 2), ("kinetic_rates", 1)]
)
def test_a_lasso_on_each_kind_of_figure_shows_in_all_others(
    site, visit: Visit, run: str, page_name, n_figures
):
    page = visit(f"{site.address}/{page_name}?run={run}")
    ready(page, n_figures)
    lasso(page)
    cells = selected(page)
    assert 0 < len(cells) < 40
    assert page.evaluate(SHOWN) == [cells] * n_figures
    for other, figures in (("Velocity", 1), ("Phase portraits", 2), ("Kinetic rates", 1)):
        page.get_by_role("link", name=other).click()
        ready(page, figures)
        page.wait_for_function(f"() => ({SHOWN})().every((rows) => rows !== null)", timeout=SOON)
        assert page.evaluate(SHOWN) == [cells] * figures


def test_a_selection_outlives_another_colour_a_reload_and_a_second_browser(site, visit: Visit, run: str):
    page = visit(f"{site.address}/velocity?run={run}")
    ready(page, 1)
    zoom(page)
    ranges = "() => document.querySelector('.js-plotly-plot')._fullLayout.xaxis.range.map((at) => at.toFixed(3)).join()"
    zoomed = page.evaluate(ranges)
    lasso(page)
    cells = selected(page)
    choose(page, "Colour by", "Gene: expression")
    expect(page.get_by_role("combobox", name="Gene")).to_be_visible(timeout=SOON)
    page.wait_for_function(
        "document.querySelector('.js-plotly-plot').data.some((trace) => trace.marker?.showscale)"
    )
    assert page.evaluate(SHOWN) == [cells]
    assert page.evaluate(ranges) == zoomed
    page.reload()
    ready(page, 1)
    assert selected(page) == cells
    page.get_by_test_id("stMainBlockContainer").get_by_role("button", name="Save").click()
    page.get_by_label("Name", exact=True).fill("left <b>half</b>")
    page.get_by_label("Name", exact=True).press("Enter")
    page.get_by_role("button", name="Save selection").click()
    page.wait_for_function("new URLSearchParams(location.search).get('cells') !== null", timeout=SOON)
    other = visit(page.url)
    ready(other, 1)
    assert selected(other) == cells
    expect(other.get_by_text("left <b>half</b>").first).to_be_visible()


def test_a_click_on_a_name_in_the_legend_selects_the_group(site, visit: Visit, run: str):
    page = visit(f"{site.address}/velocity?run={run}")
    ready(page, 1)
    page.locator(".legendtoggle").first.click()
    group = page.locator(".legendtext").first.text_content()
    expect(page.get_by_text(f"{group} 100%")).to_be_visible(timeout=SOON)
    page.get_by_role("button", name="Clear").click()
    expect(page.get_by_text("No cells selected.")).to_be_visible(timeout=SOON)
    page.wait_for_function(f"() => ({SHOWN})()[0] === null")


def test_outlined_cells_become_a_group_on_all_pages_and_the_data_of_a_training(site, visit: Visit, run: str):
    page = visit(f"{site.address}/velocity?run={run}")
    ready(page, 1)
    lasso(page)
    cells = selected(page)
    main = page.get_by_test_id("stMainBlockContainer")
    main.get_by_role("button", name="Group", exact=True).click()
    box = page.get_by_role("combobox", name="Group", exact=True)
    box.click(timeout=SOON)
    box.fill("left <b>half</b>")
    box.press("Enter")
    page.get_by_role("button", name=f"Put {len(cells)} cells into the group").click(timeout=SOON)
    expect(page.locator(".legendtext", has_text="left <b>half</b>")).to_be_attached(timeout=SOON)
    expect(page.get_by_role("button", name="Edit groups")).to_be_visible(timeout=SOON)
    expect(page.get_by_text("left <b>half</b> 100%")).to_be_visible(timeout=SOON)
    assert page.evaluate(SHOWN) == [cells]
    page.get_by_role("link", name="Phase portraits").click()
    expect(page.locator(".legendtext", has_text="left <b>half</b>").first).to_be_attached(timeout=SOON)

    page.get_by_role("button", name="Edit groups").click()
    dialog = page.get_by_role("dialog")
    expect(dialog.get_by_text("Last change: Put")).to_be_visible(timeout=SOON)
    dialog.get_by_role("button", name="Undo").click()
    expect(dialog.get_by_text("Last change: Put")).to_have_count(0, timeout=SOON)
    dialog.get_by_role("button", name="Close").click()
    expect(page.locator(".legendtext", has_text="left <b>half</b>")).to_have_count(0, timeout=SOON)

    main.get_by_role("button", name="Train", exact=True).click(timeout=SOON)
    expect(page.get_by_role("heading", name="Train")).to_be_visible(timeout=SOON)
    expect(main.get_by_text(f"made-up cells, {len(cells)} cells of").first).to_be_visible(timeout=SOON)


def ready(page: Page, n_figures: int) -> None:
    page.wait_for_function(f"() => ({SHOWN})().length === {n_figures}", timeout=SOON)
    page.locator(".js-plotly-plot .nsewdrag").first.wait_for(timeout=SOON)
    page.wait_for_timeout(500)  # until the layout is final


def lasso(page: Page) -> None:
    """Draw around the left half of the first figure."""
    box = page.locator(".js-plotly-plot .nsewdrag").first.bounding_box()
    assert box is not None
    left, right = box["x"] + 3, box["x"] + 0.55 * box["width"]
    top, bottom = box["y"] + 3, box["y"] + box["height"] - 3
    page.mouse.move(left, top)
    page.mouse.down()
    for x, y in ((right, top), (right, bottom), (left, bottom), (left, top + 2)):
        page.mouse.move(x, y, steps=8)
    page.mouse.up()


def zoom(page: Page) -> None:
    box = page.locator(".js-plotly-plot .nsewdrag").first.bounding_box()
    assert box is not None
    page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    page.mouse.wheel(0, -120)
    page.wait_for_timeout(500)  # Plotly waits for the end of the turn


def selected(page: Page) -> list[int]:
    """Rows of the selected cells, once the bar counts as many."""
    expect(page.get_by_text(COUNTED)).to_be_visible(timeout=SOON)
    page.wait_for_function(f"() => ({SHOWN})()[0] !== null", timeout=SOON)
    bar = page.get_by_text(COUNTED).inner_text()
    counted = int(COUNTED.search(bar)[1])
    page.wait_for_function(f"() => ({SHOWN})()[0].length === {counted}", timeout=SOON)
    return page.evaluate(SHOWN)[0]


def choose(page: Page, label: str, option: str) -> None:
    page.get_by_role("combobox", name=label).click(timeout=SOON)
    page.get_by_role("option", name=option).click(timeout=SOON)
