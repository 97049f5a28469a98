"""Enrichment of the drivers: markers, transcription factors and gene sets, as in the paper's Table 1."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import pandas as pd
import streamlit as st

from app import session
from app.lineages import queries as lineages
from app.lineages.gene_lists import OWN_MARKERS, compare_with
from app.lineages.one_group import say_one_group
from app.lineages.settings import offer_other_methods
from app.shared import charts
from app.shared.tables import download, show_table
from app.shared.text import escape, with_labels
from deepvelo.io.runs import Run
from deepvelo.io.spreadsheet import to_csv
from deepvelo.lineages import Lineages, to_json
from deepvelo.pl.enrichment_bars import enrichment_bars, in_short

if TYPE_CHECKING:
    from deepvelo.tl.gene_sets.table_one import TableOne

N_BARS = 20
NONE = "–"


def enrichment_view(run: Run, analysis: Lineages, lineage: str) -> None:
    """Gene lists to compare with, Table 1 for every method, and the enriched sets of this lineage."""
    from deepvelo.tl.gene_sets.table_one import joined

    say_one_group(run, analysis, lineage)
    found = lineages.of_methods(run, analysis.settings)
    offer_other_methods(run, analysis.settings)
    answers = compare_with(run, {name: other.drivers for name, other in found.items()})
    if not answers:
        st.info("Choose markers, transcription factors or gene sets to compare the drivers with.")
        return
    table = joined(answers)
    _table_one(analysis, table)
    if table.pathways is not None:
        _enriched(table.pathways, next(iter(found)), lineage)


def rows_in_words(table: TableOne) -> pd.DataFrame:
    """Table 1 as text, with a dash for missing values."""
    rows = table.rows
    shown = pd.DataFrame({"Lineage": rows["lineage"], "Method": rows["run"]})
    shown["Genes tested"] = [NONE if pd.isna(n) else f"{n:,}" for n in rows["tested"]]
    for what, title in (("markers", "Markers"), ("tfs", "Transcription factors")):
        if what in rows:
            shown[title] = [
                NONE if pd.isna(n) else f"{n} of {of} (p {in_short(p)})"
                for n, of, p in zip(rows[what], rows["drivers"], rows[f"{what}_p"], strict=True)
            ]
    if "enriched" in rows:
        shown["Enriched sets"] = [NONE if pd.isna(n) else f"{n:,}" for n in rows["enriched"]]
    if "relevance" in rows:
        shown["Relevant"] = [
            NONE if pd.isna(share) else f"{n} ({share:.0%})"
            for n, share in zip(rows["relevant"], rows["relevance"], strict=True)
        ]
    return shown


def notes(table: TableOne, *, own_markers: bool) -> list[str]:
    """Notes on how to read the table."""
    found = [
        "p: hypergeometric probability of as many hits among the tested genes. Methods with fewer velocity genes have more "
        "hits by chance, so compare p, not numbers."
    ]
    if own_markers and "markers" in table.rows:
        found.append(
            "Markers of the data's own cell types come from the same cells, so a small p is weak evidence: markers of a terminal "
            "state increase towards it in any order of cells that ends there."
        )
    if len(table.ends) > 1:
        found.append(
            "Agreement on a lineage without a branch is weak evidence for the velocity: any order of its cells gives similar "
            "genes."
        )
    absent = table.rows["drivers"].isna()
    if absent.any():
        found.append(
            f"Rows of {NONE} only: the method does not have this terminal state. {_terminal_states(table.ends)}"
        )
    if table.rows[~absent].isna().any(axis=None):
        found.append(
            f"A single {NONE}: no gene increases along this lineage, it has no list, or no set is enriched."
        )
    return found


def _terminal_states(ends: Mapping[str, tuple[str, ...]]) -> str:
    alike: dict[tuple[str, ...], list[str]] = {}
    for name, names in ends.items():
        alike.setdefault(tuple(sorted(names)), []).append(name)
    return ". ".join(f"{', '.join(methods)}: {', '.join(names)}" for names, methods in alike.items()) + "."


def _table_one(analysis: Lineages, table: TableOne) -> None:
    st.markdown(f"**Table 1**: the {table.top} best drivers of each lineage among known genes")
    show_table(
        rows_in_words(table),
        hide_index=True,
        alt="Overlap of the drivers with known genes, by lineage and method",
    )
    own_markers = session.widget_value("lineages.markers") == OWN_MARKERS
    st.caption("  \n".join(with_labels(note) for note in notes(table, own_markers=own_markers)))
    with st.container(horizontal=True):
        download("Table 1 as CSV", to_csv(table.rows), name="table_one.csv")
        download(
            "Analysis as JSON", to_json(analysis, table_one=table), name="lineages.json",
            help="Choices, edges, warnings, Table 1, and the keywords of relevant gene sets.",
        )  # fmt: skip
        if table.pathways is not None:
            download("Enriched sets as CSV", to_csv(table.pathways), name="enrichment.csv")


def _enriched(pathways: pd.DataFrame, run: str, lineage: str) -> None:
    own = pathways[(pathways["run"] == run) & (pathways["lineage"] == lineage)].sort_values("q")
    relevant = own["relevant"].to_numpy() if "relevant" in own else None
    if own.empty:
        st.caption("No gene set contains a driver of this lineage.")
        return
    st.markdown(f"**Gene sets among the drivers of {escape(lineage)}**, {escape(run)}")
    figure = enrichment_bars(own, relevant=relevant, top=N_BARS)
    charts.show(figure, key="lineages.enrichment", alt=f"Gene sets enriched among the drivers of {lineage}")
    show_table(
        own.drop(columns=["run", "lineage"]).assign(genes=own["genes"].str.replace(";", ", ")),
        hide_index=True,
        column_config={
            "term": st.column_config.TextColumn("Gene set", pinned=True),
            "overlap": st.column_config.NumberColumn("Drivers in set"),
            "size": st.column_config.NumberColumn("Tested genes in set"),
            "odds_ratio": st.column_config.NumberColumn(
                "Odds ratio",
                format="%.1f",
                help="1 is expected by chance; each of the four counts is raised by 0.5.",
            ),
            "p": st.column_config.NumberColumn("p", format="%.0e", help="Hypergeometric test."),
            "q": st.column_config.NumberColumn(
                "q", format="%.0e", help="Benjamini-Hochberg over all sets of an allowed size."
            ),
            "genes": st.column_config.TextColumn("Drivers"),
            "relevant": st.column_config.CheckboxColumn("Relevant"),
        },
        alt="All gene sets with drivers",
    )
