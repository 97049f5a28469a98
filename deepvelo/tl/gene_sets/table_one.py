"""Table 1 of the paper: what the drivers that several methods find have to do with what is known.

Cui et al. 2022 (ICML Workshop on Computational Biology), section 3.3: of a lineage's top drivers, how many are known
markers, how many are transcription factors, and which share of the pathways they are enriched in is relevant.
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
    """The table, the pathways behind it, and the choices it rests on.

    ``rows`` has a row for each lineage and run: ``lineage``, ``run``, ``tested`` (genes), ``drivers`` (at most
    ``top``), and what was asked for. Whatever a run has no answer to is missing: all of it where it does not have that
    lineage (`ends` tells which it has), the rest where no gene rises along it or there is no list of its markers.

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
    ends: Mapping[str, tuple[str, ...]]
    """Every lineage that a run has, by the run's name."""
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
        By default all that any run has.
    markers
        One list for all lineages, or a list by lineage, see `markers_by_group`; not every lineage needs one.
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
        There is nothing to compare with, no run has a chosen lineage, no gene rises along any, there are markers of
        none, no run tested any gene of a list, or no pathway is named by a keyword.
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
    """Answers to different questions about the same drivers, as if they had been asked at once.

    Parameters
    ----------
    tables
        One or more, of the same drivers, lineages and ``top``; at most one with pathways.
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
    if keywords and sets is not None:
        require_relevant(sets, keywords=keywords)


def _lineages(drivers: Mapping[str, pd.DataFrame], wanted: Sequence[str] | None) -> list[str]:
    """The wanted lineages, each of which some run has; by default all that any has, in the order of the runs."""
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
        msg = f"No gene rises along {listed(lineages)} in any run. Choose other ends."
        raise InputError(msg)


def _markers_of(lineage: str, markers: Sequence[str] | GeneSets) -> Sequence[str] | None:
    """None where there are lists, but not of this lineage."""
    if not isinstance(markers, Mapping):
        return markers
    name = find_group(lineage, markers)
    return None if name is None else markers[name]
