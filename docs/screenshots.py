"""Take the README's pictures of the app: ``python docs/screenshots.py [RUNS]``.

Shows the sample's newest run of a run store (``runs/`` unless given), which `make app` fits.
"""

from __future__ import annotations

import argparse
import io
import logging
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

from PIL import Image
from playwright.sync_api import Page, expect

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "tests" / "browser")]

from served import WINDOW, chromium, served  # noqa: E402

from deepvelo.datasets.source import DataSource  # noqa: E402
from deepvelo.io.runs import RunStore  # noqa: E402

IMAGES = ROOT / "docs" / "images"
GENE = "SimTmsb10"
MILLISECONDS = 90_000
MAX_BYTES = 400_000

logger = logging.getLogger("screenshots")


def main() -> None:
    """Read the command line and take the pictures."""
    parser = argparse.ArgumentParser(description="Take the README's pictures of the app.")
    parser.add_argument("runs", nargs="?", type=Path, default=ROOT / "runs", help="run store with the sample")
    parser.add_argument("--out", type=Path, default=IMAGES, help="folder for the pictures")
    parser.add_argument("--theme", choices=["light", "dark"], default="light")
    arguments = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    take(arguments.runs.resolve(), out=arguments.out, theme=arguments.theme)


def take(runs: Path, *, out: Path, theme: str) -> None:
    """Write one picture a page into ``out``."""
    sample = DataSource(kind="sample").label
    fits = (info for info in RunStore(runs).list() if info.data_name == sample)
    run_id = next((info.run_id for info in fits if info.settings.method == "deepvelo"), None)
    if run_id is None:
        sys.exit(
            f"There is no run of the sample in {runs}. Start the app once with `make app`, which fits it."
        )
    out.mkdir(parents=True, exist_ok=True)
    with (
        tempfile.TemporaryDirectory() as folder,
        served(data=Path(folder), runs=runs, log=Path(folder, "server.log")) as address,
        chromium() as browser,
    ):
        page = browser.new_page(viewport=WINDOW, color_scheme=theme)
        page.set_default_timeout(MILLISECONDS)
        for name, ready in PAGES.items():
            page.goto(f"{address}/{name}?data=sample&run={run_id}&gene={GENE}")
            ready(page)
            settle(page)
            picture = small_png(page.screenshot())
            (out / f"{name}.png").write_bytes(picture)
            logger.info("%s: %d kB", out / f"{name}.png", len(picture) // 1000)


def figures(n: int) -> Callable[[Page], None]:
    """A page is ready when this many figures are drawn; the sample brings no embedding for the data page."""

    def ready(page: Page) -> None:
        expect(page.locator(".js-plotly-plot .main-svg").first).to_be_visible(timeout=MILLISECONDS)
        page.wait_for_function(
            "n => document.querySelectorAll('.js-plotly-plot').length >= n", arg=n, timeout=MILLISECONDS
        )

    return ready


def form(page: Page) -> None:
    """The form is ready when training could start."""
    expect(page.get_by_role("button", name="Train").last).to_be_enabled(timeout=MILLISECONDS)
    expect(page.get_by_test_id("stDataFrame").last).to_be_visible(timeout=MILLISECONDS)


def lineages(page: Page) -> None:
    """The sample's lineages, computed first if there are none."""
    find = page.get_by_role("button", name="Compute lineages")
    expect(find.or_(page.locator(".js-plotly-plot")).first).to_be_visible(timeout=MILLISECONDS)
    if find.is_visible():
        find.click()
    figures(2)(page)


def selection(page: Page) -> None:
    """Cells of the granule lineage, outlined with the mouse, and the genes that differ in them."""
    figures(1)(page)
    box = page.locator(".js-plotly-plot .nsewdrag").first.bounding_box()
    assert box is not None
    corners = [(0.02, 0.3), (0.42, 0.3), (0.42, 0.62), (0.02, 0.62), (0.02, 0.32)]
    places = [(box["x"] + x * box["width"], box["y"] + y * box["height"]) for x, y in corners]
    page.mouse.move(*places[0])
    page.mouse.down()
    for place in places[1:]:
        page.mouse.move(*place, steps=8)
    page.mouse.up()
    figures(3)(page)


PAGES: dict[str, Callable[[Page], None]] = {
    "data": figures(1),
    "train": form,
    "velocity": figures(1),
    "phase_portraits": figures(2),
    "kinetic_rates": figures(2),
    "compare": figures(2),
    "lineages": lineages,
    "selection": selection,  # last, since it is kept from page to page
}


def settle(page: Page) -> None:
    """Wait until the server has nothing more to send and the picture stands still."""
    expect(page.locator("[data-testid=stApp][data-test-script-state=notRunning]")).to_be_visible()
    page.mouse.move(WINDOW["width"] / 2, 2)
    before = b""
    for _ in range(40):
        page.wait_for_timeout(500)
        now = page.screenshot()
        if now == before:
            return
        before = now
    logger.warning("%s never stood still; the picture shows it as it was", page.url)


def small_png(picture: bytes) -> bytes:
    """The picture packed tightly; with fewer colours only where it would be too large for a README."""
    image = Image.open(io.BytesIO(picture)).convert("RGB")
    packed = io.BytesIO()
    image.save(packed, "PNG", optimize=True)
    if packed.tell() < MAX_BYTES:
        return packed.getvalue()
    packed = io.BytesIO()
    image.quantize(256, dither=Image.Dither.NONE).save(packed, "PNG", optimize=True)
    return packed.getvalue()


if __name__ == "__main__":
    main()
