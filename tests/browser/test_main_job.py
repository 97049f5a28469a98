"""The main job in a real browser: from a file to velocity, phase portraits and rates."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from playwright.sync_api import Locator, Page, expect

from deepvelo.io.runs import RunStore

pytestmark = pytest.mark.browser

REAL = "dentate_gyrus_200.h5ad"
BROKEN = "broken.h5ad"
N_CELLS = 200
N_ENDOTHELIAL = 8
N_EPOCHS = 800
SOON = 30_000  # ms: a page, also while the machine trains
LONG = 240_000  # ms: a training on a busy machine
CHANGED = {
    "Graph neighbours": 15,
    "Candidate neighbours": 25,
    "λ unspliced": 0.7,
    "λ spliced": 1.4,
    "Epochs": N_EPOCHS,
}
Visit = Callable[[str], Page]

# What is drawn: Plotly's own list of traces, arrays decoded.
READ_FIGURE = """figure => figure._fullData.map(trace => ({
    name: trace.name, type: trace.type, mode: trace.mode, visible: trace.visible,
    n: trace.x ? trace.x.length : 0,
    n_drawn: trace.x ? Array.from(trace.x).filter(Number.isFinite).length : 0,
    color: trace.marker && typeof trace.marker.color === 'string' ? trace.marker.color : null,
}))"""

WATCH_EPOCH = r"""([above, of]) => {
    const found = document.body.innerText.match(/epoch (\d+) of (\d+)/);
    return found && Number(found[1]) > above && Number(found[2]) === of;
}"""
HAS_OTHERS = "() => document.querySelector('.js-plotly-plot')._fullData.some(t => t.name === 'other cells')"


def test_from_the_file_to_the_rates(site, visit: Visit):
    page = visit(f"{site.address}/data")
    choose_file(page, REAL)
    expect(page.get_by_role("heading", name=REAL)).to_be_visible(timeout=SOON)
    cells = page.get_by_test_id("stMetric").filter(has_text="Cells")
    expect(cells).to_contain_text(str(N_CELLS))
    assert sum(trace["n"] for trace in cells_in(drawn(page, at=-1))) == N_CELLS

    page.get_by_role("button", name="Train on this data set").click()
    fill_settings(page, CHANGED)
    page.get_by_role("textbox", name="Name of the run").fill("By hand")
    page.get_by_role("button", name="Start training").click()

    first = wait_for_epoch(page, above=0)
    curve = drawn(page)
    assert {"total"} <= {trace["name"] for trace in curve}, curve
    assert all(trace["n"] >= 1 for trace in curve)
    before = wait_for_epoch(page, above=first)

    page.reload()
    after = wait_for_epoch(page, above=before)
    assert after < N_EPOCHS
    assert not RunStore(site.runs).list()

    page.get_by_role("button", name="Show velocity").click(timeout=LONG)
    expect(page.get_by_role("heading", name="Velocity")).to_be_visible(timeout=SOON)
    stream = drawn(page)
    cells_of = {trace["name"]: trace["n"] for trace in stream if trace["mode"] == "markers"}
    assert sum(cells_of.values()) == N_CELLS
    assert cells_of["Endothelial"] == N_ENDOTHELIAL
    assert {"Neuroblast", "Granule immature", "Granule mature"} <= set(cells_of)
    lines = [trace for trace in stream if trace["mode"] == "lines"]
    assert lines
    assert max(trace["n_drawn"] for trace in lines) > 100

    (info,) = RunStore(site.runs).list()
    fitted = info.settings
    assert info.name == "By hand"
    assert info.data_name == REAL
    assert (fitted.graph.n_neighbors, fitted.graph.n_candidates) == (15, 25)
    assert (fitted.objective.lambda_u, fitted.objective.lambda_s) == (0.7, 1.4)
    assert fitted.training.n_epochs == N_EPOCHS
    expect(page.get_by_text("15 graph and 25 candidate neighbours, λ 0.7 and 1.4")).to_be_visible()

    page.get_by_role("link", name="Phase portraits").click()
    expect(page.get_by_role("heading", name="Phase portraits")).to_be_visible(timeout=SOON)
    idle(page)
    choose(page, "Gene", "Tmsb10")
    assert sum(trace["n"] for trace in cells_in(portrait(page, "Tmsb10"))) == N_CELLS
    choose(page, "Cell types", "Endothelial")
    expect(page.get_by_role("button", name="Endothelial")).to_be_visible(timeout=SOON)
    page.wait_for_function(HAS_OTHERS, timeout=SOON)
    alone = {trace["name"]: trace for trace in cells_in(portrait(page, "Tmsb10"))}
    assert set(alone) == {"Endothelial", "other cells"}
    assert alone["Endothelial"]["n"] == N_ENDOTHELIAL
    assert alone["other cells"]["n"] == N_CELLS - N_ENDOTHELIAL
    assert alone["other cells"]["color"].lower() == "#a8a8a8"
    assert alone["Endothelial"]["color"].lower() != "#a8a8a8"

    shared = page.url
    assert parse_qs(urlsplit(shared).query)["run"] == [info.run_id]
    assert parse_qs(urlsplit(shared).query)["gene"] == ["Tmsb10"]
    elsewhere = visit(shared)
    expect(elsewhere.get_by_text("15 graph and 25 candidate neighbours")).to_be_visible(timeout=SOON)
    assert sum(trace["n"] for trace in cells_in(portrait(elsewhere, "Tmsb10"))) == N_CELLS

    page.get_by_role("link", name="Kinetic rates").click()
    expect(page.get_by_role("heading", name="Kinetic rates")).to_be_visible(timeout=SOON)
    expect(page.get_by_text("Silhouette")).to_be_visible(timeout=SOON)
    rates = cells_in(drawn(page))
    assert sum(trace["n_drawn"] for trace in rates) == N_CELLS
    assert {trace["name"] for trace in rates} == set(cells_of)


def test_a_cancelled_run_leaves_nothing(site, visit: Visit):
    page = visit(f"{site.address}/train?data=file:{REAL}")
    before = [info.run_id for info in RunStore(site.runs).list()]
    fill_settings(page, {"Graph neighbours": 12, "λ spliced": 2, "Epochs": 50_000})
    page.get_by_role("textbox", name="Name of the run").fill("Not this one")
    page.get_by_role("button", name="Start training").click()
    wait_for_epoch(page, above=1, of=50_000)
    page.get_by_role("button", name="Cancel").click()
    expect(page.get_by_text("Not this one was cancelled; no result was stored.")).to_be_visible(
        timeout=15_000
    )
    expect(page.get_by_text(re.compile(r"epoch \d+ of"))).to_have_count(0)
    assert [info.run_id for info in RunStore(site.runs).list()] == before


def test_a_file_that_is_none_is_one_sentence(site, visit: Visit):
    page = visit(f"{site.address}/data")
    choose_file(page, BROKEN)
    alert = page.get_by_test_id("stAlert")
    expect(alert).to_contain_text(BROKEN, timeout=SOON)
    expect(alert).to_have_count(1)
    assert is_a_sentence(alert)


def test_an_unknown_run_is_one_sentence(site, visit: Visit):
    page = visit(f"{site.address}/velocity?run=no-such-run")
    alert = page.get_by_test_id("stAlert").first
    expect(alert).to_contain_text("There is no run 'no-such-run'", timeout=SOON)
    assert is_a_sentence(alert)


@pytest.mark.parametrize(
    ("name", "button"),
    [
        ("data", "Use the sample"),
        ("train", "Choose data"),
        ("velocity", "Choose data"),
        ("phase_portraits", "Choose data"),
        ("kinetic_rates", "Choose data"),
        ("compare", "Choose data"),
    ],
)
def test_without_data_a_page_says_what_to_do(empty_site, visit: Visit, name: str, button: str):
    page = visit(f"{empty_site.address}/{name}")
    alert = page.get_by_test_id("stAlert")
    expect(alert).to_have_count(1, timeout=SOON)
    assert is_a_sentence(alert)
    page.get_by_role("button", name=button).click()
    leads_to = "Nothing is missing for a fit" if name == "data" else "Source"
    expect(page.get_by_text(leads_to)).to_be_visible(timeout=SOON)


def choose_file(page: Page, name: str) -> None:
    """On the data page, take a file of the server's folder."""
    page.get_by_text("Server folder", exact=True).click()
    choose(page, "File", name)
    page.get_by_role("button", name="Load").click()


def choose(page: Page, label: str, option: str) -> None:
    """Search in a select box, as one does with many options."""
    box = page.get_by_role("combobox", name=label)
    box.click()
    box.fill(option)
    page.get_by_role("option", name=option, exact=True).click()
    page.keyboard.press("Escape")


def fill_settings(page: Page, values: dict[str, float]) -> None:
    for section in ("Graph", "Objective", "Training"):
        page.get_by_test_id("stExpander").filter(has_text=f"{section}: ").locator("summary").click()
    for label, value in values.items():
        box = page.get_by_role("spinbutton", name=label)
        expect(box).not_to_have_value("", timeout=SOON)
        box.fill(str(value))
        box.press("Enter")
        expect(box).to_have_value(str(value))
        idle(page)


def idle(page: Page) -> None:
    """Wait until the server has drawn the page."""
    expect(page.get_by_test_id("stApp")).to_have_attribute(
        "data-test-script-state", "notRunning", timeout=SOON
    )


def wait_for_epoch(page: Page, *, above: int, of: int = N_EPOCHS) -> int:
    """The epoch that the page shows, once it has passed another."""
    page.wait_for_function(WATCH_EPOCH, arg=[above, of], timeout=LONG)
    found = re.search(r"epoch (\d+) of", page.locator("body").inner_text())
    assert found, "the training ended before it could be watched"
    return int(found[1])


def drawn(page: Page, *, at: int = 0) -> list[dict[str, Any]]:
    """Traces of a figure of the page, the first unless told."""
    figure = page.locator(".js-plotly-plot").nth(at)
    expect(figure.locator(".main-svg").first).to_be_visible(timeout=SOON)
    traces: list[dict[str, Any]] = figure.evaluate(READ_FIGURE)
    return traces


def portrait(page: Page, gene: str) -> list[dict[str, Any]]:
    """Traces of the phase portrait, once it is this gene's."""
    expect(page.locator(".js-plotly-plot .gtitle").first).to_have_text(gene, timeout=SOON)
    idle(page)
    return drawn(page)


def cells_in(traces: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [trace for trace in traces if trace["mode"] == "markers" and trace["n"]]


def is_a_sentence(alert: Locator) -> bool:
    """A few words that end like a sentence, and no traceback."""
    text = alert.inner_text().strip()
    return 20 < len(text) < 300 and text.endswith(".") and "Error" not in text and 'File "' not in text
