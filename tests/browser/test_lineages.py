"""The Lineages page in a real browser: from a finished run to a driver's phase portrait and the table on disk."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pandas as pd
import pytest
from playwright.sync_api import Page, expect

from deepvelo import config, keys, workflow
from deepvelo.datasets.source import DataSource
from deepvelo.io.runs import RunStore

pytestmark = pytest.mark.browser

SOON = 30_000  # ms: a page, also while the machine computes
LONG = 240_000  # ms: an analysis on a busy machine
ROW = 35  # px, of a table; its header is as high
Visit = Callable[[str], Page]


@pytest.fixture
def base(site, shared_data) -> str:
    """Id of a run of the real cells in the site's run store: scVelo's stochastic mode, which takes a second."""
    source = DataSource(kind="file", path=str(shared_data / "dentate_gyrus_200.h5ad"))
    settings = config.replace(config.Settings(), {"method": "stochastic"})
    result = workflow.run(source.load(), settings, cluster_key=keys.CLUSTERS)
    return RunStore(site.runs).save(result, data_name=source.label, data_hash=source.hash())


def test_from_a_run_to_a_drivers_portrait_and_the_table(site, visit: Visit, base: str, tmp_path: Path):
    page = visit(f"{site.address}/lineages?run={base}")
    page.get_by_role("combobox", name="Terminal states").click(timeout=SOON)
    page.get_by_role("option", name="Granule mature", exact=True).click()
    page.keyboard.press("Escape")
    page.get_by_role("button", name="Compute lineages").click(timeout=SOON)

    # the map with a pie for each group, and the tree
    expect(page.locator(".js-plotly-plot")).to_have_count(2, timeout=LONG)
    expect(page.get_by_text("from early to late")).to_be_visible()
    page.get_by_text("Fates", exact=True).first.click()
    expect(page.get_by_text("Genes along the lineage")).to_be_visible(timeout=SOON)

    page.get_by_text("Drivers", exact=True).first.click()
    table = page.get_by_test_id("stDataFrame").first
    gene = table.get_by_test_id("glide-cell-1-0").inner_text(timeout=SOON)
    table.click(position={"x": 16, "y": 1.5 * ROW})
    page.wait_for_function("gene => new URLSearchParams(location.search).get('gene') === gene", arg=gene)
    expect(page.get_by_role("button", name="Open in Phase portraits")).to_be_visible(timeout=SOON)

    with page.expect_download(timeout=SOON) as download:
        page.get_by_role("button", name="Drivers as CSV").click()
    download.value.save_as(tmp_path / "drivers.csv")
    drivers = pd.read_csv(tmp_path / "drivers.csv")
    assert drivers["Gene"].iloc[0] == gene
    assert drivers["Correlation"].is_monotonic_decreasing

    page.get_by_role("button", name="Open in Phase portraits").click()
    page.wait_for_url(re.compile("phase_portraits"))
    assert parse_qs(urlsplit(page.url).query)["gene"] == [gene]
    expect(page.locator(".js-plotly-plot").first).to_be_visible(timeout=SOON)
