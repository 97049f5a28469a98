"""How close velocities come to the true ones, on simulated tissue: our presets, scVelo's modes, and what is possible.

``python benchmarks/accuracy.py [--quick] [--kinds ...] [--depths ...] [--seeds ...] [--methods ...] [--cells 800]
[--genes 200] [--jobs 2] [--foreign FOLDER] [--json FILE]``

Every data set is fitted in a process with one thread, ``--jobs`` of them at a time. The seeds 0 to 9 are for
development; the quoted table comes from 100 to 102. The scores are those of `accuracy_scores`, `accuracy_directions`
and `accuracy_confidence`; ``own`` is over a method's own velocity genes, ``shared`` over the genes that all methods of a
data set have, ``decided`` over the cells whose direction a method does not call undecided.
"""

from __future__ import annotations

import argparse
import itertools
import json
import os
import platform
import sys
import time
import warnings
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import asdict, dataclass
from importlib.metadata import version
from multiprocessing import get_context
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd
    from anndata import AnnData

    from benchmarks.accuracy_confidence import Reliability
    from benchmarks.accuracy_methods import Case

KINDS: Final = (
    "linear", "branch", "branch_rates", "boost", "cycle", "unrelated", "origins", "batches", "regulated", "factors",
    "static",
)  # fmt: skip
FOREIGN: Final = "foreign"  # made by another group's simulator, see `accuracy_foreign`
FOREIGN_FOLDER: Final = Path(__file__).resolve().parents[2] / "shared" / "data" / "foreign"
DEPTHS: Final = ("10x", "deep")
DROPLET: Final = "droplet"  # as many counts as 10x, and few genes have most of them
SEEDS: Final = (100, 101, 102)
THREADS: Final = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS")
VERSIONS: Final = ("deepvelo-explorer", "torch", "torch-geometric", "scanpy", "scvelo", "anndata", "numpy")
TABLE: Final = (
    "cosine_own", "cosine_shared", "cosine_small", "cosine_large", "sign_own", "sign_shared", "rank_own",
    "rank_shared", "boundary_own", "boundary_shared", "gamma", "auc", "pseudotime", "consistency", "seconds",
)  # fmt: skip
DIRECTIONS: Final = (
    "below_zero", "stretches", "stretch_share", "worst_type", "reversed", "reversed_lineages", "undecided",
    "cosine_decided", "below_zero_decided", "stretches_decided", "confidence", "mean_confidence", "max_confidence",
    "sure", "sure_right", "calibration_error",
)  # fmt: skip
COUNTS: Final = ("reversed", "reversed_lineages", "stretches", "stretches_decided")
SHARE_TARGETS: Final = {"deep": 0.93, "10x": 0.90}
SHARE_TARGETS_OF: Final = {"batches": {"deep": 0.88, "10x": 0.85}, FOREIGN: {}}


@dataclass(frozen=True, kw_only=True)
class Row:
    """The scores of one method on one data set; NaN where a score makes no sense."""

    kind: str
    depth: str
    seed: int
    method: str
    n_genes_own: int
    n_genes_shared: int
    cosine_own: float
    cosine_shared: float
    cosine_small: float
    """Over cells in groups of at most 40."""
    cosine_large: float
    cosine_by_lineage: dict[str, float]
    sign_own: float
    sign_shared: float
    rank_own: float
    rank_shared: float
    boundary_own: float
    boundary_shared: float
    gamma: float
    auc: float
    pseudotime: float
    confidence: float
    """Spearman correlation of the stated confidence with the true cosine, over moving cells."""
    mean_confidence: float
    max_confidence: float
    """Over all cells; this and what follows on confidence only of methods that state a probability."""
    sure: float
    """Share of all cells given a confidence of at least 0.9."""
    sure_right: float
    """Share of the moving ones among them whose cosine is above 0."""
    calibration_error: float
    reliability: dict[str, list[float]] | None
    """Moving cells by confidence: the fields of `accuracy_confidence.Reliability`."""
    consistency: float
    reversed: bool
    """Whether the mean cosine is below 0."""
    reversed_lineages: int
    moving: float
    """Share of cells whose true speed exceeds 5% of the median; scores of directions are over these."""
    below_zero: float
    """Share of moving cells with a cosine below 0."""
    by_tenth: dict[str, list[float]]
    """Mean cosine by tenth of each type's true time, earliest first."""
    stretches: int
    """Runs of tenths with means below 0 and at least 20 cells."""
    stretch_share: float
    """Their share of all moving cells."""
    reversed_stretches: list[dict[str, Any]]
    """Each of them: the fields of `accuracy_directions.Stretch`."""
    worst_type: str | None
    """Of the types with at least 30 moving cells, the one with the lowest mean cosine."""
    worst_cosine: float
    undecided: float
    """Share of moving cells whose direction the method calls undecided; of all cells where none moves."""
    cosine_decided: float
    below_zero_decided: float
    stretches_decided: int
    seconds: float


@dataclass(frozen=True)
class Plan:
    """One data set and what is fitted to it: all that a process has to be told."""

    kind: str
    depth: str
    seed: int
    n_cells: int
    n_genes: int
    methods: tuple[str, ...]
    foreign: Path = FOREIGN_FOLDER
    """Where the data of kind ``foreign`` lie."""


def measure(plan: Plan) -> list[Row]:
    """Simulate, fit every method and score it, in this process."""
    warnings.filterwarnings("ignore")
    import numpy as np

    from benchmarks import accuracy_methods
    from deepvelo import keys

    case = make_case(plan)
    methods = accuracy_methods.METHODS | accuracy_methods.peers()
    accuracy_methods.warm_up(case)
    fitted, seconds = {}, {}
    for name in plan.methods:
        own = case.prepared.copy()
        started = time.perf_counter()
        if name in accuracy_methods.REFERENCES:
            accuracy_methods.REFERENCES[name](own, case)
        else:
            methods[name](own, case.settings)
        seconds[name] = time.perf_counter() - started
        fitted[name] = own
    shared = np.logical_and.reduce([own.var[keys.VELOCITY_GENES].to_numpy() for own in fitted.values()])
    return [
        Row(
            kind=plan.kind,
            depth=plan.depth,
            seed=plan.seed,
            method=name,
            seconds=seconds[name],
            **score(own, case, method=name, shared=shared),
        )
        for name, own in fitted.items()
    ]


def make_case(plan: Plan) -> Case:
    """The data set of a plan, ready for fits."""
    from benchmarks import accuracy_foreign, accuracy_methods
    from deepvelo.datasets.simulation import simulate

    if plan.kind == FOREIGN:
        return accuracy_foreign.foreign_case(plan.foreign, plan.depth, seed=plan.seed)
    size = {"n_cells": plan.n_cells, "n_genes": plan.n_genes}
    if plan.depth == DROPLET:
        per_cell = accuracy_methods.COUNTS_PER_GENE["10x"] * plan.n_genes
        counts = simulate(kind=plan.kind, depth=per_cell, seed=plan.seed, profile="droplet", **size)
        return accuracy_methods.case_of(counts, seed=plan.seed)
    return accuracy_methods.make_case(plan.kind, plan.depth, seed=plan.seed, **size)


def tissue_of(case: Case) -> Any:
    """The `deepvelo.datasets.tissue.Tissue` that a case was drawn from."""
    from benchmarks import accuracy_foreign
    from deepvelo import keys
    from deepvelo.datasets.tissues import TISSUES

    return (TISSUES | {FOREIGN: accuracy_foreign.TISSUE})[case.truth.uns[keys.SIMULATION]["kind"]]


def score(fitted: AnnData, case: Case, *, method: str, shared: np.ndarray) -> dict[str, Any]:
    """Everything in a `Row` but its name and time."""
    from benchmarks import accuracy_scores as scores
    from deepvelo import keys

    estimate, own = fitted.layers[keys.VELOCITY], fitted.var[keys.VELOCITY_GENES].to_numpy()
    lineages = case.truth.obs[keys.LINEAGE].to_numpy().astype(str)
    cosine = scores.cosines(estimate, case.velocity, genes=own)
    return {
        **_score_genes(fitted, case, genes={"own": own, "shared": shared}),
        **_score_cells(fitted, case, cosine, lineages=lineages),
        **_score_rates(fitted, case, lineages=lineages),
        **score_directions(fitted, case, cosine),
        **score_confidence(fitted, case, cosine, method=method),
        "pseudotime": _score_pseudotime(fitted, case, lineages=lineages),
    }


def _score_genes(fitted: AnnData, case: Case, *, genes: dict[str, np.ndarray]) -> dict[str, float]:
    """Scores over each of the masks of genes, shape ``(n_genes,)``."""
    from benchmarks import accuracy_scores as scores
    from deepvelo import keys

    estimate, truth = fitted.layers[keys.VELOCITY], case.velocity
    moving = scores.moving_genes(case.truth.layers[keys.TRUE_VELOCITY], case.truth.layers[keys.TRUE_ALPHA])
    clusters = case.truth.obs[keys.CLUSTERS].to_numpy().astype(str)
    moments = case.prepared.layers[keys.MS]
    neighbors, edges = case.prepared.obsp[keys.DISTANCES].tocsr(), stage_edges(tissue_of(case))
    found: dict[str, float] = {}
    for name, chosen in genes.items():
        boundary = scores.boundary_correctness(
            estimate, moments, neighbors, clusters, edges=edges, genes=chosen
        )
        found |= {
            f"n_genes_{name}": int(chosen.sum()),
            f"cosine_{name}": scores.mean(scores.cosines(estimate, truth, genes=chosen)),
            f"sign_{name}": scores.right_signs(estimate, truth, genes=chosen & moving),
            f"rank_{name}": scores.rank_correlation(estimate, truth, genes=chosen & moving),
            f"boundary_{name}": boundary if moving.any() else float("nan"),
        }
    return found


def _score_cells(fitted: AnnData, case: Case, cosine: np.ndarray, *, lineages: np.ndarray) -> dict[str, Any]:
    """Means of the cells' cosines, shape ``(n_cells,)``, by lineage and size of type; and consistency."""
    from benchmarks import accuracy_scores as scores
    from deepvelo import keys
    from deepvelo.tl.metrics.consistency import neighbor_consistency

    by_lineage = scores.mean_by_group(cosine, lineages)
    clusters = case.truth.obs[keys.CLUSTERS].to_numpy().astype(str)
    small, large = scores.small_and_large(cosine, clusters)
    return {
        "cosine_small": small,
        "cosine_large": large,
        "cosine_by_lineage": by_lineage,
        "reversed": scores.mean(cosine) < 0,
        "reversed_lineages": sum(value < 0 for value in by_lineage.values()),
        "consistency": scores.mean(
            neighbor_consistency(fitted.layers[keys.VELOCITY], fitted.obsp[keys.DISTANCES])
        ),
    }


def score_directions(fitted: AnnData, case: Case, cosine: np.ndarray) -> dict[str, Any]:
    """Which of the moving cells point backwards, and where, from the cells' cosines, shape ``(n_cells,)``."""
    import numpy as np

    from benchmarks import accuracy_directions as directions
    from benchmarks import accuracy_scores as scores
    from deepvelo import keys

    clusters = case.truth.obs[keys.CLUSTERS].to_numpy().astype(str)
    moving = directions.moving_cells(case.velocity)
    tenth = directions.tenths(case.truth.obs[keys.TRUE_TIME].to_numpy(), clusters, moving=moving)
    stated = fitted.obs.get(keys.UNDECIDED)
    decided = np.ones(len(cosine), bool) if stated is None else ~stated.to_numpy().astype(bool)
    of_moving = np.where(moving, cosine, np.nan)
    of_decided = np.where(decided, of_moving, np.nan)
    stretches = directions.reversed_stretches(of_moving, clusters, tenth)
    worst, worst_cosine = directions.worst_type(of_moving, clusters)
    in_stretches = sum(stretch.cells for stretch in stretches)
    return {
        "moving": scores.mean(moving.astype(float)),
        "below_zero": directions.share_below_zero(of_moving),
        "by_tenth": directions.mean_by_tenth(of_moving, clusters, tenth),
        "stretches": len(stretches),
        "stretch_share": in_stretches / moving.sum() if moving.any() else float("nan"),
        "reversed_stretches": [asdict(stretch) for stretch in stretches],
        "worst_type": worst or None,
        "worst_cosine": worst_cosine,
        "undecided": (~decided[moving if moving.any() else slice(None)]).mean()
        if stated is not None
        else float("nan"),
        "cosine_decided": scores.mean(cosine[decided]),
        "below_zero_decided": directions.share_below_zero(of_decided),
        "stretches_decided": len(directions.reversed_stretches(of_decided, clusters, tenth)),
    }


def score_confidence(fitted: AnnData, case: Case, cosine: np.ndarray, *, method: str) -> dict[str, Any]:
    """How far a method's confidence tells right directions from wrong ones; ``cosine`` of shape ``(n_cells,)``."""
    import numpy as np

    from benchmarks import accuracy_confidence as confidences
    from benchmarks import accuracy_directions as directions
    from benchmarks import accuracy_scores as scores
    from deepvelo import keys

    unknown = ("confidence", "mean_confidence", "max_confidence", "sure", "sure_right", "calibration_error")
    found: dict[str, Any] = dict.fromkeys(unknown, float("nan")) | {"reliability": None}
    stated = stated_confidence(fitted, method=method)
    if stated is None:
        return found
    found |= {"confidence": scores.rank_agreement(stated, cosine), "mean_confidence": scores.mean(stated)}
    if keys.CONFIDENCE not in fitted.obs:  # scVelo's measure claims no probability
        return found
    of_moving = np.where(directions.moving_cells(case.velocity), cosine, np.nan)
    reliability = confidences.reliability(stated, of_moving)
    return found | {
        "max_confidence": float(np.nanmax(stated)),
        "sure": confidences.share_sure(stated),
        "sure_right": confidences.right_when_sure(stated, of_moving),
        "calibration_error": reliability.error,
        "reliability": asdict(reliability),
    }


def _score_pseudotime(fitted: AnnData, case: Case, *, lineages: np.ndarray) -> float:
    """Rank agreement of velocity pseudotime with true time, mean over trees."""
    import numpy as np

    from benchmarks import accuracy_directions as directions
    from benchmarks import accuracy_scores as scores
    from deepvelo import keys, tl

    tissue, time = tissue_of(case), case.truth.obs[keys.TRUE_TIME].to_numpy()
    # A cycle has no beginning, and still tissue no time.
    cyclic = any(part.cycle for part in tissue.lineages)
    if cyclic or not directions.moving_cells(case.velocity).any() or np.isnan(time).all():
        return float("nan")
    tl.velocity_graph(fitted)
    tl.latent_time(fitted)
    trees = np.array([roots(tissue)[name] for name in lineages])
    return scores.mean_rank_agreement(fitted.obs[keys.PSEUDOTIME].to_numpy(), time, groups=trees)


def _score_rates(fitted: AnnData, case: Case, *, lineages: np.ndarray) -> dict[str, float]:
    """How well differences in rates between lineages are found, by methods whose rates may differ."""
    from benchmarks import accuracy_scores as scores
    from deepvelo import keys
    from deepvelo.tl.rates.multikinetic import multikinetic_score

    differ = case.truth.var[keys.RATES_DIFFER].to_numpy()
    if keys.BETA not in fitted.layers or not differ.any():
        return {"gamma": float("nan"), "auc": float("nan")}
    rna = case.prepared.layers[keys.MU], case.prepared.layers[keys.MS]
    rates = fitted.layers[keys.BETA], fitted.layers[keys.GAMMA]
    true_rates = case.truth.layers[keys.TRUE_BETA], case.truth.layers[keys.TRUE_GAMMA]
    estimate, truth = (
        scores.group_log_ratios(*which, *rna, groups=lineages) for which in (rates, true_rates)
    )
    unspliced, spliced = rna
    velocity = fitted.layers[keys.VELOCITY]
    multikinetic = multikinetic_score(unspliced, spliced, velocity, groups=case.truth.obs[keys.CLUSTERS])
    return {
        "gamma": scores.difference_correlation(estimate, truth),
        "auc": scores.area_under_curve(multikinetic, differ),
    }


def stated_confidence(fitted: AnnData, *, method: str) -> np.ndarray | None:
    """How sure a method says it is of each cell, shape ``(n_cells,)``; None for one that does not say.

    For scVelo's modes, also with smoothed velocities, its own measure.
    """
    from benchmarks.accuracy_methods import SCVELO, SMOOTHED_SCVELO
    from deepvelo import keys, tl

    if method in (*SCVELO, *SMOOTHED_SCVELO):
        import scvelo as scv

        scv.settings.verbosity = 0
        if keys.VELOCITY_GRAPH not in fitted.uns:  # scVelo measures another confidence along, which takes it
            tl.velocity_graph(fitted)
        scv.tl.velocity_confidence(fitted)
        return fitted.obs["velocity_confidence"].to_numpy()
    return fitted.obs[keys.CONFIDENCE].to_numpy() if keys.CONFIDENCE in fitted.obs else None


def stage_edges(tissue: Any) -> list[tuple[str, str]]:
    """Which group turns into which: along lineages, from a parent's last to its children's first, round a cycle."""
    by_name = {lineage.name: lineage for lineage in tissue.lineages}
    edges = []
    for lineage in tissue.lineages:
        names = [stage.name for stage in lineage.stages]
        if lineage.parent is not None:
            names.insert(0, by_name[lineage.parent].stages[-1].name)
        if lineage.cycle:
            names.append(names[0])
        edges += list(itertools.pairwise(names))
    return edges


def roots(tissue: Any) -> dict[str, str]:
    """The lineage each lineage descends from in the end."""
    found: dict[str, str] = {}
    for lineage in tissue.lineages:  # parents come first
        found[lineage.name] = found.get(lineage.parent, lineage.name)
    return found


def run(plans: Sequence[Plan], *, jobs: int, tell: Callable[[str], None] | None = None) -> pd.DataFrame:
    """Rows of all plans, ``jobs`` data sets at a time, each in a process with one thread."""
    import pandas as pd

    before = {name: os.environ.get(name) for name in THREADS}
    os.environ.update(dict.fromkeys(THREADS, "1"))  # new processes read it before they load a library
    try:
        with ProcessPoolExecutor(jobs, mp_context=get_context("spawn")) as pool:
            waiting = {pool.submit(measure, plan): plan for plan in plans}
            rows = []
            for number, done in enumerate(as_completed(waiting), start=1):
                rows += [asdict(row) for row in done.result()]
                if tell is not None:
                    plan = waiting[done]
                    tell(f"{number} of {len(plans)}: {plan.kind}, {plan.depth}, seed {plan.seed}")
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value
    order = {method: i for plan in plans for i, method in enumerate(plan.methods)}
    return pd.DataFrame(rows).sort_values(
        ["kind", "depth", "method", "seed"],
        key=lambda c: c.map(order) if c.name == "method" else c,
        kind="stable",
        ignore_index=True,
    )


def quick_plans() -> list[Plan]:
    """Small data sets of three kinds, two seeds each, without the slow published preset: what the tests run."""
    from benchmarks.accuracy_methods import METHODS, REFERENCES

    methods = tuple(name for name in (*METHODS, *REFERENCES) if name != "published")
    kinds = ("branch_rates", "unrelated", "cycle")
    return [Plan(kind, "deep", seed, 500, 120, methods) for kind in kinds for seed in (0, 1)]


# Reversed stretches of the default in these data sets: kind, seed, cell type, first and last tenth.
KNOWN_STRETCHES: Final = (("unrelated", 1, "Type 4", 1, 10),)


def table(rows: pd.DataFrame, columns: Sequence[str]) -> pd.DataFrame:
    """Methods x scores of one kind and depth: mean over the seeds, with the spread where there is more than one.

    What is counted is summed; of the greatest confidence and of the worst type the extreme of the seeds is shown.
    """
    shown = [c for c in columns if rows[c].notna().any()]
    grouped = rows.groupby("method", sort=False)
    numbers = [c for c in shown if c != "worst_type"]
    means, spreads = grouped[numbers].mean(), grouped[numbers].std()
    text = means.map(lambda x: f"{x:.2f}")
    if rows["seed"].nunique() > 1:
        text += spreads.map(lambda x: f"±{x:.2f}")
    counts = [c for c in COUNTS if c in text]
    text[counts] = grouped[counts].sum().astype(int).astype(str)
    if "seconds" in text:
        text["seconds"] = means["seconds"].map(lambda x: f"{x:.1f}")
    if "max_confidence" in text:
        text["max_confidence"] = grouped["max_confidence"].max().map(lambda x: f"{x:.2f}")
    text = text.where(means.notna(), "-")
    if "worst_type" in shown:
        text["worst_type"] = [_worst(of_method) for _, of_method in grouped]
    return text[shown]


def _worst(rows: pd.DataFrame) -> str:
    """The lowest of the worst types of several seeds, with its mean cosine."""
    if rows["worst_cosine"].isna().all():
        return "-"
    row = rows.loc[rows["worst_cosine"].idxmin()]
    return f"{row['worst_type']} {row['worst_cosine']:.2f}"


def targets(rows: pd.DataFrame) -> pd.DataFrame:
    """The default against what is possible and against the best of scVelo's modes, by kind and depth.

    ``share`` is its cosine over that of the true velocity under the same smoothing; ``over_*`` what it has more than
    the best scVelo mode, smoothed alike for the cosine, any for the others; ``over_peers`` what its cosine has more
    than the best peer's, smoothed alike.
    """
    import pandas as pd

    from benchmarks.accuracy_methods import SCVELO, SMOOTHED_PEERS, SMOOTHED_SCVELO

    found = []
    for (kind, depth), of_set in rows[rows["kind"] != "static"].groupby(["kind", "depth"], sort=False):
        means = of_set.groupby("method").mean(numeric_only=True)
        if not {"default", "true_velocity"} <= set(means.index):
            continue
        entry: dict[str, Any] = {"kind": kind, "depth": depth}
        entry["share"] = means.at["default", "cosine_own"] / means.at["true_velocity", "cosine_own"]
        entry["target"] = SHARE_TARGETS_OF.get(str(kind), SHARE_TARGETS).get(str(depth))
        smoothed = means.reindex(SMOOTHED_SCVELO)
        entry["over_smoothed"] = means.at["default", "cosine_own"] - smoothed["cosine_own"].max()
        peers = means.reindex(SMOOTHED_PEERS)
        entry["over_peers"] = means.at["default", "cosine_own"] - peers["cosine_own"].max()
        any_scvelo = means.reindex([*SCVELO, *SMOOTHED_SCVELO])
        for column in (f"{s}_{g}" for s in ("cosine", "sign", "rank", "boundary") for g in ("own", "shared")):
            entry[f"over_{column}"] = means.at["default", column] - any_scvelo[column].max()
        for column in ("below_zero_decided", "undecided"):
            entry[column] = means.at["default", column]
        for column in ("stretches_decided", "reversed"):
            entry[column] = int(of_set.loc[of_set["method"] == "default", column].sum())
        found.append(entry)
    return pd.DataFrame(found)


def calibration(rows: pd.DataFrame) -> dict[str, Reliability]:
    """Each method's confidence against its right directions, over all kinds, depths and seeds."""
    from benchmarks.accuracy_confidence import Reliability, pooled

    if "reliability" not in rows:  # other benchmarks store rows of their own
        return {}
    stated = rows[rows["reliability"].notna()]
    return {
        str(method): pooled(Reliability(**found) for found in of_method["reliability"])
        for method, of_method in stated.groupby("method", sort=False)
    }


def reversed_stretches(
    rows: pd.DataFrame, *, known: Sequence[tuple[str, int, str, int, int]] = ()
) -> list[str]:
    """A sentence for each reversed stretch of the default that reaches beyond ``known``, as `KNOWN_STRETCHES` is."""
    found = []
    for row in rows[rows["method"] == "default"].itertuples():
        for new in row.reversed_stretches:
            of_type = [x for x in known if x[:3] == (row.kind, row.seed, new["cell_type"])]
            # One tenth more is what other versions of libraries can do.
            if not any(first - 1 <= new["first"] and new["last"] <= last + 1 for *_, first, last in of_type):
                found.append(
                    f"{row.kind}, {row.depth}, seed {row.seed}: tenths {new['first']} to {new['last']} of "
                    f"{new['cell_type']} ({new['cells']} cells) point backwards, mean cosine {new['cosine']:.2f}."
                )
    return found


def write(path: Path, rows: pd.DataFrame, *, seconds: float) -> None:
    """Rows with what is needed to make them again; written aside, so that a file is never half one."""
    contents = {
        "command": " ".join(["python", *sys.argv]),
        "machine": f"{platform.machine()}, {os.cpu_count()} cores, {platform.system()}",
        "versions": {"python": platform.python_version()} | {name: version(name) for name in VERSIONS},
        "seconds": seconds,
        "calibration": {
            method: asdict(found) | {"error": found.error} for method, found in calibration(rows).items()
        },
        "rows": json.loads(rows.to_json(orient="records")),  # NaN becomes null
    }
    aside = path.with_name(path.name + ".part")
    aside.write_text(json.dumps(contents, indent=1), encoding="utf-8")
    aside.replace(path)


def main() -> None:
    """Measure and print the tables."""
    from benchmarks import accuracy_methods
    from benchmarks.accuracy_methods import REFERENCES, VELOVI

    fitted = accuracy_methods.METHODS | accuracy_methods.peers()
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="three small data sets, under 3 minutes")
    parser.add_argument("--kinds", nargs="+", choices=(*KINDS, FOREIGN), default=(*KINDS, FOREIGN))
    parser.add_argument(
        "--depths", nargs="+", choices=(*DEPTHS, DROPLET), default=DEPTHS, help="droplet: with --genes 2000"
    )
    parser.add_argument("--seeds", nargs="+", type=int, default=SEEDS)
    parser.add_argument(
        "--methods", nargs="+", choices=[*fitted, *REFERENCES], help="by default all but veloVI"
    )
    parser.add_argument("--cells", type=int, default=800)
    parser.add_argument("--genes", type=int, default=200)
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument(
        "--foreign", type=Path, default=FOREIGN_FOLDER, help="folder of the data of kind foreign"
    )
    parser.add_argument("--json", type=Path)
    args = parser.parse_args()

    usual = [name for name in (*fitted, *REFERENCES) if name not in VELOVI]  # that takes minutes a data set
    methods = tuple(args.methods or usual)
    kinds = [kind for kind in args.kinds if kind != FOREIGN or args.foreign.is_dir()]
    if len(kinds) < len(args.kinds) and not args.quick:
        print(f"Kind {FOREIGN} is left out: there is no folder {args.foreign}.", file=sys.stderr)
    plans = [
        Plan(kind, depth, seed, args.cells, args.genes, methods, foreign=args.foreign)
        for kind in kinds
        for depth in args.depths
        for seed in args.seeds
        if (kind, depth) != (FOREIGN, DROPLET)
    ]
    started = time.perf_counter()
    rows = run(
        quick_plans() if args.quick else plans,
        jobs=args.jobs,
        tell=lambda line: print(line, file=sys.stderr, flush=True),
    )
    seconds = time.perf_counter() - started
    for (kind, depth), of_set in rows.groupby(["kind", "depth"], sort=False):
        n_genes = f"{of_set['n_genes_shared'].mean():.0f}"
        print(f"\n{kind}, {depth}; {of_set['seed'].nunique()} seeds, {n_genes} shared genes")
        for columns in (TABLE, DIRECTIONS):
            print(table(of_set, columns).to_string())
    found = targets(rows)
    if len(found):
        print("\nThe default against the truth under the same smoothing, and against the best of scVelo")
        print(found.to_string(index=False, float_format="{:.2f}".format))
    print("\nReversed stretches of the default")
    print("\n".join(reversed_stretches(rows)) or "none")
    print("\nExpected calibration error of the confidence, over all moving cells")
    for method, of_method in calibration(rows).items():
        print(f"{method}: {of_method.error:.3f} of {sum(of_method.cells):,} cells")
    print(f"\n{len(rows)} fits in {seconds:.0f} s")
    if args.json:
        write(args.json, rows, seconds=seconds)
    if args.quick and (new := reversed_stretches(rows, known=KNOWN_STRETCHES)):
        raise SystemExit("\n".join(new))


if __name__ == "__main__":
    main()
