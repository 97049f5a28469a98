"""Two figures of `docs/method.md`, from two files of `benchmarks/accuracy.py`: ``python docs/directions_figure.py before.json after.json``.

``directions.png``: cosine by tenth of true time, type by type, before and after. ``reliability.png``: how often the
directions given a confidence are right.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes

from deepvelo.datasets.tissues import TISSUES

# Okabe and Ito's colours, which colour-blind readers can tell apart.
SHOWN = {"before": ("#56b4e9", "s"), "after": ("#d55e00", "o")}
SETS = ("branch_rates,deep,100", "unrelated,deep,100", "batches,deep,100", "origins,deep,100")
IMAGES = Path(__file__).parent / "images"
GAP = 2  # tenths between two types


def rows_of(path: Path) -> list[dict[str, Any]]:
    """The default's rows of a file."""
    return [row for row in json.loads(path.read_text())["rows"] if row["method"] == "default"]


def chosen(rows: list[dict[str, Any]], data_set: str) -> dict[str, Any] | None:
    """The row of a data set, written ``kind,depth,seed``."""
    kind, depth, seed = data_set.split(",")
    found = [row for row in rows if (row["kind"], row["depth"], row["seed"]) == (kind, depth, int(seed))]
    return found[0] if found else None


def draw_directions(results: dict[str, list[dict[str, Any]]], sets: list[str], target: Path) -> None:
    """One panel for each data set with its types side by side."""
    figure, axes = plt.subplots(
        len(sets), 1, figsize=(11, 2.1 * len(sets)), sharey=True, squeeze=False, layout="constrained"
    )
    for axis, data_set in zip(axes[:, 0], sets, strict=True):
        for when, rows in results.items():
            if (row := chosen(rows, data_set)) is not None:
                draw_types(axis, in_order(row["kind"], row["by_tenth"]), when)
        axis.axhline(0, color="#999999", linewidth=1, zorder=0)
        kind, depth, seed = data_set.split(",")
        axis.set(title=f"{kind.replace('_', ', own ')}, {depth}, seed {seed}", ylim=(-1.05, 1.05))
        axis.tick_params(axis="x", length=0)
        axis.spines[["top", "right"]].set_visible(False)
    figure.supylabel("mean cosine with the true velocity", fontsize="medium")
    figure.supxlabel("tenths of each cell type's true time, earliest first", fontsize="medium")
    handles = dict(zip(*reversed(axes[0, 0].get_legend_handles_labels()), strict=True))
    figure.legend(handles.values(), handles.keys(), loc="outside upper right", ncols=2, frameon=False)
    figure.savefig(target, dpi=130)


def in_order(kind: str, by_tenth: dict[str, list[float | None]]) -> dict[str, list[float | None]]:
    """Types in the order in which cells pass them."""
    return {stage.name: by_tenth[stage.name] for stage in TISSUES[kind].stages if stage.name in by_tenth}


def draw_types(axis: Axes, by_tenth: dict[str, list[float | None]], when: str) -> None:
    """A line of ten marks for each type."""
    color, marker = SHOWN[when]
    width = len(next(iter(by_tenth.values()))) + GAP
    for i, means in enumerate(by_tenth.values()):
        places = i * width + np.arange(len(means))
        axis.plot(places, np.array(means, dtype=float), marker=marker, color=color, markersize=4, label=when)
    axis.set_xticks([i * width + (width - GAP - 1) / 2 for i in range(len(by_tenth))], list(by_tenth))


def draw_reliability(results: dict[str, list[dict[str, Any]]], target: Path) -> None:
    """Share of right directions against stated confidence, over all moving cells of a file; below, how many cells."""
    figure, (axis, counts) = plt.subplots(
        2, 1, figsize=(5.5, 6), sharex=True, height_ratios=(3, 1), layout="constrained"
    )
    axis.plot([0, 1], [0, 1], color="#999999", linewidth=1, label="a true probability")
    for i, (when, rows) in enumerate(results.items()):
        parts = [found for row in rows if (found := row.get("reliability"))]
        if not parts:  # a version that states no probability
            continue
        cells, stated, right = (
            np.sum([part[name] for part in parts], axis=0) for name in ("cells", "confidence", "right")
        )
        error = np.abs(right - stated).sum() / cells.sum()
        filled = cells > 0
        color, marker = SHOWN[when]
        label = f"{when}: expected calibration error {error:.2f}"
        axis.plot(
            stated[filled] / cells[filled],
            right[filled] / cells[filled],
            marker=marker,
            color=color,
            label=label,
        )
        edges = np.linspace(0, 1, len(cells) + 1)
        counts.bar(edges[:-1] + (0.035 + 0.03 * i), cells / cells.sum(), 0.03, color=color)
    axis.set(ylabel="share of cells with a cosine above 0", ylim=(0, 1.02))
    counts.set(xlabel="confidence in direction", ylabel="share of cells", xlim=(0, 1.02))
    for panel in (axis, counts):
        panel.grid(color="#e0e0e0")
        panel.set_axisbelow(True)
        panel.spines[["top", "right"]].set_visible(False)
    axis.legend(loc="best", frameon=False)
    figure.savefig(target, dpi=130)


def main() -> None:
    """Draw both figures beside the page."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("before", type=Path)
    parser.add_argument("after", type=Path)
    parser.add_argument("--sets", nargs="+", default=SETS, help="kind,depth,seed of each panel")
    parser.add_argument("--images", type=Path, default=IMAGES, help="folder that the figures go to")
    args = parser.parse_args()
    results = {"before": rows_of(args.before), "after": rows_of(args.after)}
    if missing := [name for name in args.sets if not any(chosen(rows, name) for rows in results.values())]:
        sys.exit(f"Neither file has the default's results for {', '.join(missing)}.")
    draw_directions(results, list(args.sets), args.images / "directions.png")
    draw_reliability(results, args.images / "reliability.png")


if __name__ == "__main__":
    main()
