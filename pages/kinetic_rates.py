"""Rates of transcription, splicing and degradation by cell type."""

import streamlit as st

from app import session
from app.selection import linked, state
from app.selection.bar import selection_bar
from app.shared import charts
from app.shared.cells import run_in_words
from app.shared.color_picker import color_picker
from app.shared.empty import stop_on_error
from app.shared.gene_picker import gene_picker
from app.shared.grouping import groups_and_colors, visible_groups
from app.shared.methods import NO_ALPHA, no_rates
from app.shared.rates_charts import SPACES, gene_rates, match_scores, rates_figure, warn_of_negative_rates
from app.shared.run_picker import fits, require_run
from app.shared.shown_run import run_fragment
from app.shared.text import escape
from app.shared.view import one_of, switch
from deepvelo.io.runs import Run, RunInfo
from deepvelo.pl.rates import rate_violins

HEIGHT = 560


@run_fragment
def explorer(run: Run) -> None:
    """A change of rate, colour or gene redraws only this part."""
    selection_bar(run)
    groups, colors = groups_and_colors(run)
    offered = [name for name, key in SPACES.items() if key in run.obsm]
    with st.container(horizontal=True, vertical_alignment="bottom"):
        space = st.segmented_control(
            "UMAP of",
            offered,
            required=True,
            **one_of("rates", offered, key="rates.space"),
        )
        names = st.toggle("Names", **switch("names", key="rates.names", default=True))
    left, right = st.columns(2, gap="medium")
    with left:
        color = color_picker(run)
    with right:
        gene = gene_picker(run)
    with stop_on_error():
        with left:
            figure = rates_figure(run, space, color=color, gene=gene, names=names, height=HEIGHT)
            cells = linked.on_map(run, SPACES[space], color=color)
            charts.show(
                figure, key="rates.umap", alt=f"UMAP of {space}, colour {color}", view=space, cells=cells
            )
            if run_in_words(run):
                st.caption(run_in_words(run))
            match_scores(run)
        with right:
            visible = {name: colors[name] for name in visible_groups(run) or colors}
            rates, shown = gene_rates(run, gene), state.shown(run)
            if shown is not None:
                rates, groups = {name: values[shown] for name, values in rates.items()}, groups[shown]
            figure = rate_violins(rates, groups, colors=visible, height=HEIGHT + 60)
            charts.show(figure, key="rates.violins", alt=f"Rates of {gene} in each cell type")
            st.caption(
                "Rates are relative: time has no unit. Compare cell types within a gene; a line marks the median, a box the "
                "middle half of the cells."
            )
            if not run.has_alpha:
                st.caption(f"{NO_ALPHA} The map of all rates shows β and γ.")


def offer_rates(info: RunInfo) -> None:
    """Say why the run has no rates, and offer the newest run that has them, preferably of the same data."""
    st.info(no_rates(info), icon=":material/info:")
    ours = [other for other in fits() if other.is_ours]
    ours.sort(key=lambda other: other.data_hash != info.data_hash)
    if ours:
        st.button(
            f"Show {escape(ours[0].name)}", type="primary", on_click=session.set_run, args=(ours[0].run_id,)
        )
    elif st.button("Train DeepVelo", type="primary"):
        session.go("train")
    st.stop()


st.header("Kinetic rates")
run = require_run()
with stop_on_error():
    if not run.has_rates:
        offer_rates(run.info)
warn_of_negative_rates(run)
explorer(run)
