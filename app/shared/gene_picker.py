"""Choice of the gene that figures show: one search box, steps through a ranking or a list, and the genes shown last."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

import streamlit as st

from app import session
from app.shared import cached
from app.shared.empty import say_error
from app.shared.gene_lists import gene_names, genes_of_list, list_button, list_in_words, use_list
from app.shared.text import box_labels, escape
from deepvelo import checks
from deepvelo.errors import InputError
from deepvelo.io.runs import Run
from deepvelo.wording import in_code, listed, number

if TYPE_CHECKING:
    from streamlit.delta_generator import DeltaGenerator

SEARCH, LAST = "gene.search", "gene.last"
_PROBLEM = "gene.problem"  # of the last search
_NAMED: Final = 3  # genes in a message
_ROW_WIDTH: Final = 235  # px
_MOST_TYPED: Final = 200_000  # characters


def gene_picker(run: Run, *, ranked: Sequence[str] = ()) -> str:
    """Search box of the run's genes, steps and gene lists; returns the chosen gene, by default the first of ``ranked``.

    The steps follow the chosen list, else ``ranked``, which is the run's own ranking if it is empty.

    The box takes a symbol or id, or several at once, which become the list that the steps follow. It is always empty: that
    way the browser keeps the names of all genes, and a step sends none of them again. If the run lacks the gene of the URL, an
    error names it with the most similar names, and the default is shown.
    """
    known = cached.genes(run.info.run_id)
    chosen = session.gene()
    if chosen is not None and chosen not in run.var.index:
        try:
            chosen = _find(run, chosen)
        except InputError as error:
            say_error(error)
            chosen = None
    if problem := session.widget_value(_PROBLEM):
        say_error(problem)
        session.fill({_PROBLEM: None})
    ranked = ranked or known.ranked
    order = genes_of_list(run) or ranked
    shown = chosen or ranked[0]
    session.looked_at(shown)
    labels = box_labels(known.ranked)
    with st.container(horizontal=True, vertical_alignment="bottom", gap="xsmall"):
        with _row():
            st.selectbox(
                "Gene", known.ranked, index=None, format_func=lambda gene: labels.get(gene, gene), key=SEARCH,
                accept_new_options=True, on_change=_search, args=(run,), placeholder="Name, id or list",
                help="Type a symbol or an id, or paste several: the steps then follow that list.",
            )  # fmt: skip
            list_button(run)
        with _row():
            _steps(shown, order, run)
    if words := list_in_words(run):
        st.caption(words)
    return shown


def chosen_gene(run: Run) -> str:
    """The gene of the URL, by any of its names; the first of the ranking if the run lacks it."""
    known = cached.genes(run.info.run_id)
    return known.index.find(session.gene() or "") or known.ranked[0]


def ranked_genes(run: Run) -> list[str]:
    """Genes with a velocity by multi-kinetic score, highest first, then the others."""
    return list(cached.genes(run.info.run_id).ranked)


def gene_order(run: Run) -> Sequence[str]:
    """The genes in the order of the steps: those of the chosen list, else all, ranked."""
    return genes_of_list(run) or cached.genes(run.info.run_id).ranked


def _row() -> DeltaGenerator:
    """A part that stays together where the box wraps in a narrow column."""
    return st.container(horizontal=True, vertical_alignment="bottom", gap="xsmall", width=_ROW_WIDTH)


def _steps(shown: str, order: Sequence[str], run: Run) -> None:
    """Steps to the neighbours of the shown gene in an order, and the genes shown last."""
    place = order.index(shown) if shown in order else None
    before, after = (-1, 0) if place is None else (place - 1, (place + 1) % len(order))
    st.button(
        "", icon=":material/chevron_left:", key="gene.previous", shortcut="P", help="Previous gene",
        on_click=session.set_gene, args=(order[before],),
    )  # fmt: skip
    st.button(
        "", icon=":material/chevron_right:", key="gene.next", shortcut="N", help="Next gene",
        on_click=session.set_gene, args=(order[after],),
    )  # fmt: skip
    last = [gene for gene in session.last_genes() if gene in run.var.index]
    st.menu_button(
        escape(shown), last, format_func=escape, key=LAST, help="The genes shown last", on_click=_take_last,
        width="stretch", wrap=False,
    )  # fmt: skip


def _take_last() -> None:
    session.set_gene(session.widget_value(LAST))


def _search(run: Run) -> None:
    """Choose what was typed: one gene, or a list of several."""
    typed = session.widget_value(SEARCH)
    session.fill({SEARCH: None, _PROBLEM: None})
    if not typed:
        return
    try:
        choose(run, typed)
    except InputError as error:
        session.fill({_PROBLEM: str(error)})


def choose(run: Run, typed: str) -> None:
    """Choose a gene by one of its names, or use the list of several names.

    Raises
    ------
    InputError
        The run has no such gene, or none of the list; the message suggests similar names.
    """
    typed = typed[:_MOST_TYPED].strip()
    if cached.genes(run.info.run_id).index.find(typed) is None and len(names := gene_names(typed)) > 1:
        use_list(run, names)
    else:
        session.set_gene(_match(run, typed))


def _match(run: Run, typed: str) -> str:
    """The gene of this name, or the only one that begins with it or contains it."""
    known = cached.genes(run.info.run_id)
    if found := known.index.find(typed):
        return found
    part = typed.casefold()
    names = {gene: gene.casefold() for gene in known.ranked}
    near = [gene for gene, name in names.items() if name.startswith(part)]
    near = near or [gene for gene, name in names.items() if part in name]
    if len(near) > 1:
        msg = f"{number(len(near), 'gene')} have {in_code(typed)} in their names, such as {listed(near[:_NAMED])}. Choose one in the box."
        raise InputError(msg)
    return near[0] if near else _find(run, typed)


def _find(run: Run, name: str) -> str:
    return cached.genes(run.info.run_id).index.find(name) or checks.require_gene(run.var.index, name)
