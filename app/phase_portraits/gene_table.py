"""Genes by how much their rates differ between cell groups; a click on a row chooses the gene."""

from __future__ import annotations

import streamlit as st

from app import session
from app.shared.gene_picker import ranked_genes
from app.shared.phase_charts import gene_scores
from app.shared.tables import show_table
from deepvelo.io.runs import Run

KEY = "genes.table"
LEGEND_HEIGHT = 80  # up to three lines and the gap above
_SCORE = (
    "Multi-kinetic score: how much the ratio of degradation to splicing, γ/β, differs between cell groups, beyond what "
    "counting noise explains. 0: one ratio for all; 0.7: groups lie about a factor of 2 from their mean. "
    "Empty: the gene has no velocity in this run."
)


def gene_table(run: Run, *, shown: str, height: int) -> None:
    """Draw the table with the row of the shown gene marked."""
    genes = ranked_genes(run)
    table = gene_scores(run, genes)
    scored = "Score" in table
    session.fill({KEY: {"selection": {"rows": [genes.index(shown)], "columns": [], "cells": []}}})
    show_table(
        table,
        hide_index=True,
        height=height - LEGEND_HEIGHT * scored,
        key=KEY,
        on_select=lambda: _pick(genes),
        selection_mode="single-row",
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
    if scored:
        st.caption("Score: how much γ/β differs between cell groups.")


def _pick(genes: list[str]) -> None:
    rows = session.widget_value(KEY)["selection"]["rows"]
    if rows:
        session.set_gene(genes[rows[0]])
