"""Which group becomes which: over the embedding, as a tree, and as a table."""

from __future__ import annotations

from typing import Literal, TypedDict

import pandas as pd
import streamlit as st

from app.shared import charts
from app.shared.cells import drawn, run_in_words
from app.shared.phase_charts import groups_and_colors
from app.shared.tables import show_table
from app.shared.velocity_chart import basis_label
from deepvelo import keys
from deepvelo.io.runs import Run
from deepvelo.lineages import Lineages
from deepvelo.pl.lineage_tree import lineage_tree
from deepvelo.pl.nodes import STAGE_COLORS
from deepvelo.pl.trajectory_map import trajectory_map

HEIGHT = 620
MOST_ROWS = 14  # of the table that fit beside the picture
STAGES, FATES = "Stages of time", "Fates"


class _Nodes(TypedDict):
    """What map and tree have in common."""

    shares: pd.DataFrame
    part_colors: dict[str, str]
    shares_title: str
    colors: dict[str, str]
    root: str
    ends: list[str]
    least_cells: int
    dark: bool


def by_time_switch() -> bool:
    """Whether the pies of the groups show stages of time; otherwise fates."""
    shown = st.segmented_control(
        "Pies show",
        [STAGES, FATES],
        default=STAGES,
        required=True,
        key="lineages.pies",
        persist_state="session",
    )
    return shown == STAGES


def trajectory_view(run: Run, analysis: Lineages, *, by_time: bool) -> None:
    """Map and tree with the same nodes, then the arrows as a table."""
    from deepvelo.tl.lineage.group_edges import FEW_CELLS
    from deepvelo.tl.lineage.group_shares import fate_shares, stage_shares

    groups, colors = groups_and_colors(run)
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
    picture, table = st.columns([1.45, 1], gap="medium")
    with picture:
        figure = trajectory_map(
            points, groups, edges=analysis.edges, axis_name=basis_label(basis), drawn=drawn(run), height=HEIGHT,
            **nodes,
        )  # fmt: skip
        charts.show(figure, key="lineages.map", alt="Trajectory of the groups over the embedding")
    with table:
        _table(analysis)
    st.markdown("**From early to late**")
    times = pd.Series(time).groupby(pd.Index(groups, name="group")).mean()
    figure = lineage_tree(analysis.edges, times=times, **nodes)
    charts.show(figure, key="lineages.tree", alt="Trajectory of the groups from early to late")
    st.caption(
        "Arrows are as wide as their strength, net arrows across the border of two groups by the neighbours of their "
        "cells; it is no probability, and neighbours that are forced on tiny groups give arrows too. Dashed: such arrows, "
        "and arrows whose direction the data do not decide. Latent time orders cells along the arrows, 0 to 1 in each "
        f"separate part of the data; it is no clock. {run_in_words(run)}"
    )


def _title(analysis: Lineages, *, by_time: bool) -> str:
    """What the parts of the pies are; times of separate parts cannot be compared."""
    if not by_time:
        return "fate"
    apart = analysis.cells["part"].nunique() > 1
    return "third of latent time" + ("\nwithin each separate\npart of the data" if apart else "")


def table_height(n_rows: int) -> int | Literal["content"]:
    """As high as its rows, at most about as the picture beside it."""
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
            "source": st.column_config.TextColumn("From", width=92),
            "target": st.column_config.TextColumn("To", width=92),
            "confidence": st.column_config.NumberColumn(
                "Strength", width=62, format="%.2f", help="Net arrows across the border by the neighbours of the groups' "
                "cells (PAGA's confidence of a transition). It can exceed 1, is no probability, and is high for small "
                "islands that are forced to have neighbours outside. In files the column is called confidence."
            ),
            "agreement": st.column_config.NumberColumn(
                "Agreement", width=72, format="%.0f%%", help="Share of the arrows across the border that go this way."
            ),
            "cells": st.column_config.TextColumn(
                "Cells", width=76, help="Of the group that the arrow leaves and of the one it enters."
            ),
        },
        alt="Arrows from group to group",
    )  # fmt: skip
