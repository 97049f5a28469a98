"""Server time of every view of a fitted run: first, again, and after a change of gene.

``python benchmarks/views.py [--runs runs] [--json FILE]`` measures the newest run in a folder of runs, through
Streamlit's own test client, so the page's script, the figures and their encoding are in the time; the network and
the browser's drawing are not.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))
VIEWS = ("velocity", "phase_portraits", "kinetic_rates")
REPEATS = 5


def main() -> None:
    """Measure and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--runs", type=Path, default=ROOT / "runs")
    parser.add_argument("--json", type=Path)
    args = parser.parse_args()
    os.environ["DEEPVELO_RUNS"] = str(args.runs.resolve())
    from streamlit.testing.v1 import AppTest

    from deepvelo.io.runs import RunStore

    store = RunStore(args.runs)
    info = store.list()[0]
    genes = list(store.open(info.run_id).var.index[:REPEATS])
    print(f"{info.data_name}: {info.metrics['n_cells']} cells x {info.metrics['n_genes']} genes; seconds")
    print(f"{'view':<18}{'first':>8}{'again':>8}{'gene change':>14}")
    found = {}
    for view in VIEWS:
        page = AppTest.from_file(str(ROOT / "pages" / f"{view}.py"), default_timeout=120)
        page.query_params["run"] = info.run_id
        first = _seconds(page)
        again = statistics.median(_seconds(page) for _ in range(REPEATS))
        changes = []
        for gene in genes:
            page.session_state["gene"] = gene
            page.session_state["color"] = "gene"
            changes.append(_seconds(page))
        found[view] = {"first": first, "again": again, "gene_change": statistics.median(changes)}
        print(
            f"{view:<18}"
            + "".join(f"{s:>{w}.2f}" for s, w in zip(found[view].values(), (8, 8, 14), strict=True))
        )
    if args.json:
        args.json.write_text(json.dumps(found, indent=2))


def _seconds(page: object) -> float:
    start = time.perf_counter()
    page.run()  # type: ignore[attr-defined]
    seconds = time.perf_counter() - start
    if page.exception:  # type: ignore[attr-defined]
        raise RuntimeError(page.exception[0].message)  # type: ignore[attr-defined]
    return seconds


if __name__ == "__main__":
    main()
