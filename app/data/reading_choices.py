"""How the counts of a file are read, where the file leaves it open."""

from __future__ import annotations

import dataclasses

import streamlit as st

from app import session
from app.shared.text import box_labels
from deepvelo.checks import Summary
from deepvelo.config import AMBIGUOUS_CHOICES, Ambiguous
from deepvelo.contents.layer_names import AMBIGUOUS
from deepvelo.datasets.source import DataSource

_GENES = {"auto": "symbols, where the file has them", "index": "the file's own names"}
_AMBIGUOUS: dict[Ambiguous, str] = {
    "leave_out": "leave out",
    "spliced": "add to spliced",
    "unspliced": "add to unspliced",
}


def _genes_in_words(name: str) -> str:
    return _GENES.get(name, name)


def reading_choices(source: DataSource, summary: Summary) -> None:
    """Gene names and ambiguous counts; nothing where there is nothing to choose."""
    if source.kind not in ("file", "join"):
        return
    asks_genes = bool(summary.gene_columns) or source.gene_names != "auto"
    asks_ambiguous = AMBIGUOUS in summary.layers or source.ambiguous != "leave_out"
    if not (asks_genes or asks_ambiguous):
        return
    left, right = st.columns(2)
    genes, ambiguous = source.gene_names, source.ambiguous
    if asks_genes:
        options = list(dict.fromkeys([*_GENES, *summary.gene_columns, genes]))
        genes = left.selectbox(
            "Gene names from",
            options,
            index=options.index(genes),
            format_func=box_labels(options, _genes_in_words).__getitem__,
            help="The column of the genes' table that names them. Ids are kept, and gene lists find either.",
            key=f"data.genes.{session.source_text()}",
        )
    if asks_ambiguous:
        ambiguous = right.selectbox(
            "Ambiguous counts",
            AMBIGUOUS_CHOICES,
            index=AMBIGUOUS_CHOICES.index(ambiguous),
            format_func=_AMBIGUOUS.__getitem__,
            help="Reads that the counter could call neither spliced nor unspliced.",
            key=f"data.ambiguous.{session.source_text()}",
        )
    if (genes, ambiguous) != (source.gene_names, source.ambiguous):
        session.set_source(dataclasses.replace(source, gene_names=genes, ambiguous=ambiguous))
        st.rerun()
