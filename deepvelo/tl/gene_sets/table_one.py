"""Table 1 of the paper: overlap of several methods' driver genes with prior knowledge.

Cui et al. 2022 (ICML Workshop on Computational Biology), section 3.3: the number of a lineage's top drivers that are
known markers or transcription factors, and the share of their enriched pathways that is relevant.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import pandas as pd

from deepvelo.contents.groups import find_group
from deepvelo.errors import InputError
from deepvelo.tl.gene_sets.enrichment import require_relevant
from deepvelo.tl.gene_sets.sets import GeneSets
from deepvelo.tl.gene_sets.table_one_columns import Top, add_overlaps, add_relevance, pathways_of, top_of
from deepvelo.wording import listed


@dataclass(frozen=True, kw_only=True)
class TableOne:
    """The table, its pathways and its settings.

    ``rows`` has one row per lineage and run: ``lineage``, ``run``, ``tested`` (genes), ``drivers`` (at most ``top``) and
    the columns below that were requested. Values are missing if the run does not have the lineage (``ends`` lists those
    it has), if no gene correlates positively with the fate, or if the lineage has no list of markers.

    - ``markers``, number of drivers in the list; ``markers_share``, share of the drivers; ``markers_p``, hypergeometric p
      of at least that many (tested genes as background); ``markers_tested``, share of the list that was tested;
      ``markers_genes``, separated by ``;``;
    - the same for ``tfs``;
    - ``enriched``, number of pathways with q below ``q``; ``in_sets``, share of the tested genes in any pathway; and,
      with keywords, ``relevant``, number of enriched pathways that match one; ``relevance``, their share, NaN if none is
      enriched.

    ``pathways`` has every pathway with a driver, as `over_representation` returns it, with ``lineage``, ``run`` and,
    with keywords, ``relevant``; None without gene sets.
    """

    rows: pd.DataFrame
    pathways: pd.DataFrame | None
    ends: Mapping[str, tuple[str, ...]]
    """Lineages of every run, by the run's name."""
    top: int
    q: float
    keywords: tuple[str, ...]


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
    """Compute the overlap of top drivers with markers and transcription factors, and the relevance of their pathways.

    Drivers are the best-ranked genes that correlate positively with the fate, at most ``top``. The background is the
    genes that the run tested in the lineage, so p-values of runs with different genes are comparable.

    Parameters
    ----------
    drivers
        Drivers by name of the run, one row per lineage and tested gene: ``lineage``, ``gene``,
        ``correlation``, ``rank`` (1 is best; NaN for a gene that could not be tested).
    lineages
        Lineages to compare; by default all lineages of any run.
    markers
        One list for all lineages, or lists by lineage (see `markers_by_group`), which may omit lineages.
    tfs
        Transcription factors.
    sets
        Pathways, from `read_gmt` or `library`.
    keywords
        Keywords of relevant pathways, see `is_relevant`.
    top
        Maximum number of drivers per lineage.
    q
        Pathways with a q below this are enriched.
    min_size, max_size
        See `over_representation`.

    Raises
    ------
    InputError
        Nothing to compare with is given, no run has a chosen lineage, no gene correlates positively with any fate, no
        lineage has markers, no run tested any gene of a list, or no pathway matches a keyword.
    """
    _require_question(markers=markers, tfs=tfs, sets=sets, keywords=keywords, top=top)
    wanted = _lineages(drivers, lineages)
    every = [top_of(table, lineage, run=run, top=top) for lineage in wanted for run, table in drivers.items()]
    columns = {"lineage": "object", "run": "object", "tested": "Int64", "drivers": "Int64"}
    rows: list[dict[str, Any]] = [
        {"lineage": c.lineage, "run": c.run}
        | ({"tested": len(c.tested.genes), "drivers": len(c.genes)} if c.tested.genes else {})
        for c in every
    ]
    chosen = {n: c for n, c in enumerate(every) if c.genes}
    _require_drivers(chosen, wanted)
    if markers is not None:
        lists = {lineage: _markers_of(lineage, markers) for lineage in wanted}
        columns |= add_overlaps(rows, chosen, lists, "markers", called="markers")
    if tfs is not None:
        columns |= add_overlaps(
            rows, chosen, dict.fromkeys(wanted, tfs), "tfs", called="transcription factors"
        )
    pathways = None
    if sets is not None:
        pathways = pathways_of(chosen.values(), sets, keywords=keywords, min_size=min_size, max_size=max_size)
        columns |= add_relevance(rows, chosen, pathways, sets=sets, q=q)
    return TableOne(
        rows=pd.DataFrame(rows, columns=list(columns)).astype(columns),
        pathways=pathways,
        ends={run: tuple(map(str, table["lineage"].unique())) for run, table in drivers.items()},
        top=top,
        q=q,
        keywords=tuple(keywords),
    )


def joined(tables: Sequence[TableOne]) -> TableOne:
    """Join tables of the same drivers, as if they had been computed in one call.

    Parameters
    ----------
    tables
        One or more tables of the same drivers, lineages and ``top``; at most one with pathways.
    """
    first, *others = tables
    rows = first.rows
    for other in others:
        rows = pd.concat([rows, other.rows.drop(columns=rows.columns, errors="ignore")], axis=1)
    of_sets = next((table for table in tables if table.pathways is not None), first)
    return replace(of_sets, rows=rows)


def _require_question(
    *,
    markers: Sequence[str] | GeneSets | None,
    tfs: Sequence[str] | None,
    sets: GeneSets | None,
    keywords: Sequence[str],
    top: int,
) -> None:
    if markers is None and tfs is None and sets is None:
        msg = "Table 1 needs something to compare the drivers with. Give markers, transcription factors or gene sets."
        raise InputError(msg)
    if top < 1:
        msg = f"`top` must be 1 or more. Got {top}."
        raise InputError(msg)
    if keywords and sets is None:
        msg = f"Keywords ({listed(keywords)}) need pathways to match. Give gene sets."
        raise InputError(msg)
    if keywords and sets is not None:
        require_relevant(sets, keywords=keywords)


def _lineages(drivers: Mapping[str, pd.DataFrame], wanted: Sequence[str] | None) -> list[str]:
    """The requested lineages, each of at least one run; by default all lineages, in the order of the runs."""
    found = {run: list(table["lineage"].unique()) for run, table in drivers.items()}
    known = list(dict.fromkeys(str(lineage) for names in found.values() for lineage in names))
    for lineage in wanted or ():
        if lineage not in known:
            told = "; ".join(f"{run}: {listed(names)}" for run, names in found.items())
            msg = f"No run has a lineage '{lineage}'. Found {told}. Choose among {listed(known)}."
            raise InputError(msg)
    return list(wanted or known)


def _require_drivers(chosen: Mapping[int, Top], lineages: Sequence[str]) -> None:
    if not chosen:
        msg = (
            f"No gene correlates positively with {listed(lineages)} in any run. Choose other terminal states."
        )
        raise InputError(msg)


def _markers_of(lineage: str, markers: Sequence[str] | GeneSets) -> Sequence[str] | None:
    """Markers of a lineage; None if it has no list of its own."""
    if not isinstance(markers, Mapping):
        return markers
    name = find_group(lineage, markers)
    return None if name is None else markers[name]
