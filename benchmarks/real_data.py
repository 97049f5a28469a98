"""The same scores for every method on real cells: the 200 cells of the mouse dentate gyrus, with their own moments.

``python benchmarks/real_data.py dentate_gyrus_200.h5ad [--seeds 0 1 2] [--json FILE]``

Nobody knows the true velocity of real cells. Smoothing raises the consistency of any method, so scVelo's modes are
also given the default's, and the default is also shown without its last one.
"""

from __future__ import annotations

import argparse
import sys
import time
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Final

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

if TYPE_CHECKING:
    import pandas as pd
    from anndata import AnnData

# Known from the biology: Hochgerner et al. 2018, Nature Neuroscience 21:290.
RISING: Final = ("Endothelial", "Tmsb10")


def measure(cells: AnnData, *, seeds: list[int]) -> pd.DataFrame:
    """A row for each method and, where it has one, seed."""
    import pandas as pd

    from benchmarks.accuracy_methods import METHODS, preset
    from deepvelo import config, keys
    from deepvelo.pp.prepare import prepare

    unsmoothed = {"graph": {"smooth_velocity": 0}}
    methods = METHODS | {"default, velocity as fitted": preset(config.Settings(), unsmoothed)}
    seeded = ("published", *(name for name in methods if name.startswith("default")))
    prepared = prepare(cells, config.Settings(), cluster_key=keys.CLUSTERS)
    rows = []
    for name, method in methods.items():
        for seed in seeds if name in seeded else seeds[:1]:
            own = prepared.copy()
            started = time.perf_counter()
            method(own, config.replace(config.Settings(), {"seed": seed}))
            rows.append({"method": name, "seed": seed, "seconds": time.perf_counter() - started} | score(own))
    return pd.DataFrame(rows)


def score(fitted: AnnData) -> dict[str, float]:
    """Both consistency scores, the boundaries, and how many cells have the gene rise that is known to."""
    import numpy as np

    from deepvelo import keys, tl
    from deepvelo.evaluation.compare import GRANULE_EDGES
    from deepvelo.tl.metrics.consistency import celltype_consistency, neighbor_consistency

    velocity, groups = fitted.layers[keys.VELOCITY], fitted.obs[keys.CLUSTERS]
    tl.velocity_graph(fitted)
    tl.velocity_embedding(fitted, basis="umap")
    group, gene = RISING
    rising = velocity[(groups == group).to_numpy(), fitted.var_names.get_loc(gene)]
    return {
        "n_genes": int(fitted.var[keys.VELOCITY_GENES].sum()),
        "consistency": float(np.nanmean(neighbor_consistency(velocity, fitted.obsp[keys.DISTANCES]))),
        "consistency_celltype": float(np.nanmean(celltype_consistency(velocity, groups))),
        **{" > ".join(edge): boundary_cosine(fitted, edge) for edge in GRANULE_EDGES},
        f"{group} {gene} > 0": int((rising > 0).sum()),
    }


def boundary_cosine(fitted: AnnData, edge: tuple[str, str]) -> float:
    """`deepvelo.tl.metrics.boundary.boundary_means` on the UMAP: mean over the source's cells."""
    from deepvelo import keys
    from deepvelo.tl.metrics.boundary import boundary_means

    (mean,) = boundary_means(
        fitted.obsm[keys.velocity_embedding("umap")],
        fitted.obsm[keys.X_UMAP],
        graph=fitted.obsp[keys.DISTANCES],
        groups=fitted.obs[keys.CLUSTERS].to_numpy(),
        edges=[edge],
    )
    return mean


def main() -> None:
    """Measure and print the table."""
    from benchmarks.accuracy import write
    from deepvelo.io.read import read

    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("file", type=Path)
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2])
    parser.add_argument("--json", type=Path)
    args = parser.parse_args()
    warnings.filterwarnings("ignore")
    started = time.perf_counter()
    rows = measure(read(args.file), seeds=args.seeds)
    seconds = time.perf_counter() - started
    grouped = rows.drop(columns="seed").groupby("method", sort=False)
    text = grouped.mean().map(lambda x: f"{x:.3g}")
    spread = grouped.std()
    text = text.where(spread.isna(), text + spread.map(lambda x: f" ±{x:.2g}"))
    print(text.to_string())
    if args.json:
        write(args.json, rows, seconds=seconds)


if __name__ == "__main__":
    main()
