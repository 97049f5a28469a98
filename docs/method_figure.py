"""The figure of `docs/method.md`, drawn from what `make bench-accuracy` wrote: ``python docs/method_figure.py accuracy.json``."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import matplotlib.pyplot as plt
import pandas as pd

# Okabe and Ito's colours, which colour-blind readers can tell apart.
SHOWN = {
    "true_velocity": ("the true velocity, smoothed alike", "#999999", "|"),
    "default": ("default", "#d55e00", "o"),
    "published": ("published DeepVelo", "#cc79a7", "s"),
    "dynamical": ("scVelo dynamical", "#0072b2", "^"),
    "stochastic": ("scVelo stochastic", "#56b4e9", "v"),
    "steady_state": ("scVelo steady-state", "#009e73", "D"),
    "graphvelo+smooth": ("GraphVelo on scVelo stochastic, smoothed alike", "#e69f00", "P"),
}
DEPTHS = {"deep": "deep: 6 counts per gene and cell", "10x": "10x-like: 0.67 counts per gene and cell"}


def draw(rows: pd.DataFrame, target: Path) -> None:
    """One panel for each depth, one line of marks for each kind of tissue."""
    moving = rows[rows["kind"] != "static"]
    means = moving.groupby(["depth", "kind", "method"])["cosine_own"].mean()
    kinds = list(dict.fromkeys(moving["kind"]))
    figure, axes = plt.subplots(1, 2, figsize=(11, 4), sharey=True, layout="constrained")
    for axis, (depth, title) in zip(axes, DEPTHS.items(), strict=True):
        for name, (label, color, marker) in SHOWN.items():
            if name not in set(moving["method"]):  # peers are measured only where they are installed
                continue
            values = [means.get((depth, kind, name)) for kind in kinds]
            size = 16 if marker == "|" else 8
            axis.plot(values, range(len(kinds)), marker, color=color, label=label, markersize=size)
        axis.set(title=title, xlabel="mean cosine with the true velocity", xlim=(-0.05, 1))
        axis.grid(axis="x", color="#e0e0e0")
        axis.spines[["top", "right"]].set_visible(False)
    axes[0].set_yticks(range(len(kinds)), [kind.replace("_", ", own ") for kind in kinds])
    axes[0].invert_yaxis()
    figure.legend(*axes[0].get_legend_handles_labels(), loc="outside lower center", ncols=3, frameon=False)
    figure.savefig(target, dpi=130)


def main() -> None:
    """Draw the figure beside the page."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("measured", type=Path)
    rows = pd.DataFrame(json.loads(parser.parse_args().measured.read_text())["rows"])
    draw(rows, Path(__file__).parent / "images" / "accuracy.png")


if __name__ == "__main__":
    main()
