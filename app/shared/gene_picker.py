"""Choice of the gene that figures show."""

from __future__ import annotations

import streamlit as st

from app import session
from app.shared.empty import say_error
from app.shared.text import box_labels
from deepvelo import checks, keys
from deepvelo.contents.genes import GeneIndex, gene_aliases
from deepvelo.errors import InputError
from deepvelo.io.runs import Run


def gene_picker(run: Run, *, label: str = "Gene", first: str | None = None) -> str:
    """Searchable box of the run's genes; returns the chosen one, by default ``first``.

    If the run lacks the gene of the URL, an error names it with the most similar names, and the box shows the default.
    """
    genes = ranked_genes(run)
    chosen = session.gene()
    if chosen is not None and chosen not in run.var.index:
        index = GeneIndex(run.var.index, aliases=gene_aliases(run.var))
        try:
            chosen = index.find(chosen) or checks.require_gene(run.var.index, chosen)
        except InputError as error:
            say_error(error)
            chosen = None
    shown = chosen or first or genes[0]
    st.selectbox(
        label, genes, format_func=box_labels(genes).__getitem__, **session.linked("gene", shown),
        placeholder="Search by name",
    )  # fmt: skip
    return shown


def ranked_genes(run: Run) -> list[str]:
    """Genes with a velocity by multi-kinetic score, highest first, then the others."""
    var = run.var
    order = var.sort_values([keys.VELOCITY_GENES, keys.MULTIKINETIC_SCORE], ascending=False, kind="stable")
    return [str(name) for name in order.index]
