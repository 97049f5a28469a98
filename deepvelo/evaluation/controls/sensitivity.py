"""Sensitivity of a run's conclusions to other settings."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Final

import numpy as np
import pandas as pd

from deepvelo import keys
from deepvelo.arrays.views import selected
from deepvelo.errors import InputError
from deepvelo.evaluation.compare.edges import Edge, edge_name
from deepvelo.tl.metrics.agreement import agreement
from deepvelo.tl.metrics.boundary import boundary_means
from deepvelo.wording import number

if TYPE_CHECKING:
    from anndata import AnnData

    from deepvelo.arrays.layers import Layer

BASE: Final = "base run"
AGREEMENT, REVERSED = "agreement", "reversed"
FEW_REVERSED: Final = 0.1  # of the cells, a small cell type
COLUMNS: Final[dict[str, str]] = {
    "consistency": "mean cosine of a cell's velocity with those of its graph neighbours, mean over cells",
    "consistency_celltype": "mean cosine of a cell's velocity with those of all other cells of its group, mean over cells",
    AGREEMENT: "mean cosine of a cell's velocity with that of the base run, over the genes both have, mean over cells",
    REVERSED: "share of the cells whose velocity points against that of the base run: a cosine below 0",
}
BOUNDARY_DEFINITION: Final = "mean cosine of a source cell's velocity with the displacements to its neighbours in the target, over genes"


def sensitivity_table(
    base: AnnData, sweep: Iterable[tuple[str, AnnData]], *, edges: Sequence[Edge] = (), cluster_key: str
) -> pd.DataFrame:
    """Scores of the runs of a sweep, and their agreement with the base run.

    Parameters
    ----------
    base
        The base run, with its velocity and consistencies.
    sweep
        Finished runs on the same cells with all or some of the genes, each with a name such as `PlannedFit.varied`.
        They are consumed one after the other; layers may be on disk.
    edges
        Source and target groups for CBDir, on the base run's graph, moments and groups.

    Returns
    -------
    One row per run, the base run first; the columns of `COLUMNS`, then one per edge, ``A > B``. NaN where a score is not
    defined; the agreement of the base run with itself is 1.

    Raises
    ------
    InputError
        A run has other cells, or no gene of the base run.
    """
    rows = {
        name: _row(base, run, edges=edges, cluster_key=cluster_key)
        for name, run in itertools.chain([(BASE, base)], sweep)
    }
    return pd.DataFrame.from_dict(rows, orient="index").rename_axis("run")


def _row(base: AnnData, run: AnnData, *, edges: Sequence[Edge], cluster_key: str) -> dict[str, float]:
    if not run.obs_names.equals(base.obs_names):
        msg = (
            f"A sweep compares runs of the same cells. Found {run.n_obs:,} others than the {base.n_obs:,} of the base "
            "run. Take runs that were queued from it."
        )
        raise InputError(msg)
    genes = base.var_names.intersection(run.var_names)
    if genes.empty:
        msg = f"A sweep compares runs of the same genes. Found none of the {base.n_vars:,} of the base run. Take runs that were queued from it."
        raise InputError(msg)
    of_base, velocity = (_of_genes(part, keys.VELOCITY, genes) for part in (base, run))
    cosine = agreement([of_base, velocity])
    known = np.isfinite(cosine)
    row = {
        "consistency": float(run.obs[keys.CONSISTENCY].mean()),
        "consistency_celltype": float(run.obs[keys.CONSISTENCY_CELLTYPE].mean()),
        AGREEMENT: float(cosine[known].mean()) if known.any() else float("nan"),
        REVERSED: float((cosine[known] < 0).mean()) if known.any() else float("nan"),
    }
    positions = _of_genes(base, keys.MS, genes)
    groups = base.obs[cluster_key].astype(str).to_numpy()
    means = boundary_means(velocity, positions, graph=base.obsp[keys.DISTANCES], groups=groups, edges=edges)
    return row | dict(zip(map(edge_name, edges), means, strict=True))


def _of_genes(run: AnnData, layer: str, genes: pd.Index) -> Layer:
    return selected(run.layers[layer], cells=np.arange(run.n_obs), genes=run.var_names.get_indexer(genes))


def with_opposite_sign(scores: pd.Series) -> pd.Series:
    """Scores of one edge by run whose sign differs from the base run's; empty if that has no score."""
    known = scores.dropna()
    return known[np.sign(known) != np.sign(known[BASE])] if BASE in known else known[:0]


def conclusions(table: pd.DataFrame) -> list[str]:
    """The conclusions of the base run that survive the sweep, one sentence each, naming the worst run.

    Parameters
    ----------
    table
        From `sensitivity_table`.

    Returns
    -------
    A sentence on the directions and one per edge, or a single sentence if no run is finished.
    """
    sweep = table.drop(index=BASE)
    if sweep.empty:
        return ["No run of the sweep is finished."]
    return [_on_directions(sweep), *(_on_edge(table, sweep, edge) for edge in table if edge not in COLUMNS)]


def _on_directions(sweep: pd.DataFrame) -> str:
    known = sweep.dropna(subset=[AGREEMENT])
    if known.empty:
        return (
            "Directions: no run can be compared with the base run, because one of each pair has no velocity."
        )
    worst, lowest = known[REVERSED].idxmax(), known[AGREEMENT].idxmin()
    reversed_share = known.loc[worst, REVERSED]
    verdict = "survive" if reversed_share < FEW_REVERSED else "do not survive everywhere"
    how_many = (
        f"at worst {reversed_share:.0%} of the cells reverse, with {worst}"
        if reversed_share
        else f"no cell reverses in {number(len(known), 'run')}"
    )
    return (
        f"Directions: {verdict}; {how_many}. The mean cosine with the "
        f"base run is lowest with {lowest}, {known.loc[lowest, AGREEMENT]:.2f}."
    )


def _on_edge(table: pd.DataFrame, sweep: pd.DataFrame, edge: str) -> str:
    base, others = table.loc[BASE, edge], sweep[edge].dropna()
    if not np.isfinite(base) or others.empty:
        return f"{edge}: no score, because no source cell has a neighbour in the target."
    against = with_opposite_sign(table[edge])
    span = f"{min(base, others.min()):.2f} to {max(base, others.max()):.2f}"
    if against.empty:
        return f"{edge}: survives; CBDir keeps its sign in {number(len(others), 'run')} ({span})."
    return f"{edge}: does not survive; CBDir changes its sign with {', '.join(map(str, against.index))} ({span})."
