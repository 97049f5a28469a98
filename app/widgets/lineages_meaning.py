"""What is known of the drivers: markers, transcription factors, enriched gene sets, laid out as the paper's Table 1."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import pandas as pd
import streamlit as st

from app import lineages
from app.widgets import charts
from app.widgets.empty import error_in_words
from app.widgets.lineages_settings import offer_other_methods
from app.widgets.text import escape
from deepvelo.errors import InputError
from deepvelo.io.runs import Run
from deepvelo.lineages import Lineages, to_json
from deepvelo.pl.enrichment_bars import enrichment_bars
from deepvelo.tl.driver_lists import top_drivers

if TYPE_CHECKING:
    from streamlit.runtime.uploaded_file_manager import UploadedFile

    from deepvelo.tl import GeneSets, TableOne

OWN_MARKERS, NO_MARKERS, GIVEN = "The data's own cell types", "None", "A file"
N_BARS = 20
_KEPT: Final = "session"


def meaning_view(run: Run, analysis: Lineages, lineage: str) -> None:
    """What to compare with, Table 1 for every method, and the enriched sets of this lineage."""
    found = lineages.of_methods(run, analysis.settings)
    offer_other_methods(run, analysis.settings)
    markers, tfs, sets, keywords, top = _known(run)
    if markers is None and tfs is None and sets is None:
        st.info("Choose markers, transcription factors or gene sets to compare the drivers with.")
        return
    with error_in_words():
        common = [name for name in analysis.lineages if _in_table(name, found, markers)]
        if not common:
            msg = (
                f"None of the lineages {', '.join(analysis.lineages)} can be set beside the others: each lacks a method "
                "that has this end, genes that rise along it, or a list of its markers. Choose the same ends for all "
                "methods, or another list."
            )
            raise InputError(msg)
        table = lineages.table_one(
            {name: other.drivers for name, other in found.items()},
            lineages=common,
            markers=markers,
            tfs=tfs,
            sets=sets,
            keywords=keywords,
            top=top,
        )
        _table_one(analysis, table)
        left_out = [name for name in analysis.lineages if name not in common]
        if left_out:
            st.caption(
                f"Not in the table: {escape(', '.join(left_out))}. Some method does not have that end or finds no gene "
                "that rises along it, or there is no list of its markers."
            )
        if table.pathways is not None and lineage in common:
            _enriched(table.pathways, next(iter(found)), lineage)


def _in_table(lineage: str, found: dict[str, Lineages], markers: Sequence[str] | GeneSets | None) -> bool:
    """Whether every method has the lineage and drivers of it, and, where lists are by lineage, there is one for it."""
    if isinstance(markers, Mapping) and lineage not in markers:
        return False
    return all(
        lineage in other.lineages and len(top_drivers(other.drivers, lineage)) for other in found.values()
    )


def _known(
    run: Run,
) -> tuple[Sequence[str] | GeneSets | None, Sequence[str] | None, GeneSets | None, tuple[str, ...], int]:
    """The boxes, and what they hold."""
    from deepvelo import tl

    first, second, third, fourth = st.columns(4, gap="medium")
    with first:
        kind = st.radio(
            "Markers", [OWN_MARKERS, GIVEN, NO_MARKERS], key="lineages.markers", persist_state=_KEPT,
            help="Of the data's own cell types: genes that mark a group among these very cells, so not independent.",
        )  # fmt: skip
        upload = st.file_uploader("One gene a line, or .gmt with a set a lineage") if kind == GIVEN else None
        markers: Sequence[str] | GeneSets | None = None
        with error_in_words():
            if kind == OWN_MARKERS:
                markers = lineages.markers(run)
            elif upload is not None:
                in_sets = upload.name.lower().endswith(".gmt")
                markers = _read(upload, tl.read_gmt if in_sets else tl.read_gene_list)
    with second:
        factors = st.file_uploader("Transcription factors, one gene a line", key="lineages.tfs")
        tfs = None
        with error_in_words():
            tfs = None if factors is None else _read(factors, tl.read_gene_list)
    with third:
        gmt = st.file_uploader("Gene sets, .gmt", key="lineages.gmt")
        name = st.text_input(
            "or a library of Enrichr", key="lineages.library", persist_state=_KEPT,
            placeholder="GO_Biological_Process_2023", help="Downloaded once, then kept on this server.",
        )  # fmt: skip
        sets = None
        with error_in_words():
            if gmt is not None:
                sets = _read(gmt, tl.read_gmt)
            elif name:
                sets = lineages.library(name.strip())
    with fourth:
        typed = st.text_area(
            "Words that make a gene set relevant", key="lineages.keywords", persist_state=_KEPT,
            placeholder="neuron\nsynap", height=100,
        )  # fmt: skip
        top = st.number_input("Drivers a lineage", 5, 1000, 100, key="lineages.top", persist_state=_KEPT)
    keywords = tuple(line.strip() for line in typed.splitlines() if line.strip()) if sets else ()
    return markers, tfs, sets, keywords, int(top)


def _read(upload: UploadedFile, reader: Callable[[Path], Any]) -> Any:
    """Read an uploaded text with its own name in the messages; nothing of it is kept."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"upload{Path(upload.name[-20:]).suffix}"  # a name from outside makes no path
        path.write_bytes(upload.getvalue())
        try:
            return reader(path)
        except InputError as error:
            raise InputError(str(error).replace(str(path), upload.name)) from None


def _table_one(analysis: Lineages, table: TableOne) -> None:
    rows = table.rows
    shown = pd.DataFrame({"Lineage": rows["lineage"], "Method": rows["run"], "Genes tested": rows["tested"]})
    for what, title in (("markers", "Markers"), ("tfs", "Transcription factors")):
        if what in rows:
            shown[title] = [
                f"{n} of {of} (p {p:.1g})"
                for n, of, p in zip(rows[what], rows["drivers"], rows[f"{what}_p"], strict=True)
            ]
    if "enriched" in rows:
        shown["Enriched sets"] = rows["enriched"]
    if "relevance" in rows:
        shown["Relevant"] = [
            "–" if pd.isna(share) else f"{n} ({share:.0%})"
            for n, share in zip(rows["relevant"], rows["relevance"], strict=True)
        ]
    st.markdown(
        f"**Table 1**: what the {table.top} best drivers of each lineage have to do with what is known"
    )
    st.dataframe(
        shown, hide_index=True, alt="Overlap of the drivers with what is known, by lineage and method"
    )
    st.caption(
        "p: how often as many would be among so many genes drawn from those the method tested; methods that give fewer "
        "genes a velocity find more by chance, so compare p, not the number alone."
    )
    with st.container(horizontal=True):
        st.download_button(
            "Table 1 as CSV", rows.to_csv(index=False), file_name="table_one.csv", mime="text/csv",
            on_click="ignore", icon=":material/download:",
        )  # fmt: skip
        st.download_button(
            "Analysis as JSON", to_json(analysis, table_one=table), file_name="lineages.json",
            mime="application/json", on_click="ignore", icon=":material/download:",
            help="Choices, edges, warnings, Table 1, and the words that made a gene set relevant.",
        )  # fmt: skip
        if table.pathways is not None:
            st.download_button(
                "Enriched sets as CSV", table.pathways.to_csv(index=False), file_name="enrichment.csv",
                mime="text/csv", on_click="ignore", icon=":material/download:",
            )  # fmt: skip


def _enriched(pathways: pd.DataFrame, run: str, lineage: str) -> None:
    own = pathways[(pathways["run"] == run) & (pathways["lineage"] == lineage)].sort_values("q")
    relevant = own["relevant"].to_numpy() if "relevant" in own else None
    if own.empty:
        st.caption("No gene set holds any driver of this lineage.")
        return
    st.markdown(f"**Gene sets among the drivers of {lineage}**, {run}")
    figure = enrichment_bars(own, relevant=relevant, top=N_BARS)
    charts.show(figure, key="lineages.enrichment", alt=f"Gene sets enriched among the drivers of {lineage}")
    st.dataframe(own.drop(columns=["run", "lineage"]), hide_index=True, alt="All gene sets that drivers hit")
