"""Transitions between groups: on the embedding, as a tree, and as a table."""

from __future__ import annotations

from typing import Literal, TypedDict

import pandas as pd
import streamlit as st

from app.selection import linked
from app.shared import charts
from app.shared.cells import drawn, run_in_words
from app.shared.grouping import own_groups_and_colors
from app.shared.tables import show_table
from app.shared.velocity_chart import basis_label
from app.shared.view import one_of
from deepvelo import keys
from deepvelo.io.runs import Run
from deepvelo.lineages import Lineages
from deepvelo.pl.lineage_tree import lineage_tree
from deepvelo.pl.nodes import STAGE_COLORS
from deepvelo.pl.trajectory_map import trajectory_map

HEIGHT = 620
MOST_ROWS = 14  # of the table that fit beside the figure
STAGES, FATES = "Latent time", "Fates"


class _Nodes(TypedDict):
    """Options that map and tree share."""

    shares: pd.DataFrame
    part_colors: dict[str, str]
    shares_title: str
    colors: dict[str, str]
    root: str
    ends: list[str]
    least_cells: int
    dark: bool


def by_time_switch() -> bool:
    """Whether the pies of the groups show latent time; otherwise fates."""
    shown = st.segmented_control(
        "Pies show",
        [STAGES, FATES],
        required=True,
        **one_of("pies", [STAGES, FATES], key="lineages.pies"),
    )
    return shown == STAGES


def trajectory_view(run: Run, analysis: Lineages, *, by_time: bool) -> None:
    """Map and tree with the same nodes, and a table of the edges."""
    from deepvelo.tl.lineage.group_edges import FEW_CELLS
    from deepvelo.tl.lineage.group_shares import fate_shares, stage_shares

    groups, colors = own_groups_and_colors(run)
    time = analysis.cells["latent_time"].to_numpy()
    nodes = _Nodes(
        shares=stage_shares(groups, time) if by_time else fate_shares(groups, analysis.fates),
        part_colors=dict(STAGE_COLORS) if by_time else {name: colors[name] for name in analysis.lineages},
        shares_title=_title(analysis, by_time=by_time),
        colors=colors,
        root=analysis.root,
        ends=analysis.lineages,
        least_cells=FEW_CELLS,
        dark=charts.is_dark(),
    )
    basis = run.info.basis
    points = run.obsm[keys.embedding(basis)][:, :2]
    picture, table = st.columns([1.2, 1], gap="medium")
    with picture:
        figure = trajectory_map(
            points, groups, edges=analysis.edges, axis_name=basis_label(basis), drawn=drawn(run), height=HEIGHT,
            **nodes,
        )  # fmt: skip
        charts.show(
            figure, key="lineages.map", alt="Trajectory of the groups over the embedding", view=basis,
            cells=linked.Cells(run, points),
        )  # fmt: skip
    with table:
        _table(analysis)
    st.markdown("**Tree, from early to late**")
    times = pd.Series(time).groupby(pd.Index(groups, name="group")).mean()
    figure = lineage_tree(analysis.edges, times=times, **nodes)
    charts.show(figure, key="lineages.tree", alt="Trajectory of the groups from early to late")
    st.caption(
        "Width of an edge: PAGA connectivity, the net arrows across the border of two groups relative to their neighbours. It "
        "is not a probability. Dashed: edges that rest on forced neighbours of tiny groups, or whose direction the data do not "
        "decide. Latent time orders cells along the arrows, 0 to 1 in each connected component; it has no unit. "
        f"{run_in_words(run)}"
    )


def _title(analysis: Lineages, *, by_time: bool) -> str:
    """Title of the pies; latent times of different connected components cannot be compared."""
    if not by_time:
        return "fate"
    apart = analysis.cells["part"].nunique() > 1
    return "third of latent time" + ("\nin each connected\ncomponent" if apart else "")


def table_height(n_rows: int) -> int | Literal["content"]:
    """Height of the rows, at most about that of the figure beside it."""
    return "content" if n_rows <= MOST_ROWS else HEIGHT - 60


def _table(analysis: Lineages) -> None:
    edges = analysis.edges
    sizes = zip(edges["source_cells"], edges["target_cells"], strict=True)
    show_table(
        edges[["source", "target", "confidence"]].assign(
            agreement=100 * edges["agreement"], cells=[f"{source:,} → {target:,}" for source, target in sizes]
        ),
        hide_index=True,
        height=table_height(len(edges)),
        column_config={
            "source": st.column_config.TextColumn("From", width=86),
            "target": st.column_config.TextColumn("To", width=86),
            "confidence": st.column_config.NumberColumn(
                "PAGA connectivity", width=118, format="%.2f", help="Net arrows across the border relative to the neighbours of "
                "the two groups. It can exceed 1, is not a probability, and is high for tiny groups with forced neighbours. "
                "Files call the column confidence."
            ),
            "agreement": st.column_config.NumberColumn(
                "Arrows along", width=84, format="%.0f%%", help="Share of arrows along the edge: of the arrows across the border, those "
                "in its direction. Near 50% the direction is not decided."
            ),
            "cells": st.column_config.TextColumn(
                "Cells", width=76, help="Number of cells of the source and of the target."
            ),
        },
        alt="Edges between groups",
    )  # fmt: skip
