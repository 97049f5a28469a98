"""Gene lists that drivers are compared with, and the comparison of each."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Mapping
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import streamlit as st

from app.lineages import queries as lineages
from app.shared.empty import error_in_words, say_error
from deepvelo.contents.genes import GeneIndex, gene_aliases
from deepvelo.errors import InputError
from deepvelo.io.runs import Run
from deepvelo.wording import in_bytes

if TYPE_CHECKING:
    import pandas as pd
    from streamlit.runtime.uploaded_file_manager import UploadedFile

    from deepvelo.tl.gene_sets.sets import GeneSets
    from deepvelo.tl.gene_sets.table_one import TableOne

OWN_MARKERS, NO_MARKERS, GIVEN = "Of the cell types in the data", "None", "From a file"
_KEPT: Final = "session"
_MOST_BYTES: Final = 30_000_000  # more than all of MSigDB; every rerun of the page tests them again


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
                markers = _read(upload, read_gmt if in_sets else read_gene_list)
                markers = spelled(markers, tested, what=upload.name)
                answers.append(lineages.table_one(drivers, markers=markers, top=top))
    with second:
        factors = st.file_uploader("Transcription factors, one gene per line", key="lineages.tfs")
        with error_in_words():
            if factors is not None:
                tfs = _read(factors, read_gene_list)
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
                found = _read(gmt, read_gmt)
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


def _read(upload: UploadedFile, reader: Callable[[Path], Any]) -> Any:
    """Read an uploaded text file without keeping it; errors show its own name."""
    if upload.size > _MOST_BYTES:
        msg = (
            f"{upload.name} is larger than {in_bytes(_MOST_BYTES)}. Upload a smaller file, or use `deepvelo lineages`, which "
            "reads larger ones."
        )
        raise InputError(msg)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"upload{Path(upload.name[-20:]).suffix}"  # no path from the name of an upload
        path.write_bytes(upload.getvalue())
        try:
            return reader(path)
        except InputError as error:
            raise InputError(str(error).replace(str(path), upload.name)) from None
