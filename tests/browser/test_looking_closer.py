"""Panels side by side, cells on three axes, and maps that stay in place."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from playwright.sync_api import Page, expect

from tests.stored import add_elements, save_made_up

pytestmark = pytest.mark.browser

SOON = 60_000  # ms: a page on a busy machine
Visit = Callable[[str], Page]
RANGES = """() => { const { xaxis, xaxis2, yaxis, yaxis2 } = document.querySelector(".js-plotly-plot")._fullLayout;
  return [xaxis, xaxis2, yaxis, yaxis2].map((axis) => axis.range); }"""
# Numbers of cells in sight, in colour and as silhouettes.
IN_SPACE = """() => [false, true].map((aside) => document.querySelector(".js-plotly-plot").data
  .filter((trace) => trace.cells && Boolean(trace.isSilhouette) === aside && trace.visible !== false)
  .reduce((sum, trace) => sum + trace.x.filter(Number.isFinite).length, 0)).join()"""
MAP = """() => { const plot = document.querySelector(".js-plotly-plot");
  const { x, width, height } = plot.querySelector(".nsewdrag").getBoundingClientRect();
  return [x, width, height, ...plot._fullLayout.xaxis.range].map(Math.round); }"""


def ready(page: Page, what: str) -> None:
    page.locator(f".js-plotly-plot {what}").first.wait_for(timeout=SOON)
    page.wait_for_timeout(1000)  # until the layout is final


def recolour(page: Page) -> None:
    """Colour by a number instead of groups."""
    page.get_by_role("combobox", name="Colour by").click(timeout=SOON)
    page.get_by_role("option", name="Confidence in direction").click(timeout=SOON)
    page.locator(".js-plotly-plot .cbfills").first.wait_for(state="attached", timeout=SOON)
    page.wait_for_timeout(500)


def test_panels_zoom_together_and_keep_it_in_another_color(site, visit: Visit):
    page = visit(f"{site.address}/velocity?run={save_made_up(site.runs)}&split=clusters")
    ready(page, ".nsewdrag")
    x, x2, y, y2 = before = page.evaluate(RANGES)
    assert (x, y) == (x2, y2)
    box = page.locator(".js-plotly-plot .nsewdrag").nth(1).bounding_box()
    assert box is not None
    page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    page.mouse.wheel(0, -300)
    page.wait_for_function(f"JSON.stringify(({RANGES})()) !== JSON.stringify({before})", timeout=SOON)
    page.wait_for_timeout(500)  # Plotly waits for the end of the turn
    x, x2, y, y2 = zoomed = page.evaluate(RANGES)
    assert x == pytest.approx(x2)
    assert y == pytest.approx(y2)
    assert x[1] - x[0] < before[0][1] - before[0][0]
    recolour(page)
    assert page.evaluate(RANGES) == zoomed


def test_selected_cells_stand_out_on_three_axes(site, visit: Visit):
    run = save_made_up(site.runs)
    points = np.random.default_rng(0).normal(size=(40, 3)).astype(np.float32)
    add_elements(site.runs / run, obsm__X_umap3d=points)
    address = f"{site.address}/velocity?run={run}&embedding=umap3d&axes=0&axes=1&axes=2&arrows=No+arrows"
    page = visit(address)
    ready(page, ".gl-container canvas")
    assert page.evaluate(IN_SPACE) == "40,0"
    page.locator(".legendtoggle").first.click()
    expect(page.get_by_text("Granule 100%")).to_be_visible(timeout=SOON)
    page.wait_for_function(f"({IN_SPACE})() === '14,26'", timeout=SOON)
    page.get_by_test_id("stMainBlockContainer").get_by_text("Hide others").click()
    page.wait_for_function(f"({IN_SPACE})() === '14,0'", timeout=SOON)
    page.get_by_role("button", name="Clear", exact=True).click()
    page.wait_for_function(f"({IN_SPACE})() === '40,0'", timeout=SOON)


@pytest.mark.parametrize("name", ["velocity", "kinetic_rates"])
@pytest.mark.parametrize("width", [1440, 800])
def test_a_map_stays_in_place_when_its_legend_becomes_a_color_bar(site, visit: Visit, name, width):
    page = visit(f"{site.address}/{name}?run={save_made_up(site.runs)}")
    page.set_viewport_size({"width": width, "height": 900})
    ready(page, ".nsewdrag")
    before = page.evaluate(MAP)
    recolour(page)
    assert page.evaluate(MAP) == before
