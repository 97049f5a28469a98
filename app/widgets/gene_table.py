"""Genes by how much their rates differ between cell groups; a click on a row chooses the gene."""

from __future__ import annotations

import streamlit as st

from app import session
from app.widgets.gene_picker import ranked_genes
from app.widgets.phase_charts import gene_scores
from deepvelo.io.runs import Run

KEY = "genes.table"


def gene_table(run: Run, *, shown: str, height: int) -> None:
    """Draw the table with the row of the shown gene marked."""
    genes = ranked_genes(run)
    session.fill({KEY: {"selection": {"rows": [genes.index(shown)], "columns": [], "cells": []}}})
    st.dataframe(
        gene_scores(run, genes),
        hide_index=True,
        height=height,
        key=KEY,
        on_select=lambda: _pick(genes),
        selection_mode="single-row",
        column_config={
            "Gene": st.column_config.TextColumn(width="small"),
            "Score": st.column_config.NumberColumn(
                format="%.2f",
                help="Multi-kinetic score: how much the gene's rates differ between cell groups. "
                "Empty: the gene has no velocity in this run.",
            ),
        },
        placeholder="",
        alt="Genes and their multi-kinetic score",
    )


def _pick(genes: list[str]) -> None:
    rows = session.widget_value(KEY)["selection"]["rows"]
    if rows:
        session.set_gene(genes[rows[0]])
