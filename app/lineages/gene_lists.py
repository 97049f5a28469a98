"""Gene lists that drivers are compared with, and the comparison of each."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import chain
from typing import TYPE_CHECKING, Final

import streamlit as st

from app.lineages import queries as lineages
from app.shared.empty import error_in_words, say_error
from app.shared.text_uploads import read_text
from deepvelo.contents.genes import GeneIndex, gene_aliases
from deepvelo.errors import InputError
from deepvelo.io.runs import Run

if TYPE_CHECKING:
    import pandas as pd

    from deepvelo.tl.gene_sets.sets import GeneSets
    from deepvelo.tl.gene_sets.table_one import TableOne

OWN_MARKERS, NO_MARKERS, GIVEN = "Of the cell types in the data", "None", "From a file"
_KEPT: Final = "session"


def compare_with(run: Run, drivers: Mapping[str, pd.DataFrame]) -> list[TableOne]:
    """Draw the boxes and compare with each list separately, so that one without a match does not affect the others.

    Parameters
    ----------
    drivers
        Driver tables by method.
    """
    from deepvelo.tl.gene_sets.enrichment import require_relevant
    from deepvelo.tl.gene_sets.sets import read_gene_list, read_gmt, spelled

    first, second, third, fourth = st.columns(4, gap="medium")
    with fourth:
        typed = st.text_area(
            "Keywords of relevant gene sets", key="lineages.keywords", persist_state=_KEPT,
            placeholder="neuron\nsynap", height=100, max_chars=10_000,
        )  # fmt: skip
        top = st.number_input("Drivers per lineage", 5, 1000, 100, key="lineages.top", persist_state=_KEPT)
    tested = GeneIndex(
        chain.from_iterable(table.dropna(subset="correlation")["gene"] for table in drivers.values()),
        aliases=gene_aliases(run.var),
    )
    answers: list[TableOne] = []
    with first:
        kind = st.radio(
            "Markers", [OWN_MARKERS, GIVEN, NO_MARKERS], key="lineages.markers", persist_state=_KEPT
        )
        upload = (
            st.file_uploader("One gene per line, or .gmt with one set per lineage") if kind == GIVEN else None
        )
        with error_in_words():
            if kind == OWN_MARKERS:
                answers.append(lineages.table_one(drivers, markers=lineages.markers(run), top=top))
            elif upload is not None:
                in_sets = upload.name.lower().endswith(".gmt")
                markers = read_text(upload, read_gmt if in_sets else read_gene_list)
                markers = spelled(markers, tested, what=upload.name)
                answers.append(lineages.table_one(drivers, markers=markers, top=top))
    with second:
        factors = st.file_uploader("Transcription factors, one gene per line", key="lineages.tfs")
        with error_in_words():
            if factors is not None:
                tfs = read_text(factors, read_gene_list)
                tfs = spelled(tfs, tested, what=factors.name)
                answers.append(lineages.table_one(drivers, tfs=tfs, top=top))
    with third:
        gmt = st.file_uploader("Gene sets, .gmt", key="lineages.gmt")
        library = st.text_input(
            "or an Enrichr library", key="lineages.library", persist_state=_KEPT,
            placeholder="GO_Biological_Process_2023", help="Name of an Enrichr library. The server downloads it once and keeps it.",
        ).strip()  # fmt: skip
        sets: GeneSets | None = None
        with error_in_words():
            found: GeneSets | None = None
            if gmt is not None:
                found = read_text(gmt, read_gmt)
            elif library:
                found = lineages.library(library)
            if found is not None:
                found = spelled(found, tested, what=library if gmt is None else gmt.name)
                # Other genes do not count and slow down every redraw.
                those = frozenset(tested.genes)
                found = {name: tuple(filter(those.__contains__, genes)) for name, genes in found.items()}
            sets = found  # unset if no gene matches, which was reported above
    keywords = tuple(line.strip() for line in typed.splitlines() if line.strip())
    if sets is not None and keywords:
        with fourth:
            try:
                require_relevant(sets, keywords=keywords)
            except InputError as error:
                say_error(error)
                keywords = ()
    if sets is not None:
        with third, error_in_words():
            answers.append(lineages.table_one(drivers, sets=sets, keywords=keywords, top=top))
    return answers
