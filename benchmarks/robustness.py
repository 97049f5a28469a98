"""How much the default's answer changes when the data do, on simulated tissue: cells, depth, genes, seed.

``python benchmarks/robustness.py [--kinds ...] [--depths ...] [--seeds ...] [--cells 800] [--genes 200] [--jobs 2]
[--json FILE]``

Every change leaves the cells of the simulated tissue and their true velocity as they are; cosines are over those
cells and over the genes that the unchanged data keep.
"""

from __future__ import annotations

import argparse
import os
import sys
import warnings
from concurrent.futures import ProcessPoolExecutor
from itertools import product
from multiprocessing import get_context
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks.accuracy import DEPTHS, KINDS, THREADS

if TYPE_CHECKING:
    import numpy as np
    from anndata import AnnData

CHANGES: Final = (
    "as it is", "cells in another order", "another seed", "half the counts", "a fifth unrelated cells",
    "as many noise genes",
)  # fmt: skip
MOVING: Final = tuple(kind for kind in KINDS if kind != "static")


def measure(kind: str, depth: str, seed: int, n_cells: int, n_genes: int) -> list[dict[str, Any]]:
    """The mean cosine with the truth after each change."""
    warnings.filterwarnings("ignore")
    from benchmarks import accuracy_methods
    from deepvelo import config, keys
    from deepvelo.pp.prepare import prepare
    from deepvelo.tl.velocity.fit import fit_velocity

    counts = accuracy_methods.simulated(kind, depth, seed=seed, n_cells=n_cells, n_genes=n_genes)
    case = accuracy_methods.case_of(counts, seed=seed)
    rows = []
    for change in CHANGES:
        settings = case.settings
        if change == "another seed":
            settings = config.replace(settings, {"seed": seed + 1000})
        prepared = prepare(changed(counts, change, seed=seed), settings, cluster_key=keys.CLUSTERS)
        fit_velocity(prepared, settings=settings)
        rows.append(
            {"kind": kind, "depth": depth, "seed": seed, "change": change, "cosine": cosine(prepared, case)}
        )
    return rows


def changed(counts: AnnData, change: str, *, seed: int) -> AnnData:
    """The counts with one thing changed; the cells of the tissue keep their names."""
    import anndata as ad
    import numpy as np
    from scipy import sparse

    from deepvelo import keys
    from deepvelo.datasets.simulation import simulate

    rng = np.random.default_rng(seed)
    layers = (keys.SPLICED, keys.UNSPLICED)
    out = ad.AnnData(
        obs=counts.obs[[keys.CLUSTERS]].astype(str),
        var=counts.var[[]],
        layers={key: sparse.csr_matrix(counts.layers[key]) for key in layers},
    )
    if change == "cells in another order":
        return out[rng.permutation(out.n_obs)].copy()
    if change == "half the counts":
        for key in layers:
            out.layers[key].data = rng.binomial(out.layers[key].data.astype(int), 0.5).astype(np.float32)
    if change == "a fifth unrelated cells":
        depth = float(np.median(np.asarray(out.layers[keys.SPLICED].sum(axis=1))))
        others = simulate(
            kind="unrelated", n_cells=out.n_obs // 5, n_genes=out.n_vars, depth=depth, seed=seed + 500
        )
        others = ad.AnnData(
            obs=others.obs[[keys.CLUSTERS]].astype(str),
            var=out.var,
            layers={key: sparse.csr_matrix(others.layers[key]) for key in layers},
        )
        others.obs_names = [f"unrelated {name}" for name in others.obs_names]
        out = ad.concat([out, others])
    if change == "as many noise genes":
        # Genes that never change: as abundant as the tissue's, and all that differs between cells is counting.
        size = sum(out.layers[key].sum(axis=1) for key in layers)
        share = np.asarray(size / size.mean())
        noise = out.copy()
        for key in layers:
            noise.layers[key] = sparse.csr_matrix(
                rng.poisson(share * out.layers[key].mean(axis=0)).astype(np.float32)
            )
        noise.obs_names = out.obs_names
        noise.var_names = [f"noise {name}" for name in noise.var_names]
        clusters = out.obs
        out = ad.concat([out, noise], axis=1)
        out.obs = clusters
    return out


def cosine(prepared: AnnData, case: Any) -> float:
    """Mean over the tissue's cells, over the genes that the unchanged data keep too."""
    import numpy as np

    from benchmarks import accuracy_scores as scores
    from deepvelo import keys

    genes = case.prepared.var_names.intersection(prepared.var_names[prepared.var[keys.VELOCITY_GENES]])
    estimate: np.ndarray = prepared[case.prepared.obs_names, genes].layers[keys.VELOCITY]
    truth = case.velocity[:, case.prepared.var_names.get_indexer(genes)]
    return scores.mean(scores.cosines(estimate, truth, genes=np.ones(len(genes), dtype=bool)))


def main() -> None:
    """Measure and print the table: cosine as it is, and the difference that every change makes."""
    import pandas as pd

    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--kinds", nargs="+", choices=MOVING, default=MOVING)
    parser.add_argument("--depths", nargs="+", choices=DEPTHS, default=DEPTHS)
    parser.add_argument("--seeds", nargs="+", type=int, default=(100, 101, 102))
    parser.add_argument("--cells", type=int, default=800)
    parser.add_argument("--genes", type=int, default=200)
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--json", type=Path)
    args = parser.parse_args()

    os.environ.update(dict.fromkeys(THREADS, "1"))  # new processes read it before they load a library
    sets = list(product(args.kinds, args.depths, args.seeds))
    with ProcessPoolExecutor(args.jobs, mp_context=get_context("spawn")) as pool:
        waiting = [pool.submit(measure, *which, args.cells, args.genes) for which in sets]
        rows = pd.DataFrame([row for done in waiting for row in done.result()])
    table = rows.pivot_table(index=["kind", "depth", "seed"], columns="change", values="cosine", sort=False)
    changes = table.drop(columns=CHANGES[0]).sub(table[CHANGES[0]], axis=0)
    found = pd.concat([table[CHANGES[0]], changes], axis=1).groupby(["kind", "depth"], sort=False)
    print("Mean over the seeds: cosine as it is, and what every change adds to it")
    print(found.mean().to_string(float_format="{:+.3f}".format))
    print("\nLargest change of any one data set")
    print(changes.abs().groupby(["kind", "depth"], sort=False).max().to_string(float_format="{:.3f}".format))
    if args.json:
        args.json.write_text(rows.to_json(orient="records", indent=1), encoding="utf-8")


if __name__ == "__main__":
    main()
