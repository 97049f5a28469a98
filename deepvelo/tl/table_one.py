"""Table 1 of the paper: what the drivers that several methods find have to do with what is known.

Cui et al. 2022 (ICML Workshop on Computational Biology), section 3.3: of a lineage's top drivers, how many are known
markers, how many are transcription factors, and which share of the pathways they are enriched in is relevant.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from deepvelo.errors import InputError
from deepvelo.tl.driver_lists import top_drivers
from deepvelo.tl.enrichment import is_relevant, over_representation, share_in_sets
from deepvelo.tl.gene_sets import GeneIndex, GeneSets, require_match
from deepvelo.wording import listed


@dataclass(frozen=True, kw_only=True)
class TableOne:
    """The table, the pathways behind it, and the choices it rests on.

    ``rows`` has a row for each lineage and run: ``lineage``, ``run``, ``tested`` (genes), ``drivers`` (at most
    ``top``), and what was asked for:

    - ``markers``, how many drivers are in the list; ``markers_share``, of the drivers; ``markers_p``, how often that
      many would be by chance (hypergeometric, the tested genes as background); ``markers_tested``, the share of the
      list that was tested at all; ``markers_genes``, separated by ``;``;
    - the same for ``tfs``;
    - ``enriched``, how many pathways have q below ``q``; ``in_sets``, the share of the tested genes that are in some
      pathway; and, with keywords, ``relevant``, how many of the enriched ones are; ``relevance``, their share, NaN
      where none is enriched.

    ``pathways`` has every pathway that drivers hit, as `over_representation` gives it, with ``lineage``, ``run`` and,
    with keywords, ``relevant``; None without gene sets.
    """

    rows: pd.DataFrame
    pathways: pd.DataFrame | None
    top: int
    q: float
    keywords: tuple[str, ...]


@dataclass(frozen=True)
class _Top:
    """The drivers of one lineage in one run, best first, and all its tested genes."""

    lineage: str
    run: str
    genes: tuple[str, ...]
    tested: GeneIndex


def table_one(
    drivers: Mapping[str, pd.DataFrame],
    *,
    lineages: Sequence[str] | None = None,
    markers: Sequence[str] | GeneSets | None = None,
    tfs: Sequence[str] | None = None,
    sets: GeneSets | None = None,
    keywords: Sequence[str] = (),
    top: int = 100,
    q: float = 0.05,
    min_size: int = 3,
    max_size: int = 500,
) -> TableOne:
    """Overlap of the top drivers with markers and transcription factors, and the relevance of their pathways.

    Drivers are the genes of the best ranks whose correlation with the fate is above 0; there are fewer than ``top``
    where fewer genes rise along the lineage. Background is what that run tested in that lineage, so that runs with
    different genes can be compared by their p.

    Parameters
    ----------
    drivers
        The drivers of each run by its name, one row for each lineage and tested gene: ``lineage``, ``gene``,
        ``correlation``, ``rank`` (1 is best; NaN for a gene that could not be tested).
    lineages
        By default those that all runs have.
    markers
        One list for all lineages, or a list by lineage, see `markers_by_group`.
    tfs
        Transcription factors.
    sets
        Pathways, from `read_gmt` or `library`.
    keywords
        What makes a pathway relevant, see `is_relevant`.
    top
        Drivers a lineage.
    q
        Pathways below this are enriched.
    min_size, max_size
        See `over_representation`.

    Raises
    ------
    InputError
        There is nothing to compare with, a lineage is not in every run or has no driver or no markers, no run tested
        any gene of a list, or no pathway is named by a keyword.
    """
    _require_question(markers=markers, tfs=tfs, sets=sets, keywords=keywords, top=top)
    chosen = [
        _top(table, lineage, run=run, top=top)
        for lineage in _lineages(drivers, lineages)
        for run, table in drivers.items()
    ]
    rows: list[dict[str, Any]] = [
        {"lineage": c.lineage, "run": c.run, "tested": len(c.tested.genes), "drivers": len(c.genes)}
        for c in chosen
    ]
    if markers is not None:
        _add_overlaps(rows, chosen, {c.lineage: _markers_of(c.lineage, markers) for c in chosen}, "markers")
    if tfs is not None:
        _add_overlaps(rows, chosen, {c.lineage: tfs for c in chosen}, "tfs")
    pathways = None
    if sets is not None:
        pathways = _pathways(chosen, sets, keywords=keywords, min_size=min_size, max_size=max_size)
        _add_relevance(rows, chosen, pathways, sets=sets, q=q)
    return TableOne(rows=pd.DataFrame(rows), pathways=pathways, top=top, q=q, keywords=tuple(keywords))


def _require_question(
    *,
    markers: Sequence[str] | GeneSets | None,
    tfs: Sequence[str] | None,
    sets: GeneSets | None,
    keywords: Sequence[str],
    top: int,
) -> None:
    if markers is None and tfs is None and sets is None:
        msg = (
            "There is nothing to compare the drivers with. Give markers, transcription factors or gene sets."
        )
        raise InputError(msg)
    if top < 1:
        msg = f"`top` must be 1 or more. Got {top}."
        raise InputError(msg)
    if keywords and sets is None:
        msg = f"Keywords ({listed(keywords)}) need pathways to be found in. Give gene sets."
        raise InputError(msg)
    if keywords and sets is not None and not is_relevant(sets, keywords=keywords).any():
        msg = (
            f"None of the {len(sets):,} gene sets is named by a keyword ({listed(keywords)}); the first is "
            f"'{next(iter(sets), '')}'. Give words that their names contain."
        )
        raise InputError(msg)


def _lineages(drivers: Mapping[str, pd.DataFrame], wanted: Sequence[str] | None) -> list[str]:
    """The wanted lineages, each of which every run has; by default all that every run has."""
    found = {run: list(table["lineage"].unique()) for run, table in drivers.items()}
    first, *others = found.values()
    common = [str(lineage) for lineage in first if all(lineage in other for other in others)]
    told = "; ".join(f"{run}: {listed(names)}" for run, names in found.items())
    if not common:
        msg = f"The runs have no lineage in common. Found {told}. Choose the same terminal groups for all."
        raise InputError(msg)
    for lineage in wanted or ():
        if lineage not in common:
            msg = f"Not every run has a lineage '{lineage}'. Found {told}. Choose among {listed(common)}."
            raise InputError(msg)
    return list(wanted or common)


def _top(table: pd.DataFrame, lineage: str, *, run: str, top: int) -> _Top:
    tested = table[table["lineage"] == lineage].dropna(subset=["rank", "correlation"]).sort_values("rank")
    genes = tuple(top_drivers(tested, lineage, top=top)["gene"])
    if not genes:
        msg = f"No gene rises along lineage '{lineage}' in run '{run}' ({len(tested)} tested). Leave the lineage out."
        raise InputError(msg)
    return _Top(lineage, run, genes, GeneIndex(tested["gene"]))


def _markers_of(lineage: str, markers: Sequence[str] | GeneSets) -> Sequence[str]:
    if not isinstance(markers, Mapping):
        return markers
    if lineage in markers:
        return markers[lineage]
    msg = f"There are no markers of lineage '{lineage}'. Found lists of {listed(list(markers))}. Add one or leave it out."
    raise InputError(msg)


def _add_overlaps(
    rows: list[dict[str, Any]], chosen: Sequence[_Top], lists: Mapping[str, Sequence[str]], what: str
) -> None:
    """Compare the drivers of each row with the list of its lineage."""
    from scipy.stats import hypergeom

    matches = [c.tested.match(lists[c.lineage]) for c in chosen]
    known_somewhere = {c.lineage for c, match in zip(chosen, matches, strict=True) if match.matched}
    for row, c, match in zip(rows, chosen, matches, strict=True):
        if c.lineage not in known_somewhere and match.missing:
            require_match(match, c.tested, what=f"the list of {what} for '{c.lineage}'")
        known = frozenset(match.matched)
        overlap = [gene for gene in c.genes if gene in known]
        n_tested, n_drivers = len(c.tested.genes), len(c.genes)
        row[what] = len(overlap)
        row[f"{what}_share"] = len(overlap) / n_drivers
        row[f"{what}_p"] = float(hypergeom.sf(len(overlap) - 1, n_tested, len(known), n_drivers))
        row[f"{what}_tested"] = match.share
        row[f"{what}_genes"] = ";".join(overlap)


def _pathways(
    chosen: Sequence[_Top], sets: GeneSets, *, keywords: Sequence[str], min_size: int, max_size: int
) -> pd.DataFrame:
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


def _add_relevance(
    rows: list[dict[str, Any]], chosen: Sequence[_Top], pathways: pd.DataFrame, *, sets: GeneSets, q: float
) -> None:
    """Count the enriched pathways of each row, and the relevant ones where keywords tell."""
    for row, c in zip(rows, chosen, strict=True):
        of_row = (pathways["lineage"] == c.lineage) & (pathways["run"] == c.run)
        enriched = pathways[of_row & (pathways["q"] < q)]
        row["enriched"] = len(enriched)
        row["in_sets"] = share_in_sets(sets, tested=c.tested.genes)
        if "relevant" in pathways:
            row["relevant"] = int(enriched["relevant"].sum())
            row["relevance"] = row["relevant"] / len(enriched) if len(enriched) else float("nan")
