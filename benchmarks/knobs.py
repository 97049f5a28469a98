"""What one change at a time does to the default preset, on simulated tissue.

``python benchmarks/knobs.py [--ablations] [--knobs ...] [--kinds ...] [--depths ...] [--seeds ...] [--cells 800]
[--genes 200] [--jobs 2] [--json FILE]``

A change turns a setting, or with ``--ablations`` something that the preset fixes (`deepvelo.config.Variant`). Scores are
the mean cosine with the true velocity, the share of moving cells with a cosine below 0, the consistency (smoothness) and
the cross-boundary direction correctness. All fits of one data set are scored on the genes, the graph and the moments of the default.
The seeds 0 to 9 are for development.
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
from typing import TYPE_CHECKING, Any, Final, NamedTuple

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks.accuracy import DEPTHS, KINDS, THREADS

if TYPE_CHECKING:
    import pandas as pd
    from anndata import AnnData

    from benchmarks.accuracy_methods import Case

MOVING: Final = tuple(kind for kind in KINDS if kind != "static")
SCORES: Final = ("cosine", "below_zero", "consistency", "boundary")
DEFAULT: Final = "default"
# Values on both sides of the default; 0 switches a term or a smoothing off.
KNOBS: Final[dict[str, tuple[float, ...]]] = {
    "objective.lambda_u": (0, 4, 16),
    "objective.lambda_s": (0, 4, 16),
    "graph.n_neighbors": (5, 10, 40),
    "graph.n_candidates": (30, 60),
    "graph.smooth_inputs": (0, 2),
    "graph.smooth_velocity": (0, 4),
    "preparation.n_top_genes": (50, 100),
    "preparation.n_components": (10, 40),
    "preparation.n_neighbors": (15, 60),
    "training.n_epochs": (100, 400),
}
ABLATIONS: Final[dict[str, dict[str, Any]]] = {
    "size factors of each layer": {"size_factors": "layer"},
    "components of spliced RNA": {"neighbors_from": "spliced"},
    "candidates among all cells": {"candidate_cells": 100_000_000},
    "one layer of 64": {"hidden_sizes": (64,)},
    "layers of 256": {"hidden_sizes": (256, 256)},
    "dropout 0.2": {"dropout": 0.2},
    "rates of any sign": {"nonnegative_rates": False},
    "inputs not standardised": {"standardize_inputs": False},
    "random start": {"start": "random"},
    "continuity in genes": {"continuity": "genes"},
    "reassigned every 4th epoch": {"reassign_every": 4},
    "no refinement": {"refinement_passes": 0},
    "4 refinement passes": {"refinement_passes": 4},
    "no direction term": {"direction_weight": 0.0},
    "direction term 4 times": {"direction_weight": 4.0},
    "direction term throughout": {
        "direction_schedule": "published", "direction_weight": 18.0, "reassign_every": 1,
    },
    "du/dt not fitted": {"unspliced_velocity": False},
    "learning rate falls faster": {"learning_rate_decay": 0.97},
}  # fmt: skip


class Change(NamedTuple):
    """What a fit does otherwise than the default."""

    settings: dict[str, Any]
    fixed: dict[str, Any]


def changes(names: tuple[str, ...]) -> dict[str, Change]:
    """Changes of knobs and ablations, by the name of their row: ``graph.n_neighbors 10``."""
    found = {}
    for name in names:
        if name in ABLATIONS:
            found[name] = Change({}, ABLATIONS[name])
            continue
        section, setting = name.split(".")
        for value in KNOBS[name]:
            found[f"{name} {value:g}"] = Change({section: {setting: value}}, {})
    return found


def measure(
    kind: str, depth: str, seed: int, *, n_cells: int, n_genes: int, names: tuple[str, ...]
) -> list[dict[str, Any]]:
    """Scores of the default and of every change on one data set, in this process."""
    warnings.filterwarnings("ignore")
    from benchmarks import accuracy_methods
    from deepvelo import config, keys
    from deepvelo.pp.prepare import prepare
    from deepvelo.tl.velocity.fit import fit_velocity

    counts = accuracy_methods.simulated(kind, depth, seed=seed, n_cells=n_cells, n_genes=n_genes)
    case = accuracy_methods.case_of(counts, seed=seed)
    rows = []
    for name, change in ({DEFAULT: Change({}, {})} | changes(names)).items():
        settings = config.replace(case.settings, change.settings)
        with config.ablation(**change.fixed):
            fitted = prepare(counts, settings, cluster_key=keys.CLUSTERS)
            fit_velocity(fitted, settings=settings)
        rows.append({"kind": kind, "depth": depth, "seed": seed, "change": name} | scored(fitted, case))
    return rows


def scored(fitted: AnnData, case: Case) -> dict[str, float]:
    """The `SCORES` over the velocity genes of a fit that the default's data have as well."""
    import numpy as np

    from benchmarks import accuracy_directions as directions
    from benchmarks import accuracy_scores as scores
    from benchmarks.accuracy import stage_edges
    from deepvelo import keys
    from deepvelo.datasets.tissues import TISSUES
    from deepvelo.tl.metrics.consistency import neighbor_consistency

    own = fitted.var_names[fitted.var[keys.VELOCITY_GENES]]
    genes = case.prepared.var_names.intersection(own)
    estimate = fitted[:, genes].layers[keys.VELOCITY]
    default, everywhere = case.prepared[:, genes], np.ones(len(genes), dtype=bool)
    truth = case.velocity[:, case.prepared.var_names.get_indexer(genes)]
    graph = case.prepared.obsp[keys.DISTANCES].tocsr()
    boundary = scores.boundary_correctness(
        estimate,
        default.layers[keys.MS],
        graph,
        case.truth.obs[keys.CLUSTERS].to_numpy().astype(str),
        edges=stage_edges(TISSUES[case.truth.uns[keys.SIMULATION]["kind"]]),
        genes=everywhere,
    )
    cosine = scores.cosines(estimate, truth, genes=everywhere)
    moving = directions.moving_cells(case.velocity)
    return {
        "cosine": scores.mean(cosine),
        "below_zero": directions.share_below_zero(cosine[moving]),
        "consistency": scores.mean(neighbor_consistency(estimate, graph)),
        "boundary": boundary,
    }


def effects(rows: pd.DataFrame, score: str) -> pd.DataFrame:
    """One score: the default's as it is, then what every change adds to it; means over the seeds.

    ``largest`` is the largest change on any kind and depth, without its sign.
    """
    import pandas as pd

    table = rows.pivot_table(index="change", columns=["kind", "depth"], values=score, sort=False)
    added = table.drop(index=DEFAULT) - table.loc[DEFAULT]
    added["largest"] = added.abs().max(axis=1)
    return pd.concat([table.loc[[DEFAULT]], added])


def main() -> None:
    """Measure and print one table a score."""
    import pandas as pd

    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--knobs", nargs="+", choices=[*KNOBS, *ABLATIONS], default=tuple(KNOBS))
    parser.add_argument("--ablations", action="store_true", help="all of them, instead of the knobs")
    parser.add_argument("--kinds", nargs="+", choices=MOVING, default=("branch", "branch_rates", "cycle"))
    parser.add_argument("--depths", nargs="+", choices=DEPTHS, default=DEPTHS)
    parser.add_argument("--seeds", nargs="+", type=int, default=(0, 1))
    parser.add_argument("--cells", type=int, default=800)
    parser.add_argument("--genes", type=int, default=200)
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--json", type=Path)
    args = parser.parse_args()

    os.environ.update(dict.fromkeys(THREADS, "1"))  # new processes read it before they load a library
    size = {
        "n_cells": args.cells,
        "n_genes": args.genes,
        "names": tuple(ABLATIONS if args.ablations else args.knobs),
    }
    with ProcessPoolExecutor(args.jobs, mp_context=get_context("spawn")) as pool:
        waiting = [
            pool.submit(measure, *which, **size) for which in product(args.kinds, args.depths, args.seeds)
        ]
        rows = pd.DataFrame([row for done in waiting for row in done.result()])
    for score in SCORES:
        print(f"\n{score}: the default, and what every change adds to it")
        print(effects(rows, score).to_string(float_format="{:+.3f}".format))
    if args.json:
        args.json.write_text(rows.to_json(orient="records", indent=1), encoding="utf-8")


if __name__ == "__main__":
    main()
