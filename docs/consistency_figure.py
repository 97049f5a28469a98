"""The second figure of `docs/method.md`: ``python docs/consistency_figure.py dentate_gyrus_200.h5ad``."""

from __future__ import annotations

import argparse
import warnings
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes

from deepvelo import config, keys
from deepvelo.io import read
from deepvelo.pp.prepare import prepare
from deepvelo.tl.metrics.consistency import neighbor_consistency
from deepvelo.tl.velocity.fit import fit_velocity

GENE = "Fth1"
SHOWN = {"Neuroblast": "#0072b2", "Granule immature": "#e69f00", "Granule mature": "#009e73"}
# Future and past cells are reassigned every n epochs; 0 assigns them once, before training.
REASSIGN_EVERY = {"default: future and past assigned once": 0, "reassigned in every 4th epoch": 4}


def draw(axis: Axes, file: Path, reassign_every: int, *, title: str) -> None:
    """The gene's phase portrait after a fit, with the mean consistency over all cells."""
    settings = config.Settings()
    prepared = prepare(read(file), settings, cluster_key=keys.CLUSTERS)
    with config.ablation(reassign_every=reassign_every):
        fit_velocity(prepared, settings=settings)
    gene = prepared.var_names.get_loc(GENE)
    for name, color in SHOWN.items():
        cells = (prepared.obs[keys.CLUSTERS] == name).to_numpy()
        s, u, ds, du = (
            prepared.layers[key][cells, gene] for key in (keys.MS, keys.MU, keys.VELOCITY, keys.VELOCITY_U)
        )
        axis.scatter(s, u, s=14, color=color, label=name)
        axis.quiver(s, u, ds, du, angles="xy", width=0.0025, color="#444444")
    consistency = np.nanmean(
        neighbor_consistency(prepared.layers[keys.VELOCITY], prepared.obsp[keys.DISTANCES])
    )
    axis.set(title=f"{GENE}, {title}\nconsistency of all cells {consistency:.2f}", xlabel="spliced")
    axis.spines[["top", "right"]].set_visible(False)


def main() -> None:
    """Draw the figure beside the page."""
    warnings.filterwarnings("ignore")
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("file", type=Path, help="the 200 cells of the mouse dentate gyrus")
    file = parser.parse_args().file
    figure, axes = plt.subplots(1, 2, figsize=(11, 4), sharey=True, layout="constrained")
    for axis, (title, reassign_every) in zip(axes, REASSIGN_EVERY.items(), strict=True):
        draw(axis, file, reassign_every, title=title)
    axes[0].set_ylabel("unspliced")
    figure.legend(*axes[0].get_legend_handles_labels(), loc="outside lower center", ncols=3, frameon=False)
    figure.savefig(Path(__file__).parent / "images" / "consistency.png", dpi=130)


if __name__ == "__main__":
    main()
