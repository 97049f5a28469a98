"""Gene lists that steps through genes follow and cells are scored by: pasted, of files, or saved on this server."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Final

import streamlit as st

from app import session
from app.shared import cached
from app.shared.empty import error_in_words, say_error
from app.shared.text import box_labels, escape
from app.shared.text_uploads import MOST_MB, read_text
from app.shared.view import say_gone
from deepvelo.errors import InputError
from deepvelo.io.runs import Run
from deepvelo.selections.gene_lists import GeneList, genes_in
from deepvelo.wording import number

if TYPE_CHECKING:
    from streamlit.runtime.uploaded_file_manager import UploadedFile

RANKED = ""  # no list
_BETWEEN = re.compile(r"[,;\s]+")
_NAMED: Final = 3  # genes in a sentence
_CHOSEN, _PASTED, _NAME, _FILE, _SET, _PROBLEM = (
    f"gene.list.{part}" for part in ("chosen", "pasted", "name", "file", "set", "problem")
)


def chosen_list() -> GeneList | None:
    """The chosen list; None, with a message, if a link names one that this server lacks."""
    list_id = session.gene_list()
    if list_id is None:
        return None
    try:
        return cached.gene_list(list_id)
    except InputError as error:
        say_gone(str(error))
        session.set_gene_list(None)
        return None


def genes_of_list(run: Run) -> tuple[str, ...]:
    """Genes of the chosen list that the run has, spelled as there; empty without a list."""
    found = chosen_list()
    return () if found is None else cached.genes(run.info.run_id).index.match(found.genes).matched


def list_in_words(run: Run) -> str:
    """Name of the chosen list and which of its genes the run lacks; empty without a list."""
    found = chosen_list()
    if found is None:
        return ""
    match = cached.genes(run.info.run_id).index.match(found.genes)
    words = f"List **{escape(found.name)}**: {len(match.matched):,} of {number(len(found.genes), 'gene')}"
    if not match.missing:
        return f"{words}."
    more = len(match.missing) - _NAMED
    named = ", ".join(map(escape, match.missing[:_NAMED]))
    return f"{words}; not in this run: {named}{f' and {more:,} more' if more > 0 else ''}."


def use_list(run: Run, genes: Sequence[str], *, name: str = "") -> None:
    """Follow a list from its first gene; saved on this server, so that a link finds it, and offered to others if it has a name.

    Raises
    ------
    InputError
        The run has none of the genes, or the list cannot be saved.
    """
    matched = genes_in(genes, cached.genes(run.info.run_id).index)
    first = ", ".join(matched[:_NAMED]) + (", …" if len(matched) > _NAMED else "")
    saved = cached.save_gene_list(name or first[:100], genes, offer=bool(name))
    session.set_gene_list(saved.list_id)
    session.set_gene(matched[0])


def gene_names(text: str) -> list[str]:
    """Names in a pasted text, separated by commas, semicolons or whitespace."""
    return [name for name in _BETWEEN.split(text) if name]


def list_button(run: Run, *, label: str = "") -> None:
    """A button that opens the choice of a list; drawn only when open, because names of many sets are slow to send."""
    box = st.popover(
        label, icon=":material/list_alt:", key="gene.lists", on_change="rerun", help="Gene lists"
    )
    if box.open:
        with box:
            _choice(run)


def _choice(run: Run) -> None:
    chosen = chosen_list()
    named = {RANKED: "All genes, ranked"} | cached.gene_lists()
    if chosen is not None:
        named.setdefault(chosen.list_id, chosen.name)
    session.fill({_CHOSEN: RANKED if chosen is None else chosen.list_id})
    st.selectbox(
        "Step through", list(named), format_func=box_labels(named, named.__getitem__).__getitem__, key=_CHOSEN,
        on_change=_take_saved, args=(run,),
    )  # fmt: skip
    st.text_area(
        "Paste genes", key=_PASTED, height=90, max_chars=200_000,
        placeholder="Symbols or ids, separated by lines, commas or blanks",
    )  # fmt: skip
    st.text_input(
        "Name of the list", key=_NAME, max_chars=200, placeholder="Optional; offered to all visitors"
    )
    st.button("Use these genes", on_click=_take_pasted, args=(run,), width="stretch")
    upload = st.file_uploader(
        "Gene sets, .gmt, or one gene per line", key=_FILE, max_upload_size=MOST_MB, on_change=session.fill,
        args=({_SET: None},),
    )  # fmt: skip
    if upload is not None:
        with error_in_words():
            _sets(run, _read(upload))
    if problem := session.widget_value(_PROBLEM):
        say_error(problem)
        session.fill({_PROBLEM: None})


def _read(upload: UploadedFile) -> Mapping[str, Sequence[str]]:
    cached.warm_up().join()
    from deepvelo.tl.gene_sets.sets import read_gene_list, read_gmt

    if upload.name.lower().endswith(".gmt"):
        sets: dict[str, tuple[str, ...]] = read_text(upload, read_gmt)
        return sets
    return {upload.name: read_text(upload, read_gene_list)}


def _sets(run: Run, sets: Mapping[str, Sequence[str]]) -> None:
    # Streamlit keeps options and arguments of every key for the whole visit: one key, and no sets in the arguments
    st.selectbox(
        "Gene set", list(sets), index=None, format_func=box_labels(sets).__getitem__, key=_SET,
        placeholder=f"{number(len(sets), 'set')}, search by name", on_change=_take_set, args=(run,),
    )  # fmt: skip


def _take_saved(run: Run) -> None:
    list_id = session.widget_value(_CHOSEN)
    session.set_gene_list(list_id or None)
    if matched := genes_of_list(run):
        session.set_gene(matched[0])


def _take_pasted(run: Run) -> None:
    name = (session.widget_value(_NAME) or "").strip()
    if _use(run, gene_names(session.widget_value(_PASTED) or ""), name):
        session.fill({_PASTED: "", _NAME: ""})


def _take_set(run: Run) -> None:
    name, upload = session.widget_value(_SET), session.widget_value(_FILE)
    if name is not None and upload is not None and (genes := _read(upload).get(name)):
        _use(run, genes, name[:200])


def _use(run: Run, genes: Sequence[str], name: str) -> bool:
    """Use a list in a callback, whose problem the next run shows."""
    try:
        if not genes:
            msg = "Paste at least one gene."
            raise InputError(msg)
        use_list(run, genes, name=name)
    except InputError as error:
        session.fill({_PROBLEM: str(error)})
        return False
    return True
