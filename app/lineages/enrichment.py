"""What is known of the drivers: markers, transcription factors, enriched gene sets, laid out as the paper's Table 1."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import pandas as pd
import streamlit as st

from app import session
from app.lineages import queries as lineages
from app.lineages.one_group import say_one_group
from app.lineages.questions import OWN_MARKERS, ask
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


def meaning_view(run: Run, analysis: Lineages, lineage: str) -> None:
    """What to compare with, Table 1 for every method, and the enriched sets of this lineage."""
    from deepvelo.tl.gene_sets.table_one import joined

    say_one_group(run, analysis, lineage)
    found = lineages.of_methods(run, analysis.settings)
    offer_other_methods(run, analysis.settings)
    answers = ask(run, {name: other.drivers for name, other in found.items()})
    if not answers:
        st.info("Choose markers, transcription factors or gene sets to compare the drivers with.")
        return
    table = joined(answers)
    _table_one(analysis, table)
    if table.pathways is not None:
        _enriched(table.pathways, next(iter(found)), lineage)


def rows_in_words(table: TableOne) -> pd.DataFrame:
    """Table 1 as it is shown; a dash stands where a method has no answer."""
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
    """What one must know to read the table, a sentence or two each."""
    found = [
        "p: how often as many would be among so many genes drawn from those the method tested; methods that give fewer "
        "genes a velocity find more by chance, so compare p, not the number alone."
    ]
    if own_markers and "markers" in table.rows:
        found.append(
            "Markers of the data's own cell types come from these very cells, so a small p says little: genes that mark an "
            "end rise towards it in any order that leads there."
        )
    if len(table.ends) > 1:
        found.append(
            "Methods that agree on a lineage without a branch say little about velocity: any order of its cells from the "
            "one side to the other gives much the same genes."
        )
    absent = table.rows["drivers"].isna()
    if absent.any():
        found.append(
            f"Rows of {NONE} alone: the method does not have that end. {_where_each_ends(table.ends)}"
        )
    if table.rows[~absent].isna().any(axis=None):
        found.append(
            f"A single {NONE}: no gene rises along that lineage, there is no list for it, or no set is enriched."
        )
    return found


def _where_each_ends(ends: Mapping[str, tuple[str, ...]]) -> str:
    alike: dict[tuple[str, ...], list[str]] = {}
    for name, names in ends.items():
        alike.setdefault(tuple(sorted(names)), []).append(name)
    return (
        ". ".join(f"{', '.join(methods)}: ends in {', '.join(names)}" for names, methods in alike.items())
        + "."
    )


def _table_one(analysis: Lineages, table: TableOne) -> None:
    st.markdown(
        f"**Table 1**: what the {table.top} best drivers of each lineage have to do with what is known"
    )
    show_table(
        rows_in_words(table),
        hide_index=True,
        alt="Overlap of the drivers with what is known, by lineage and method",
    )
    own_markers = session.widget_value("lineages.markers") == OWN_MARKERS
    st.caption("  \n".join(with_labels(note) for note in notes(table, own_markers=own_markers)))
    with st.container(horizontal=True):
        download("Table 1 as CSV", to_csv(table.rows), name="table_one.csv")
        download(
            "Analysis as JSON", to_json(analysis, table_one=table), name="lineages.json",
            help="Choices, edges, warnings, Table 1, and the words that made a gene set relevant.",
        )  # fmt: skip
        if table.pathways is not None:
            download("Enriched sets as CSV", to_csv(table.pathways), name="enrichment.csv")


def _enriched(pathways: pd.DataFrame, run: str, lineage: str) -> None:
    own = pathways[(pathways["run"] == run) & (pathways["lineage"] == lineage)].sort_values("q")
    relevant = own["relevant"].to_numpy() if "relevant" in own else None
    if own.empty:
        st.caption("No gene set holds any driver of this lineage.")
        return
    st.markdown(f"**Gene sets among the drivers of {escape(lineage)}**, {escape(run)}")
    figure = enrichment_bars(own, relevant=relevant, top=N_BARS)
    charts.show(figure, key="lineages.enrichment", alt=f"Gene sets enriched among the drivers of {lineage}")
    show_table(
        own.drop(columns=["run", "lineage"]).assign(genes=own["genes"].str.replace(";", ", ")),
        hide_index=True,
        column_config={
            "term": st.column_config.TextColumn("Gene set", pinned=True),
            "overlap": st.column_config.NumberColumn("Drivers in it"),
            "size": st.column_config.NumberColumn("Tested genes in it"),
            "odds_ratio": st.column_config.NumberColumn(
                "Odds ratio", format="%.1f", help="1 is chance; 0.5 is added to each of the four counts."
            ),
            "p": st.column_config.NumberColumn("p", format="%.0e", help="Hypergeometric."),
            "q": st.column_config.NumberColumn(
                "q", format="%.0e", help="Benjamini-Hochberg over all sets of an allowed size."
            ),
            "genes": st.column_config.TextColumn("The drivers"),
            "relevant": st.column_config.CheckboxColumn("Relevant"),
        },
        alt="All gene sets that drivers hit",
    )
