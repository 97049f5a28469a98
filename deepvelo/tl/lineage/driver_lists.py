"""The best drivers of several runs beside each other, and beside genes that are expected."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Final, NamedTuple

import numpy as np
import pandas as pd
from scipy import stats

from deepvelo.contents.genes import GeneIndex
from deepvelo.errors import InputError
from deepvelo.wording import listed

TOP: Final = 100  # how many of a lineage's genes are called its drivers, as in Table 1 of Cui et al. 2022


def top_drivers(table: pd.DataFrame, lineage: str, *, top: int = TOP) -> pd.DataFrame:
    """The best genes of a lineage that rise along it: rows of `drivers` with a correlation above 0, at most ``top``."""
    rising = table[(table["lineage"] == lineage) & (table["correlation"] > 0)]
    return rising.sort_values("rank").head(top)


def driver_overlap(first: pd.DataFrame, second: pd.DataFrame, *, top: int = TOP) -> pd.DataFrame:
    """How many of the best drivers two runs have in common, lineage by lineage.

    Parameters
    ----------
    first, second
        Tables of `drivers`. Lineages and genes are matched by name; genes that only one run has are left out.
    top
        How many of a lineage's genes count as drivers.

    Returns
    -------
    One row for each lineage of both in which genes rise: ``lineage``; ``n_tested``, genes of both; ``top``, the drivers
    of the run with fewer; ``n_common``; ``share`` of ``top``; ``expected``, the number by chance; ``p`` of as many or
    more by chance (hypergeometric); ``genes``, the common ones, in the order of the first run.
    """
    _require_top(top)
    rows = []
    for lineage in _lineages(first):
        one, other = (
            table[table["lineage"] == lineage].dropna(subset="correlation") for table in (first, second)
        )
        tested = set(one["gene"]) & set(other["gene"])
        if other.empty or not tested:
            continue
        best, best_of_other = (
            list(top_drivers(t[t["gene"].isin(tested)], lineage, top=top)["gene"]) for t in (one, other)
        )
        size, n, n_other = min(len(best), len(best_of_other)), len(best), len(best_of_other)
        if not size:
            continue
        common = [gene for gene in best if gene in set(best_of_other)]
        rows.append(
            {
                "lineage": lineage,
                "n_tested": len(tested),
                "top": size,
                "n_common": len(common),
                "share": len(common) / size,
                "expected": n * n_other / len(tested),
                "p": float(stats.hypergeom.sf(len(common) - 1, len(tested), n, n_other)),
                "genes": common,
            }
        )
    columns = ["lineage", "n_tested", "top", "n_common", "share", "expected", "p", "genes"]
    return pd.DataFrame(rows, columns=columns)


def driver_support(tables: Mapping[str, pd.DataFrame], *, top: int = TOP) -> pd.DataFrame:
    """By how many runs each driver is supported.

    Parameters
    ----------
    tables
        Tables of `drivers` by the run's name.
    top
        How many of a lineage's genes count as drivers of a run.

    Returns
    -------
    One row for each lineage and gene that is among the best of any run: ``lineage``, ``gene``, ``n_methods``,
    ``methods`` (list of names), ``mean_rank`` over those. Within a lineage the best supported come first.
    """
    _require_top(top)
    best = []
    for name, table in tables.items():
        best += [
            top_drivers(table, lineage, top=top)[["lineage", "gene", "rank"]].assign(method=name)
            for lineage in _lineages(table)
        ]
    together = pd.concat(best, ignore_index=True)
    found = together.groupby(["lineage", "gene"], sort=False, as_index=False).agg(
        n_methods=("method", "size"), methods=("method", list), mean_rank=("rank", "mean")
    )
    position = {lineage: place for place, lineage in enumerate(_lineages(together))}
    return found.sort_values(
        ["lineage", "n_methods", "mean_rank"],
        ascending=[True, False, True],
        key=lambda column: column.map(position) if column.name == "lineage" else column,
        ignore_index=True,
    )


class DriverEnrichment(NamedTuple):
    """Result of `driver_enrichment`: an odds ratio of 1 is chance; infinite if no expected gene is left out."""

    n_expected: int
    n_found: int
    odds_ratio: float
    p: float


def driver_enrichment(
    table: pd.DataFrame, *, lineage: str, genes: Collection[str], top: int = 50
) -> DriverEnrichment:
    """Whether genes expected to drive a lineage are among its best: Fisher's exact test, one-sided.

    Parameters
    ----------
    table
        Of `drivers`.
    genes
        The expected ones, by any of their names; those that were not tested are left out.
    """
    _require_top(top)
    ranked = table[table["lineage"] == lineage].dropna(subset="correlation")
    if ranked.empty:
        msg = f"There are no drivers of '{lineage}'. Found the lineages {listed(_lineages(table))}. Choose one of them."
        raise InputError(msg)
    expected = ranked["gene"].isin(GeneIndex(ranked["gene"]).match(genes).matched).to_numpy()
    best = np.arange(len(ranked)) < top
    counts = [
        [(best & expected).sum(), (best & ~expected).sum()],
        [(~best & expected).sum(), (~best & ~expected).sum()],
    ]
    odds, p = stats.fisher_exact(counts, alternative="greater")
    return DriverEnrichment(int(expected.sum()), int(counts[0][0]), float(odds), float(p))


def _lineages(table: pd.DataFrame) -> list[str]:
    return list(dict.fromkeys(table["lineage"]))


def _require_top(top: int) -> None:
    if top < 1:
        msg = f"`top` must be 1 or more. Got {top}. Try {TOP}."
        raise InputError(msg)
