"""Plan the fits of controls, other seeds and sweeps. Jobs run them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from deepvelo import config
from deepvelo.datasets.source import DataSource
from deepvelo.errors import InputError
from deepvelo.plan import n_candidates
from deepvelo.wording import number

if TYPE_CHECKING:
    from deepvelo.config import Settings
    from deepvelo.datasets.source import Kind
    from deepvelo.io.runs import Purpose, RunInfo

MIN_GENES: Final = 2
N_SEEDS: Final = 5  # including the seed of the run
N_STEADY_STATE: Final = 5
_CALLED: Final[dict[Purpose, str]] = {"steady_state": "steady-state control"}


@dataclass(frozen=True, kw_only=True)
class PlannedFit:
    """A fit to submit as a job; ``varied`` names what differs from the base run."""

    source: DataSource
    settings: Settings
    name: str
    purpose: Purpose
    base: str
    cluster_key: str
    basis: str
    varied: str
    """``shuffled 0``, ``seed 3``, ``graph neighbours 10``."""


@dataclass(frozen=True, kw_only=True)
class SweepValues:
    """Values to try one at a time, with everything else as in the base run, whose own values are skipped.

    A lambda is also skipped if it gives the objective of the base run or of an earlier fit: in the published schedule
    only the ratio of the two matters. ``n_candidates`` counts candidates in use, without the limit by the share of
    cells. ``n_genes`` takes the most variable genes of the run with their moments and neighbours, because other genes
    would need another preparation.
    """

    n_neighbors: tuple[int, ...] = ()
    n_candidates: tuple[int, ...] = ()
    lambda_u: tuple[float, ...] = ()
    lambda_s: tuple[float, ...] = ()
    n_genes: tuple[int, ...] = ()


def control_plan(base: RunInfo, folder: Path, *, seeds: Sequence[int] = (0,)) -> list[PlannedFit]:
    """One fit per seed with the run's settings, on its data with unspliced counts shuffled within the groups.

    Parameters
    ----------
    base
        The run to check, a fit by any method.
    folder
        Folder of the run.
    seeds
        Seeds of the shuffling; the fit keeps the seed of the run.

    Raises
    ------
    InputError
        The run is itself a control, another seed or part of a sweep.
    """
    return _controls(base, folder, "shuffled", seeds=seeds, purpose="control")


def steady_state_plan(base: RunInfo, folder: Path, *, n_fits: int = N_STEADY_STATE) -> list[PlannedFit]:
    """Fits with the run's settings on its cells at steady state, ``n_fits`` times with different counting noise.

    A fit to noise takes a random direction, so several are needed to show the range.

    Raises
    ------
    InputError
        The run is itself a control, another seed or part of a sweep.
    """
    return _controls(base, folder, "steady_state", seeds=range(n_fits), purpose="steady_state")


def seeds_plan(base: RunInfo, folder: Path, *, n_seeds: int = N_SEEDS) -> list[PlannedFit]:
    """The same fit with other seeds, so that with the run itself there are ``n_seeds``.

    Raises
    ------
    InputError
        Fewer than 2 seeds, a run that is not a fit, or one of scVelo's modes, which ignore the seed.
    """
    _require_fit(base)
    _require_ours(base, "other seeds")
    if n_seeds < 2:
        msg = f"Seeds are compared with each other, so two are needed. Got `n_seeds` = {n_seeds}. Raise it."
        raise InputError(msg)
    others = [seed for seed in range(n_seeds) if seed != base.settings.seed][: n_seeds - 1]
    return [
        _planned(base, _data_of(folder), {"seed": seed}, purpose="seed", varied=f"seed {seed}")
        for seed in others
    ]


def sweep_plan(base: RunInfo, folder: Path, *, values: SweepValues) -> list[PlannedFit]:
    """One fit per value, changing one setting at a time.

    Raises
    ------
    InputError
        Neighbours or candidates reach the number of cells, genes exceed those of the run, a value is out of range, the
        run is not a fit, or it is one of scVelo's modes and ignores the setting.
    """
    _require_fit(base)
    if values != SweepValues(n_genes=values.n_genes):
        _require_ours(base, "a sweep of graph neighbours, candidates and lambdas")
    _require_sizes(base, values)
    return [
        _planned(base, source, changes, purpose="sweep", varied=varied)
        for varied, source, changes in _variations(base, folder, values)
    ]


def finished(plan: Sequence[PlannedFit], infos: Iterable[RunInfo]) -> list[tuple[PlannedFit, RunInfo | None]]:
    """Every planned fit with its newest finished run, or None if it is still to do.

    A run matches if it belongs to the same base and has the same data and settings.

    Raises
    ------
    InputError
        The base run was deleted.
    """
    done: dict[tuple[str, str, Settings], RunInfo] = {}
    for info in sorted(infos, key=lambda info: info.created):
        done[info.base, info.data_hash, info.settings] = info
    hashes = {source: source.hash() for source in {planned.source for planned in plan}}
    return [(fit, done.get((fit.base, hashes[fit.source], fit.settings))) for fit in plan]


def _variations(
    base: RunInfo, folder: Path, values: SweepValues
) -> Iterator[tuple[str, DataSource, dict[str, dict[str, Any]]]]:
    data, graph, n_cells = _data_of(folder), base.settings.graph, int(base.metrics["n_cells"])
    for n in _others(values.n_neighbors, than=graph.n_neighbors):
        yield f"graph neighbours {n}", data, {"graph": {"n_neighbors": n}}
    for n in _others(values.n_candidates, than=n_candidates(n_cells, base.settings)):
        yield f"candidates {n}", data, {"graph": {"n_candidates": n}}
    for varied, changes in _distinct_lambdas(base.settings, values):
        yield varied, data, changes
    for n in _others(values.n_genes, than=int(base.metrics["n_genes"])):
        yield f"genes {n}", DataSource("run", path=str(folder), n_genes=n), {}


def _distinct_lambdas(
    settings: Settings, values: SweepValues
) -> Iterator[tuple[str, dict[str, dict[str, float]]]]:
    """The lambdas whose objective differs from the base run and from earlier lambdas."""
    seen = {_weights(settings)}
    for label, name, tried in (
        ("λ unspliced", "lambda_u", values.lambda_u),
        ("λ spliced", "lambda_s", values.lambda_s),
    ):
        for x in _others(tried, than=getattr(settings.objective, name)):
            changes = {"objective": {name: x}}
            weights = _weights(config.replace(settings, changes))
            if weights not in seen:
                seen.add(weights)
                yield f"{label} {x:g}", changes


def _weights(settings: Settings) -> tuple[float, ...]:
    """Weights of the two correlations in the objective, rounded to compare them."""
    return tuple(round(weight, 9) for weight in settings.correlation_weights)


def _others(values: Iterable[Any], *, than: float) -> list[Any]:
    return sorted(set(values) - {than})


def _controls(
    base: RunInfo, folder: Path, kind: Kind, *, seeds: Sequence[int], purpose: Purpose
) -> list[PlannedFit]:
    _require_fit(base)
    return [
        _planned(
            base,
            DataSource(kind, path=str(folder), seed=seed),
            {},
            purpose=purpose,
            varied=f"{kind.replace('_', ' ')} {seed}",
        )
        for seed in seeds
    ]


def _planned(
    base: RunInfo, source: DataSource, changes: dict[str, Any], *, purpose: Purpose, varied: str
) -> PlannedFit:
    return PlannedFit(
        source=source,
        settings=config.replace(base.settings, changes),
        name=f"{base.name}, {varied}",
        purpose=purpose,
        base=base.run_id,
        cluster_key=base.cluster_key,
        basis=base.basis,
        varied=varied,
    )


def _data_of(folder: Path) -> DataSource:
    return DataSource("run", path=str(folder))


def _require_fit(base: RunInfo) -> None:
    if base.purpose != "fit":
        msg = (
            f"Run {base.run_id} is itself a {_CALLED.get(base.purpose, base.purpose)} of run {base.base}. "
            "Choose the run it belongs to."
        )
        raise InputError(msg)


def _require_ours(base: RunInfo, what: str) -> None:
    if base.settings.method != "deepvelo":
        label = config.METHOD_LABELS[base.settings.method]
        msg = f"For {label} {what} change nothing. Choose a run of {config.METHOD_LABELS['deepvelo']}."
        raise InputError(msg)


def _require_sizes(base: RunInfo, values: SweepValues) -> None:
    n_cells, n_genes = int(base.metrics["n_cells"]), int(base.metrics["n_genes"])
    for name, tried in (("graph neighbours", values.n_neighbors), ("candidates", values.n_candidates)):
        if tried and max(tried) >= n_cells:
            msg = f"A cell has fewer {name} than there are cells. Got {max(tried)} for {number(n_cells, 'cell')}. Lower it."
            raise InputError(msg)
    if values.n_genes and min(values.n_genes) < MIN_GENES:
        msg = f"A sweep over the number of genes takes at least {MIN_GENES}. Got {min(values.n_genes)}. Raise it."
        raise InputError(msg)
    if values.n_genes and max(values.n_genes) > n_genes:
        msg = f"A sweep takes some of the run's own genes. Got {max(values.n_genes)} for {number(n_genes, 'gene')}. Lower it."
        raise InputError(msg)
