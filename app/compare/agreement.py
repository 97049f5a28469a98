"""Agreement of methods: a map to select a region on, and the genes they disagree about there."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pandas as pd
import streamlit as st

from app.compare import queries
from app.compare.portraits import portraits_view
from app.selection import linked, state
from app.selection.bar import selection_bar
from app.shared import charts
from app.shared.cells import drawn, run_in_words
from app.shared.comparison import RunIds
from app.shared.empty import error_in_words
from app.shared.grouping import groups_and_colors
from app.shared.shown_run import run_fragment
from app.shared.tables import show_genes
from app.shared.text import escape
from app.shared.velocity_chart import basis_label
from app.shared.view import one_of
from deepvelo import keys
from deepvelo.io.runs import Run
from deepvelo.pl.agreement_map import agreement_map
from deepvelo.pl.embedding import scatter
from deepvelo.wording import decimal, number

HEIGHT = 540
MAP_KEY, COLOR_KEY = "compare.map", "compare.color"
GENES_KEY = "compare.genes"
_AGREEMENT, _GROUPS = "Agreement", "Cell type"
_NONE = (
    "Agreement compares methods that give the same cells a velocity in the same genes. No cell here has two: "
    "choose other runs to compare."
)
_PART_WORDS = (
    "Mean contribution of the gene to the direction of {method}, −1 to 1: above 0 its spliced RNA increases, below 0 it "
    "decreases. Methods disagree about a gene when signs differ, or when it dominates one direction and not the other."
)
_MAP_WORDS = (
    "Select cells to see the genes that disagree there. Agreement of a cell is the mean cosine between the velocities of each pair of "
    "methods, over the {genes} that all of them give a velocity: 1 is the same direction, 0 unrelated, −1 opposite. "
    "Methods that agree can all be wrong."
)


@run_fragment
def agreement_view(base: Run, run_ids: RunIds, smooth: int | None) -> None:
    """Agreement map, the genes that explain it, and their phase portraits, one per method.

    Parameters
    ----------
    base
        The chosen run, one of ``run_ids``; the map shows its embedding and cell types.
    smooth
        Number of averages of every method's velocity over the graph; None for as fitted.
    """
    with error_in_words():
        agreement, n_genes = queries.cell_agreement(run_ids, smooth)
        if agreement.isna().all():
            st.info(_NONE, icon=":material/info:")
            return
        selection_bar(base)
        region = state.selected_rows(base)
        left, right = st.columns([1, 1.1], gap="medium")
        with left:
            _map(base, agreement)
            st.caption(f"{_MAP_WORDS.format(genes=number(n_genes, 'gene'))} {run_in_words(base)}")
        with right:
            genes = _gene_table(base, run_ids, smooth, agreement, region)
        portraits_view(base, run_ids, ranked=genes)


def _map(base: Run, agreement: pd.Series) -> None:
    """The embedding by agreement or group."""
    groups, colors = groups_and_colors(base)
    chosen = st.segmented_control(
        "Colour", [_AGREEMENT, _GROUPS], required=True, label_visibility="collapsed",
        **one_of("map", [_AGREEMENT, _GROUPS], key=COLOR_KEY),
    )  # fmt: skip
    color = str(chosen)
    points = base.obsm[keys.embedding(base.info.basis)][:, :2]
    axis_name, dark = basis_label(base.info.basis), charts.is_dark()
    if color == _AGREEMENT:
        values = agreement.reindex(base.obs.index).to_numpy()
        figure = agreement_map(
            points, values, groups, axis_name=axis_name, drawn=drawn(base), dark=dark, height=HEIGHT
        )
    else:
        figure = scatter(
            points, groups, colors=colors, axis_name=axis_name, drawn=drawn(base), dark=dark, height=HEIGHT
        )
        figure.update_layout(showlegend=False)  # the map shows the names
    charts.show(
        figure, key=MAP_KEY, alt=f"Embedding by {color.lower()}", view=base.info.basis,
        cells=linked.Cells(base, points),
    )  # fmt: skip


def _gene_table(
    base: Run, run_ids: RunIds, smooth: int | None, agreement: pd.Series, region: np.ndarray
) -> list[str]:
    """Genes by their share of the disagreement; a click on a row selects the gene. Returns these genes."""
    cells = base.obs.index[region]
    mean = agreement[cells.intersection(agreement.index)].mean() if len(region) else agreement.mean()
    if np.isnan(mean):
        st.info(
            "No cell of this region has a velocity in two methods. Choose another region.",
            icon=":material/info:",
        )
        return []
    groups, _ = groups_and_colors(base)
    shares, pairs = queries.disagreement(run_ids, smooth, region if len(region) else None)
    where = _region_in_words(groups[region]) if len(region) else "All cells"
    beside = f" (in all cells {agreement.mean():.2f})" if len(region) else ""
    words = f"{where}: mean agreement **{decimal(mean)}**{beside}."
    if len(pairs) > 1:
        words += f" Least similar: {' and '.join(map(escape, pairs.index[0]))}, {decimal(pairs.iloc[0])}."
    st.markdown(words)
    genes = [str(gene) for gene in shares.index]
    table = shares.assign(share=100 * shares["share"]).rename_axis("Gene").reset_index()
    columns = {
        "Gene": st.column_config.TextColumn(width=72),
        "share": st.column_config.ProgressColumn(
            "Share", width=90, format="%.1f%%", min_value=0, max_value=float(table["share"].max()) or 1.0,
            help="The gene's share of the disagreement in the region, which is 1 minus the mean agreement.",
        ),
    }  # fmt: skip
    for name in table.columns[2:]:
        columns[name] = st.column_config.NumberColumn(
            name.removeprefix("scVelo "),
            width=72,
            format="%+.2f",
            help=_PART_WORDS.format(method=escape(name)),
        )
    show_genes(
        table, key=GENES_KEY, height=HEIGHT - 150, column_config=columns,
        alt="Genes by their share of the disagreement",
    )  # fmt: skip
    st.caption(
        "Method columns: the gene's contribution to each direction. Methods with equal signs disagree when the gene "
        "dominates only one of them."
    )
    return genes


def _region_in_words(groups: np.ndarray) -> str:
    """Number of cells and their most common groups."""
    common = Counter(groups).most_common()
    named = ", ".join(f"{escape(name)} {n:,}" for name, n in common[:3])
    return f"{number(len(groups), 'cell')} ({named}{', …' if len(common) > 3 else ''})"
