"""Columns of Table 1, computed for the drivers of one lineage in one run."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from deepvelo.contents.genes import GeneIndex
from deepvelo.errors import InputError
from deepvelo.tl.gene_sets.enrichment import is_relevant, over_representation, share_in_sets
from deepvelo.tl.gene_sets.sets import GeneSets, require_match
from deepvelo.tl.lineage.driver_lists import top_drivers
from deepvelo.wording import listed


@dataclass(frozen=True)
class Top:
    """The drivers of one lineage in one run, best first, and all its tested genes."""

    lineage: str
    run: str
    genes: tuple[str, ...]
    tested: GeneIndex


def top_of(table: pd.DataFrame, lineage: str, *, run: str, top: int) -> Top:
    """The best drivers of a lineage; empty if the run does not have it or no gene correlates positively."""
    tested = table[table["lineage"] == lineage].dropna(subset=["rank", "correlation"]).sort_values("rank")
    genes = tuple(top_drivers(tested, lineage, top=top)["gene"])
    return Top(lineage, run, genes, GeneIndex(tested["gene"]))


def add_overlaps(
    rows: list[dict[str, Any]],
    chosen: Mapping[int, Top],
    lists: Mapping[str, Sequence[str] | None],
    what: str,
    *,
    called: str,
) -> dict[str, str]:
    """Compare the drivers of each row with the list of its lineage, if any; returns the new columns and their types."""
    from scipy.stats import hypergeom

    compared = {n: genes for n, c in chosen.items() if (genes := lists[c.lineage]) is not None}
    if not compared:
        msg = (
            f"No {called} are given for {listed(list(dict.fromkeys(c.lineage for c in chosen.values())))}. Name the sets "
            "after the lineages, or give one list for all lineages."
        )
        raise InputError(msg)
    matches = {n: chosen[n].tested.match(genes) for n, genes in compared.items()}
    if not any(match.matched for match in matches.values()):
        for n, match in matches.items():
            if match.missing:  # an empty list is not a spelling error
                require_match(match, chosen[n].tested, what=f"the {called}")
    for n, match in matches.items():
        row, c = rows[n], chosen[n]
        known = frozenset(match.matched)
        overlap = [gene for gene in c.genes if gene in known]
        n_tested, n_drivers = len(c.tested.genes), len(c.genes)
        row[what] = len(overlap)
        row[f"{what}_share"] = len(overlap) / n_drivers
        row[f"{what}_p"] = float(hypergeom.sf(len(overlap) - 1, n_tested, len(known), n_drivers))
        row[f"{what}_tested"] = match.share
        row[f"{what}_genes"] = ";".join(overlap)
    types = {"": "Int64", "_share": "float64", "_p": "float64", "_tested": "float64", "_genes": "object"}
    return {f"{what}{suffix}": dtype for suffix, dtype in types.items()}


def pathways_of(
    chosen: Iterable[Top], sets: GeneSets, *, keywords: Sequence[str], min_size: int, max_size: int
) -> pd.DataFrame:
    """Every pathway with a driver, as in `deepvelo.tl.gene_sets.table_one.TableOne`."""
    tables = []
    for c in chosen:
        table = over_representation(
            c.genes, sets, background=c.tested.genes, min_size=min_size, max_size=max_size
        )
        if keywords:
            table["relevant"] = is_relevant(table["term"], keywords=keywords)
        table.insert(0, "lineage", c.lineage)
        table.insert(1, "run", c.run)
        tables.append(table)
    return pd.concat(tables, ignore_index=True)


def add_relevance(
    rows: list[dict[str, Any]],
    chosen: Mapping[int, Top],
    pathways: pd.DataFrame,
    *,
    sets: GeneSets,
    q: float,
) -> dict[str, str]:
    """Count the enriched pathways of each row, and with keywords the relevant ones; returns the new columns and types."""
    for n, c in chosen.items():
        row = rows[n]
        of_row = (pathways["lineage"] == c.lineage) & (pathways["run"] == c.run)
        enriched = pathways[of_row & (pathways["q"] < q)]
        row["enriched"] = len(enriched)
        row["in_sets"] = share_in_sets(sets, tested=c.tested.genes)
        if "relevant" in pathways:
            row["relevant"] = int(enriched["relevant"].sum())
            row["relevance"] = row["relevant"] / len(enriched) if len(enriched) else float("nan")
    told = {"relevant": "Int64", "relevance": "float64"} if "relevant" in pathways else {}
    return {"enriched": "Int64", "in_sets": "float64"} | told
