"""Unspliced against spliced RNA of single genes, and the genes on the embedding."""

import numpy as np
import streamlit as st

from app import session
from app.phase_portraits.gene_table import gene_table
from app.selection import linked, state
from app.selection.bar import selection_bar
from app.shared import charts
from app.shared.cells import drawn, run_in_words
from app.shared.empty import stop_on_error
from app.shared.gene_lists import genes_of_list, list_button, list_in_words
from app.shared.gene_picker import gene_picker, ranked_genes
from app.shared.grouping import groups_and_colors, visible_groups
from app.shared.phase_charts import Options, arrows_in_words, gene_panels, phase_of
from app.shared.rates_charts import warn_of_negative_rates
from app.shared.run_picker import require_run
from app.shared.shown_run import run_fragment
from app.shared.text import box_labels
from app.shared.undecided import undecided_in_words
from app.shared.view import one_of, some_of, switch
from deepvelo.io.runs import Run
from deepvelo.pl.phase_portrait import phase_grid, phase_portrait

HEIGHT = 640
MAX_GENES, N_GENES = 12, 4  # of several: maximum and default
MODES = ("One gene", "Several")
GENES_KEY = "phase.genes"
FIRST_KEY, LIST_KEY = (
    "phase.first",
    "phase.list",
)  # the gene last put first among several, the list last shown


@run_fragment
def explorer(run: Run) -> None:
    """A change of gene or cell types redraws only this part."""
    selection_bar(run)
    groups, colors = groups_and_colors(run)
    mode_box = st.container(horizontal=True, vertical_alignment="center")
    gene_box, types_box = st.columns([1, 2])
    mode = mode_box.segmented_control(
        "Show", MODES, required=True, label_visibility="collapsed", **one_of("show", MODES, key="phase.mode"),
    )  # fmt: skip
    shown = types_box.multiselect(
        "Cell types", list(colors), format_func=box_labels(colors).__getitem__, placeholder="All cell types",
        **some_of("types", list(colors), key="phase.types"),
        help="Cell types in colour and with arrows; others turn grey. Choose a few to reduce overlap.",
    )  # fmt: skip
    in_color = shown or visible_groups(run)
    zoom = mode_box.toggle(
        "Zoom",
        disabled=not in_color and state.shown(run) is None,
        **switch("zoom", key="phase.zoom", default=True),
    )
    options = Options(
        colors=colors, shown=in_color, cells=state.shown(run), zoom=zoom, drawn=drawn(run), dark=charts.is_dark()
    )  # fmt: skip
    with stop_on_error():
        if mode == "Several":
            with gene_box:
                list_button(run, label="Gene lists")
                st.caption(list_in_words(run))
            several_genes(run, groups, options)
        else:
            with gene_box:
                gene = gene_picker(run)
            session.fill({FIRST_KEY: None})
            one_gene(run, groups, options, gene=gene)
    words = [
        "Each point is a cell.",
        arrows_in_words(run),
        undecided_in_words(run),
        "Arrow lengths are relative within a gene; time has no unit.",
        run_in_words(run),
    ]
    st.caption(" ".join(filter(None, words)))


def one_gene(run: Run, groups: np.ndarray, options: Options, *, gene: str) -> None:
    """Table of genes, phase portrait, and the gene on the embedding."""
    table, portrait, tissue = st.columns([1.25, 2.6, 2.3])
    with portrait:
        phase = phase_of(run, gene)
        figure = phase_portrait(phase, groups, **options, height=HEIGHT)
        cells = linked.in_phase(run, [phase])
        charts.show(figure, key="phase.portrait", alt=f"Unspliced against spliced {gene}", cells=cells)
    with tissue:
        charts.show(
            gene_panels(run, gene, cells=in_front(groups, options), height=HEIGHT), key="phase.panels", alt=f"{gene} on the embedding",
            cells=linked.on_embedding(run, run.info.basis), view=run.info.basis,
        )  # fmt: skip
    with table:
        gene_table(run, shown=gene, height=HEIGHT)


def in_front(groups: np.ndarray, options: Options) -> np.ndarray | None:
    """Mask of the cells that portraits draw in colour; None for all."""
    cells, shown = options["cells"], options["shown"]
    if shown is None:
        return cells
    return np.isin(groups, shown) & (True if cells is None else cells)


def several_genes(run: Run, groups: np.ndarray, options: Options) -> None:
    """One figure with a portrait per gene."""
    ranked = ranked_genes(run)
    first = gene if (gene := session.gene()) in ranked else ranked[0]
    of_list = list(genes_of_list(run)[:MAX_GENES])
    default = of_list or list(dict.fromkeys([first, *ranked[:N_GENES]]))[:N_GENES]
    put_first(first, ranked, of_list=of_list, default=default)
    genes = st.multiselect(
        "Genes", ranked, format_func=box_labels(ranked).__getitem__, max_selections=MAX_GENES,
        **some_of("genes", ranked, key=GENES_KEY, default=default, most=MAX_GENES),
    )  # fmt: skip
    if not genes:
        st.info(f"Choose up to {MAX_GENES} genes.")
        return
    phases = [phase_of(run, gene) for gene in genes]
    figure = phase_grid(phases, groups, **options)
    charts.show(
        figure,
        key="phase.grid",
        alt=f"Phase portraits of {', '.join(genes)}",
        cells=linked.in_phase(run, phases),
    )


def put_first(first: str, ranked: list[str], *, of_list: list[str], default: list[str]) -> None:
    """Show a newly chosen list, or put a newly chosen gene first; once, so that genes can be removed."""
    before = session.widget_value(GENES_KEY)
    if before is not None:
        genes = [gene for gene in before if gene in ranked]  # a run may lack some
        genes = genes or (default if before else [])  # stays empty if emptied by hand
        if of_list and session.gene_list() != session.widget_value(LIST_KEY):
            genes = of_list
        elif first != session.widget_value(FIRST_KEY):
            genes = list(dict.fromkeys([first, *genes]))[:MAX_GENES]
        session.fill({GENES_KEY: genes})
    session.fill({FIRST_KEY: first, LIST_KEY: session.gene_list()})


st.header("Phase portraits")
run = require_run()
warn_of_negative_rates(run)
explorer(run)
