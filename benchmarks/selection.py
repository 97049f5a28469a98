"""How long a lasso and a change of gene take in Chromium, what they send, and what 200 lassos leave in the server's memory.

``python benchmarks/selection.py [--copies 34] [--lassos 200] [--json FILE]`` fits the simulated sample briefly, stores it once as
it is and once with each cell so many times, and measures both on Phase portraits, whose two figures show all cells: from
the end of the gesture to the last figure that shows the cells that the server has found. Needs the system's Chromium.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from playwright.sync_api import Page, sync_playwright  # noqa: E402

from benchmarks.load import HOST, Server, fit_sample, serving  # noqa: E402
from deepvelo.io.runs import RunStore  # noqa: E402
from deepvelo.result import Result  # noqa: E402

CHROMIUM = "/usr/bin/chromium"
REPEATS = 7
MS = 120_000
# Numbers of the selected cells that each figure of cells shows; -1 where it shows none.
SHOWN = """() => [...document.querySelectorAll(".js-plotly-plot")]
  .filter((figure) => figure.data?.some((trace) => trace.cells))
  .map((figure) => {
    const traces = figure.data.filter((trace) => trace.cells && trace.xaxis === figure.data.find((any) => any.cells).xaxis);
    return traces.some((trace) => trace.selectedpoints) ? traces.reduce((n, trace) => n + (trace.selectedpoints?.length ?? 0), 0) : -1;
  })"""


def store_copies(store: RunStore, run_id: str, copies: int) -> str:
    """The run with every cell several times, a little apart on each map."""
    run = store.open(run_id)
    rng = np.random.default_rng(0)
    adata = run.to_adata()
    adata = adata[np.tile(np.arange(adata.n_obs), copies)].copy()
    adata.obs_names_make_unique()
    adata.obsp.clear()
    for key in adata.obsm:
        adata.obsm[key] = np.asarray(adata.obsm[key]) + rng.normal(
            scale=0.1, size=adata.obsm[key].shape
        ).astype(np.float32)
    for key in [key for key in adata.uns if key.startswith("velocity_graph")]:
        del adata.uns[key]
    result = Result(
        adata=adata, history=run.history, weights={}, settings=run.info.settings,
        metrics=dict(run.info.metrics) | {"n_cells": adata.n_obs},
    )  # fmt: skip
    return store.save(result, data_name=f"{copies} copies", data_hash=f"copies {copies}")


@contextmanager
def opened(server: Server, run_id: str) -> Iterator[tuple[Page, list[int]]]:
    """Phase portraits of a run, and the sizes of the messages that the browser gets."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=CHROMIUM, args=["--no-sandbox", "--use-gl=swiftshader"]
        )
        page = browser.new_page(viewport={"width": 1440, "height": 1000})
        sizes: list[int] = []
        page.on(
            "websocket", lambda socket: socket.on("framereceived", lambda frame: sizes.append(len(frame)))
        )
        page.goto(f"http://{HOST}:{server.port}/phase_portraits?run={run_id}", timeout=MS)
        page.wait_for_function(f"() => ({SHOWN})().length === 2", timeout=MS)
        page.wait_for_timeout(2_000)
        yield page, sizes
        browser.close()


def lasso(page: Page, share: float) -> None:
    """Draw around a part of the portrait, up to the end of the gesture."""
    box = page.locator(".js-plotly-plot .nsewdrag").first.bounding_box()
    assert box is not None
    left, top = box["x"] + 3, box["y"] + 3
    right, bottom = box["x"] + share * box["width"], box["y"] + box["height"] - 3
    page.mouse.move(left, top)
    page.mouse.down()
    for x, y in ((right, top), (right, bottom), (left, bottom), (left, top + 2)):
        page.mouse.move(x, y, steps=5)


def time_lasso(page: Page, share: float) -> float:
    """Seconds from the end of a lasso until both figures show the cells that the bar counts."""
    before = page.evaluate("() => document.body.innerText.match(/([\\\\d,]+) cells? of/)?.[1] ?? ''")
    lasso(page, share)
    page.evaluate(
        "() => { window.ended = null; addEventListener('mouseup', () => (window.ended = performance.now()), { once: true, capture: true }); }"
    )
    page.mouse.up()
    page.wait_for_function(
        f"""(before) => {{
          const counted = document.body.innerText.match(/([\\d,]+) cells? of/)?.[1] ?? "";
          const shown = ({SHOWN})();
          if (counted === before || shown[0] < 0 || new Set(shown).size > 1) return false;
          window.seen ??= performance.now();
          return true;
        }}""",
        arg=before, polling="raf", timeout=MS,
    )  # fmt: skip
    seconds = page.evaluate(
        "() => { const taken = (window.seen - window.ended) / 1000; delete window.seen; return taken; }"
    )
    return float(seconds)


def time_gene(page: Page, sizes: list[int]) -> tuple[float, int]:
    """Seconds until the portrait of the next gene is drawn, and the bytes that the browser got for it."""
    title = "() => document.querySelector('.js-plotly-plot')?.layout?.title?.text"
    before = page.evaluate(title)
    sizes.clear()
    page.evaluate("() => { window.ended = performance.now(); }")
    page.keyboard.press("n")
    page.wait_for_function(f"(before) => ({title})() !== before", arg=before, polling="raf", timeout=MS)
    seconds = page.evaluate("() => (performance.now() - window.ended) / 1000")
    page.wait_for_timeout(1_500)
    return float(seconds), sum(sizes)


def measure(server: Server, run_id: str, *, n_cells: int, lassos: int) -> dict[str, Any]:
    """Times, bytes and memory of one run."""
    with opened(server, run_id) as (page, sizes):
        n_drawn = min(n_cells, 20_000)
        lasso_seconds = [time_lasso(page, 0.3 + 0.05 * i) for i in range(REPEATS)]
        genes = [time_gene(page, sizes) for _ in range(REPEATS)]
        memory = server.megabytes
        for i in range(lassos):
            lasso(page, 0.3 + 0.002 * i)
            page.mouse.up()
            page.wait_for_timeout(150)
        page.wait_for_timeout(10_000)
        return {
            "cells": n_cells,
            "lasso_seconds": median(lasso_seconds),
            "gene_seconds": median(seconds for seconds, _ in genes),
            "gene_bytes": median(size for _, size in genes),
            # the portrait draws a cell once, the panels six times
            "gene_bytes_a_cell_drawn": median(size for _, size in genes) / (7 * n_drawn),
            "memory_mb": memory,
            "memory_after_lassos_mb": server.megabytes - memory,
        }


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--copies", type=int, default=34)
    parser.add_argument("--lassos", type=int, default=200)
    parser.add_argument("--json", type=Path)
    args = parser.parse_args()
    rows = []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "data").mkdir()
        fit_sample(folder / "runs")
        store = RunStore(folder / "runs")
        sample = store.list()[0].run_id
        runs = {3_000: sample, 3_000 * args.copies: store_copies(store, sample, args.copies)}
        for n_cells, run_id in runs.items():
            with serving(folder / "runs", folder / "data", folder / "server.log") as server:
                started = time.monotonic()
                rows.append(measure(server, run_id, n_cells=n_cells, lassos=args.lassos))
                print(f"{rows[-1]} in {time.monotonic() - started:.0f} s", flush=True)
    if args.json:
        args.json.write_text(json.dumps(rows, indent=1))


if __name__ == "__main__":
    main()
