"""Trajectory, fates and drivers against the truth of simulated branching tissue, for DeepVelo and scVelo.

``python benchmarks/lineages.py [--kinds branch] [--depths ...] [--seeds 100 101 102] [--methods default dynamical]
[--cells 800] [--genes 200] [--jobs 2] [--json FILE]``
``python benchmarks/lineages.py --time [--cells 3000] [--genes 2000] [--json FILE]``
``python benchmarks/lineages.py --real dentate_gyrus_200.h5ad [--seeds 0] [--json FILE]``

Every fit is made in a process with one thread, ``--jobs`` of them at a time. Latent time and pseudotime are scored
from the root to each tip, and the lesser of these is shown. With ``--time`` instead, seconds of each part of the
analysis; with ``--real`` instead, what is known of the granule lineage (`lineages_real`).
"""

from __future__ import annotations

import argparse
import os
import sys
import time
import warnings
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass, field
from itertools import product
from multiprocessing import get_context
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks.accuracy import DEPTHS, SEEDS, THREADS, stage_edges, write

if TYPE_CHECKING:
    import pandas as pd
    from anndata import AnnData

    from benchmarks.accuracy_methods import Depth
    from deepvelo.datasets.tissue import Kind
    from deepvelo.lineages import Lineages

KINDS: Final = ("branch", "branch_rates", "boost", "batches")  # those with a root and branches
METHODS: Final = {
    "default": "deepvelo", "steady_state": "steady_state", "stochastic": "stochastic", "dynamical": "dynamical",
}  # fmt: skip
TOP: Final = 50  # drivers


@dataclass(frozen=True, kw_only=True)
class Plan:
    """One fit of one data set: all that a process has to be told."""

    kind: Kind
    depth: Depth
    seed: int
    method: str
    n_cells: int
    n_genes: int


@dataclass(frozen=True, kw_only=True)
class Row:
    """What was found in one fit; NaN and False where the analysis ended without an answer."""

    kind: str
    depth: str
    seed: int
    method: str
    tree: bool = False
    """Whether the directed edges between groups are exactly the true tree."""
    tips: bool = False
    """Whether the terminal states are exactly the tips."""
    terminal: str = ""
    auc: float = float("nan")
    latent_time: dict[str, float] = field(default_factory=dict)
    """Spearman correlation with the true time, from the root to each tip."""
    pseudotime: dict[str, float] = field(default_factory=dict)
    expected: dict[str, int] = field(default_factory=dict)
    """Genes simulated to drive each branch."""
    hits: dict[str, int] = field(default_factory=dict)
    """How many of these are among the best drivers found."""
    odds_ratio: dict[str, float] = field(default_factory=dict)
    p: dict[str, float] = field(default_factory=dict)
    seconds: float = float("nan")
    """Of the analysis, without the fit."""
    error: str = ""


def measure(plan: Plan) -> Row:
    """Simulate, fit, analyse and score, in this process."""
    warnings.filterwarnings("ignore")
    from benchmarks.accuracy_methods import simulated
    from deepvelo import config, keys, workflow
    from deepvelo.errors import InputError
    from deepvelo.lineages import LineageSettings, analyse

    counts = simulated(plan.kind, plan.depth, seed=plan.seed, n_cells=plan.n_cells, n_genes=plan.n_genes)
    changes = {"seed": plan.seed, "method": METHODS[plan.method], "training": {"device": "cpu"}}
    settings = config.replace(config.Settings(), changes)
    fitted = workflow.run(counts, settings, cluster_key=keys.CLUSTERS).adata
    named: dict[str, Any] = {
        "kind": plan.kind,
        "depth": plan.depth,
        "seed": plan.seed,
        "method": plan.method,
    }
    try:
        found = analyse(fitted, LineageSettings(cluster_key=keys.CLUSTERS))
    except InputError as error:
        return Row(**named, error=str(error))
    return Row(**named, **score(found, counts[fitted.obs_names, fitted.var_names]))


def score(found: Lineages, truth: AnnData) -> dict[str, Any]:
    """Everything in a `Row` but its name; ``truth`` is the simulation's, of the cells and genes that were fitted."""
    from benchmarks import lineages_scores as scores
    from deepvelo import keys
    from deepvelo.datasets.tissues import TISSUES
    from deepvelo.tl.lineage.driver_lists import driver_enrichment

    tissue = TISSUES[truth.uns[keys.SIMULATION]["kind"]]
    paths = scores.tips(tissue)
    enriched = {
        tip: driver_enrichment(
            found.drivers, lineage=tip, genes=scores.true_drivers(truth, tissue, tip), top=TOP
        )
        for tip in paths
        if tip in found.lineages
    }
    return {
        "tree": set(zip(found.edges["source"], found.edges["target"], strict=True))
        == set(stage_edges(tissue)),
        "tips": set(found.lineages) == set(paths),
        "terminal": ", ".join(found.lineages),
        "auc": scores.fate_auc(found.fates, truth.obs[keys.LINEAGE].to_numpy().astype(str), paths),
        "latent_time": scores.order(found.cells["latent_time"].to_numpy(), truth, paths),
        "pseudotime": scores.order(found.cells["pseudotime"].to_numpy(), truth, paths),
        "expected": {tip: e.n_expected for tip, e in enriched.items()},
        "hits": {tip: e.n_found for tip, e in enriched.items()},
        "odds_ratio": {tip: e.odds_ratio for tip, e in enriched.items()},
        "p": {tip: e.p for tip, e in enriched.items()},
        "seconds": found.seconds,
    }


def run(plans: list[Plan], *, jobs: int) -> pd.DataFrame:
    """Rows of all plans, in their order, ``jobs`` at a time, each in a process with one thread."""
    import pandas as pd

    os.environ.update(dict.fromkeys(THREADS, "1"))  # new processes read it before they load a library
    with ProcessPoolExecutor(jobs, mp_context=get_context("spawn")) as pool:
        rows = []
        for row in pool.map(measure, plans):
            rows.append(asdict(row))
            print(
                f"{len(rows)} of {len(plans)}: {row.kind}, {row.depth}, seed {row.seed}, {row.method}",
                file=sys.stderr, flush=True,
            )  # fmt: skip
    return pd.DataFrame(rows)


def table(rows: pd.DataFrame) -> pd.DataFrame:
    """One row a fit, for people."""
    text = rows[["kind", "depth", "seed", "method", "tree", "tips"]].copy()
    text["auc"] = rows["auc"].map("{:.3f}".format)
    for name in ("latent_time", "pseudotime"):
        text[name] = rows[name].map(lambda by_tip: f"{_least(by_tip):.3f}")
    text["hits/expected"] = [
        "  ".join(f"{hits[tip]}/{expected[tip]}" for tip in hits)
        for hits, expected in zip(rows["hits"], rows["expected"], strict=True)
    ]
    text["odds ratios"] = rows["odds_ratio"].map(lambda by: "  ".join(f"{odds:.1f}" for odds in by.values()))
    text["p"] = rows["p"].map(lambda by: "  ".join(f"{p:.0e}" for p in by.values()))
    text["terminal"] = rows["terminal"].where(rows["error"] == "", rows["error"])
    return text


def summary(rows: pd.DataFrame) -> pd.DataFrame:
    """Methods over the seeds: how often right, the mean and the worst of the scores, drivers of all tips together."""
    import pandas as pd
    from scipy.stats import gmean

    found = []
    for (kind, depth, method), of_method in rows.groupby(["kind", "depth", "method"], sort=False):
        odds, p = ([v for by in of_method[name] for v in by.values()] for name in ("odds_ratio", "p"))
        found.append(
            {
                "kind": kind,
                "depth": depth,
                "method": method,
                "tree": f"{of_method['tree'].sum()}/{len(of_method)}",
                "tips": f"{of_method['tips'].sum()}/{len(of_method)}",
                "mean auc": of_method["auc"].mean(),
                "least auc": of_method["auc"].min(),
                "least latent": of_method["latent_time"].map(_least).min(),
                "least pseudo": of_method["pseudotime"].map(_least).min(),
                "mean odds": gmean(odds) if odds else float("nan"),
                "largest p": max(p, default=float("nan")),
            }
        )
    return pd.DataFrame(found)


def _least(by_tip: dict[str, float]) -> float:
    return min(by_tip.values(), default=float("nan"))


def main() -> None:
    """Measure and print the tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--kinds", nargs="+", choices=KINDS, default=KINDS[:1])
    parser.add_argument("--depths", nargs="+", choices=DEPTHS, default=("deep", "10x"))
    parser.add_argument("--seeds", nargs="+", type=int)
    parser.add_argument("--methods", nargs="+", choices=METHODS, default=("default", "dynamical"))
    parser.add_argument("--cells", type=int)
    parser.add_argument("--genes", type=int)
    parser.add_argument("--jobs", type=int, default=2)
    other = parser.add_mutually_exclusive_group()
    other.add_argument("--time", action="store_true", help="seconds of the analysis instead")
    other.add_argument(
        "--real", type=Path, metavar="FILE", help="the real cells of the dentate gyrus instead"
    )
    parser.add_argument("--json", type=Path)
    args = parser.parse_args()
    warnings.filterwarnings("ignore")
    started = time.perf_counter()
    if args.time:
        seed = (args.seeds or SEEDS)[0]
        from benchmarks import lineages_time

        rows = lineages_time.measure(n_cells=args.cells or 3000, n_genes=args.genes or 2000, seed=seed)
        print(rows.to_string(index=False, float_format="{:.1f}".format))
    elif args.real:
        from benchmarks import lineages_real
        from deepvelo.io.read import read

        methods = {name: METHODS[name] for name in args.methods}
        rows = lineages_real.measure(read(args.real), methods=methods, seeds=args.seeds or [0])
        print(lineages_real.text(rows))
    else:
        sets = product(args.kinds, args.depths, args.seeds or SEEDS, args.methods)
        plans = [
            Plan(
                kind=kind,
                depth=depth,
                seed=seed,
                method=method,
                n_cells=args.cells or 800,
                n_genes=args.genes or 200,
            )
            for kind, depth, seed, method in sets
        ]
        rows = run(plans, jobs=args.jobs)
        print(table(rows).to_string(index=False))
        print("\nOver the seeds; odds ratios of all tips as their geometric mean")
        print(summary(rows).to_string(index=False, float_format="{:.3g}".format))
    if args.json:
        write(args.json, rows, seconds=time.perf_counter() - started)


if __name__ == "__main__":
    main()
