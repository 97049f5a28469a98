"""Fate probabilities, and trends of genes and their rates along a lineage."""

from __future__ import annotations

import streamlit as st

from app.lineages import queries as lineages
from app.selection import linked
from app.shared import charts
from app.shared.cells import drawn, run_in_words
from app.shared.empty import stop_on_error
from app.shared.gene_picker import ranked_genes
from app.shared.grouping import own_groups_and_colors
from app.shared.shown_run import run_fragment
from app.shared.text import box_labels
from app.shared.velocity_chart import basis_label
from app.shared.view import some_of
from deepvelo import keys
from deepvelo.io.runs import Run
from deepvelo.lineages import Lineages
from deepvelo.pl.fate_map import fate_map, fate_maps
from deepvelo.pl.trends import trend_grid

HEIGHT = 560
MAX_GENES = 6
_QUANTITIES = {"expression": keys.MS, "alpha": keys.ALPHA, "beta": keys.BETA, "gamma": keys.GAMMA}


def fates_view(run: Run, analysis: Lineages, lineage: str) -> None:
    """A map of the chosen fate, maps of all fates, and trends of chosen genes along the lineage."""
    groups, _ = own_groups_and_colors(run)
    basis = run.info.basis
    points = run.obsm[keys.embedding(basis)][:, :2]
    large, small = st.columns([1.2, 1], gap="medium")
    with large:
        figure = fate_map(
            points, analysis.fates[lineage].to_numpy(), groups, lineage=lineage, axis_name=basis_label(basis),
            drawn=drawn(run), dark=charts.is_dark(), height=HEIGHT,
        )  # fmt: skip
        cells = linked.Cells(run, points)
        charts.show(
            figure, key="lineages.fate", alt=f"Probability of reaching {lineage}", view=basis, cells=cells
        )
    with small:
        if len(analysis.lineages) > 1:
            figure = fate_maps(points, analysis.fates, columns=2, drawn=drawn(run), dark=charts.is_dark())
            charts.show(
                figure, key="lineages.fates", alt="Probability of every fate", view=basis, cells=cells
            )
        else:
            st.info("There is one terminal state, so its probability is 1 for every cell that can reach it.")
    st.caption(
        "Probability that a random walk along the arrows reaches each terminal state (CellRank). Probabilities sum to 1 over "
        f"the terminal states, even if none is a cell's true fate. {run_in_words(run)}"
    )
    _trends(run, analysis, lineage)


@run_fragment
def _trends(run: Run, analysis: Lineages, lineage: str) -> None:
    of_lineage = analysis.drivers[analysis.drivers["lineage"] == lineage].sort_values("rank")
    key = f"lineages.genes.{run.info.run_id}.{lineage}"
    ranked = ranked_genes(run)
    genes = st.multiselect(
        "Genes along the lineage", ranked, format_func=box_labels(ranked).__getitem__, max_selections=MAX_GENES,
        placeholder="Choose genes",
        **some_of("genes", ranked, key=key, default=list(of_lineage["gene"].head(3)), most=MAX_GENES),
    )  # fmt: skip
    if not genes:
        return
    with stop_on_error():
        available = set(run.layers)
        curves = {
            gene: {
                name: lineages.trend(run.info.run_id, layer, gene, analysis.settings, lineage)
                for name, layer in _QUANTITIES.items()
                if layer in available
            }
            for gene in genes
        }
    _, colors = own_groups_and_colors(run)
    figure = trend_grid(
        curves,
        color=colors.get(lineage, next(iter(colors.values()))),
        time_title="latent time",
        dark=charts.is_dark(),
    )
    charts.show(figure, key="lineages.trends", alt=f"{', '.join(genes)} along the lineage of {lineage}")
    st.caption(
        "Cells are weighted by their probability of this fate; the band shows the spread of cells, not the error of the mean. "
        "Rates are relative: compare along a line, not between genes."
    )
