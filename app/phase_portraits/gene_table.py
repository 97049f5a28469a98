"""Genes in the order of the steps; a click on a row selects the gene."""

from __future__ import annotations

import streamlit as st

from app.shared.gene_picker import gene_order
from app.shared.phase_charts import gene_scores
from app.shared.tables import show_genes
from deepvelo.io.runs import Run

KEY = "genes.table"
MOST_ROWS = 200
LEGEND_HEIGHT = 80  # three lines and a gap
_SCORE = (
    "Multi-kinetic score: difference of γ/β, the ratio of degradation to splicing, between cell groups beyond counting "
    "noise. 0: one ratio for all; 0.7: groups differ from their mean by about a factor of 2; empty: no velocity."
)


def gene_table(run: Run, *, shown: str, height: int) -> None:
    """Draw the part of the order with the shown gene, whose row is selected; every step sends all rows again."""
    order = gene_order(run)
    start = order.index(shown) // MOST_ROWS * MOST_ROWS if shown in order else 0
    genes = list(order[start : start + MOST_ROWS])
    table = gene_scores(run, genes)
    scored = "Score" in table
    show_genes(
        table,
        key=KEY,
        gene=shown,
        height=height - LEGEND_HEIGHT * scored,
        column_config={
            "Gene": st.column_config.TextColumn(width="small"),
            "Score": st.column_config.NumberColumn(
                format="%.2f",
                help=_SCORE,
            ),
        },
        placeholder="",
        alt="Genes and their multi-kinetic score",
    )
    words = ["Score: difference of γ/β between cell groups."] if scored else []
    if len(genes) < len(order):
        words.append(f"Genes {start + 1:,} to {start + len(genes):,} of {len(order):,}.")
    if words:
        st.caption(" ".join(words))
