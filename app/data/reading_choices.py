"""Choices of reading that a file leaves open: gene names and ambiguous counts."""

from __future__ import annotations

import dataclasses

import streamlit as st

from app import session
from app.shared.text import box_labels
from deepvelo.checks import Summary
from deepvelo.config import AMBIGUOUS_CHOICES, Ambiguous
from deepvelo.contents.layer_names import AMBIGUOUS
from deepvelo.datasets.source import DataSource

_GENES = {"auto": "symbols, if the file has them", "index": "index of the file"}
_AMBIGUOUS: dict[Ambiguous, str] = {
    "leave_out": "leave out",
    "spliced": "add to spliced",
    "unspliced": "add to unspliced",
}


def _genes_in_words(name: str) -> str:
    return _GENES.get(name, name)


def reading_choices(source: DataSource, summary: Summary) -> None:
    """Boxes for gene names and ambiguous counts, if there is a choice."""
    if source.kind not in ("file", "join"):
        return
    choose_genes = bool(summary.gene_columns) or source.gene_names != "auto"
    choose_ambiguous = AMBIGUOUS in summary.layers or source.ambiguous != "leave_out"
    if not (choose_genes or choose_ambiguous):
        return
    left, right = st.columns(2)
    genes, ambiguous = source.gene_names, source.ambiguous
    if choose_genes:
        options = list(dict.fromkeys([*_GENES, *summary.gene_columns, genes]))
        genes = left.selectbox(
            "Gene names from",
            options,
            index=options.index(genes),
            format_func=box_labels(options, _genes_in_words).__getitem__,
            help="Column of var with the gene names. Ids are kept, and gene lists match either.",
            key=f"data.genes.{session.source_text()}",
        )
    if choose_ambiguous:
        ambiguous = right.selectbox(
            "Ambiguous counts",
            AMBIGUOUS_CHOICES,
            index=AMBIGUOUS_CHOICES.index(ambiguous),
            format_func=_AMBIGUOUS.__getitem__,
            help="Counts that are neither clearly spliced nor unspliced. Add them to a layer only if the protocol says so.",
            key=f"data.ambiguous.{session.source_text()}",
        )
    if (genes, ambiguous) != (source.gene_names, source.ambiguous):
        session.set_source(dataclasses.replace(source, gene_names=genes, ambiguous=ambiguous))
        st.rerun()
