"""The Compare page in a real browser: scVelo's modes beside a run of the real cells, down to one gene."""

from __future__ import annotations

import re
from collections.abc import Callable
from urllib.parse import parse_qs, urlsplit

import pytest
from playwright.sync_api import Locator, Page, expect

from deepvelo import config, keys, workflow
from deepvelo.datasets.source import DataSource
from deepvelo.io.runs import RunStore
from deepvelo.peers import fitted_here

pytestmark = pytest.mark.browser

SOON = 30_000  # ms: a page, also while the machine fits
LONG = 240_000  # ms: three fits on a busy machine
METHODS = [config.METHOD_LABELS[method].replace(",", "") for method in fitted_here()]
ROW = 35  # px, of a table; its header is as high
Visit = Callable[[str], Page]


@pytest.fixture
def base(site, shared_data) -> str:
    """Id of a short fit of the real cells in the site's run store."""
    source = DataSource(kind="file", path=str(shared_data / "dentate_gyrus_200.h5ad"))
    settings = config.replace(config.Settings(), {"training": {"n_epochs": 10, "device": "cpu"}})
    result = workflow.run(source.load(), settings, cluster_key=keys.CLUSTERS)
    return RunStore(site.runs).save(result, data_name=source.label, data_hash=source.hash())


def test_from_the_missing_modes_to_the_gene_they_disagree_about(site, visit: Visit, base: str):
    page = visit(f"{site.address}/compare?run={base}")
    page.get_by_role("button", name="Fit the missing methods").click(timeout=SOON)
    expect(page.get_by_role("button", name="Cancel").first).to_be_visible(timeout=SOON)

    scores = page.get_by_test_id("stDataFrame").first
    for row, method in enumerate(METHODS):
        expect(cell(scores, row, 0)).to_have_text(method, timeout=LONG)
    for row in range(len(METHODS)):
        consistency = float(cell(scores, row, 1).inner_text().removeprefix("★"))
        assert -1 <= consistency <= 1
    fitted = {info.settings.method: info for info in RunStore(site.runs).list() if info.data_hash}
    assert set(fitted) == set(fitted_here())
    assert {info.data_hash for info in fitted.values()} == {fitted["deepvelo"].data_hash}

    page.get_by_text("Agreement", exact=True).first.click()
    words = page.get_by_text(re.compile(r"mean agreement"))
    expect(words).to_contain_text("All cells", timeout=LONG)
    lasso(page)
    expect(words).to_contain_text(re.compile(r"\d+ cells \("), timeout=SOON)
    expect(page.get_by_role("button", name="Clear", exact=True)).to_be_enabled()

    genes = page.get_by_test_id("stDataFrame").first
    gene = cell(genes, 0, 1).inner_text()  # after the boxes to mark a row
    genes.click(position={"x": 16, "y": 1.5 * ROW})
    page.wait_for_function("gene => new URLSearchParams(location.search).get('gene') === gene", arg=gene)
    assert parse_qs(urlsplit(page.url).query)["gene"] == [gene]
    expect(page.get_by_role("combobox", name="Gene")).to_be_visible(timeout=SOON)
    portraits = page.locator(".js-plotly-plot").nth(1)
    expect(portraits.locator(".annotation-text").filter(has_text="dynamical").first).to_be_visible(
        timeout=SOON
    )


def cell(table: Locator, row: int, column: int) -> Locator:
    """A cell by its place, from the table that is drawn for screen readers."""
    return table.get_by_test_id(f"glide-cell-{column}-{row}")


def lasso(page: Page) -> None:
    """Draw around the middle of the map."""
    expect(page.get_by_test_id("stApp")).to_have_attribute(
        "data-test-script-state", "notRunning", timeout=LONG
    )
    page.wait_for_timeout(1_000)  # a figure that finds its width is drawn twice
    plot = page.locator(".js-plotly-plot").first.locator(".nsewdrag").first
    page.wait_for_function(
        "() => { const plot = document.querySelector('.js-plotly-plot .nsewdrag');"
        " plot?.scrollIntoView({ block: 'center' }); return plot !== null; }"
    )
    box = plot.bounding_box()
    assert box is not None
    corners = [(0.2, 0.2), (0.8, 0.2), (0.8, 0.8), (0.2, 0.8), (0.2, 0.2)]
    at = [(box["x"] + x * box["width"], box["y"] + y * box["height"]) for x, y in corners]
    page.mouse.move(*at[0])
    page.mouse.down()
    for place in at[1:]:
        page.mouse.move(*place, steps=8)
    page.mouse.up()
